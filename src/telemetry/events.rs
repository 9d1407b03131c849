//! The things that happen. Per delivery they cost a few atomic additions; text is made only where the level asks for it.

use std::time::Duration;

use super::registry::{Attempted, Dead, OnPlatform, Settled, Telemetry};
use crate::domain::{Answer, DeadReason, Delivery, Moment, Platform, RobotId, Settlement};

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
    /// Its routing key.
    pub topic: &'a str,
    /// What kind of mistake.
    pub code: &'a str,
    /// Where the mistake is; it may hold a piece of the publisher's text, so it is logged at `debug` only.
    pub detail: &'a str,
}

impl EventUndecodable<'_> {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.events_undecodable.inc();
        tracing::warn!(event.topic = self.topic, code = self.code, "an event cannot be read and becomes a dead letter");
        tracing::debug!(event.topic = self.topic, detail = self.detail, "why the event cannot be read");
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

/// A delivery is settled, and its next step, if it has one, is stored.
pub struct DeliverySettled<'a> {
    delivery: &'a Delivery,
    settlement: &'a Settlement,
    now: Moment,
}

impl<'a> DeliverySettled<'a> {
    /// Of this delivery.
    #[must_use]
    pub const fn of(delivery: &'a Delivery, settlement: &'a Settlement, now: Moment) -> Self {
        Self { delivery, settlement, now }
    }

    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        let platform = self.delivery.platform.as_str();
        let outcome = match self.settlement {
            Settlement::Done => "done",
            Settlement::Deferred { .. } => "deferred",
            Settlement::Retried { .. } => "retried",
            Settlement::Dead { .. } => "dead",
            Settlement::Dropped => "dropped",
        };
        telemetry.deliveries.get_or_create(&Settled { platform, outcome }).inc();
        match self.settlement {
            Settlement::Done => {
                let after = self.now.since(self.delivery.event.received_at).as_secs_f64();
                telemetry.delivered_after_seconds.get_or_create(&OnPlatform { platform }).observe(after);
            }
            Settlement::Dead { reason, code, detail } => {
                telemetry.dead_letters.get_or_create(&Dead { platform, reason: reason.as_str() }).inc();
                self.log_dead(*reason, code, detail);
                return;
            }
            Settlement::Dropped => {
                tracing::info!(subscription.id = %self.delivery.subscription, event.id = %self.delivery.event.id, "a delivery was dropped: its subscription is gone or paused");
                return;
            }
            Settlement::Deferred { .. } | Settlement::Retried { .. } => (),
        }
        tracing::debug!(
            platform,
            event.id = %self.delivery.event.id,
            subscription.id = %self.delivery.subscription,
            delivery.attempts = self.delivery.attempts,
            outcome,
            "a delivery is settled"
        );
    }

    fn log_dead(&self, reason: DeadReason, code: &str, detail: &str) {
        tracing::warn!(
            platform = self.delivery.platform.as_str(),
            event.id = %self.delivery.event.id,
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

/// An attempt was answered.
pub struct AttemptMade<'a> {
    /// On which platform.
    pub platform: Platform,
    /// With which outcome.
    pub answer: &'a Answer,
    /// How long it took.
    pub took: Duration,
}

impl AttemptMade<'_> {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        let platform = self.platform.as_str();
        let verdict = self.answer.verdict.as_str();
        telemetry.attempts.get_or_create(&Attempted { platform, verdict }).inc();
        telemetry.attempt_seconds.get_or_create(&OnPlatform { platform }).observe(self.took.as_secs_f64());
        tracing::debug!(
            platform,
            verdict,
            code = self.answer.code,
            detail = self.answer.detail,
            "an attempt was answered"
        );
    }
}

/// A robot is held because its platform refused for speed.
pub struct RobotHeld {
    /// On which platform.
    pub platform: Platform,
    /// Which robot.
    pub robot: RobotId,
    /// For how long.
    pub seconds: u64,
}

impl RobotHeld {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        let platform = self.platform.as_str();
        telemetry.robot_holds.get_or_create(&OnPlatform { platform }).inc();
        tracing::warn!(
            platform,
            robot.id = %self.robot,
            seconds = self.seconds,
            "a robot is held: its platform refuses for speed, so somebody else sends through it too"
        );
    }
}

/// Deliveries were not made again, because the ledger knew them as settled.
pub struct DuplicatesSkipped {
    /// How many.
    pub count: u64,
}

impl DuplicatesSkipped {
    /// Counts them.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.duplicates_skipped.inc_by(self.count);
    }
}

/// A session with the broker is open.
pub struct BrokerConnected {
    /// Which session of this process.
    pub session: u64,
    /// How long there was none before, in seconds; nothing for the first.
    pub outage_seconds: Option<u64>,
}

impl BrokerConnected {
    /// Counts and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.broker_sessions.inc();
        telemetry.broker_up.set(1);
        match self.outage_seconds {
            Some(seconds) => {
                tracing::info!(session = self.session, outage_seconds = seconds, "connected to the broker again")
            }
            None => tracing::info!(session = self.session, "connected to the broker"),
        }
    }
}

/// There is no session with the broker; said once, however long it lasts.
pub struct BrokerLost<'a> {
    /// Why.
    pub cause: &'a str,
}

impl BrokerLost<'_> {
    /// Notes and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.broker_up.set(0);
        telemetry.broker_blocked.set(0);
        tracing::warn!(cause = self.cause, "no session with the broker; trying again until there is one");
    }
}

/// The broker has asked publishers to stop, or to go on.
pub struct BrokerBlocked {
    /// To stop.
    pub blocked: bool,
}

impl BrokerBlocked {
    /// Notes and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.broker_blocked.set(i64::from(self.blocked));
        if self.blocked {
            tracing::warn!(
                "the broker blocks publishers (memory or disk alarm): deliveries go on, deferrals and dead letters wait"
            );
        } else {
            tracing::info!("the broker takes messages again");
        }
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
