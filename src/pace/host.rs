//! The limits of one host: its rate, the attempts in flight, and the order among topics.
//!
//! Owns the rule that platforms at one address share one rate, the smallest configured. Each
//! platform has its own limit of attempts in flight.
//!
//! Not here: the decisions (`host/queue.rs`), the rate (`host/schedule.rs`), the limit in flight
//! (`host/concurrency.rs`).

mod concurrency;
mod line;
mod queue;
mod schedule;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::queue::{Entered, HostQueue, Look, Ticket};
pub(super) use self::{
    concurrency::Answered,
    queue::{Entry, HostLimits},
};

/// One host. It lives as long as a message waits for it or is in flight.
#[derive(Clone)]
pub(super) struct Host(Arc<Mutex<HostQueue>>);

/// The decision about a message that asks for a host permit.
pub(super) enum Departure {
    /// It may be sent now.
    Go(HostPermit),
    /// It waits in memory.
    Wait(HostWait),
    /// It is deferred for this long.
    Later(Duration),
}

impl Host {
    pub(super) fn new(limits: HostLimits) -> Self {
        Self(Arc::new(Mutex::new(HostQueue::new(limits))))
    }

    pub(super) fn change(&self, limits: HostLimits) {
        self.queue().change(limits);
    }

    /// Asks for a host permit. Never blocks.
    pub(super) fn enter(&self, entry: &Entry<'_>) -> Departure {
        let entered = self.queue().enter(Instant::now(), entry);
        match entered {
            Entered::Go => Departure::Go(self.permit(entry.platform)),
            Entered::Wait(ticket) => {
                Departure::Wait(HostWait { host: self.clone(), platform: entry.platform, ticket: Some(ticket) })
            }
            Entered::Later(wait) => Departure::Later(wait),
        }
    }

    /// How long to defer a message that gets no memory to wait in.
    pub(super) fn put_off(&self, entry: &Entry<'_>) -> Duration {
        self.queue().put_off(Instant::now(), entry)
    }

    pub(super) fn sweep(&self) {
        self.queue().sweep(Instant::now());
    }

    pub(super) fn in_flight_limit(&self, platform: usize) -> u32 {
        self.queue().in_flight_limit(platform)
    }

    fn permit(&self, platform: usize) -> HostPermit {
        HostPermit { host: self.clone(), platform, stage: Stage::Granted }
    }

    fn queue(&self) -> MutexGuard<'_, HostQueue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have one message in flight. Dropped before the send, it returns the rate token and
/// the concurrency permit. Dropped after the send, it returns only the latter.
pub(super) struct HostPermit {
    host: Host,
    platform: usize,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Granted,
    Left,
    Returned,
}

impl HostPermit {
    /// Marks the message as sent.
    pub(super) fn leaves(&mut self) {
        self.stage = Stage::Left;
    }

    /// Returns the permit with the result of the attempt.
    pub(super) fn finish(mut self, answer: Answered) {
        self.stage = Stage::Returned;
        self.host.queue().finish(Instant::now(), self.platform, Some(answer));
    }
}

impl Drop for HostPermit {
    fn drop(&mut self) {
        match self.stage {
            Stage::Granted => self.host.queue().give_back(Instant::now(), self.platform),
            Stage::Left => self.host.queue().finish(Instant::now(), self.platform, None),
            Stage::Returned => (),
        }
    }
}

/// A message that waits for a host permit. Dropping it leaves the queue.
pub(super) struct HostWait {
    host: Host,
    platform: usize,
    ticket: Option<Ticket>,
}

impl HostWait {
    /// Waits for a permit, at most `pace.hold_max`. `None` if `leave` is cancelled first.
    pub(super) async fn turn(mut self, leave: &CancellationToken) -> Option<Departure> {
        loop {
            let ticket = self.ticket.as_ref()?;
            let seat = Arc::clone(&ticket.seat);
            let look = self.host.queue().look(Instant::now(), ticket);
            let until = match look {
                Look::Until(at) => at,
                Look::Go => {
                    self.ticket = None;
                    return Some(Departure::Go(self.host.permit(self.platform)));
                }
                Look::Later(wait) => {
                    self.ticket = None;
                    return Some(Departure::Later(wait));
                }
            };
            tokio::select! {
                biased;
                () = leave.cancelled() => return None,
                () = seat.call.notified() => (),
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
