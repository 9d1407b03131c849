//! The wall clock, passed by value so that simulations can bring their own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::domain::Moment;

/// Where the time of day comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// tokio's clock, which can be paused, from a given start.
    Tokio {
        /// What time it was at `started`.
        base: Moment,
        /// When the clock was started.
        started: Instant,
    },
}

impl Clock {
    /// A clock that follows tokio's and begins at `base`.
    #[must_use]
    pub fn from(base: Moment) -> Self {
        Self::Tokio { base, started: Instant::now() }
    }

    /// What time it is. A machine whose clock stands before 1970 is taken to be there.
    #[must_use]
    pub fn now(&self) -> Moment {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
                Moment::from_unix_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Self::Tokio { base, started } => base.after(started.elapsed()),
        }
    }
}
