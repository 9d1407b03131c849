//! The token bucket of a platform: how many messages a second may leave for it from this address.
//!
//! It smooths, so that the platform's guard against floods from one source address never closes; the quota of a single
//! robot is the exact window's matter.

use std::num::NonZeroU32;

use governor::{
    Quota, RateLimiter,
    clock::{Clock, Reference},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use tokio::{sync::Mutex, time::Instant};

/// governor's clock on tokio's time, so that simulations can pause it.
#[derive(Clone, Debug)]
struct TokioClock {
    start: Instant,
}

impl Clock for TokioClock {
    type Instant = TokioInstant;

    fn now(&self) -> Self::Instant {
        let since = Instant::now().saturating_duration_since(self.start);
        TokioInstant(Nanos::from(since))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TokioInstant(Nanos);

impl std::ops::Add<Nanos> for TokioInstant {
    type Output = Self;

    fn add(self, other: Nanos) -> Self {
        Self(self.0 + other)
    }
}

impl Reference for TokioInstant {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.duration_since(earlier.0)
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<TokioInstant>>;

pub(super) struct Bucket {
    limiter: Option<Limiter>,
    clock: TokioClock,
    /// Whoever finds the bucket empty waits here, first come, first served: governor itself knows no order.
    line: Mutex<()>,
}

impl Bucket {
    /// A bucket of that many messages a second, or one without a bottom.
    pub(super) fn new(rate_per_second: Option<u32>) -> Self {
        let clock = TokioClock { start: Instant::now() };
        let limiter = rate_per_second.and_then(NonZeroU32::new).map(|rate| {
            // Burst and rate in a second stay within twice the rate; the platforms' guards count over 20 s.
            RateLimiter::direct_with_clock(Quota::per_second(rate), clock.clone())
        });
        Self { limiter, clock, line: Mutex::new(()) }
    }

    /// Takes a token, waiting for it if need be.
    pub(super) async fn take(&self) {
        let Some(limiter) = &self.limiter else { return };
        if let Ok(_nobody_waits) = self.line.try_lock()
            && limiter.check().is_ok()
        {
            return;
        }
        let _first_in_line = self.line.lock().await;
        while let Err(empty) = limiter.check() {
            tokio::time::sleep(empty.wait_time_from(self.clock.now())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_lets_its_rate_through_and_no_more() {
        let bucket = Bucket::new(Some(10));
        let start = Instant::now();
        for _ in 0..30 {
            bucket.take().await;
        }
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(1990) && took < Duration::from_millis(2200), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_without_a_bottom_never_waits() {
        let bucket = Bucket::new(None);
        let start = Instant::now();
        for _ in 0..1000 {
            bucket.take().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
