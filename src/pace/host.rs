//! What leaves for one host: at which rate, how much of it at a time, and whose turn it is.
//!
//! Platforms that are called at one address share its rate, whatever is configured for each: the
//! smaller counts. Room in the air belongs to a platform alone.

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

/// One host, for as long as a message waits for it or is in the air.
#[derive(Clone)]
pub(super) struct Host(Arc<Mutex<HostQueue>>);

/// What a message is told that wants to leave.
pub(super) enum Departure {
    /// It may leave now.
    Go(HostPermit),
    /// It waits in memory.
    Wait(HostWait),
    /// Its turn is so far away.
    Later(Duration),
}

impl Host {
    pub(super) fn new(limits: HostLimits) -> Self {
        Self(Arc::new(Mutex::new(HostQueue::new(limits))))
    }

    pub(super) fn change(&self, limits: HostLimits) {
        self.queue().change(limits);
    }

    /// A message wants to leave. Never waits.
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

    /// When a message had better come back for which there is no room in memory.
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

/// The right to have one message in the air. Dropped before it was used, it gives rate and room
/// back; afterwards, the room.
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
    /// The message leaves.
    pub(super) fn leaves(&mut self) {
        self.stage = Stage::Left;
    }

    /// The message was answered.
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

/// A message that waits for its turn; when it is dropped, it does not any longer.
pub(super) struct HostWait {
    host: Host,
    platform: usize,
    ticket: Option<Ticket>,
}

impl HostWait {
    /// Waits for the turn, no longer than `pace.hold_max` and than until `leave`; nothing if the
    /// latter came first.
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
