//! The quota of a robot: accepted messages in sliding windows.
//!
//! Owns the exact count of the messages in every window.
//!
//! Not here: the other checks of a message (`check.rs`).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::platform::Platform;

/// The limit of messages in any window of a given length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit {
    /// The most messages in a window.
    pub(crate) count: usize,
    /// The length of the window.
    pub(crate) window: Duration,
}

/// The scale of all documented periods.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace(f64);

impl Pace {
    /// Unscaled periods.
    pub(crate) const REAL: Self = Self(1.0);

    /// The scale at which sixty documented seconds last this many seconds.
    pub(crate) fn of_window(seconds: f64) -> Self {
        Self(seconds / 60.0)
    }

    /// The scaled length of a documented period.
    fn scaled(self, seconds: u32) -> Duration {
        Duration::from_secs(u64::from(seconds)).mul_f64(self.0)
    }
}

/// The quota of one robot, and its recent use.
#[derive(Debug)]
pub(crate) struct Quota {
    limits: Vec<Limit>,
    /// How long the robot refuses everything after one message too many.
    block: Duration,
    /// The arrival times of accepted messages, oldest first, as many as the largest limit needs.
    arrivals: VecDeque<Instant>,
    blocked_until: Option<Instant>,
}

impl Quota {
    /// A quota without limits.
    pub(crate) const fn unlimited() -> Self {
        Self {
            limits: Vec::new(),
            block: Duration::ZERO,
            arrivals: VecDeque::new(),
            blocked_until: None,
        }
    }

    /// The documented quota of a platform. `per_minute` replaces the limit per sixty seconds; zero
    /// removes all limits. `block` replaces the documented block and is not scaled.
    pub(crate) fn of(
        platform: Platform,
        per_minute: Option<usize>,
        block: Option<Duration>,
        pace: Pace,
    ) -> Self {
        if per_minute == Some(0) {
            return Self::unlimited();
        }
        let documented = platform.dialect().quota();
        let minute = per_minute.unwrap_or(documented.per_minute);
        let mut limits = vec![Limit { count: minute, window: pace.scaled(60) }];
        limits.extend(documented.per_second.map(|count| Limit { count, window: pace.scaled(1) }));
        let block = block.unwrap_or_else(|| pace.scaled(documented.block_seconds));
        Self { limits, block, arrivals: VecDeque::new(), blocked_until: None }
    }

    /// Accepts or refuses one message. A refused message does not use the quota, and a refusal
    /// during a block does not extend the block.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        if self.limits.is_empty() {
            return true;
        }
        if self.blocked_until.is_some_and(|end| now < end) {
            return false;
        }
        self.blocked_until = None;
        if self.limits.iter().any(|limit| self.is_full(limit, now)) {
            if !self.block.is_zero() {
                self.blocked_until = now.checked_add(self.block);
            }
            return false;
        }
        self.arrivals.push_back(now);
        let needed = self.limits.iter().map(|limit| limit.count).max().unwrap_or(0);
        while self.arrivals.len() > needed {
            self.arrivals.pop_front();
        }
        true
    }

    /// A window is full if the message `count` places back is still inside it.
    fn is_full(&self, limit: &Limit, now: Instant) -> bool {
        self.arrivals
            .len()
            .checked_sub(limit.count)
            .and_then(|index| self.arrivals.get(index))
            .is_some_and(|oldest| now.saturating_duration_since(*oldest) < limit.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn the_twenty_first_message_in_a_window_is_refused() {
        let start = Instant::now();
        let mut quota = Quota::of(Platform::WeCom, None, None, Pace::REAL);
        for n in 0..20 {
            assert!(quota.admit(start + ms(n)));
        }
        assert!(!quota.admit(start + ms(59_999)));
        assert!(quota.admit(start + ms(60_000)), "the first message left the window");
        assert!(!quota.admit(start + ms(60_000)), "the second one has not");
        assert!(quota.admit(start + ms(60_001)));
    }

    #[test]
    fn a_window_slides_and_does_not_start_anew_each_minute() {
        let start = Instant::now();
        let mut quota = Quota::of(Platform::WeCom, Some(2), None, Pace::REAL);
        assert!(quota.admit(start + ms(50_000)));
        assert!(quota.admit(start + ms(59_000)));
        assert!(!quota.admit(start + ms(61_000)));
        assert!(quota.admit(start + ms(110_000)));
        assert!(!quota.admit(start + ms(118_999)));
        assert!(quota.admit(start + ms(119_000)));
    }

    #[test]
    fn a_dingtalk_robot_over_its_quota_is_shut_for_ten_minutes() {
        let start = Instant::now();
        let mut quota = Quota::of(Platform::DingTalk, None, None, Pace::REAL);
        for _ in 0..20 {
            assert!(quota.admit(start));
        }
        assert!(!quota.admit(start + ms(1_000)));
        assert!(!quota.admit(start + ms(300_000)), "asking again does not lengthen the block");
        assert!(!quota.admit(start + ms(600_999)));
        assert!(quota.admit(start + ms(601_000)));
    }

    #[test]
    fn a_lark_bot_takes_five_in_a_second_and_a_hundred_in_a_minute() {
        let start = Instant::now();
        let mut quota = Quota::of(Platform::Lark, None, None, Pace::REAL);
        for n in 0..5 {
            assert!(quota.admit(start + ms(n)));
        }
        assert!(!quota.admit(start + ms(999)));
        assert!(quota.admit(start + ms(1_000)));
        let mut taken = 6;
        for n in 6..200 {
            taken += usize::from(quota.admit(start + ms(1_000 + n * 250)));
        }
        assert_eq!(taken, 100);
        assert!(quota.admit(start + ms(60_000)));
    }

    #[test]
    fn a_shorter_window_shortens_every_period_by_the_same_factor() {
        let start = Instant::now();
        let mut quota = Quota::of(Platform::Lark, None, None, Pace::of_window(6.0));
        for _ in 0..5 {
            assert!(quota.admit(start));
        }
        assert!(!quota.admit(start + ms(99)));
        assert!(quota.admit(start + ms(100)));

        let mut quota = Quota::of(Platform::DingTalk, Some(1), None, Pace::of_window(6.0));
        assert!(quota.admit(start));
        assert!(!quota.admit(start + ms(1)));
        assert!(!quota.admit(start + ms(60_000)));
        assert!(quota.admit(start + ms(60_001)));
    }

    #[test]
    fn a_robot_may_have_its_own_block_or_no_limit() {
        let start = Instant::now();
        let mut quota = Quota::of(Platform::DingTalk, Some(1), Some(Duration::ZERO), Pace::REAL);
        assert!(quota.admit(start));
        assert!(!quota.admit(start + ms(10)));
        assert!(quota.admit(start + ms(60_000)));

        let mut quota = Quota::of(Platform::Lark, Some(0), None, Pace::REAL);
        assert!((0..1_000).all(|_| quota.admit(start)));
    }
}
