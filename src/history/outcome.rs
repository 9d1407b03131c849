//! What a record of the history says, in one word.
//!
//! Owns the closed list of these words, with a label for tables.
//!
//! Not here: the record (`record.rs`).

use std::{fmt, str::FromStr};

use enum_map::Enum;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::{every, invalid_value};

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum)]
pub enum HistoryOutcome {
    /// An event was received, and its topic has subscriptions.
    Received,
    /// An event was received, and its topic has no subscription.
    Unheard,
    /// An event became a dead letter as a whole.
    GivenUp,
    /// An attempt was made that did not decide the delivery: another message of it follows.
    Attempted,
    /// A delivery waits on the broker for a limit.
    Deferred,
    /// A delivery waits on the broker for its next attempt.
    Retried,
    /// A delivery was accepted by its platform.
    Delivered,
    /// A delivery became a dead letter.
    Dead,
    /// A delivery was dropped, because its subscription was removed or paused.
    Dropped,
    /// A dead letter was put back by an operator.
    Redriven,
    /// A dead letter was deleted by an operator.
    Discarded,
    /// A robot or a platform is held.
    Held,
    /// A hold ended.
    Released,
}

impl HistoryOutcome {
    /// The name in the API and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Unheard => "unheard",
            Self::GivenUp => "given_up",
            Self::Attempted => "attempted",
            Self::Deferred => "deferred",
            Self::Retried => "retried",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Dropped => "dropped",
            Self::Redriven => "redriven",
            Self::Discarded => "discarded",
            Self::Held => "held",
            Self::Released => "released",
        }
    }

    /// A few words for a table.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Unheard => "no subscription",
            Self::GivenUp => "event given up",
            Self::Redriven => "letter redriven",
            Self::Discarded => "letter deleted",
            Self::Held => "robot held",
            Self::Released => "hold ended",
            Self::Attempted => "attempt",
            Self::Deferred => "waits",
            Self::Retried => "attempt failed",
            Self::Delivered => "delivered",
            Self::Dead => "dead letter",
            Self::Dropped => "dropped",
        }
    }
}

impl fmt::Display for HistoryOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not an outcome.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown outcome {0:?}: use {names}", names = names())]
pub struct UnknownOutcome(pub String);

fn names() -> String {
    every().map(HistoryOutcome::as_str).collect::<Vec<_>>().join(", ")
}

impl FromStr for HistoryOutcome {
    type Err = UnknownOutcome;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = every::<Self>().find(|outcome| outcome.as_str() == name);
        found.ok_or_else(|| UnknownOutcome(name.to_owned()))
    }
}

impl Serialize for HistoryOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for HistoryOutcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(invalid_value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_read_back_from_its_name_and_an_unknown_one_lists_them() {
        for outcome in every::<HistoryOutcome>() {
            assert_eq!(outcome.as_str().parse(), Ok(outcome));
        }
        let says = "lost".parse::<HistoryOutcome>().unwrap_err().to_string();
        assert!(says.starts_with("unknown outcome \"lost\": use received, unheard,"), "{says}");
    }
}
