//! The events of the daemon itself. For each, one struct and its `emit` write metrics, log lines,
//! spans and the record of the history together.
//!
//! Owns the levels and the fields of the log lines. A delivery costs a few atomic additions; text
//! is formatted only if the level requires it.
//!
//! Not here: the metrics (`registry.rs`), the spans (`spans.rs`), and the records (`recording.rs`).

mod admin;
mod broker;
mod handling;
mod history;
mod log_lines;
mod robots;
mod start;
mod storing;

use std::time::Duration;

pub use self::{
    admin::{
        AdminActor, AdminChange, AdminConnectionRefused, AdminConnectionsChanged, FileLimitTooLow,
        SignedIn, WrongToken,
    },
    broker::{
        BrokerBlocked, BrokerConnected, BrokerLost, DeadLetterCountFailed, DeadLettersCounted,
        QueueSampleFailed, QueuesSampled,
    },
    handling::{DuplicateReason, DuplicateSkipped, HandlingFailed, TaskFailed},
    history::{
        AttemptCovered, DeadLetterActedOn, EventGivenUp, HistoryFailed, HistoryWritten, LetterFacts,
    },
    log_lines::LogLinesSuppressed,
    robots::{PaceChanged, PaceSampled, RobotHoldEnded},
    start::{AdminBound, DaemonStarting, StoreOpened},
    storing::{LedgerCommitted, LedgerFailed, ReceiptRefused, ReceiptStored, StepRefused},
};
use super::{
    labels::{AttemptLabels, DeadLabels, DegradedLabels, PlatformLabel, SettledLabels, WaitLabels},
    log_limit::LimitedLine,
    registry::Telemetry,
};
use crate::domain::{
    AttemptOutcome, DeadReason, Delivery, Event, EventId, FilterRejection, LeftOutHeaders,
    LetterId, MessageFeature, Platform, PublishedMessage, Settlement, SubscriptionId, Timestamp,
    WaitReason,
};

/// An event was received.
pub struct EventReceived {
    /// Whether it came through the urgent exchange.
    pub urgent: bool,
}

impl EventReceived {
    /// Counts the event.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.events.inc();
        if self.urgent {
            telemetry.events_urgent.inc();
        }
    }
}

/// A message could not be decoded as an event.
pub struct EventUndecodable<'a> {
    /// The message.
    pub published: &'a PublishedMessage,
    /// Its id.
    pub event: &'a EventId,
    /// The id of its dead letter.
    pub letter: LetterId,
    /// When the error was found.
    pub at: Timestamp,
    /// The kind of the error.
    pub code: &'a str,
    /// The place of the error. It may contain the publisher's text, so it is logged at `debug`
    /// only.
    pub detail: &'a str,
}

impl EventUndecodable<'_> {
    /// Counts and logs the message.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.events_undecodable.inc();
        telemetry.trace(|traces| traces.undecodable(self));
        let PublishedMessage { routing_key: topic, app_id, user_id, .. } = self.published;
        if telemetry.lines.allow(LimitedLine::Undecodable) {
            tracing::warn!(
                event.id = self.event.as_str(),
                event.topic = topic,
                app_id,
                user_id,
                letter.id = %self.letter,
                code = self.code,
                "an event cannot be read and becomes a dead letter"
            );
        }
        tracing::debug!(
            event.id = self.event.as_str(),
            event.topic = topic,
            detail = self.detail,
            "why the event cannot be read"
        );
    }
}

/// Headers of an event were left out, because all of them together do not fit the broker's frame.
pub struct HeadersLeftOut<'a> {
    /// The event.
    pub event: &'a EventId,
    /// Its topic.
    pub topic: &'a str,
    /// The names and sizes of the headers.
    pub headers: &'a LeftOutHeaders,
}

impl HeadersLeftOut<'_> {
    /// Logs the names.
    pub fn emit(&self, telemetry: &Telemetry) {
        if telemetry.lines.allow(LimitedLine::HeadersLeftOut) {
            tracing::warn!(
                event.id = self.event.as_str(),
                event.topic = self.topic,
                headers = self.headers.to_string(),
                "an event has more headers than go along with it; the largest are left out"
            );
        }
    }
}

/// All deliveries of an event have started.
pub struct EventExpanded<'a> {
    /// The event.
    pub event: &'a Event,
    /// When it was received.
    pub received: Timestamp,
    /// When it was decoded.
    pub decoded: Timestamp,
    /// When the last delivery had started.
    pub expanded: Timestamp,
    /// The number of the topic's subscriptions.
    pub subscriptions: u32,
    /// The number of deliveries.
    pub deliveries: u32,
}

impl EventExpanded<'_> {
    /// Writes the spans and a log line.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.trace(|traces| traces.expanded(self));
        telemetry.record(|| self.record(telemetry.keeps_texts()));
        telemetry.event_decode_seconds.observe(self.decoded.since(self.received).as_secs_f64());
        telemetry.event_expand_seconds.observe(self.expanded.since(self.decoded).as_secs_f64());
        tracing::debug!(
            event.id = self.event.id.as_str(),
            event.topic = %self.event.topic,
            deliveries = self.deliveries,
            "an event is expanded"
        );
    }
}

