//! The time by which lanes count: it began as the wall clock's, and the machine's own clock carries it on.
//!
//! A lane's times have to survive the process, so they are points in time; and no correction of the
//! wall clock may lengthen or shorten a window, so they follow the time since the machine's boot, over
//! restarts as well. After a correction the two differ: what is compared with the wall clock is
//! converted here.

use std::time::Duration;

use tokio::time::Instant;

use crate::{clock::Clock, domain::Moment};

/// The pace's time, and its relation to the other clocks.
#[derive(Clone, Debug)]
pub struct Timeline {
    clock: Clock,
    base: Moment,
    /// The time since the boot at `base`.
    since_boot: Duration,
}

impl Timeline {
    /// A timeline that agrees with the wall clock now.
    #[must_use]
    pub fn starting(clock: Clock) -> Self {
        let now = clock.now();
        Self::from(clock, now)
    }

    /// A timeline on which it is `now`, whatever the wall clock shows.
    #[must_use]
    pub fn from(clock: Clock, now: Moment) -> Self {
        Self { base: now, since_boot: clock.since_boot(), clock }
    }

    /// What time it is, in whole milliseconds that have passed.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.base.after(self.elapsed())
    }

    /// What the wall clock shows.
    #[must_use]
    pub fn wall_now(&self) -> Moment {
        self.clock.now()
    }

    /// The time on this line for a time of the wall clock, if that is not corrected meanwhile.
    #[must_use]
    pub fn at_wall(&self, at: Moment) -> Moment {
        moved(at, self.wall_now(), self.now())
    }

    /// The time of the wall clock for a time on this line, if it is not corrected meanwhile.
    #[must_use]
    pub fn wall_at(&self, at: Moment) -> Moment {
        moved(at, self.now(), self.wall_now())
    }

    /// When it will be `at`. What is past is now, and nothing is further away than a century.
    pub(super) fn instant(&self, at: Moment) -> Instant {
        const FAR: Duration = Duration::from_secs(100 * 366 * 86_400);
        Instant::now() + at.since(self.base).saturating_sub(self.elapsed()).min(FAR)
    }

    fn elapsed(&self) -> Duration {
        self.clock.since_boot().saturating_sub(self.since_boot)
    }
}

/// As far from `to` as it was from `from`.
fn moved(at: Moment, from: Moment, to: Moment) -> Moment {
    if at >= from { to.after(at.since(from)) } else { to.before(from.since(at)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_correction_of_the_wall_clock_moves_the_timeline() {
        let clock = Clock::from(Moment::from_unix_millis(1_700_000_000_000));
        let (timeline, began) = (Timeline::starting(clock.clone()), clock.now());
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
        for millis in [3_600_000, -7_200_000] {
            clock.set_ahead(millis);
            assert_eq!(timeline.now(), began);
            let (wall, soon) = (clock.now(), began.after(second));
            assert_eq!((timeline.wall_at(soon), timeline.at_wall(wall.after(second))), (wall.after(second), soon));
            assert_eq!(timeline.at_wall(wall.before(hour)), began.before(hour));
            assert_eq!(timeline.instant(soon), Instant::now() + second);
        }
    }
}
