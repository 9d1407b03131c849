//! Settlements: the decisions about a delivery.
//!
//! Owns their closed list and its names.
//!
//! Not here: how a verdict becomes a settlement (`settle/decide.rs`), the reasons of dead letters
//! (`dead_reason.rs`).

use enum_map::Enum;

use super::{DeadReason, DueTime, Timestamp, WaitReason};

/// The decision about a delivery after the pacer and, possibly, an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is delivered.
    Done,
    /// It was not tried, because of a limit. The number of attempts does not change.
    Deferred {
        /// When it may be tried.
        until: DueTime,
        /// Its slot in its robot's queue, if it has one.
        slot: Option<Timestamp>,
        /// Why it waits.
        reason: WaitReason,
    },
    /// The attempt failed for a reason that may pass. It counts as an attempt.
    Retried {
        /// When it is tried again.
        until: DueTime,
        /// Why not earlier: its own wait after the attempt, or the hold of its robot.
        reason: WaitReason,
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

/// A settlement without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum SettlementKind {
    /// [`Settlement::Done`].
    Done,
    /// [`Settlement::Deferred`].
    Deferred,
    /// [`Settlement::Retried`].
    Retried,
    /// [`Settlement::Dead`].
    Dead,
    /// [`Settlement::Dropped`].
    Dropped,
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

    /// Why the delivery waits, if it does.
    #[must_use]
    pub const fn wait_reason(&self) -> Option<WaitReason> {
        match self {
            Self::Deferred { reason, .. } | Self::Retried { reason, .. } => Some(*reason),
            Self::Done | Self::Dead { .. } | Self::Dropped => None,
        }
    }

    /// The settlement without its details.
    #[must_use]
    pub const fn kind(&self) -> SettlementKind {
        match self {
            Self::Done => SettlementKind::Done,
            Self::Deferred { .. } => SettlementKind::Deferred,
            Self::Retried { .. } => SettlementKind::Retried,
            Self::Dead { .. } => SettlementKind::Dead,
            Self::Dropped => SettlementKind::Dropped,
        }
    }
}

impl SettlementKind {
    /// The name in metrics, logs and traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Deferred => "deferred",
            Self::Retried => "retried",
            Self::Dead => "dead",
            Self::Dropped => "dropped",
        }
    }
}
