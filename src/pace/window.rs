//! The exact window: N permits, each of which returns T after its response was seen.
//!
//! Of any N + 1 consecutive sends, the last leaves at least T after the first was answered. So the
//! platform never counts more than N in any T, whatever the latency. A token bucket cannot do this:
//! filled with N and refilled at N per T, it admits almost 2 N in one T.
//!
//! Owns the invariant that no robot exceeds a window.
//!
//! Not here: which delivery gets a free permit (`robot_queue.rs`), and the sizes of windows
//! (`quota.rs`).

use std::{collections::VecDeque, time::Duration};

use super::quota::PlatformQuota;
use crate::domain::Timestamp;

/// The timeline rounds down to milliseconds, so a response seen "now" may have been seen up to one
/// millisecond later.
const RESOLUTION: Duration = Duration::from_millis(1);

/// The recent sends to one robot, counted against all its windows at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    in_flight: u32,
    /// When responses were seen, the oldest first.
    finished: VecDeque<Timestamp>,
}

impl Window {
    /// The permits of the longest window that are taken or not yet returned.
    pub(super) fn used(&self) -> u32 {
        self.in_flight.saturating_add(u32::try_from(self.finished.len()).unwrap_or(u32::MAX))
    }

    pub(super) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Takes one permit of every window. The caller has checked that they are free.
    pub(super) fn take(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
    }

    /// Returns an unused permit.
    pub(super) fn refund(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Returns a permit whose response was seen at `now`.
    pub(super) fn finish(&mut self, now: Timestamp, quota: &PlatformQuota) {
        self.refund();
        self.charge(now, quota);
    }

    /// Counts a message seen at `at` for which no permit was taken.
    pub(super) fn charge(&mut self, at: Timestamp, quota: &PlatformQuota) {
        if quota.is_limited() {
            let seen = at.after(RESOLUTION);
            let position = self.finished.partition_point(|other| *other <= seen);
            self.finished.insert(position, seen);
        }
    }

    /// When the next permit of every window is free; `None` while the permits in flight alone fill
    /// a window.
    pub(super) fn free_at(&mut self, now: Timestamp, quota: &PlatformQuota) -> Option<Timestamp> {
        self.forget(now, quota);
        quota.windows.iter().try_fold(now, |latest, window| {
            let left = window.max.checked_sub(self.in_flight).filter(|left| *left > 0)?;
            // The message that must leave the window first: `left` places from the end.
            let blocking = self.back(usize::try_from(left).unwrap_or(usize::MAX));
            Some(latest.max(blocking.map_or(now, |seen| seen.after(window.span + quota.margin))))
        })
    }

    /// The time of the answered message at this place, where 1 is the newest.
    pub(super) fn back(&self, places: usize) -> Option<Timestamp> {
        self.finished
            .len()
            .checked_sub(places)
            .and_then(|position| self.finished.get(position))
            .copied()
    }

    pub(super) fn forget(&mut self, now: Timestamp, quota: &PlatformQuota) {
        let longest = quota.windows.iter().map(|window| window.span).max().unwrap_or_default();
        while self.finished.front().is_some_and(|seen| seen.after(longest + quota.margin) <= now) {
            self.finished.pop_front();
        }
        if self.finished.is_empty() {
            self.finished = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pace::quota::quota;

    const T0: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

    fn at(millis: u64) -> Timestamp {
        T0.after(Duration::from_millis(millis))
    }

    fn take(window: &mut Window, now: Timestamp, quota: &PlatformQuota) -> bool {
        let free = window.free_at(now, quota).is_some_and(|at| at <= now);
        if free {
            window.take();
        }
        free
    }

    #[test]
    fn a_fresh_robots_whole_quota_leaves_at_once_and_the_next_waits_for_the_window() {
        let (mut window, quota) = (Window::default(), quota(&[(3, 1000)]));
        assert!((0..3).all(|_| take(&mut window, T0, &quota)));
        assert!(!take(&mut window, T0, &quota));
        assert_eq!(window.free_at(T0, &quota), None);
        window.finish(at(40), &quota);
        assert_eq!(window.free_at(at(40), &quota), Some(at(1041)));
        assert!(!take(&mut window, at(1040), &quota));
        assert!(take(&mut window, at(1041), &quota));
    }

    #[test]
    fn a_robot_without_windows_is_never_held() {
        let (mut window, quota) = (Window::default(), quota(&[]));
        assert!((0..1000).all(|_| take(&mut window, T0, &quota)));
        window.finish(T0, &quota);
        assert_eq!(window.finished.len(), 0);
    }

    proptest! {
        /// The receiver sees each message between its send and its answer. Whatever the arrivals
        /// and latencies are, it never counts more than N in any half-open T.
        #[test]
        fn the_receiver_never_counts_more_than_n_in_any_t(
            steps in prop::collection::vec((0u64..400, 0u64..300, 0u64..=100), 1..200),
            short in 1u32..5, long in 5u32..20,
        ) {
            let quota = quota(&[(short, 100), (long, 1000)]);
            let (mut window, mut now) = (Window::default(), 0);
            let (mut answers, mut seen) = (Vec::<u64>::new(), Vec::new());
            for (gap, latency, part) in steps {
                now += gap;
                answers.sort_unstable();
                while answers.first().is_some_and(|at| *at <= now) {
                    window.finish(at(answers.remove(0)), &quota);
                }
                if take(&mut window, at(now), &quota) {
                    seen.push(now + latency * part / 100);
                    answers.push(now + latency);
                }
            }
            seen.sort_unstable();
            for (max, span) in [(short, 100), (long, 1000)] {
                for from in &seen {
                    let count = seen.iter().filter(|at| (*from..from + span).contains(at)).count();
                    prop_assert!(
                        count <= max as usize,
                        "{count} in {span} ms from {from}: {seen:?}"
                    );
                }
            }
        }

        /// A sender that always has messages reaches the quota: N in every T plus a round trip,
        /// from a fresh window on.
        #[test]
        fn sustained_load_reaches_the_full_quota(
            latencies in prop::collection::vec(0u64..=50, 400),
            max in 1u32..25,
        ) {
            let quota = quota(&[(max, 1000)]);
            let (mut window, mut now) = (Window::default(), 0);
            let (mut answers, mut sent) = (Vec::<u64>::new(), Vec::new());
            for latency in latencies {
                while !take(&mut window, at(now), &quota) {
                    now += 1;
                    answers.sort_unstable();
                    while answers.first().is_some_and(|at| *at <= now) {
                        window.finish(at(answers.remove(0)), &quota);
                    }
                }
                sent.push(now);
                answers.push(now + latency);
            }
            let mut first = sent.iter().take(max as usize);
            prop_assert!(first.all(|at| *at == 0), "the whole quota at once");
            for pair in sent.windows(max as usize + 1) {
                let cycle = pair[max as usize] - pair[0];
                // The slowest answer of the cycle, and the millisecond of resolution.
                prop_assert!(cycle <= 1000 + 50 + 2, "a permit came back late: {cycle}");
            }
        }
    }
}
