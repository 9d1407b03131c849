//! Topic names.
//!
//! Owns the rule for a valid topic name.
//!
//! Not here: which subscriptions a topic has (`store/`).

use std::{fmt, str::FromStr, sync::Arc};

/// The name of a topic: 1–255 of `A-Z a-z 0-9 - _ .`, starting with a letter or digit.
///
/// It is the AMQP routing key, which the protocol limits to 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName(Arc<str>);

/// Why a text is not a topic name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopicName {
    /// The name is empty.
    #[error("the topic's name is empty: use 1 to 255 of A-Z a-z 0-9 - _ .")]
    Empty,
    /// The name exceeds the limit of a routing key.
    #[error("the topic's name has {0} bytes: at most 255 are possible")]
    TooLong(usize),
    /// The name begins with a character other than a letter or digit.
    #[error("the topic's name begins with {0:?}: it must begin with a letter or digit")]
    Start(char),
    /// The name contains a forbidden character.
    #[error("the topic's name holds {0:?} at position {1}: only A-Z a-z 0-9 - _ . are possible")]
    Character(char, usize),
}

impl TopicName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a text that is shared, not copied.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl FromStr for TopicName {
    type Err = InvalidTopicName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let Some(first) = name.chars().next() else {
            return Err(InvalidTopicName::Empty);
        };
        if name.len() > 255 {
            return Err(InvalidTopicName::TooLong(name.len()));
        }
        if let Some((at, other)) = name
            .char_indices()
            .find(|(_, c)| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        {
            return Err(InvalidTopicName::Character(other, at));
        }
        if !first.is_ascii_alphanumeric() {
            return Err(InvalidTopicName::Start(first));
        }
        Ok(Self(name.into()))
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_begins_with_a_letter_or_digit_and_holds_only_the_allowed_characters() {
        for good in ["a", "0", "ops.db-1_alerts", &"x".repeat(255)] {
            assert_eq!(good.parse::<TopicName>().map(|t| t.to_string()), Ok(good.to_owned()));
        }
        for (bad, mistake) in [
            ("", InvalidTopicName::Empty),
            (".a", InvalidTopicName::Start('.')),
            ("a b", InvalidTopicName::Character(' ', 1)),
            ("告警", InvalidTopicName::Character('告', 0)),
            (&"x".repeat(256), InvalidTopicName::TooLong(256)),
        ] {
            assert_eq!(bad.parse::<TopicName>(), Err(mistake));
        }
    }
}
