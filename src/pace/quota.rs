//! The limits of each platform.
//!
//! Owns the types of quotas and health policies.
//!
//! Not here: their default values (`config/`), and the counters (`window.rs`).

use std::time::Duration;

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

/// When robots that refuse for a reason other than speed are put on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthPolicy {
    /// The number of consecutive refusals before a hold, at least 1.
    pub after: u32,
    /// The wait before the first probe.
    pub probe_min: Duration,
    /// The longest wait between two probes. Each failed probe doubles the wait up to this.
    pub probe_max: Duration,
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
