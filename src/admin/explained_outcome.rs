//! What would become of an event for one subscription.
//!
//! Owns the closed list of outcomes, and the name and the label of each.
//!
//! Not here: which outcome an event has (`explain.rs`).

use enum_map::Enum;

use crate::domain::DeadReason;

/// What would become of an event for one subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum ExplainedOutcome {
    /// It would be sent at once.
    Sent,
    /// It would be sent later.
    Waits,
    /// The subscription receives no events.
    Paused,
    /// The filter rejects the event.
    Filtered,
    /// The delivery would be a dead letter.
    Dead(DeadReason),
}

impl ExplainedOutcome {
    /// The name in answers.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Waits => "waits",
            Self::Paused => "paused",
            Self::Filtered => "filtered",
            Self::Dead(reason) => reason.as_str(),
        }
    }

    /// The outcome in a few words. The explanation names the reason of a dead letter in a sentence
    /// of its own.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Sent => "would be sent",
            Self::Waits => "would wait",
            Self::Paused => "is paused",
            Self::Filtered => "its filter rejects it",
            Self::Dead(_) => "would be a dead letter",
        }
    }
}
