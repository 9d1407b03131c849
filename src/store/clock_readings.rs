//! Readings of the clocks in the journal, and the pacer's time that follows from them after a
//! restart.
//!
//! Each page has a reading behind its first frame, and another one after each correction of the
//! wall clock. Within one boot of the machine, the time since the boot tells the age of a record.
//! So neither a correction nor a suspension matters. Across a boot only the wall clock can tell it.
//!
//! Owns the decision whether the ages of records are reliable.
//!
//! Not here: the pacer's time while the process runs (`pace/monotonic_clock.rs`).

use std::time::Duration;

use crate::{clock::Clock, domain::Timestamp, pace::MonotonicWallClock};

/// The tag of a reading among the tags of `pace_record_codec.rs`. A version that does not know it
/// skips it.
const READING: u8 = 7;
/// A smaller correction of the wall clock needs no new reading.
const CORRECTION_MIN: Duration = Duration::from_millis(100);
/// Across a boot, a greater age of the records is not believed: the clock may have been wrong
/// before.
const AGE_BELIEVED: Duration = Duration::from_secs(86_400);

/// The values of the clocks at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClockReading {
    /// The pacer's time.
    pace: Timestamp,
    /// The time since the machine's boot.
    since_boot: Duration,
    /// The wall clock.
    wall: Timestamp,
}

/// The pacer's time after a restart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ResumedClock {
    /// The pacer's time now.
    pub(super) now: Timestamp,
    /// Whether the ages of the records are unknown. Then each record counts as if it had just been
    /// written.
    pub(super) ages_unknown: bool,
}

impl ClockReading {
    pub(super) fn take(clock: &Clock, timeline: &MonotonicWallClock) -> Self {
        Self { pace: timeline.now(), since_boot: clock.since_boot(), wall: clock.now() }
    }

    pub(super) const fn pace(&self) -> Timestamp {
        self.pace
    }

    /// Whether the wall clock was corrected between two readings.
    pub(super) fn is_corrected(&self, before: &Self) -> bool {
        let ahead =
            |one: &Self| i128::from(one.wall.unix_millis()) - i128::from(one.pace.unix_millis());
        ahead(self).abs_diff(ahead(before)) >= CORRECTION_MIN.as_millis()
    }

    /// The pacer's time now, continued from this last reading. `same_boot` says whether the machine
    /// has run since.
    pub(super) fn resumed(&self, same_boot: bool, clock: &Clock) -> ResumedClock {
        if same_boot && let Some(passed) = clock.since_boot().checked_sub(self.since_boot) {
            return ResumedClock { now: self.pace.after(passed), ages_unknown: false };
        }
        let (passed, set_back) = (clock.now().since(self.wall), clock.now() < self.wall);
        ResumedClock {
            now: self.pace.after(passed),
            ages_unknown: set_back || passed > AGE_BELIEVED,
        }
    }

    /// The format: tag 1 byte, pacer's time 8 and wall clock 8 in milliseconds, time since the boot
    /// 8 in microseconds. A later version may append fields.
    pub(super) fn encode(&self) -> Vec<u8> {
        let since_boot = u64::try_from(self.since_boot.as_micros()).unwrap_or(u64::MAX);
        let numbers = [self.pace.unix_millis(), self.wall.unix_millis(), since_boot];
        [READING].into_iter().chain(numbers.into_iter().flat_map(u64::to_be_bytes)).collect()
    }

    /// Decodes a reading; `None` if the frame is not one.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&READING, rest) = bytes.split_first()? else { return None };
        let (pace, rest) = rest.split_first_chunk()?;
        let (wall, rest) = rest.split_first_chunk()?;
        let (since_boot, _) = rest.split_first_chunk()?;
        Some(Self {
            pace: Timestamp::from_unix_millis(u64::from_be_bytes(*pace)),
            wall: Timestamp::from_unix_millis(u64::from_be_bytes(*wall)),
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
            let mut clock = Clock::from(Timestamp::from_unix_millis(1_700_000_000_000));
            let timeline = MonotonicWallClock::starting(clock.clone());
            tokio::time::advance(tenth).await;
            let reading = ClockReading::take(&clock, &timeline);
            assert_eq!(ClockReading::decode(&reading.encode()), Some(reading));
            tokio::time::advance(ten).await;
            clock.set_ahead(set_ahead);
            assert_eq!(
                ClockReading::take(&clock, &timeline).is_corrected(&reading),
                set_ahead != 0
            );
            if reboot {
                clock = clock.after_reboot();
            }
            let expected = ResumedClock { now: reading.pace.after(passed), ages_unknown };
            assert_eq!(reading.resumed(!reboot, &clock), expected, "{set_ahead} {reboot}");
        }
    }

    #[test]
    fn a_longer_clock_reading_is_read_and_a_shorter_one_or_a_note_is_not() {
        let at = Timestamp::from_unix_millis(7);
        let reading = ClockReading { pace: at, since_boot: Duration::from_micros(3), wall: at };
        let mut bytes = reading.encode();
        assert_eq!(ClockReading::decode(&bytes[..24]), None);
        bytes.extend([1, 2, 3]);
        assert_eq!(ClockReading::decode(&bytes), Some(reading));
        bytes[0] = 2;
        assert_eq!(ClockReading::decode(&bytes), None);
    }
}
