//! The waits between attempts to open a broker session. Pure.
//!
//! Owns how the waits double, how random jitter shortens them, and when they start over.
//!
//! Not here: when the next session is tried (`sessions.rs`), and how many redeliveries the broker
//! allows (`broker.delivery_limit`).

use std::time::Duration;

/// Waits that double from one attempt to the next.
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    longest: Duration,
}

impl Backoff {
    /// The first wait is at most `min`. No wait is longer than `max`.
    pub(super) const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, longest: min }
    }

    /// The next wait. `dice` is a random number from 0 to 1; it shortens the wait by up to half, so
    /// that several daemons do not reconnect at the same moment.
    pub(super) fn next(&mut self, dice: f64) -> Duration {
        let longest = self.longest.min(self.max);
        self.longest = longest.saturating_mul(2);
        longest.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0)
    }

    /// Resets the waits after a session that acknowledged something or lasted longer than `max`.
    /// Every session costs each unacknowledged message one of its `broker.delivery_limit`
    /// redeliveries, so sessions that fail at once must not follow each other quickly.
    pub(super) fn after_session(&mut self, has_acked: bool, lasted: Duration) {
        if has_acked || lasted > self.max {
            self.longest = self.min;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(500);
    const MAX: Duration = Duration::from_secs(5);

    #[test]
    fn waits_double_up_to_the_maximum_and_chance_never_exceeds_it() {
        let mut backoff = Backoff::new(MIN, MAX);
        let waits: Vec<_> = (0..6).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 5000, 5000]);
        let mut backoff = Backoff::new(MIN, MAX);
        let waits: Vec<_> = (0..6).map(|_| backoff.next(0.0).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 2500, 2500]);
    }

    #[test]
    fn a_session_that_was_good_for_something_begins_the_waits_anew() {
        for (has_acked, lasted, next) in
            [(true, MIN, MIN), (false, MAX * 2, MIN), (false, MIN, MAX)]
        {
            let mut backoff = Backoff::new(MIN, MAX);
            for _ in 0..9 {
                let _ = backoff.next(1.0);
            }
            backoff.after_session(has_acked, lasted);
            assert_eq!(backoff.next(1.0), next, "acked: {has_acked}, {lasted:?}");
        }
    }
}
