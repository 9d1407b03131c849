//! The rate of one host, as a schedule of times: when the next message may leave.
//!
//! The arithmetic is the generic cell rate algorithm. It admits at most a second's worth at once,
//! and the rate from then on: in any twenty seconds at most twenty-one seconds' worth.

use std::time::Duration;

use tokio::time::Instant;

/// Over which time a host that was idle may make up for it.
const BURST: Duration = Duration::from_secs(1);

/// When messages may leave for one host.
#[derive(Clone, Debug)]
pub(super) struct TokenSchedule {
    /// From one message to the next; nothing if the host has no limit.
    interval: Option<Duration>,
    /// When the next message would leave if all had left evenly.
    next: Option<Instant>,
}

impl TokenSchedule {
    pub(super) fn new(rate_per_second: Option<u32>) -> Self {
        let interval = rate_per_second.filter(|rate| *rate > 0).map(|rate| BURST / rate);
        Self { interval, next: None }
    }

    /// Takes on another rate; what has left still counts.
    pub(super) fn change(&mut self, rate_per_second: Option<u32>) {
        *self = Self { next: self.next, ..Self::new(rate_per_second) };
    }

    /// From one message to the next; zero if the host has no limit.
    pub(super) fn interval(&self) -> Duration {
        self.interval.unwrap_or_default()
    }

    /// When the next message may leave, at the earliest `now`.
    pub(super) fn free_at(&self, now: Instant) -> Instant {
        let (Some(interval), Some(next)) = (self.interval, self.next) else { return now };
        next.checked_sub(BURST.saturating_sub(interval)).map_or(now, |free| free.max(now))
    }

    /// A message leaves.
    pub(super) fn take(&mut self, now: Instant) {
        if let Some(interval) = self.interval {
            self.next = Some(self.next.map_or(now, |next| next.max(now)) + interval);
        }
    }

    /// A message for which a time was taken does not leave.
    pub(super) fn give_back(&mut self) {
        self.next = self.next.zip(self.interval).and_then(|(next, interval)| next.checked_sub(interval));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When so many messages leave that are all there at the beginning, in milliseconds.
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
        for (place, from) in times.iter().enumerate() {
            let count = times.iter().skip(place).take_while(|at| **at < from + 20_000).count();
            assert!(count <= 50 * 21, "{count} within 20 s from {from}");
        }
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let (now, mut schedule) = (Instant::now(), TokenSchedule::new(Some(2)));
        (0..3).for_each(|_| schedule.take(now));
        assert!(schedule.free_at(now) > now);
        schedule.give_back();
        schedule.give_back();
        assert_eq!(schedule.free_at(now), now);
        schedule.change(Some(1));
        assert!(schedule.free_at(now) > now, "what has left counts at the new rate as well");
    }
}
