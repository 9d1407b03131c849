//! A due time, with the reading of the wall clock from which it was computed.
//!
//! Owns the rule that no correction of that clock makes a wait longer than it was decided.
//!
//! Not here: the clocks (`src/clock.rs`), and the tiers in which a delivery waits (`broker/`).

use std::time::Duration;

use super::Timestamp;

/// When something is due, by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueTime {
    /// The time.
    pub at: Timestamp,
    /// The reading of the same clock when the time was computed.
    pub read_at: Timestamp,
}

impl DueTime {
    /// How long it takes from `now`. If the clock was set back since the reading, the wait of that
    /// moment counts.
    #[must_use]
    pub fn wait(self, now: Timestamp) -> Duration {
        self.at.since(now).min(self.at.since(self.read_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_longer_than_decided_though_the_clock_is_set_back() {
        let at = |second: u64| Timestamp::from_unix_millis(second * 1000);
        let due = DueTime { at: at(5_030), read_at: at(5_000) };
        for (now, waits) in [(5_000, 30), (5_010, 20), (5_050, 0), (8_600, 0), (1_400, 30)] {
            assert_eq!(due.wait(at(now)).as_secs(), waits, "{now}");
        }
    }
}
