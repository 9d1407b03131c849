//! What happens to a message as such: it is skipped as a duplicate, or we fail in handling it.

use super::Telemetry;
use crate::domain::{EventId, SubscriptionId};

/// A panic ended the handling of a message.
pub struct HandlingFailed<'a> {
    /// Of which event.
    pub event: &'a EventId,
    /// In which room.
    pub room: &'static str,
    /// How often by now.
    pub times: u32,
    /// What the panic says.
    pub cause: &'a str,
}

impl HandlingFailed<'_> {
    /// Logs it.
    pub fn emit(&self) {
        let Self { event, room, times, cause } = self;
        tracing::error!(%event, room, times, cause, "a fault in roomcast ended the handling of a message");
    }
}

/// A panic ended a task that nobody has counted. What it held stays unacked.
pub struct TaskFailed<'a> {
    /// What the panic says.
    pub cause: &'a str,
}

impl TaskFailed<'_> {
    /// Logs it.
    pub fn emit(&self) {
        tracing::error!(
            cause = self.cause,
            "a fault in roomcast left a message unacked; it comes back in the next session"
        );
    }
}

/// Something was not done again, because it is settled.
pub struct DuplicateSkipped<'a> {
    /// Of which event.
    pub event: &'a EventId,
    /// For whom; nothing if it is the whole event.
    pub subscription: Option<SubscriptionId>,
    /// How that is known.
    pub why: &'static str,
}

impl DuplicateSkipped<'_> {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.duplicates_skipped.inc();
        let Self { event, subscription, why } = self;
        match subscription {
            Some(subscription) => tracing::debug!(%event, %subscription, why, "a delivery is not made again"),
            None => tracing::debug!(%event, why, "an event is not delivered again"),
        }
    }
}
