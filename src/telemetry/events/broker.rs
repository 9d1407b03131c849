//! Occurrences between the daemon and its broker.
//!
//! Owns the metrics and log lines of sessions, queues and dead queues.
//!
//! Not here: the sessions themselves (`app/sessions.rs`).

use crate::{
    domain::{DeadQueueStats, QueueStats},
    telemetry::{labels::QueueLabel, registry::Telemetry},
};

/// A session with the broker is open.
pub struct BrokerConnected {
    /// The number of the session in this process.
    pub session: u64,
    /// The duration of the outage before it, in seconds; `None` for the first session.
    pub outage_seconds: Option<u64>,
}

impl BrokerConnected {
    /// Counts and logs the session.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.broker_sessions.inc();
        telemetry.broker_up.set(1);
        match self.outage_seconds {
            Some(seconds) => {
                tracing::info!(
                    session = self.session,
                    outage_seconds = seconds,
                    "connected to the broker again"
                )
            }
            None => tracing::info!(session = self.session, "connected to the broker"),
        }
    }
}

/// There is no session with the broker. An outage is reported once.
pub struct BrokerLost<'a> {
    /// The cause.
    pub cause: &'a str,
}

impl BrokerLost<'_> {
    /// Sets the gauge and logs the outage.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.broker_up.set(0);
        telemetry.broker_blocked.set(0);
        tracing::warn!(
            cause = self.cause,
            "no session with the broker; trying again until there is one"
        );
    }
}

/// The broker blocks publishers, or unblocks them.
pub struct BrokerBlocked {
    /// Whether it blocks them.
    pub blocked: bool,
}

impl BrokerBlocked {
    /// Sets the gauge and logs the change.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.broker_blocked.set(i64::from(self.blocked));
        if self.blocked {
            tracing::warn!(
                "the broker blocks publishers (memory or disk alarm): \
                 deliveries go on, deferrals and dead letters wait"
            );
        } else {
            tracing::info!("the broker takes messages again");
        }
    }
}

/// The broker's periodic report on its queues.
pub struct QueuesSampled<'a> {
    /// Each queue of the topology; empty if the broker did not answer.
    pub queues: &'a [QueueStats],
}

impl QueuesSampled<'_> {
    /// Sets the gauges. Queues of unknown content are not shown.
    pub fn emit(&self, telemetry: &Telemetry) {
        if self.queues.is_empty() {
            telemetry.queue_messages.clear();
            telemetry.queue_consumers.clear();
        }
        for QueueStats { name, ready, consumers } in self.queues {
            let in_queue = QueueLabel { queue: name.clone() };
            telemetry.queue_messages.get_or_create(&in_queue).set((*ready).into());
            if let Some(consumers) = consumers {
                telemetry.queue_consumers.get_or_create(&in_queue).set((*consumers).into());
            }
        }
    }
}

/// The broker does not report on its queues.
pub struct QueueSampleFailed<'a> {
    /// The cause.
    pub cause: &'a str,
    /// Whether the last request succeeded.
    pub news: bool,
}

impl QueueSampleFailed<'_> {
    /// Logs the failure.
    pub fn emit(&self) {
        if self.news {
            tracing::warn!(
                cause = self.cause,
                "what the broker's queues hold is not known; \
                 their metrics are not shown until it is"
            );
        } else {
            tracing::debug!(cause = self.cause, "what the broker's queues hold is still not known");
        }
    }
}

/// The periodic counts of the dead queues.
pub struct DeadLettersCounted<'a> {
    /// Each dead queue that was counted; empty if nothing is known.
    pub queues: &'a [DeadQueueStats],
}

impl DeadLettersCounted<'_> {
    /// Sets the gauges. Queues of unknown content are not shown.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.dead_letters_now.see(self.queues);
    }
}

/// Dead letters could not be counted. The previous counts stay.
pub struct DeadLetterCountFailed<'a> {
    /// The cause.
    pub cause: &'a str,
    /// Whether the last count succeeded.
    pub news: bool,
}

impl DeadLetterCountFailed<'_> {
    /// Logs the failure.
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
