//! Simulated time: microseconds since the simulation began.
//!
//! Owns that time continues over every restart, while tokio's clock begins anew with each process.
//!
//! Not here: the pacer's own time (`src/pace/monotonic_clock.rs`).

use std::time::Duration;

use roomcast::domain::Timestamp;
use tokio::time::Instant;

pub type Micros = u64;

pub const MILLI: Micros = 1_000;
pub const SECOND: Micros = 1_000_000;
pub const MINUTE: Micros = 60 * SECOND;
pub const HOUR: Micros = 60 * MINUTE;

/// The wall clock at the beginning: an hour before a month ends in China, whose months DingTalk
/// counts.
const BEGAN: Timestamp = Timestamp::from_unix_millis(1_701_356_400_000);

/// The wall clock at `at`.
pub fn moment(at: Micros) -> Timestamp {
    BEGAN.after(Duration::from_micros(at))
}

/// The clock of one process.
#[derive(Clone, Copy)]
pub struct Time {
    base: Micros,
    started: Instant,
}

impl Time {
    /// A clock of a process that starts at `base`.
    pub fn from(base: Micros) -> Self {
        Self { base, started: Instant::now() }
    }

    pub fn now(self) -> Micros {
        self.base + u64::try_from(self.started.elapsed().as_micros()).unwrap()
    }

    pub async fn sleep_until(self, at: Micros) {
        tokio::time::sleep_until(
            self.started + Duration::from_micros(at.saturating_sub(self.base)),
        )
        .await;
    }
}
