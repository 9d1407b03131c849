//! A question to the history, and one page of its answer.
//!
//! Owns which records a question accepts, and the text form of a position.
//!
//! Not here: how records are found (`store/history.rs`).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{HistoryOutcome, HistoryRecord};
use crate::domain::{EventId, RobotId, SubscriptionId, Timestamp, invalid_value};

/// A question. A field that is missing accepts every record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Records of this event.
    pub event: Option<EventId>,
    /// Records of this subscription.
    pub subscription: Option<SubscriptionId>,
    /// Records of this robot.
    pub robot: Option<RobotId>,
    /// Records of this topic.
    pub topic: Option<String>,
    /// Records of this time and later.
    pub since: Option<Timestamp>,
    /// Records that say this.
    pub outcome: Option<HistoryOutcome>,
}

impl HistoryQuery {
    /// Whether the record answers the question.
    #[must_use]
    pub fn accepts(&self, record: &HistoryRecord) -> bool {
        self.event.as_ref().is_none_or(|event| record.event == *event)
            && self.topic.as_deref().is_none_or(|topic| *record.topic == *topic)
            && self.since.is_none_or(|since| record.at >= since)
            && self.outcome.is_none_or(|outcome| record.outcome() == outcome)
            && self.subscription.is_none_or(|id| record.subscription() == Some(id))
            && self.robot.is_none_or(|id| record.robot() == Some(id))
    }
}

/// One page of an answer, the newest record first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryPage {
    /// The records. A page may have fewer than its limit although more follow, because one call
    /// reads a bounded number of bytes.
    pub records: Vec<HistoryRecord>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<HistoryCursor>,
}

/// A position in the history. Later records have larger positions. It stays valid when records are
/// added or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryCursor(pub u128);

/// The text is not a position in the history.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a place in the history: use `next` of the previous page")]
pub struct InvalidHistoryCursor(pub String);

impl fmt::Display for HistoryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl FromStr for HistoryCursor {
    type Err = InvalidHistoryCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let read = is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        read.map(Self).ok_or_else(|| InvalidHistoryCursor(text.chars().take(60).collect()))
    }
}

impl Serialize for HistoryCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HistoryCursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(invalid_value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back_from_its_text_and_other_texts_are_refused() {
        for position in [0, 7, u128::MAX] {
            let cursor = HistoryCursor(position);
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for wrong in ["", "x", "+1", "-1", " 1", &"f".repeat(33)] {
            assert_eq!(wrong.parse::<HistoryCursor>(), Err(InvalidHistoryCursor(wrong.into())));
        }
    }
}
