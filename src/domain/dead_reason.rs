//! The reasons of dead letters.
//!
//! Owns the closed list of reasons that this version gives, the one label of each, and how the
//! reason of another version is kept.
//!
//! Not here: which failure has which reason (`settle/decide.rs`), the advice for each
//! (`platforms/advice.rs`).

use std::{convert::Infallible, fmt, str::FromStr};

use enum_map::Enum;

use super::every;

/// Why a delivery, or a whole event, became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enum)]
pub enum DeadReason {
    /// The event could not be decoded.
    Undecodable,
    /// The event has a text, but a member would see nothing of it.
    Empty,
    /// The platform refuses this message permanently.
    Refused,
    /// The robot does not exist any more, or is disabled.
    RobotGone,
    /// The robot's security setting rejects the message.
    Security,
    /// All attempts failed.
    Exhausted,
    /// Its time to live ended, or would end before it can be sent.
    Expired,
    /// A newer message of the subscription replaced it.
    Superseded,
    /// The broker redelivered it too often without a settlement.
    Poison,
    /// The broker removed it from a queue for another reason.
    Evicted,
    /// The record of its subscription is damaged.
    UnreadableSubscription,
    /// Its topic has no subscription.
    NoSubscription,
}

impl DeadReason {
    /// The reason with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        every::<Self>().find(|reason| reason.as_str() == name)
    }

    /// The name in routing keys, headers, metrics and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Empty => "empty",
            Self::Refused => "refused",
            Self::RobotGone => "robot_gone",
            Self::Security => "security",
            Self::Exhausted => "exhausted",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Poison => "poison",
            Self::Evicted => "evicted",
            Self::UnreadableSubscription => "unreadable_subscription",
            Self::NoSubscription => "no_subscription",
        }
    }

    /// The reason in a few words.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Undecodable => "it is not an event",
            Self::Empty => "nothing of it would be seen",
            Self::Refused => "the platform refuses the message",
            Self::RobotGone => "the robot is gone",
            Self::Security => "signature, keyword or address list",
            Self::Exhausted => "every attempt failed",
            Self::Expired => "its time to live ended",
            Self::Superseded => "a newer one took its place",
            Self::Poison => "it never came to an outcome",
            Self::Evicted => "the broker removed it from its queue",
            Self::UnreadableSubscription => "the subscription’s record is damaged",
            Self::NoSubscription => "its topic has no subscription",
        }
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The reason that a dead letter in a queue names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoredReason {
    /// A reason of this version.
    Known(DeadReason),
    /// The text of another version, as it is.
    Unknown(String),
}

impl StoredReason {
    /// The reason with this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        DeadReason::named(name).map_or_else(|| Self::Unknown(name.to_owned()), Self::Known)
    }

    /// The reason, if this version knows it.
    #[must_use]
    pub const fn known(&self) -> Option<DeadReason> {
        match self {
            Self::Known(reason) => Some(*reason),
            Self::Unknown(_) => None,
        }
    }

    /// The name, as the letter has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(reason) => reason.as_str(),
            Self::Unknown(name) => name,
        }
    }
}

impl fmt::Display for StoredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for StoredReason {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(Self::named(name))
    }
}

impl From<DeadReason> for StoredReason {
    fn from(reason: DeadReason) -> Self {
        Self::Known(reason)
    }
}

/// Why a message is a dead letter.
#[derive(Clone, Copy, Debug)]
pub struct DeadCause<'a> {
    /// The reason.
    pub reason: DeadReason,
    /// The code, of the platform or of roomcast.
    pub code: &'a str,
    /// The sentence for operators.
    pub detail: &'a str,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_is_read_back_from_its_name_and_another_versions_keeps_its_own() {
        for reason in every::<DeadReason>() {
            assert_eq!(StoredReason::named(reason.as_str()), StoredReason::Known(reason));
        }
        let later = StoredReason::named("haunted");
        assert_eq!((later.as_str(), later.known()), ("haunted", None));
    }

    #[test]
    fn every_reason_is_in_the_operators_list_and_the_list_has_no_others() {
        let list = include_str!("../../docs/OPERATING.md").split("### Reasons\n").nth(1).unwrap();
        let rows = list.split("\n### ").next().unwrap().lines();
        let listed: BTreeSet<_> =
            rows.filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        let known: BTreeSet<_> = every::<DeadReason>().map(DeadReason::as_str).collect();
        assert_eq!(known, listed);
    }
}