/// An event's topic has no subscriptions.
pub struct EventWithoutSubscribers<'a> {
    /// The topic.
    pub topic: &'a str,
}

impl EventWithoutSubscribers<'_> {
    /// Counts and logs the event.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.events_unheard.inc();
        tracing::debug!(event.topic = self.topic, "nobody is subscribed to the topic");
    }
}

/// Events of a topic without a subscription arrived, for the first time within an hour.
pub struct TopicUnsubscribed<'a> {
    /// The topic.
    pub topic: &'a str,
    /// How many events, since the last such line about it.
    pub events: u64,
    /// A topic with subscriptions and a similar name.
    pub nearest: Option<&'a str>,
}

impl TopicUnsubscribed<'_> {
    /// Logs the topic.
    pub fn emit(&self, telemetry: &Telemetry) {
        if !telemetry.lines.allow(LimitedLine::NoSubscription) {
            return;
        }
        let Self { topic, events, nearest } = self;
        let hint = nearest.map(|one| format!("; did you mean {one}?")).unwrap_or_default();
        tracing::warn!(
            event.topic = topic,
            events,
            nearest,
            "a topic has no subscription, so its events reach no chat{hint}"
        );
    }
}

/// The filter of a subscription rejects an event of its topic.
pub struct DeliveryFiltered<'a> {
    /// The event.
    pub event: &'a EventId,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The reason.
    pub why: FilterRejection<'a>,
}

impl DeliveryFiltered<'_> {
    /// Counts and logs the rejection.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.deliveries_filtered.inc();
        tracing::debug!(
            event.id = self.event.as_str(),
            subscription.id = %self.subscription,
            why = %self.why,
            "the subscription does not want the event"
        );
    }
}

/// A delivery is settled, and its next step, if any, is stored.
pub struct DeliverySettled<'a> {
    /// The delivery.
    pub delivery: &'a Delivery,
    /// Its settlement.
    pub settlement: &'a Settlement,
    /// The id of its dead letter, if it becomes one.
    pub letter: Option<LetterId>,
    /// When it was settled.
    pub now: Timestamp,
    /// When its next step was stored.
    pub stored: Timestamp,
}

impl DeliverySettled<'_> {
    /// Counts and logs the settlement.
    pub fn emit(&self, telemetry: &Telemetry) {
        let platform = self.delivery.platform.as_str();
        let outcome = self.settlement.kind().as_str();
        telemetry.trace(|traces| traces.settled(self));
        telemetry.record(|| self.record());
        telemetry.deliveries.get_or_create(&SettledLabels { platform, outcome }).inc();
        let wait_reason = self.settlement.wait_reason().map(WaitReason::as_str);
        if let Some(reason) = wait_reason {
            telemetry.deferrals.get_or_create(&WaitLabels { platform, reason }).inc();
        }
        if self.settlement.has_next_step() {
            telemetry.step_stored_seconds.observe(self.stored.since(self.now).as_secs_f64());
        }
        match self.settlement {
            Settlement::Done => {
                let after = self.now.since(self.delivery.event.received_at).as_secs_f64();
                let on = PlatformLabel { platform };
                telemetry.delivered_after_seconds.get_or_create(&on).observe(after);
                telemetry
                    .delivered_after_hops
                    .get_or_create(&on)
                    .observe(f64::from(self.delivery.hops));
            }
            Settlement::Dead { reason, code, detail } => {
                telemetry
                    .dead_letters
                    .get_or_create(&DeadLabels { platform, reason: reason.as_str() })
                    .inc();
                if telemetry.lines.allow(LimitedLine::GivenUp) {
                    self.log_dead(*reason, code, detail);
                }
                return;
            }
            Settlement::Dropped if !telemetry.lines.allow(LimitedLine::Dropped) => return,
            Settlement::Dropped => {
                tracing::info!(
                    subscription.id = %self.delivery.subscription,
                    event.id = self.delivery.event.id.as_str(),
                    "a delivery was dropped: its subscription is gone or paused"
                );
                return;
            }
            Settlement::Deferred { .. } | Settlement::Retried { .. } => (),
        }
        tracing::debug!(
            platform,
            event.id = self.delivery.event.id.as_str(),
            subscription.id = %self.delivery.subscription,
            delivery.attempts = self.delivery.attempts,
            outcome,
            wait_reason,
            "a delivery is settled"
        );
    }

    fn log_dead(&self, reason: DeadReason, code: &str, detail: &str) {
        let PublishedMessage { app_id, user_id, .. } = &self.delivery.event.published;
        tracing::warn!(
            platform = self.delivery.platform.as_str(),
            event.id = self.delivery.event.id.as_str(),
            event.topic = %self.delivery.event.topic,
            subscription.id = %self.delivery.subscription,
            robot.id = %self.delivery.robot,
            app_id,
            user_id,
            letter.id = self.letter.map(tracing::field::display),
            delivery.attempts = self.delivery.attempts,
            reason = reason.as_str(),
            code,
            detail,
            "a delivery is given up"
        );
    }
}

