//! Occurrences that leave a record in the history alone, and the writing of the history.
//!
//! Owns that a history which cannot be written is logged once, until it can.
//!
//! Not here: the records of other occurrences (`telemetry/recording.rs`), and the task that writes
//! (`app/history_writer.rs`).

use crate::{
    domain::{
        AttemptOutcome, DeadReason, Delivery, EventId, Platform, RobotId, SubscriptionId, Timestamp,
    },
    history::LetterAction,
    telemetry::registry::Telemetry,
};

/// An event becomes a dead letter as a whole.
pub struct EventGivenUp<'a> {
    /// The event.
    pub event: &'a EventId,
    /// The routing key of its publication.
    pub topic: &'a str,
    /// How often it was redriven.
    pub generation: u32,
    /// The reason.
    pub reason: DeadReason,
    /// roomcast's code.
    pub code: &'a str,
    /// When it was given up.
    pub at: Timestamp,
}

impl EventGivenUp<'_> {
    /// Leaves a record.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.record(|| self.record());
        let (reason, code) = (self.reason.as_str(), self.code);
        tracing::debug!(
            event.id = self.event.as_str(),
            event.topic = self.topic,
            reason,
            code,
            "an event is given up"
        );
    }
}

/// The message of another delivery covered this one.
pub struct AttemptCovered<'a> {
    /// The delivery.
    pub delivery: &'a Delivery,
    /// The outcome of the attempt for both.
    pub answer: &'a AttemptOutcome,
    /// When this delivery learnt of it.
    pub now: Timestamp,
}

impl AttemptCovered<'_> {
    /// Leaves a record. The attempt was counted for the delivery that made it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.record(|| self.record());
        let verdict = self.answer.verdict.kind().as_str();
        tracing::debug!(
            event.id = self.delivery.event.id.as_str(),
            subscription.id = %self.delivery.subscription,
            verdict,
            "the message of another delivery covered this one"
        );
    }
}

/// What is known of a dead letter.
#[derive(Clone, Copy)]
pub struct LetterFacts<'a> {
    /// Its id.
    pub id: &'a str,
    /// The event.
    pub event: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// Why it was dead.
    pub reason: &'a str,
    /// The code, of the platform or of roomcast.
    pub code: &'a str,
    /// How often it had been redriven before.
    pub generation: u32,
    /// The platform; `None` for an event as a whole, as the next two.
    pub platform: Option<Platform>,
    /// The subscription.
    pub subscription: Option<SubscriptionId>,
    /// The robot.
    pub robot: Option<RobotId>,
}

/// An operator redrove or discarded a dead letter.
pub struct DeadLetterActedOn<'a> {
    /// The letter.
    pub letter: LetterFacts<'a>,
    /// The action.
    pub action: LetterAction,
    /// When it was done.
    pub at: Timestamp,
}

impl DeadLetterActedOn<'_> {
    /// Leaves a record.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.record(|| self.record());
        tracing::debug!(
            event.id = self.letter.event,
            letter.id = self.letter.id,
            action = ?self.action,
            "an operator acted on a dead letter"
        );
    }
}

/// Records are in the history.
pub struct HistoryWritten {
    /// Their number.
    pub records: usize,
}

impl HistoryWritten {
    /// Counts them.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.history_records.inc_by(self.records as u64);
    }
}

/// Records could not be written to the history, and are lost.
pub struct HistoryFailed<'a> {
    /// Their number.
    pub lost: usize,
    /// The cause.
    pub cause: &'a str,
    /// Whether the last write succeeded.
    pub news: bool,
}

impl HistoryFailed<'_> {
    /// Counts and logs the failure.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.history_lost.inc_by(self.lost as u64);
        if self.news {
            tracing::warn!(
                cause = self.cause,
                "the history cannot be written; deliveries continue, and leave no record \
                 until it can"
            );
        } else {
            tracing::debug!(cause = self.cause, "the history still cannot be written");
        }
    }
}
