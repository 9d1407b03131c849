//! Holds: nothing is sent to a robot for a while, because its platform refuses its messages.
//!
//! Owns how long a hold lasts. Pure.
//!
//! Not here: the causes (`domain/hold_cause.rs`), when a hold begins and ends
//! (`robot_queue/finish.rs`).

use std::time::Duration;

use crate::domain::{HoldCause, Timestamp};

/// A robot that gets nothing until a given time. After that, one message at a time probes whether
/// it accepts messages again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The cause.
    pub cause: HoldCause,
    /// When the first hold in a row with this cause began, in the pacer's time.
    pub since: Timestamp,
    /// Until when nothing is sent, in the pacer's time.
    pub until: Timestamp,
    /// The length of the last wait. Each further refusal doubles it, whatever the platform asks
    /// for.
    pub wait: Duration,
}

impl Hold {
    /// The hold after a refusal at `now`. It lasts twice as long as the wait before, or as long as
    /// the platform asks if that is longer, within `bounds`. A hold of another cause starts over.
    pub(super) fn after(
        before: Option<&Self>,
        cause: HoldCause,
        asked: Option<Duration>,
        bounds: WaitBounds,
        now: Timestamp,
    ) -> Self {
        let same = before.filter(|hold| hold.cause == cause);
        let (since, last) = same.map_or((now, Duration::ZERO), |hold| (hold.since, hold.wait));
        let wait = bounds.clamp(last.saturating_mul(2).max(asked.unwrap_or_default()));
        Self { cause, since, until: now.after(wait), wait }
    }

    /// A hold of an earlier process, cut to the current bounds.
    pub(super) fn restored(self, bounds: WaitBounds, now: Timestamp) -> Self {
        let wait = bounds.clamp(self.wait);
        Self { wait, until: self.until.min(now.after(wait)), ..self }
    }
}

/// The shortest and the longest wait of a hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitBounds {
    /// The shortest wait.
    pub(super) least: Duration,
    /// The longest wait.
    pub(super) most: Duration,
}

impl WaitBounds {
    fn clamp(self, wait: Duration) -> Duration {
        wait.clamp(self.least, self.most.max(self.least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_further_refusal_doubles_the_wait_and_the_wait_that_a_platform_requests_is_bounded() {
        let bounds = WaitBounds { least: Duration::from_secs(60), most: Duration::from_secs(600) };
        let now = Timestamp::from_unix_millis(0);
        for (refusals, expected) in [
            ([None, None, None, None, None], [60, 120, 240, 480, 600]),
            ([Some(0), Some(0), Some(0), None, Some(0)], [60, 120, 240, 480, 600]),
            ([Some(100), Some(100), Some(500), Some(1), None], [100, 200, 500, 600, 600]),
            ([Some(864_000), Some(864_000), None, Some(0), None], [600, 600, 600, 600, 600]),
        ] {
            let mut hold = None;
            for (asked, expected) in refusals.into_iter().zip(expected) {
                let asked = asked.map(Duration::from_secs);
                let next = Hold::after(hold.as_ref(), HoldCause::Throttled, asked, bounds, now);
                assert_eq!(
                    (next.wait.as_secs(), next.until.since(now)),
                    (expected, next.wait),
                    "{refusals:?}"
                );
                hold = Some(next);
            }
            let other = Hold::after(hold.as_ref(), HoldCause::Security, None, bounds, now);
            assert_eq!(other.wait, bounds.least, "another cause begins anew");
        }
    }

    #[test]
    fn a_hold_of_an_earlier_process_is_cut_to_the_bounds_and_never_lengthened() {
        let bounds = WaitBounds { least: Duration::from_secs(60), most: Duration::from_secs(600) };
        let now = Timestamp::from_unix_millis(1_000_000);
        for (left, wait, expected) in [
            (864_000, 864_000, (600, 600)),
            (30, 120, (30, 120)),
            (1, 1, (1, 60)),
            (0, 600, (0, 600)),
        ] {
            let until = now.after(Duration::from_secs(left));
            let wait = Duration::from_secs(wait);
            let hold = Hold { cause: HoldCause::Throttled, since: now, until, wait };
            let hold = hold.restored(bounds, now);
            assert_eq!((hold.until.since(now).as_secs(), hold.wait.as_secs()), expected);
        }
    }
}
