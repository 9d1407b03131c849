//! The machine's clocks, passed by value so that simulations can bring their own.
//!
//! Owns how the daemon reads the wall clock and the time since boot.
//!
//! Not here: the clock of the pacer, which ignores corrections of the wall clock
//! (`pace/monotonic_clock.rs`), and the type of a point in time (`domain/timestamp.rs`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use crate::domain::Timestamp;

/// A source of time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clocks.
    System,
    /// tokio's clock, which can be paused.
    Tokio(TokioClock),
}

/// The clocks of a simulated machine. They follow tokio's clock.
#[derive(Clone, Debug)]
pub struct TokioClock {
    base: Timestamp,
    started: Instant,
    /// Counts the simulated boots; 0 for the first.
    boot: u64,
    /// How far the wall clock was set ahead since `started`, in milliseconds; negative if it was
    /// set back.
    set_ahead: Arc<AtomicI64>,
}

impl Clock {
    /// The clocks of a simulated machine whose wall clock shows `base` now. They follow tokio's
    /// clock. All such clocks report the same boot, which began at the Unix epoch.
    #[must_use]
    pub fn from(base: Timestamp) -> Self {
        let started = Instant::now();
        Self::Tokio(TokioClock { base, started, boot: 0, set_ahead: Arc::default() })
    }

    /// The same clocks after a reboot. The new boot began when tokio's clock started.
    #[must_use]
    pub fn after_reboot(&self) -> Self {
        match self {
            Self::System => Self::System,
            Self::Tokio(clock) => Self::Tokio(TokioClock { boot: clock.boot + 1, ..clock.clone() }),
        }
    }

    /// Sets the simulated wall clock ahead by `millis` milliseconds, or back if negative. The time
    /// since boot does not change. [`Self::System`] is never changed.
    pub fn set_ahead(&self, millis: i64) {
        if let Self::Tokio(clock) = self {
            clock.set_ahead.fetch_add(millis, Ordering::Relaxed);
        }
    }

    /// The wall clock. A clock before 1970 reads as the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
                Timestamp::from_unix_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Self::Tokio(clock) => {
                let millis = clock.base.after(clock.started.elapsed()).unix_millis();
                Timestamp::from_unix_millis(
                    millis.saturating_add_signed(clock.set_ahead.load(Ordering::Relaxed)),
                )
            }
        }
    }

    /// The time since the machine's boot, suspension included (`CLOCK_BOOTTIME`). Corrections of
    /// the wall clock do not change it.
    #[must_use]
    pub fn since_boot(&self) -> Duration {
        match self {
            Self::System => clock_gettime(ClockId::Boottime).try_into().unwrap_or(Duration::ZERO),
            Self::Tokio(clock) => {
                let began = if clock.boot == 0 { clock.base.unix_millis() } else { 0 };
                Duration::from_millis(began) + clock.started.elapsed()
            }
        }
    }

    /// The id of the machine's boot; empty if it cannot be read.
    #[must_use]
    pub fn boot_id(&self) -> Vec<u8> {
        match self {
            Self::System => std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
            Self::Tokio(clock) => format!("boot {}", clock.boot).into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_clock_and_its_boot_are_known() {
        let before = Clock::System.since_boot();
        assert!(!before.is_zero() && Clock::System.since_boot() >= before);
        assert!(!Clock::System.boot_id().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn setting_the_wall_clock_leaves_the_time_since_the_boot_alone() {
        let clock = Clock::from(Timestamp::from_unix_millis(50_000));
        clock.set_ahead(7_000);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((clock.now().unix_millis(), clock.since_boot().as_millis()), (58_000, 51_000));
        clock.set_ahead(-60_000);
        assert_eq!(clock.now().unix_millis(), 0);
        assert_ne!(clock.after_reboot().boot_id(), clock.boot_id());
    }
}
