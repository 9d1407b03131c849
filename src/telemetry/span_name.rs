//! The names of spans.
//!
//! Owns their closed list.
//!
//! Not here: which occurrence makes which span (`spans.rs`).

use enum_map::Enum;

/// The subject of a span, which gives its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum SpanName {
    Event,
    Decode,
    Expand,
    Delivery,
    Wait,
    Attempt,
    Settle,
}

impl SpanName {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Decode => "decode",
            Self::Expand => "expand",
            Self::Delivery => "delivery",
            Self::Wait => "wait",
            Self::Attempt => "attempt",
            Self::Settle => "settle",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::every;

    #[test]
    fn every_span_is_in_the_operators_list_and_the_list_has_no_others() {
        let list = include_str!("../../docs/EVENTS.md").split("## Traces").nth(1).unwrap();
        let listed: Vec<_> =
            list.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert_eq!(every::<SpanName>().map(SpanName::as_str).collect::<Vec<_>>(), listed);
    }
}
