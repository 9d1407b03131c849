//! The rate of one host, as a schedule: when the next message may leave.
//!
//! governor decides. It admits at most one second's worth at once, and the rate from then on. In
//! any 20 seconds it admits at most 21 seconds' worth.
//!
//! Owns three additions to governor: the caller gives the time, a look takes nothing, and a token
//! can be returned.
//!
//! Not here: which message takes the token (`queue.rs`).

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{NotKeyed, StateStore},
};
use tokio::time::Instant;

/// A number of nanoseconds since the schedule was created. Clones share the number.
#[derive(Clone, Debug, Default)]
struct SharedInstant(Arc<AtomicU64>);

impl SharedInstant {
    fn get(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, at: Nanos) {
        self.0.store(at.as_u64(), Ordering::Relaxed);
    }
}

/// The clock that governor reads. The caller sets it.
#[derive(Clone, Debug, Default)]
struct ExternalClock(SharedInstant);

impl Clock for ExternalClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.get()
    }
}

/// governor's state: the theoretical arrival time of the next message. The lock around the schedule
/// protects it.
#[derive(Clone, Debug, Default)]
struct NextToken(SharedInstant);

impl StateStore for NextToken {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, next) = decide(Some(self.0.get()))?;
        self.0.set(next);
        Ok(outcome)
    }
}

type Limiter = RateLimiter<NotKeyed, NextToken, ExternalClock, NoOpMiddleware<Nanos>>;

/// The rate limiter of one host.
#[derive(Debug)]
pub(super) struct TokenSchedule {
    /// `None` if the host has no limit.
    limiter: Option<Limiter>,
    interval: Duration,
    began: Instant,
    clock: ExternalClock,
    next: NextToken,
}

impl TokenSchedule {
    pub(super) fn new(rate_per_second: Option<u32>) -> Self {
        let mut schedule = Self {
            limiter: None,
            interval: Duration::ZERO,
            began: Instant::now(),
            clock: ExternalClock::default(),
            next: NextToken::default(),
        };
        schedule.change(rate_per_second);
        schedule
    }

    /// Sets another rate. Messages that were already sent still count.
    pub(super) fn change(&mut self, rate_per_second: Option<u32>) {
        let quota = rate_per_second.and_then(NonZeroU32::new).map(Quota::per_second);
        self.interval = quota.map(|quota| quota.replenish_interval()).unwrap_or_default();
        // governor counts from the time at which the limiter is created.
        self.clock.0.set(Nanos::default());
        self.limiter =
            quota.map(|quota| RateLimiter::new(quota, self.next.clone(), self.clock.clone()));
    }

    /// The distance between two messages; zero if the host has no limit.
    pub(super) const fn interval(&self) -> Duration {
        self.interval
    }

    /// When the next message may leave; never before `now`.
    pub(super) fn free_at(&self, now: Instant) -> Instant {
        let before = self.next.0.get();
        let free = self.check(now);
        self.next.0.set(before);
        free.err().unwrap_or(now)
    }

    /// Takes a token. `now` must be a time at which one is free.
    pub(super) fn take(&mut self, now: Instant) {
        let taken = self.check(now);
        debug_assert!(taken.is_ok(), "the queue takes only what is free");
    }

    /// Returns a token that was not used.
    pub(super) fn refund(&mut self) {
        self.next.0.set(self.next.0.get().saturating_sub(self.interval.into()));
    }

    /// Takes a token from governor, or returns when the next one is free.
    fn check(&self, now: Instant) -> Result<(), Instant> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        self.clock.0.set(now.saturating_duration_since(self.began).into());
        limiter.check().map_err(|not_yet| self.began + Duration::from(not_yet.earliest_possible()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of `count` messages leaves, in milliseconds, if all of them arrive at the start.
    fn leaving(rate: Option<u32>, count: usize) -> Vec<u128> {
        let (start, mut schedule) = (Instant::now(), TokenSchedule::new(rate));
        let mut now = start;
        let times = (0..count).map(|_| {
            now = schedule.free_at(now);
            schedule.take(now);
            now.duration_since(start).as_millis()
        });
        times.collect()
    }

    #[test]
    fn a_seconds_worth_leaves_at_once_and_the_rest_at_the_rate() {
        assert_eq!(leaving(Some(4), 8), [0, 0, 0, 0, 250, 500, 750, 1000]);
        assert_eq!(leaving(Some(1), 3), [0, 1000, 2000]);
        assert_eq!(leaving(None, 3), [0, 0, 0]);
        assert_eq!(leaving(Some(0), 2), [0, 0]);
    }

    #[test]
    fn in_any_span_leaves_no_more_than_its_worth_and_a_second_besides() {
        let times = leaving(Some(50), 2000);
        for (position, from) in times.iter().enumerate() {
            let count = times.iter().skip(position).take_while(|at| **at < from + 20_000).count();
            assert!(count <= 50 * 21, "{count} within 20 s from {from}");
        }
    }

    #[test]
    fn returned_room_can_be_taken_again() {
        let (now, mut schedule) = (Instant::now(), TokenSchedule::new(Some(2)));
        (0..2).for_each(|_| schedule.take(now));
        assert!(schedule.free_at(now) > now);
        schedule.refund();
        assert_eq!(schedule.free_at(now), now);
        schedule.change(Some(1));
        assert!(schedule.free_at(now) > now, "what has left counts at the new rate as well");
        schedule.change(None);
        assert_eq!(schedule.free_at(now), now);
    }
}
