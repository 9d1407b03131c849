//! The things that happen. Per delivery they cost a few atomic additions; text is made only where the level asks for it.

mod admin;
mod broker;
mod handling;
mod robots;

use std::{sync::atomic::Ordering, time::Duration};

use prometheus_client::metrics::counter::Counter;

pub use super::lines::LinesLeftOut;

pub use self::{
    admin::{AdminActor, AdminChange, AdminConnectionRefused, AdminConnectionsChanged, FewFiles, SignedIn, WrongToken},
    broker::{
        BrokerBlocked, BrokerConnected, BrokerLost, DeadLettersSeen, DeadLettersUnseen, QueuesSeen, QueuesUnseen,
    },
    handling::{DuplicateSkipped, HandlingFailed, TaskFailed},
    robots::{PaceChanged, PaceSeen, RobotLifted},
};
use super::{
    labels::{Attempted, Dead, OnPlatform, Settled},
    lines::Kind,
    registry::Telemetry,
};
use crate::domain::{
    Answer, DeadReason, Delivery, Event, EventId, Moment, Platform, Published, Settlement, SubscriptionId, Unwanted,
};

/// An event was received.
pub struct EventReceived {
    /// Whether it came through the urgent exchange.
    pub urgent: bool,
}

impl EventReceived {
    /// Counts it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.events.inc();
        if self.urgent {
            telemetry.events_urgent.inc();
        }
    }
}

/// A message was no readable event.
pub struct EventUndecodable<'a> {
    /// The message.
    pub published: &'a Published,
    /// Its name.
    pub event: &'a EventId,
    /// When that was found.
    pub at: Moment,
    /// What kind of mistake.
    pub code: &'a str,
    /// Where the mistake is; it may hold a piece of the publisher's text, so it is logged at `debug` only.
    pub detail: &'a str,
}

impl EventUndecodable<'_> {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.events_undecodable.inc();
        telemetry.trace(|traces| traces.undecodable(self));
        let topic = &self.published.routing_key;
        if telemetry.lines.allow(Kind::Undecodable) {
            tracing::warn!(event.topic = topic, code = self.code, "an event cannot be read and becomes a dead letter");
        }
        tracing::debug!(event.topic = topic, detail = self.detail, "why the event cannot be read");
    }
}

/// All deliveries of an event have set out.
pub struct EventExpanded<'a> {
    /// The event.
    pub event: &'a Event,
    /// When it was received.
    pub received: Moment,
    /// When it was read.
    pub decoded: Moment,
    /// When the last delivery had set out.
    pub expanded: Moment,
    /// How many there are.
    pub deliveries: u32,
}

impl EventExpanded<'_> {
    /// Logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.trace(|traces| traces.expanded(self));
        telemetry.event_decode_seconds.observe(self.decoded.since(self.received).as_secs_f64());
        telemetry.event_expand_seconds.observe(self.expanded.since(self.decoded).as_secs_f64());
        tracing::debug!(event.id = self.event.id.as_str(), event.topic = %self.event.topic, deliveries = self.deliveries, "an event is expanded");
    }
}

/// Nobody subscribed to an event's topic.
pub struct EventUnheard<'a> {
    /// The topic.
    pub topic: &'a str,
}

impl EventUnheard<'_> {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.events_unheard.inc();
        tracing::debug!(event.topic = self.topic, "nobody is subscribed to the topic");
    }
}

/// A subscription does not want an event of its topic.
pub struct DeliveryFiltered<'a> {
    /// The event.
    pub event: &'a EventId,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Why.
    pub why: Unwanted<'a>,
}

impl DeliveryFiltered<'_> {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.deliveries_filtered.inc();
        tracing::debug!(event.id = self.event.as_str(), subscription.id = %self.subscription, why = %self.why, "the subscription does not want the event");
    }
}

/// A delivery is settled, and its next step, if it has one, is stored.
pub struct DeliverySettled<'a> {
    /// The delivery.
    pub delivery: &'a Delivery,
    /// Its settlement.
    pub settlement: &'a Settlement,
    /// When it was settled.
    pub now: Moment,
    /// When its next step was stored.
    pub stored: Moment,
}

impl DeliverySettled<'_> {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        let platform = self.delivery.platform.as_str();
        let outcome = self.settlement.as_str();
        telemetry.trace(|traces| traces.settled(self));
        telemetry.deliveries.get_or_create(&Settled { platform, outcome }).inc();
        if self.settlement.has_next_step() {
            telemetry.step_stored_seconds.observe(self.stored.since(self.now).as_secs_f64());
        }
        match self.settlement {
            Settlement::Done => {
                let after = self.now.since(self.delivery.event.received_at).as_secs_f64();
                let on = OnPlatform { platform };
                telemetry.delivered_after_seconds.get_or_create(&on).observe(after);
                telemetry.delivered_after_hops.get_or_create(&on).observe(f64::from(self.delivery.hops));
            }
            Settlement::Dead { reason, code, detail } => {
                telemetry.dead_letters.get_or_create(&Dead { platform, reason: reason.as_str() }).inc();
                if telemetry.lines.allow(Kind::GivenUp) {
                    self.log_dead(*reason, code, detail);
                }
                return;
            }
            Settlement::Dropped if !telemetry.lines.allow(Kind::Dropped) => return,
            Settlement::Dropped => {
                tracing::info!(subscription.id = %self.delivery.subscription, event.id = self.delivery.event.id.as_str(), "a delivery was dropped: its subscription is gone or paused");
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
            "a delivery is settled"
        );
    }

    fn log_dead(&self, reason: DeadReason, code: &str, detail: &str) {
        tracing::warn!(
            platform = self.delivery.platform.as_str(),
            event.id = self.delivery.event.id.as_str(),
            event.topic = %self.delivery.event.topic,
            subscription.id = %self.delivery.subscription,
            robot.id = %self.delivery.robot,
            delivery.attempts = self.delivery.attempts,
            reason = reason.as_str(),
            code,
            detail,
            "a delivery is given up"
        );
    }
}

