//! The pacer's clock. It starts at the wall clock's time and follows the time since boot from then
//! on.
//!
//! Its times are points in time, because they must survive the process. No correction of the wall
//! clock may lengthen or shorten a window, so it follows the time since boot, over restarts as
//! well.
//!
//! Owns the conversion between the pacer's time and the wall clock, which differ after a
//! correction.
//!
//! Not here: the machine's clocks (`src/clock.rs`), and the readings kept over a restart
//! (`store/clock_readings.rs`).

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    clock::Clock,
    domain::{DueTime, Timestamp},
};

/// The pacer's clock, and its relation to the other clocks.
#[derive(Clone, Debug)]
pub struct MonotonicWallClock {
    clock: Clock,
    base: Timestamp,
    /// The time since boot at `base`.
    since_boot: Duration,
}

impl MonotonicWallClock {
    /// A timeline that agrees with the wall clock now.
    #[must_use]
    pub fn starting(clock: Clock) -> Self {
        let now = clock.now();
        Self::from(clock, now)
    }

    /// A timeline that reads `now`, whatever the wall clock shows.
    #[must_use]
    pub fn from(clock: Clock, now: Timestamp) -> Self {
        Self { base: now, since_boot: clock.since_boot(), clock }
    }

    /// The pacer's time, rounded down to milliseconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.base.after(self.elapsed())
    }

    /// The wall clock.
    #[must_use]
    pub fn wall_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Converts a time of the wall clock to the pacer's time. Valid until the next correction of
    /// the wall clock.
    #[must_use]
    pub fn at_wall(&self, at: Timestamp) -> Timestamp {
        moved(at, self.wall_now(), self.now())
    }

    /// Converts the pacer's time to the wall clock. Valid until the next correction of the wall
    /// clock.
    #[must_use]
    pub fn wall_at(&self, at: Timestamp) -> Timestamp {
        self.due_at(at).at
    }

    /// A time of the pacer as a due time by the wall clock.
    #[must_use]
    pub fn due_at(&self, at: Timestamp) -> DueTime {
        let read_at = self.wall_now();
        DueTime { at: moved(at, self.now(), read_at), read_at }
    }

    /// The tokio instant of `at`: now for a time in the past, and at most a century ahead.
    pub(super) fn instant(&self, at: Timestamp) -> Instant {
        const FAR: Duration = Duration::from_secs(100 * 366 * 86_400);
        Instant::now() + at.since(self.base).saturating_sub(self.elapsed()).min(FAR)
    }

    fn elapsed(&self) -> Duration {
        self.clock.since_boot().saturating_sub(self.since_boot)
    }
}

/// The point with the distance to `to` that `at` has to `from`.
fn moved(at: Timestamp, from: Timestamp, to: Timestamp) -> Timestamp {
    if at >= from { to.after(at.since(from)) } else { to.before(from.since(at)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_correction_of_the_wall_clock_moves_the_timeline() {
        let clock = Clock::from(Timestamp::from_unix_millis(1_700_000_000_000));
        let (timeline, began) = (MonotonicWallClock::starting(clock.clone()), clock.now());
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
        for millis in [3_600_000, -7_200_000] {
            clock.set_ahead(millis);
            assert_eq!(timeline.now(), began);
            let (wall, soon) = (clock.now(), began.after(second));
            assert_eq!(
                (timeline.wall_at(soon), timeline.at_wall(wall.after(second))),
                (wall.after(second), soon)
            );
            assert_eq!(timeline.at_wall(wall.before(hour)), began.before(hour));
            assert_eq!(timeline.instant(soon), Instant::now() + second);
        }
    }
}
