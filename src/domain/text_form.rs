//! How ids, names and choices are written in JSON and in queries: as one text.
//!
//! Owns that a wrong value is refused with its own sentence. A parser puts this sentence between
//! two marks, so the API can tell it from the parser's own messages. Those may quote a credential.
//!
//! Not here: the sentences (the errors of the types), and where they are shown
//! (`admin/body.rs`, `cli/import_lines.rs`).

use std::fmt::Display;

use serde::de;

use super::{
    Audience, Format, GroupName, Language, LongTextPolicy, OverflowPolicy, Platform, QuietHours,
    RobotId, StoredReason, SubscriptionId, SubscriptionState, TemplateEngine, TemplateName,
    TopicName,
};

/// The marks around a sentence of ours: start and end of text. A sentence contains neither.
const MARKS: [char; 2] = ['\u{2}', '\u{3}'];

/// An error of a parser that says why a value is refused.
pub fn invalid_value<E: de::Error>(sentence: impl Display) -> E {
    let [start, end] = MARKS;
    E::custom(format_args!("{start}{sentence}{end}"))
}

/// Why a value was refused. `None` if the parser itself failed: its message may quote a credential.
#[must_use]
pub fn refused_value(error: &impl Display) -> Option<String> {
    let text = error.to_string();
    let (_, sentence) = text.split_once(MARKS[0])?;
    sentence.rsplit_once(MARKS[1]).map(|(sentence, _)| sentence.to_owned())
}

/// Implements `Serialize` by `Display` and `Deserialize` by `FromStr`.
macro_rules! serde_by_text {
    ($($name:ty),+ $(,)?) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err($crate::domain::invalid_value)
            }
        }
    )+};
}

pub(crate) use serde_by_text;

serde_by_text!(
    Audience,
    Format,
    GroupName,
    Language,
    LongTextPolicy,
    OverflowPolicy,
    Platform,
    QuietHours,
    RobotId,
    StoredReason,
    SubscriptionId,
    SubscriptionState,
    TemplateEngine,
    TemplateName,
    TopicName,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_refused_with_its_own_sentence_and_a_parser_says_nothing() {
        let refused = |json: &str| {
            let error = serde_json::from_str::<TopicName>(json).unwrap_err();
            refused_value(&error)
        };
        assert_eq!(
            refused(r#""a b""#).as_deref(),
            Some("the topic's name holds ' ' at position 1: only A-Z a-z 0-9 - _ . are possible")
        );
        for parser in ["{", "5", r#"{"https://a/SECRET": 1}"#] {
            assert_eq!(refused(parser), None, "{parser}");
        }
        for format in [Format::Text, Format::Markdown] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        let id = SubscriptionId::from_bytes([7; 16]);
        assert_eq!(serde_json::to_value(id).unwrap(), id.to_string());
        assert_eq!(serde_json::from_value::<SubscriptionId>(id.to_string().into()).unwrap(), id);
    }
}
