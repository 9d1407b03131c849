//! The limits of one host: its rate, the attempts in flight, and the order among topics.
//!
//! Owns the rule that platforms at one address share one rate, the smallest configured. Each
//! platform has its own limit of attempts in flight.
//!
//! Not here: the decisions (`host/queue.rs`), the rate (`host/token_schedule.rs`), the limit in
//! flight (`host/concurrency.rs`).

mod concurrency;
mod queue;
mod token_schedule;
mod topic_queue;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::queue::{HostAdmission, HostPollResult, HostQueue, HostTicket};
pub(super) use self::{
    concurrency::Answered,
    queue::{HostDeferral, HostLimits, HostRequest},
};
use crate::domain::{Platform, WaitReason};

/// One host. It lives as long as a message waits for it or is in flight.
#[derive(Clone)]
pub(super) struct Host(Arc<Mutex<HostQueue>>);

/// The decision about a message that asks for a host permit.
pub(super) enum HostDecision {
    /// It may be sent now.
    Granted(HostPermit),
    /// It waits in memory.
    Queued(HostWait),
    /// It is deferred.
    Deferred(HostDeferral),
}

impl Host {
    pub(super) fn new(limits: HostLimits) -> Self {
        Self(Arc::new(Mutex::new(HostQueue::new(limits))))
    }

    pub(super) fn change(&self, limits: HostLimits) {
        self.queue().change(limits);
    }

    /// Asks for a host permit. Never blocks.
    pub(super) fn acquire(&self, entry: &HostRequest<'_>) -> HostDecision {
        let entered = self.queue().acquire(Instant::now(), entry);
        match entered {
            HostAdmission::Granted => HostDecision::Granted(self.permit(entry.platform)),
            HostAdmission::Queued(ticket) => HostDecision::Queued(HostWait {
                host: self.clone(),
                platform: entry.platform,
                reason: ticket.reason,
                ticket: Some(ticket),
            }),
            HostAdmission::Deferred(wait) => HostDecision::Deferred(wait),
        }
    }

    /// How long to defer a message that gets no memory to wait in.
    pub(super) fn put_off(&self, entry: &HostRequest<'_>) -> HostDeferral {
        self.queue().put_off(Instant::now(), entry)
    }

    pub(super) fn evict_idle(&self) {
        self.queue().evict_idle(Instant::now());
    }

    pub(super) fn in_flight_limit(&self, platform: Platform) -> u32 {
        self.queue().in_flight_limit(platform)
    }

    fn permit(&self, platform: Platform) -> HostPermit {
        HostPermit { host: self.clone(), platform, stage: HostPermitStage::Granted }
    }

    fn queue(&self) -> MutexGuard<'_, HostQueue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have one message in flight. Dropped before the send, it returns the rate token and
/// the concurrency permit. Dropped after the send, it returns only the latter.
pub(super) struct HostPermit {
    host: Host,
    platform: Platform,
    stage: HostPermitStage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum HostPermitStage {
    Granted,
    Left,
    Returned,
}

impl HostPermit {
    /// Marks the message as sent.
    pub(super) fn mark_sent(&mut self) {
        self.stage = HostPermitStage::Left;
    }

    /// Returns the permit with the result of the attempt.
    pub(super) fn finish(mut self, answer: Answered) {
        self.stage = HostPermitStage::Returned;
        self.host.queue().finish(Instant::now(), self.platform, Some(answer));
    }
}

impl Drop for HostPermit {
    fn drop(&mut self) {
        match self.stage {
            HostPermitStage::Granted => self.host.queue().refund(Instant::now(), self.platform),
            HostPermitStage::Left => self.host.queue().finish(Instant::now(), self.platform, None),
            HostPermitStage::Returned => (),
        }
    }
}

/// A message that waits for a host permit. Dropping it leaves the queue.
pub(super) struct HostWait {
    host: Host,
    platform: Platform,
    reason: WaitReason,
    ticket: Option<HostTicket>,
}

impl HostWait {
    /// Why the message waits.
    pub(super) const fn reason(&self) -> WaitReason {
        self.reason
    }

    /// Waits for a permit, at most `pace.hold_max`. `None` if `stop_waiting` is cancelled first.
    pub(super) async fn wait_for_permit(
        mut self,
        stop_waiting: &CancellationToken,
    ) -> Option<HostDecision> {
        loop {
            let ticket = self.ticket.as_ref()?;
            let handle = Arc::clone(&ticket.handle);
            let poll = self.host.queue().poll(Instant::now(), ticket);
            let until = match poll {
                HostPollResult::WaitUntil(at) => at,
                HostPollResult::Granted => {
                    self.ticket = None;
                    return Some(HostDecision::Granted(self.host.permit(self.platform)));
                }
                HostPollResult::Deferred(wait) => {
                    self.ticket = None;
                    return Some(HostDecision::Deferred(wait));
                }
            };
            tokio::select! {
                biased;
                () = stop_waiting.cancelled() => return None,
                () = handle.call.notified() => (),
                () = tokio::time::sleep_until(until) => (),
            }
        }
    }
}

impl Drop for HostWait {
    fn drop(&mut self) {
        if let Some(ticket) = &self.ticket {
            self.host.queue().leave(Instant::now(), ticket);
        }
    }
}

#[cfg(test)]
mod tests;
