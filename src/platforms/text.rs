//! Text that knows its blocks, and what has to be said besides it. What is too long is cut and says so; mentions and keyword are never cut. Where a text may be
//! cut is `piece.rs`, how it is split into parts `share.rs`.

use std::ops::Range;

use super::piece::After;

/// What one character costs.
pub(super) type Cost = fn(char) -> usize;

/// In raw UTF-8.
pub(super) const RAW: Cost = char::len_utf8;

/// Inside a JSON string, as `serde_json` writes it.
pub(super) const IN_JSON: Cost = |c| match c {
    '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
    c if u32::from(c) < 0x20 => 6,
    c => c.len_utf8(),
};

/// A text with its places.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// The text.
    pub(super) text: String,
    /// Links and other markup within a line, which are not cut. In their order, never one in another.
    pub(super) solid: Vec<Range<usize>>,
    /// Blocks that need their beginning and end wherever they are cut.
    pub(super) fences: Vec<Fence>,
    /// Where blocks end.
    pub(super) ends: Vec<usize>,
    /// What has to stand before a line that is not of the last block.
    pub(super) apart: &'static str,
    /// How many more bytes there would be, which are beyond everything that can be shown.
    pub(super) unwritten: usize,
}

/// A block of code between fences, or a table below its head.
#[derive(Debug)]
pub(super) struct Fence {
    /// With its fences or head.
    pub(super) all: Range<usize>,
    /// What lies between or below them.
    pub(super) inner: Range<usize>,
    /// What opens it where it goes on after a cut.
    pub(super) opening: String,
    /// What closes it where it is cut.
    pub(super) closing: String,
}

impl From<String> for Flow {
    /// Plain text.
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl Flow {
    /// The text, cut if need be, then its tail, which is kept whole unless it alone is too long: all of it costs at most `max`.
    ///
    /// `tail` gives what has to be said besides what it is given. Of a text that is cut nobody knows what is left, so then all of it is said.
    pub(super) fn fit(&self, tail: impl Fn(&str) -> String, max: usize, cost: Cost) -> String {
        let total = |part: &str| part.chars().map(cost).sum::<usize>();
        let whole = format!("{}{}", self.text, self.apart_from(tail(&self.text)));
        if total(&whole) <= max {
            return whole;
        }
        self.ending(0, &self.apart_from(tail("")), max, cost)
    }

    /// A tail, so that it does not become a part of the last block.
    pub(super) fn apart_from(&self, tail: String) -> String {
        if tail.is_empty() { tail } else { format!("{}{tail}", self.apart) }
    }

    /// What follows `from`, cut to what costs `max` with its tail, and a notice that says how much is missing. It is too long.
    pub(super) fn ending(&self, from: usize, tail: &str, max: usize, cost: Cost) -> String {
        let total = |part: &str| part.chars().map(cost).sum::<usize>();
        let tail = cut(tail, max, cost);
        let left = max - total(tail);
        let notice = |bytes: usize| format!("{}\n… ({bytes} bytes left out)", self.apart);
        // As long as the longest notice can be, so that room for it is certain.
        let piece = self.piece(
            from,
            left.saturating_sub(total(&notice(self.text.len() + self.unwritten))),
            cost,
            After::Nothing,
        );
        let (kept, closing) = (self.shown(&piece), piece.closing);
        let notice = notice(self.text.len() + self.unwritten - from - kept.len());
        let closed = format!("{}{kept}{closing}{notice}", piece.opening);
        if total(&closed) <= left { format!("{closed}{tail}") } else { format!("{}{tail}", cut(&kept, left, cost)) }
    }
}

/// The longest beginning that costs at most `max`.
pub(super) fn cut(text: &str, max: usize, cost: Cost) -> &str {
    let mut spent = 0;
    let end = text.char_indices().find(|(_, c)| {
        spent += cost(*c);
        spent > max
    });
    end.map_or(text, |(at, _)| text.get(..at).unwrap_or_default())
}

/// How many names a note lists.
const NAMES_MAX: usize = 10;

/// What has to be added so that the chat knows whose phone does not ring, because the platform cannot mention them in this kind of message.
pub(super) fn unmentioned_tail(names: &[&str]) -> String {
    if names.is_empty() {
        return String::new();
    }
    // Whatever a publisher calls a member: it is no markup.
    let harmless =
        |name: &&str| name.chars().map(|c| if c.is_alphanumeric() || "_-.@+".contains(c) { c } else { '?' }).collect();
    let listed: Vec<String> = names.iter().take(NAMES_MAX).map(harmless).collect();
    let more = match names.len().saturating_sub(NAMES_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("\n(cannot be mentioned here: {}{more})", listed.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::platforms::keyword::{self, Said};

    fn fit(text: &str, tail: &str, max: usize, cost: Cost) -> String {
        Flow::from(text.to_owned()).fit(|_| tail.to_owned(), max, cost)
    }

    #[test]
    fn a_long_text_is_cut_at_a_character_and_says_how_much_is_missing() {
        let text = "告警".repeat(100);
        let fitted = fit(&text, "\n@1380", 120, RAW);
        assert!(fitted.len() <= 120, "{}", fitted.len());
        assert_eq!(fitted, format!("{}告\n… (513 bytes left out)\n@1380", "告警".repeat(14)));
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        assert_eq!(fit("abc", "d", 4, RAW), "abcd");
        assert_eq!(fit("a\"c", "", 4, IN_JSON), "a\"c");
    }

    #[test]
    fn what_has_to_be_said_is_said_again_if_the_place_that_said_it_may_be_cut_away() {
        let flow = Flow::from(format!("{} ops", "x".repeat(100)));
        let tail = |text: &str| keyword::tail(Some("ops"), &[Said::Text(text)]);
        assert!(flow.fit(tail, 104, RAW).ends_with("x ops"));
        assert!(flow.fit(tail, 103, RAW).ends_with(" bytes left out)\nops"));
    }

    #[test]
    fn who_cannot_be_mentioned_is_named_without_markup() {
        assert_eq!(unmentioned_tail(&[]), "");
        assert_eq!(unmentioned_tail(&["138", "<at id=all>"]), "\n(cannot be mentioned here: 138, ?at?id?all?)");
        let tail = unmentioned_tail(&["1"; 12]);
        assert!(tail.ends_with("1, 1 and 2 more)"), "{tail}");
    }

    proptest! {
        /// Whatever the text: the result costs what is allowed at most, and keeps the tail.
        #[test]
        fn nothing_fitted_is_too_long(text in any::<String>(), tail in "[ -~]{0,20}", max in 60_usize..400) {
            for cost in [RAW, IN_JSON] {
                let fitted = fit(&text, &tail, max, cost);
                prop_assert!(fitted.chars().map(cost).sum::<usize>() <= max);
                prop_assert!(fitted.ends_with(&tail));
            }
        }

        /// The cost in JSON is what the serialiser writes.
        #[test]
        fn the_cost_in_json_is_exact(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap().len() - 2;
            prop_assert_eq!(text.chars().map(IN_JSON).sum::<usize>(), written);
        }
    }
}
