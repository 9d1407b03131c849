//! The limit of attempts in flight for one platform: additive increase, multiplicative decrease.
//!
//! The limit starts at its maximum. It shrinks while answers are slow or missing, and grows by one
//! with each answer in time.
//!
//! Owns what counts as a slow answer, and the share that is reserved for urgent deliveries.
//!
//! Not here: which message gets a free permit (`queue.rs`).

use std::time::Duration;

/// The smallest limit, unless the maximum is smaller. These attempts find out whether the platform
/// answers again.
const LEAST: u32 = 8;
/// An answer within this time is never slow, however fast the others are.
const QUICK: Duration = Duration::from_secs(1);
/// One permit in this many is reserved for urgent deliveries.
const URGENT_PART: u32 = 4;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pace) struct Answered {
    /// The time from the send to the end of the attempt.
    pub(in crate::pace) took: Duration,
    /// Whether the platform gave an answer that can be understood.
    pub(in crate::pace) heard: bool,
}

/// The limit of one platform.
#[derive(Clone, Debug)]
pub(super) struct ConcurrencyLimit {
    max: u32,
    limit: u32,
    /// The moving average of answer times.
    usual: Duration,
}

impl ConcurrencyLimit {
    pub(super) fn new(max: u32) -> Self {
        let max = max.max(1);
        Self { max, limit: max, usual: Duration::ZERO }
    }

    /// Sets another maximum.
    pub(super) fn change(&mut self, max: u32) {
        self.max = max.max(1);
        self.limit = self.limit.max(LEAST).min(self.max);
    }

    /// The limit of attempts in flight. Deliveries that are not urgent get the unreserved part.
    pub(super) fn for_class(&self, urgent: bool) -> u32 {
        if urgent || self.limit == 1 {
            self.limit
        } else {
            self.limit - (self.limit / URGENT_PART).max(1)
        }
    }

    /// How many times smaller than its maximum the limit is, at least 1.
    pub(super) fn shrunk(&self) -> u32 {
        self.max / self.limit.max(1)
    }

    /// Adapts the limit to the end of an attempt.
    pub(super) fn answered(&mut self, answer: Answered) {
        let slow = if answer.heard { self.usual * 2 } else { Duration::ZERO };
        if answer.took > slow.max(QUICK) {
            let least = LEAST.min(self.max);
            self.limit = (self.limit - self.limit.div_ceil(10)).max(least);
        } else {
            self.limit = (self.limit + 1).min(self.max);
        }
        // A platform that is always slow is not overloaded, so the average follows its answers. A
        // missing answer says nothing about the usual time.
        if answer.heard {
            self.usual = (self.usual * 31 + answer.took) / 32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(limit: &mut ConcurrencyLimit, count: u32, millis: u64, heard: bool) -> u32 {
        (0..count)
            .for_each(|_| limit.answered(Answered { took: Duration::from_millis(millis), heard }));
        limit.for_class(true)
    }

    #[test]
    fn the_limit_shrinks_while_answers_are_slow_or_do_not_come_and_grows_back_when_they_do() {
        let mut limit = ConcurrencyLimit::new(256);
        assert_eq!(after(&mut limit, 100, 80, true), 256);
        // One slow answer costs a tenth of the limit.
        assert_eq!(after(&mut limit, 1, 2000, true), 230);
        assert_eq!(after(&mut limit, 100, 80, true), 256);
        assert_eq!(after(&mut limit, 3, 15_000, false), 186);
        assert_eq!(after(&mut limit, 100, 15_000, false), LEAST);
        assert_eq!(limit.shrunk(), 32);
        assert_eq!(after(&mut limit, 100, 80, true), LEAST + 100);
        assert_eq!(after(&mut limit, 1000, 80, true), 256);
        // An attempt that fails at once does not mean that too many are in flight.
        assert_eq!(after(&mut limit, 100, 5, false), 256);
    }

    #[test]
    fn a_platform_that_always_takes_three_seconds_is_not_slow() {
        let mut limit = ConcurrencyLimit::new(256);
        assert!(after(&mut limit, 30, 3000, true) < 256);
        assert_eq!(after(&mut limit, 600, 3000, true), 256);
        assert_eq!(
            after(&mut limit, 200, 15_000, false),
            LEAST,
            "but it is when it does not answer"
        );
    }

    #[test]
    fn a_part_is_kept_for_urgent_deliveries_and_none_of_one() {
        for (max, urgent, other) in [(256, 256, 192), (8, 8, 6), (2, 2, 1), (1, 1, 1), (0, 1, 1)] {
            let limit = ConcurrencyLimit::new(max);
            assert_eq!((limit.for_class(true), limit.for_class(false)), (urgent, other));
        }
    }

    #[test]
    fn a_new_maximum_holds_at_once() {
        let mut limit = ConcurrencyLimit::new(256);
        limit.change(16);
        assert_eq!(limit.for_class(true), 16);
        limit.change(4);
        assert_eq!(after(&mut limit, 50, 15_000, false), 4);
    }
}
