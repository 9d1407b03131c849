//! What the clocks showed while the journal was written, and from that the pace's time when it is opened again.
//!
//! Each page has a reading behind its first frame, and one more after each correction of the wall
//! clock. Within one boot of the machine the time since the boot says how old a note is, so neither
//! a correction nor a suspension matters. Over a boot only the wall clock can say it.

use std::time::Duration;

use crate::{clock::Clock, domain::Moment, pace::Timeline};

/// The tag of a reading among the notes' tags. Versions that do not know it pass over it.
const READING: u8 = 7;
/// A correction of the wall clock by less than this needs no new reading.
const CORRECTION_MIN: Duration = Duration::from_millis(100);
/// Over a boot, notes that seem older than this are not believed: a clock that was never set may have
/// been set meanwhile.
const AGE_BELIEVED: Duration = Duration::from_secs(86_400);

/// What the clocks showed at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The pace's time.
    pace: Moment,
    /// The time since the machine's boot.
    since_boot: Duration,
    /// The wall clock.
    wall: Moment,
}

/// From the last reading to now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resumed {
    /// The pace's time now.
    pub(super) now: Moment,
    /// Whether the notes' ages mean nothing: what they tell may just have happened.
    pub(super) ages_unknown: bool,
}

impl Reading {
    pub(super) fn take(clock: &Clock, timeline: &Timeline) -> Self {
        Self { pace: timeline.now(), since_boot: clock.since_boot(), wall: clock.now() }
    }

    pub(super) const fn pace(&self) -> Moment {
        self.pace
    }

    /// Whether the wall clock was corrected between two readings.
    pub(super) fn is_corrected(&self, before: &Self) -> bool {
        let ahead = |one: &Self| i128::from(one.wall.unix_millis()) - i128::from(one.pace.unix_millis());
        ahead(self).abs_diff(ahead(before)) >= CORRECTION_MIN.as_millis()
    }

    /// The pace's time now, after this last reading. `same_boot` says whether the machine has run since.
    pub(super) fn resumed(&self, same_boot: bool, clock: &Clock) -> Resumed {
        if same_boot && let Some(passed) = clock.since_boot().checked_sub(self.since_boot) {
            return Resumed { now: self.pace.after(passed), ages_unknown: false };
        }
        let (passed, set_back) = (clock.now().since(self.wall), clock.now() < self.wall);
        Resumed { now: self.pace.after(passed), ages_unknown: set_back || passed > AGE_BELIEVED }
    }

    /// The form on the disk: tag 1, pace's time 8 and wall clock 8 in milliseconds, time since the boot 8
    /// in microseconds. More may follow in later versions.
    pub(super) fn encode(&self) -> Vec<u8> {
        let since_boot = u64::try_from(self.since_boot.as_micros()).unwrap_or(u64::MAX);
        let numbers = [self.pace.unix_millis(), self.wall.unix_millis(), since_boot];
        [READING].into_iter().chain(numbers.into_iter().flat_map(u64::to_be_bytes)).collect()
    }

    /// Reads a reading; nothing if the frame is none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&READING, rest) = bytes.split_first()? else { return None };
        let (pace, rest) = rest.split_first_chunk()?;
        let (wall, rest) = rest.split_first_chunk()?;
        let (since_boot, _) = rest.split_first_chunk()?;
        Some(Self {
            pace: Moment::from_unix_millis(u64::from_be_bytes(*pace)),
            wall: Moment::from_unix_millis(u64::from_be_bytes(*wall)),
            since_boot: Duration::from_micros(u64::from_be_bytes(*since_boot)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[tokio::test(start_paused = true)]
    async fn the_time_since_the_boot_counts_within_it_and_the_wall_clock_over_it() {
        let (ten, tenth) = (Duration::from_secs(10), Duration::from_millis(100));
        for (set_ahead, reboot, passed, ages_unknown) in [
            (0, false, ten, false),
            (HOUR, false, ten, false),
            (-HOUR, false, ten, false),
            (0, true, ten, false),
            (HOUR, true, ten + Duration::from_secs(3600), false),
            (-HOUR, true, Duration::ZERO, true),
            (25 * HOUR, true, ten + Duration::from_secs(25 * 3600), true),
        ] {
            let mut clock = Clock::from(Moment::from_unix_millis(1_700_000_000_000));
            let timeline = Timeline::starting(clock.clone());
            tokio::time::advance(tenth).await;
            let reading = Reading::take(&clock, &timeline);
            assert_eq!(Reading::decode(&reading.encode()), Some(reading));
            tokio::time::advance(ten).await;
            clock.set_ahead(set_ahead);
            assert_eq!(Reading::take(&clock, &timeline).is_corrected(&reading), set_ahead != 0);
            if reboot {
                clock = clock.after_reboot();
            }
            let expected = Resumed { now: reading.pace.after(passed), ages_unknown };
            assert_eq!(reading.resumed(!reboot, &clock), expected, "{set_ahead} {reboot}");
        }
    }

    #[test]
    fn what_is_longer_is_read_and_what_is_shorter_or_a_note_is_none() {
        let at = Moment::from_unix_millis(7);
        let reading = Reading { pace: at, since_boot: Duration::from_micros(3), wall: at };
        let mut bytes = reading.encode();
        assert_eq!(Reading::decode(&bytes[..24]), None);
        bytes.extend([1, 2, 3]);
        assert_eq!(Reading::decode(&bytes), Some(reading));
        bytes[0] = 2;
        assert_eq!(Reading::decode(&bytes), None);
    }
}
