//! The exact window: N permits, each of which returns T after its response was seen.
//!
//! Then of any N + 1 consecutive sends the last leaves at least T after the first was answered, so the platform never
//! counts more than N in any T, however long requests take. A token bucket cannot do this: filled with N and refilled
//! at N per T, it admits almost 2 N in one T.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::quota::WindowQuota;

/// What one robot was sent lately, counted against all its windows at once.
#[derive(Debug, Default)]
pub(super) struct Window {
    quotas: Vec<WindowQuota>,
    margin: Duration,
    in_flight: u32,
    /// When responses were seen, the oldest first.
    finished: VecDeque<Instant>,
}

impl Window {
    pub(super) fn new(quotas: Vec<WindowQuota>, margin: Duration) -> Self {
        Self { quotas, margin, ..Self::default() }
    }

    /// How many permits are taken or not yet returned, in the longest window.
    pub(super) fn used(&self) -> u32 {
        self.in_flight.saturating_add(u32::try_from(self.finished.len()).unwrap_or(u32::MAX))
    }

    pub(super) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(super) fn quotas(&self) -> &[WindowQuota] {
        &self.quotas
    }

    /// Takes one permit of every window, or none at all.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let free = self.free_at(now).is_some_and(|at| at <= now);
        if free {
            self.in_flight = self.in_flight.saturating_add(1);
        }
        free
    }

    /// Gives a permit back with which nothing was sent.
    pub(super) fn give_back(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Gives a permit back: its response was seen at `now`.
    pub(super) fn finish(&mut self, now: Instant) {
        self.give_back();
        self.charge(now);
    }

    /// Counts a message that was seen at `at` without a permit having been taken for it.
    pub(super) fn charge(&mut self, at: Instant) {
        if self.quotas.is_empty() {
            return;
        }
        let place = self.finished.partition_point(|seen| *seen <= at);
        self.finished.insert(place, at);
    }

    /// When the next permit of every window is free; unknown while the permits in flight alone fill a window.
    pub(super) fn free_at(&mut self, now: Instant) -> Option<Instant> {
        self.forget(now);
        self.quotas.iter().try_fold(now, |latest, quota| {
            let left = quota.max.checked_sub(self.in_flight).filter(|left| *left > 0)?;
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            // The message whose leaving the window makes room: `left` places from the end.
            let blocking = self
                .finished
                .len()
                .checked_sub(left)
                .and_then(|place| self.finished.get(place))
                .map_or(now, |seen| *seen + quota.span + self.margin);
            Some(latest.max(blocking))
        })
    }

    /// When the next message could leave if all that is in flight were answered now and a message left at each of
    /// `booked` (ascending): the next slot after them.
    pub(super) fn slot_after(&mut self, now: Instant, booked: &VecDeque<Instant>) -> Instant {
        self.forget(now);
        let in_flight = usize::try_from(self.in_flight).unwrap_or(usize::MAX);
        self.quotas.iter().fold(now, |latest, quota| {
            let mut back = usize::try_from(quota.max).unwrap_or(usize::MAX);
            // The message `max` places before the one to be booked: among the booked ones, in flight, or finished.
            let blocking = if let Some(place) = booked.len().checked_sub(back) {
                booked.get(place).copied()
            } else {
                back = back.saturating_sub(booked.len());
                if back <= in_flight {
                    Some(now)
                } else {
                    let place = self.finished.len().checked_sub(back.saturating_sub(in_flight));
                    place.and_then(|place| self.finished.get(place)).copied()
                }
            };
            latest.max(blocking.map_or(now, |at| at + quota.span + self.margin))
        })
    }

    fn forget(&mut self, now: Instant) {
        let longest = self.quotas.iter().map(|quota| quota.span).max().unwrap_or_default();
        while self.finished.front().is_some_and(|seen| *seen + longest + self.margin <= now) {
            self.finished.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(quotas: &[(u32, u64)], margin: u64) -> Window {
        let quotas = quotas
            .iter()
            .map(|(max, millis)| WindowQuota { max: *max, span: Duration::from_millis(*millis) })
            .collect();
        Window::new(quotas, Duration::from_millis(margin))
    }

    #[test]
    fn a_fresh_robots_whole_quota_leaves_at_once_and_the_next_waits_for_the_first_to_leave_the_window() {
        let now = Instant::now();
        let mut window = window(&[(3, 1000)], 0);
        assert!((0..3).all(|_| window.take(now)));
        assert!(!window.take(now));
        assert_eq!(window.free_at(now), None);
        window.finish(now + Duration::from_millis(40));
        assert_eq!(window.free_at(now), Some(now + Duration::from_millis(1040)));
        assert!(!window.take(now + Duration::from_millis(1039)));
        assert!(window.take(now + Duration::from_millis(1040)));
    }

    #[test]
    fn a_robot_without_windows_is_never_held() {
        let now = Instant::now();
        let mut window = window(&[], 0);
        assert!((0..1000).all(|_| window.take(now)));
        window.finish(now);
        assert_eq!(window.finished.len(), 0);
    }

    #[test]
    fn slots_fill_the_quota_of_each_window_in_turn() {
        let now = Instant::now();
        let mut window = window(&[(2, 1000)], 0);
        let mut booked = VecDeque::new();
        for _ in 0..6 {
            let slot = window.slot_after(now, &booked);
            booked.push_back(slot);
        }
        let millis: Vec<_> = booked.iter().map(|slot| (*slot - now).as_millis()).collect();
        assert_eq!(millis, [0, 0, 1000, 1000, 2000, 2000]);
    }

    proptest! {
        /// The receiver sees each message somewhere between its leaving and its answer. Whatever the arrivals and
        /// latencies are, it never counts more than N in any half-open T, and never fewer than N per T + latency
        /// under sustained load.
        #[test]
        fn the_receiver_never_counts_more_than_n_in_any_t(
            steps in prop::collection::vec((0u64..400, 0u64..300, 0u64..=100), 1..200),
            short in 1u32..5, long in 5u32..20,
        ) {
            let start = Instant::now();
            let mut window = window(&[(short, 100), (long, 1000)], 0);
            let mut now = start;
            let mut answers: Vec<Instant> = Vec::new();
            let mut seen: Vec<u64> = Vec::new();
            for (gap, latency, part) in steps {
                now += Duration::from_millis(gap);
                answers.sort();
                while answers.first().is_some_and(|at| *at <= now) {
                    window.finish(answers.remove(0));
                }
                if window.take(now) {
                    let arrival = now + Duration::from_millis(latency * part / 100);
                    seen.push(u64::try_from((arrival - start).as_millis()).unwrap());
                    answers.push(now + Duration::from_millis(latency));
                }
            }
            seen.sort_unstable();
            for (max, span) in [(short, 100), (long, 1000)] {
                for from in &seen {
                    let count = seen.iter().filter(|at| (*from..from + span).contains(at)).count();
                    prop_assert!(count <= max as usize, "{count} in {span} ms from {from}: {seen:?}");
                }
            }
        }
    }
}
