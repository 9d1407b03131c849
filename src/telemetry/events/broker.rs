//! What happens between the daemon and its broker.

use crate::{
    domain::{DeadSeen, QueueSeen},
    telemetry::{labels::InQueue, registry::Telemetry},
};

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

/// What the broker says of its queues, as seen from time to time.
pub struct QueuesSeen<'a> {
    /// Each queue of the topology; nothing if there was no answer.
    pub queues: &'a [QueueSeen],
}

impl QueuesSeen<'_> {
    /// Notes it; what is not known is not shown.
    pub fn emit(&self, telemetry: &Telemetry) {
        if self.queues.is_empty() {
            telemetry.queue_messages.clear();
            telemetry.queue_consumers.clear();
        }
        for QueueSeen { name, ready, consumers } in self.queues {
            let in_queue = InQueue { queue: name.clone() };
            telemetry.queue_messages.get_or_create(&in_queue).set((*ready).into());
            if let Some(consumers) = consumers {
                telemetry.queue_consumers.get_or_create(&in_queue).set((*consumers).into());
            }
        }
    }
}

/// The broker does not say what its queues hold.
pub struct QueuesUnseen<'a> {
    /// Why.
    pub cause: &'a str,
    /// Whether it did the last time.
    pub news: bool,
}

impl QueuesUnseen<'_> {
    /// Logs it.
    pub fn emit(&self) {
        if self.news {
            tracing::warn!(
                cause = self.cause,
                "what the broker's queues hold is not known; their metrics are not shown until it is"
            );
        } else {
            tracing::debug!(cause = self.cause, "what the broker's queues hold is still not known");
        }
    }
}

/// What lies in the dead queues, as counted from time to time.
pub struct DeadLettersSeen<'a> {
    /// Each dead queue that has been counted; nothing if it is not known what lies there.
    pub queues: &'a [DeadSeen],
}

impl DeadLettersSeen<'_> {
    /// Notes it; what is not known is not shown.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.see_dead_letters(self.queues);
    }
}

/// Dead letters could not be counted; what was counted before stays.
pub struct DeadLettersUnseen<'a> {
    /// Why.
    pub cause: &'a str,
    /// Whether they could be the last time.
    pub news: bool,
}

impl DeadLettersUnseen<'_> {
    /// Logs it.
    pub fn emit(&self) {
        if self.news {
            tracing::warn!(
                cause = self.cause,
                "dead letters cannot be counted; their metrics stay as they are until they can"
            );
        } else {
            tracing::debug!(cause = self.cause, "dead letters still cannot be counted");
        }
    }
}
