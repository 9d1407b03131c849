//! Settlements: the decisions about a delivery.
//!
//! Owns the closed list of reasons for a dead letter.
//!
//! Not here: how a verdict becomes a settlement (`settle/decide.rs`).

use std::{fmt, str::FromStr};

use super::Timestamp;

/// The decision about a delivery after the pacer and, possibly, an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is delivered.
    Done,
    /// It was not tried, because of a limit. The number of attempts does not change.
    Deferred {
        /// When it may be tried.
        until: Timestamp,
        /// Its slot in its robot's queue, if it has one.
        slot: Option<Timestamp>,
    },
    /// The attempt failed for a reason that may pass. It counts as an attempt.
    Retried {
        /// When it is tried again.
        until: Timestamp,
    },
    /// It becomes a dead letter.
    Dead {
        /// The reason.
        reason: DeadReason,
        /// The platform's code, or roomcast's.
        code: String,
        /// The platform's message, redacted.
        detail: String,
    },
    /// Its subscription is removed or paused. Nothing of the delivery is kept.
    Dropped,
}

/// Why a delivery, or a whole event, became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeadReason {
    /// The event could not be decoded.
    Undecodable,
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
}

impl Settlement {
    /// Whether the settlement requires a message to be stored in the broker.
    #[must_use]
    pub const fn has_next_step(&self) -> bool {
        match self {
            Self::Deferred { .. } | Self::Retried { .. } | Self::Dead { .. } => true,
            Self::Done | Self::Dropped => false,
        }
    }

    /// The name in metrics, logs and traces.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Deferred { .. } => "deferred",
            Self::Retried { .. } => "retried",
            Self::Dead { .. } => "dead",
            Self::Dropped => "dropped",
        }
    }
}

impl DeadReason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Undecodable,
        Self::Refused,
        Self::RobotGone,
        Self::Security,
        Self::Exhausted,
        Self::Expired,
        Self::Superseded,
        Self::Poison,
        Self::Evicted,
        Self::UnreadableSubscription,
    ];

    /// The name in routing keys, headers, metrics and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Refused => "refused",
            Self::RobotGone => "robot_gone",
            Self::Security => "security",
            Self::Exhausted => "exhausted",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Poison => "poison",
            Self::Evicted => "evicted",
            Self::UnreadableSubscription => "unreadable_subscription",
        }
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not a reason.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown reason {0:?}: use undecodable, refused, robot_gone, security, exhausted, expired, superseded, poison, evicted or unreadable_subscription"
)]
pub struct UnknownReason(pub String);

impl FromStr for DeadReason {
    type Err = UnknownReason;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == name)
            .ok_or_else(|| UnknownReason(name.to_owned()))
    }
}
