//! What happens between the daemon and its broker.

use crate::{
    domain::DeadSeen,
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

/// How many messages lie ready in the broker's queues, as seen from time to time.
pub struct QueuesSeen<'a> {
    /// Each queue of the topology without the prefix; nothing if there was no answer.
    pub depths: &'a [(String, u32)],
}

impl QueuesSeen<'_> {
    /// Notes it; what is not known is not shown.
    pub fn emit(&self, telemetry: &Telemetry) {
        if self.depths.is_empty() {
            telemetry.queue_messages.clear();
        }
        for (queue, depth) in self.depths {
            telemetry.queue_messages.get_or_create(&InQueue { queue: queue.clone() }).set((*depth).into());
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
