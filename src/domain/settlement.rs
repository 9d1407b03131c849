//! Settlements: what is done about a delivery. Owns the closed list of reasons for giving one up.

use std::{fmt, str::FromStr};

use super::Moment;

/// What is done about a delivery after it was paced and, perhaps, tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It arrived.
    Done,
    /// It was not tried, because of a limit; the number of attempts stays as it is.
    Deferred {
        /// When it is its turn.
        until: Moment,
        /// Its place in its robot's order, if it was given one.
        slot: Option<Moment>,
    },
    /// It was tried and failed in a way that may pass; the attempt counts.
    Retried {
        /// When it is tried again.
        until: Moment,
    },
    /// It is given up.
    Dead {
        /// Why.
        reason: DeadReason,
        /// The platform's code, or ours.
        code: String,
        /// The platform's words, redacted.
        detail: String,
    },
    /// Its subscription is gone or paused: there is nobody to deliver to, and nothing of it is kept.
    Dropped,
}

/// Why a delivery, or a whole event, was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeadReason {
    /// The event could not be read.
    Undecodable,
    /// The platform will never take this message.
    Refused,
    /// The robot does not exist any more, or is switched off.
    RobotGone,
    /// The robot's security setting refuses us.
    Security,
    /// All attempts failed.
    Exhausted,
    /// Its time to live ended, or would end before it can leave.
    Expired,
    /// A newer message took its place.
    Superseded,
    /// The broker redelivered it too often without an outcome.
    Poison,
    /// The broker put it out of a queue for another reason.
    Evicted,
    /// The record of its subscription cannot be read.
    UnreadableSubscription,
}

impl Settlement {
    /// Whether something has to be stored in the broker for it.
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

/// The text names no reason.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown reason {0:?}: use undecodable, refused, robot_gone, security, exhausted, expired, superseded, poison, evicted or unreadable_subscription"
)]
pub struct UnknownReason(pub String);

impl FromStr for DeadReason {
    type Err = UnknownReason;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name).ok_or_else(|| UnknownReason(name.to_owned()))
    }
}
