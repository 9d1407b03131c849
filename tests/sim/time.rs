//! Time in the simulation: microseconds since the world began. It goes on over every restart; tokio's clock begins anew with each
//! process, as a machine's does.

use std::time::Duration;

use roomcast::domain::Moment;
use tokio::time::Instant;

pub type Micros = u64;

pub const MILLI: Micros = 1_000;
pub const SECOND: Micros = 1_000_000;
pub const MINUTE: Micros = 60 * SECOND;
pub const HOUR: Micros = 60 * MINUTE;

/// What a wall clock shows when the world begins: an hour before a month ends in China, where DingTalk counts.
const BEGAN: Moment = Moment::from_unix_millis(1_701_356_400_000);

/// What a wall clock shows at `at`.
pub fn moment(at: Micros) -> Moment {
    BEGAN.after(Duration::from_micros(at))
}

/// The clock of one process.
#[derive(Clone, Copy)]
pub struct Time {
    base: Micros,
    started: Instant,
}

impl Time {
    /// A process starts when the world's clock shows `base`.
    pub fn from(base: Micros) -> Self {
        Self { base, started: Instant::now() }
    }

    pub fn now(self) -> Micros {
        self.base + u64::try_from(self.started.elapsed().as_micros()).unwrap()
    }

    pub async fn sleep_until(self, at: Micros) {
        tokio::time::sleep_until(self.started + Duration::from_micros(at.saturating_sub(self.base))).await;
    }
}
