//! The time by which lanes count: the wall clock as it was at the start, carried on by the monotonic one.
//!
//! A lane's times have to survive the process, so they are points of wall-clock time; and no correction of the machine's clock may lengthen
//! or shorten a window, so within one process they follow the monotonic clock.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::Moment;

/// Where the two clocks met.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeline {
    anchor: Instant,
    base: Moment,
}

impl Timeline {
    /// A timeline on which it is `now`.
    pub(super) fn starting(now: Moment) -> Self {
        Self { anchor: Instant::now(), base: now }
    }

    /// What time it is, in whole milliseconds that have passed.
    pub(super) fn now(&self) -> Moment {
        self.base.after(self.anchor.elapsed())
    }

    /// When it will be `at`. What is past is now, and nothing is further away than a century.
    pub(super) fn instant(&self, at: Moment) -> Instant {
        const FAR: Duration = Duration::from_secs(100 * 366 * 86_400);
        self.anchor + at.since(self.base).min(FAR)
    }
}