/// A delivery leaves for its platform.
pub struct DeliveryLeft<'a> {
    /// The delivery.
    pub delivery: &'a Delivery,
    /// How long it waited in memory, from taking its place in its robot's lane.
    pub waited: Duration,
    /// How long after its event was received, if it leaves for the first time.
    pub after: Option<Duration>,
    /// When it leaves.
    pub now: Moment,
}

impl DeliveryLeft<'_> {
    /// Counts it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.trace(|traces| traces.left(self));
        let on = OnPlatform { platform: self.delivery.platform.as_str() };
        telemetry.pace_wait_seconds.get_or_create(&on).observe(self.waited.as_secs_f64());
        if let Some(after) = self.after {
            telemetry.first_attempt_after_seconds.get_or_create(&on).observe(after.as_secs_f64());
        }
    }
}

/// An attempt was answered.
pub struct AttemptMade<'a> {
    /// The delivery.
    pub delivery: &'a Delivery,
    /// With which outcome.
    pub answer: &'a Answer,
    /// How long it took.
    pub took: Duration,
    /// For how many deliveries it spoke besides its own.
    pub folded: usize,
    /// When it was answered.
    pub now: Moment,
}

impl AttemptMade<'_> {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.trace(|traces| traces.attempted(self));
        let platform = self.delivery.platform.as_str();
        let verdict = self.answer.verdict.as_str();
        telemetry.attempts.get_or_create(&Attempted { platform, verdict }).inc();
        telemetry.attempt_seconds.get_or_create(&OnPlatform { platform }).observe(self.took.as_secs_f64());
        if self.folded > 0 {
            telemetry.digests.get_or_create(&OnPlatform { platform }).inc();
        }
        tracing::debug!(
            platform,
            verdict,
            code = self.answer.code,
            detail = self.answer.detail,
            "an attempt was answered"
        );
    }
}

/// A platform's clock and ours differ by more than usual, or do not any longer.
pub struct ClockSkewed {
    /// Whose clock.
    pub platform: Platform,
    /// By how many seconds it is ahead of ours.
    pub seconds: i64,
}

impl ClockSkewed {
    /// Notes and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        let platform = self.platform.as_str();
        telemetry.clock_skew_seconds.get_or_create(&OnPlatform { platform }).set(self.seconds);
        if !telemetry.lines.allow(Kind::ClockSkewed) {
            return;
        }
        if self.seconds == 0 {
            tracing::info!(platform, "this machine's clock agrees with the platform's again");
        } else {
            tracing::warn!(
                platform,
                seconds = self.seconds,
                "this machine's clock differs from the platform's; signatures follow the platform's: correct the clock"
            );
        }
    }
}

/// The broker took a delivery receipt, for whoever has bound a queue.
pub struct ReceiptStored;

impl ReceiptStored {
    /// Counts it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.receipts.inc();
        telemetry.receipts_are_refused.store(false, Ordering::Relaxed);
    }
}

/// A queue that somebody has bound did not take a delivery receipt; the delivery is settled all the same.
pub struct ReceiptRefused<'a> {
    /// Why.
    pub why: &'a str,
}

impl ReceiptRefused<'_> {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.receipts_refused.inc();
        // A queue that is full refuses each of them; that is said once, until one is taken again.
        if telemetry.receipts_are_refused.swap(true, Ordering::Relaxed) || !telemetry.lines.allow(Kind::ReceiptRefused)
        {
            tracing::debug!(why = self.why, "a queue did not take a delivery receipt");
        } else {
            tracing::warn!(
                why = self.why,
                "a queue that somebody has bound to the exchange for receipts does not take them; they are lost to it"
            );
        }
    }
}

/// A group of settlements was recorded in the ledger, on the disk.
pub struct SettlementsRecorded {
    /// How long that took.
    pub took: Duration,
}

impl SettlementsRecorded {
    /// Counts it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.recorded_seconds.observe(self.took.as_secs_f64());
    }
}

/// The ledger could not be written; nothing is acked until it can.
pub struct LedgerFailed<'a> {
    /// Why.
    pub cause: &'a str,
}

impl LedgerFailed<'_> {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.ledger_failures.inc();
        tracing::error!(cause = self.cause, "the ledger cannot be written: nothing is acked until it can");
    }
}

/// The receiver of traces did not take spans, or takes them again.
pub struct SpansRefused<'a> {
    /// Why not; nothing if it takes them again.
    pub cause: Option<&'a str>,
    /// Whether that was otherwise before.
    pub news: bool,
}

impl SpansRefused<'_> {
    /// Counts and logs it. It happens beside the telemetry of which it is a part, so it is given its counter alone.
    pub(super) fn emit(&self, refused: &Counter) {
        match self.cause {
            Some(cause) => {
                refused.inc();
                if self.news {
                    tracing::warn!(
                        cause,
                        "the receiver of traces does not take them: they are lost until it does; deliveries go on"
                    );
                }
            }
            None => tracing::info!("the receiver of traces takes them again"),
        }
    }
}
