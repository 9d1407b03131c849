//! Occurrences in the handling of a message: skipped duplicates, and panics.
//!
//! Owns their metrics and log lines.
//!
//! Not here: what the pipeline does after a panic (`pipeline/faults.rs`).

use super::Telemetry;
use crate::domain::{EventId, SubscriptionId};

/// A panic ended the handling of a message.
pub struct HandlingFailed<'a> {
    /// The event.
    pub event: &'a EventId,
    /// The part of the pipeline that panicked.
    pub room: &'static str,
    /// The number of panics for this message so far.
    pub times: u32,
    /// The message of the panic.
    pub cause: &'a str,
}

impl HandlingFailed<'_> {
    /// Logs the panic.
    pub fn emit(&self) {
        let Self { event, room, times, cause } = self;
        tracing::error!(
            %event,
            room,
            times,
            cause,
            "a fault in roomcast ended the handling of a message"
        );
    }
}

/// A panic ended a task whose panics are not counted. Its messages stay unacknowledged.
pub struct TaskFailed<'a> {
    /// The message of the panic.
    pub cause: &'a str,
}

impl TaskFailed<'_> {
    /// Logs the panic.
    pub fn emit(&self) {
        tracing::error!(
            cause = self.cause,
            "a fault in roomcast left a message unacked; it comes back in the next session"
        );
    }
}

/// How a duplicate was recognised.
#[derive(Clone, Copy, Debug)]
pub enum DuplicateReason {
    /// It is in the ledger.
    Settled,
    /// The step after it is in the ledger.
    NextStepStored,
}

impl DuplicateReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "the ledger knows it as settled",
            Self::NextStepStored => "its next step is stored",
        }
    }
}

/// A message, or one of its deliveries, was skipped because it is settled already.
pub struct DuplicateSkipped<'a> {
    /// The event.
    pub event: &'a EventId,
    /// The subscription; `None` if the whole event was skipped.
    pub subscription: Option<SubscriptionId>,
    /// How the duplicate was recognised.
    pub why: DuplicateReason,
}

impl DuplicateSkipped<'_> {
    /// Counts and logs the duplicate.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.duplicates_skipped.inc();
        let (Self { event, subscription, .. }, why) = (self, self.why.as_str());
        match subscription {
            Some(subscription) => {
                tracing::debug!(%event, %subscription, why, "a delivery is not made again")
            }
            None => tracing::debug!(%event, why, "an event is not delivered again"),
        }
    }
}
