//! The limits of each platform.
//!
//! Owns the types of quotas and health policies.
//!
//! Not here: the default quotas (`config/`), and the counters (`window.rs`).

use std::time::Duration;

use crate::settings::{number, section, some_duration};

/// At most `max` messages in any period of `span`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowQuota {
    /// The number of messages, at least 1.
    pub max: u32,
    /// The length of the period.
    pub span: Duration,
}

/// The limits of a platform for each robot, and for the source address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformQuota {
    /// The windows of a robot; all of them apply at once. An empty list means no limit.
    pub windows: Vec<WindowQuota>,
    /// Added to each span, against jitter of the network between the daemon and the platform's
    /// clock.
    pub margin: Duration,
    /// The messages a second for the platform as a whole; `None` means no limit.
    pub rate_per_second: Option<u32>,
    /// The hold after a first refusal for speed, if the platform does not name a wait.
    pub penalty_min: Duration,
    /// The longest hold. Each further refusal doubles the wait up to this.
    pub penalty_max: Duration,
}

impl PlatformQuota {
    /// The longest window, if there is one.
    #[must_use]
    pub fn longest(&self) -> Option<WindowQuota> {
        self.windows.iter().max_by_key(|window| window.span).copied()
    }

    /// Whether robots have a limit at all.
    pub(super) fn is_limited(&self) -> bool {
        !self.windows.is_empty()
    }

    /// The largest number of messages that one window allows.
    pub(super) fn most(&self) -> usize {
        let most = self.windows.iter().map(|window| window.max).max().unwrap_or(0);
        usize::try_from(most).unwrap_or(usize::MAX)
    }
}

section! {
    /// When a robot that refuses for another reason than speed is held: signature, keyword, address
    /// list, or the robot is gone. Its deliveries wait, and one message probes.
    #[derive(Copy, PartialEq, Eq)]
    pub struct HealthPolicy in "health" {
        /// The number of refusals in a row after which a robot is held.
        after: u32 = one(number(1..=1000), "3"), AtReload;
        /// The wait before the first probe.
        probe_min: Duration = one(some_duration(), "1m"), AtReload;
        /// The longest wait between two probes. Each probe that fails doubles the wait up to this.
        probe_max: Duration = one(some_duration(), "1h"), AtReload;
    }
}

/// A quota with these windows (messages, milliseconds) and no other limit.
#[cfg(test)]
pub(super) fn quota(windows: &[(u32, u64)]) -> PlatformQuota {
    let span = Duration::from_millis;
    PlatformQuota {
        windows: windows
            .iter()
            .map(|(max, millis)| WindowQuota { max: *max, span: span(*millis) })
            .collect(),
        margin: Duration::ZERO,
        rate_per_second: None,
        penalty_min: Duration::ZERO,
        penalty_max: Duration::ZERO,
    }
}