/// An attempt begins: a request is about to be sent.
pub struct AttemptStarted<'a> {
    /// The delivery.
    pub delivery: &'a Delivery,
    /// The wait in memory, from the moment when the delivery entered its robot's queue.
    pub waited: Duration,
    /// Why it waited there; `None` if it did not.
    pub wait_reason: Option<WaitReason>,
    /// The time since the event was received; `None` unless it is the delivery's first attempt.
    pub after: Option<Duration>,
    /// When the attempt begins.
    pub now: Timestamp,
}

impl AttemptStarted<'_> {
    /// Writes the span and observes the waits.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.trace(|traces| traces.left(self));
        let on = PlatformLabel { platform: self.delivery.platform.as_str() };
        telemetry.pace_wait_seconds.get_or_create(&on).observe(self.waited.as_secs_f64());
        if let Some(after) = self.after {
            telemetry.first_attempt_after_seconds.get_or_create(&on).observe(after.as_secs_f64());
        }
    }
}

/// An attempt ended.
pub struct AttemptMade<'a> {
    /// The delivery.
    pub delivery: &'a Delivery,
    /// Its outcome.
    pub answer: &'a AttemptOutcome,
    /// Its duration.
    pub took: Duration,
    /// The wait in memory before it, as in [`AttemptStarted::waited`].
    pub waited: Duration,
    /// Why it waited there; `None` if it did not.
    pub wait_reason: Option<WaitReason>,
    /// The number of other deliveries that are coalesced into it.
    pub folded: usize,
    /// When it ended.
    pub now: Timestamp,
}

impl AttemptMade<'_> {
    /// Counts and logs the attempt.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.trace(|traces| traces.attempted(self));
        telemetry.record(|| self.record());
        let platform = self.delivery.platform.as_str();
        let verdict = self.answer.verdict.kind().as_str();
        telemetry.attempts.get_or_create(&AttemptLabels { platform, verdict }).inc();
        telemetry
            .attempt_seconds
            .get_or_create(&PlatformLabel { platform })
            .observe(self.took.as_secs_f64());
        if self.folded > 0 {
            telemetry.digests.get_or_create(&PlatformLabel { platform }).inc();
        }
        tracing::debug!(
            platform,
            verdict,
            code = self.answer.code,
            detail = self.answer.detail,
            "an attempt was answered"
        );
        if self.answer.code == "proxy" && telemetry.lines.allow(LimitedLine::ProxyFailed) {
            tracing::warn!(
                platform,
                detail = self.answer.detail,
                "the proxy on the way to a platform cannot be used; deliveries are tried again"
            );
        }
    }
}

/// A platform refused a message for a part of it. It is sent again without that part.
pub struct MessageDegraded<'a> {
    /// The delivery, with everything that it leaves out from now on.
    pub delivery: &'a Delivery,
    /// The feature that is taken for the cause.
    pub cause: MessageFeature,
    /// The refusal.
    pub answer: &'a AttemptOutcome,
}

impl MessageDegraded<'_> {
    /// Counts and logs the refusal.
    pub fn emit(&self, telemetry: &Telemetry) {
        let (platform, cause) = (self.delivery.platform.as_str(), self.cause.as_str());
        telemetry.degraded.get_or_create(&DegradedLabels { platform, cause }).inc();
        if !telemetry.lines.allow(LimitedLine::Degraded) {
            return;
        }
        tracing::warn!(
            platform,
            event.id = self.delivery.event.id.as_str(),
            event.topic = %self.delivery.event.topic,
            subscription.id = %self.delivery.subscription,
            robot.id = %self.delivery.robot,
            cause,
            omitted = %self.delivery.degradation.omitted,
            code = self.answer.code,
            detail = self.answer.detail,
            "a platform refused a part of a message, which is sent again without it"
        );
    }
}

/// A platform's clock differs from ours by more than usual, or does not any longer.
pub struct ClockSkewed {
    /// The platform.
    pub platform: Platform,
    /// By how many seconds its clock is ahead of ours.
    pub seconds: i64,
}

impl ClockSkewed {
    /// Sets the gauge and logs the change.
    pub fn emit(&self, telemetry: &Telemetry) {
        let platform = self.platform.as_str();
        telemetry.clock_skew_seconds.get_or_create(&PlatformLabel { platform }).set(self.seconds);
        if !telemetry.lines.allow(LimitedLine::ClockSkewed) {
            return;
        }
        if self.seconds == 0 {
            tracing::info!(platform, "this machine's clock agrees with the platform's again");
        } else {
            tracing::warn!(
                platform,
                seconds = self.seconds,
                "this machine's clock differs from the platform's; \
                 signatures follow the platform's: correct the clock"
            );
        }
    }
}
