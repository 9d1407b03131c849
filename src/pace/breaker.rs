//! The circuit breaker: when a robot, or a whole platform, counts as failing. Pure.
//!
//! Owns its settings, and the rule that most robots of a platform fail.
//!
//! Not here: the hold that follows (`robot_queue/finish.rs`, `outage.rs`), and what a failure is
//! (`robot_health.rs`).

use std::time::Duration;

use super::hold::WaitBounds;
use crate::settings::{number, ratio, section, some_duration};

section! {
    // Envoy's outlier detection ejects a host after 5 failures in a row, for 30 s times the number
    // of its ejections, up to 300 s. Convoy's breaker opens at a share of failures in a window, and
    // tries again after a fixed time. Both see much traffic, and other hosts take it over. A chat
    // gets few messages and has no substitute. So three failures in a row are enough here, the
    // first wait is shorter, and the waits double up to Envoy's maximum. Envoy ignores its
    // ejections when half of the hosts would be out. Here a higher share makes one hold of many.
    /// When a robot whose attempts get no usable answer is held: HTTP 5xx, time-outs, connection,
    /// TLS, DNS. Its deliveries wait in their order, and one message at a time probes.
    #[derive(Copy, PartialEq)]
    pub struct BreakerPolicy in "breaker" {
        /// The number of failures in a row after which a robot is held.
        after: u32 = one(number(1..=1000), "3"), AtReload;
        /// The wait before the first probe.
        probe_min: Duration = one(some_duration(), "10s"), AtReload;
        /// The longest wait between two probes. Each probe that fails doubles the wait up to this.
        probe_max: Duration = one(some_duration(), "5m"), AtReload;
        /// A platform is held as a whole if at least this many of its robots fail at once.
        outage_robots: u32 = one(number(2..=1_000_000), "5"), AtReload;
        /// They must also be this share of the robots that were tried since the failures began.
        outage_share: f64 = one(ratio(), "0.8"), AtReload;
    }
}

impl BreakerPolicy {
    /// The bounds of a hold.
    pub(super) const fn bounds(&self) -> WaitBounds {
        WaitBounds { least: self.probe_min, most: self.probe_max }
    }

    /// Whether these robots are so many that their platform fails, and not each for itself.
    pub(super) fn is_outage(&self, tried: TriedRobots) -> bool {
        let TriedRobots { failing, answering } = tried;
        failing >= self.outage_robots
            && f64::from(failing) >= self.outage_share * (f64::from(failing) + f64::from(answering))
    }
}

/// The robots of a platform that were tried since the failures of one of them began, by the result
/// of their last attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TriedRobots {
    pub(super) failing: u32,
    pub(super) answering: u32,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::settings::Section as _;

    #[test]
    fn a_platform_fails_if_enough_robots_do_and_few_answer() {
        let policy = BreakerPolicy::by_default().unwrap();
        for (failing, answering, outage) in [
            (4, 0, false),
            (5, 0, true),
            (5, 1, true),
            (5, 2, false),
            (80, 20, true),
            (79, 21, false),
            (2000, 0, true),
            (0, 2000, false),
        ] {
            let tried = TriedRobots { failing, answering };
            assert_eq!(policy.is_outage(tried), outage, "{tried:?}");
        }
    }

    proptest! {
        #[test]
        fn one_more_failing_robot_never_ends_an_outage_and_one_more_answer_never_begins_one(
            failing in 0u32..5000, answering in 0u32..5000,
        ) {
            let policy = BreakerPolicy::by_default().unwrap();
            let is = |failing, answering| policy.is_outage(TriedRobots { failing, answering });
            prop_assert!(!is(failing, answering) || is(failing + 1, answering));
            prop_assert!(is(failing, answering) || !is(failing, answering + 1));
        }
    }
}
