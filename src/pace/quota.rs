//! What a platform allows.

use std::time::Duration;

/// At most `max` messages in any span of `span`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowQuota {
    /// How many messages; at least 1.
    pub max: u32,
    /// In which span.
    pub span: Duration,
}

/// What a platform allows each robot, and each source address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformQuota {
    /// Every window of a robot; all of them hold at once. None means that a robot has no limit.
    pub windows: Vec<WindowQuota>,
    /// Added to each span, against the jitter of the network between us and the platform's clock.
    pub margin: Duration,
    /// How many messages a second may leave for the platform as a whole; none means no limit.
    pub rate_per_second: Option<u32>,
    /// How long a robot is held after its first refusal for speed, where the platform does not say.
    pub penalty_min: Duration,
    /// The longest hold; each further refusal doubles the wait up to this.
    pub penalty_max: Duration,
}

impl PlatformQuota {
    /// The longest of the windows, if there is one.
    #[must_use]
    pub fn longest(&self) -> Option<WindowQuota> {
        self.windows.iter().max_by_key(|window| window.span).copied()
    }

    /// Whether robots have a limit at all.
    pub(super) fn is_limited(&self) -> bool {
        !self.windows.is_empty()
    }

    /// The most messages that any of the windows holds.
    pub(super) fn most(&self) -> usize {
        let most = self.windows.iter().map(|window| window.max).max().unwrap_or(0);
        usize::try_from(most).unwrap_or(usize::MAX)
    }
}

/// When robots that refuse for a reason other than speed are left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthPolicy {
    /// After so many refusals in a row; at least 1.
    pub after: u32,
    /// How long before the first message tries again.
    pub probe_min: Duration,
    /// The longest wait between two tries; each that fails doubles the wait up to this.
    pub probe_max: Duration,
}

/// A quota of these windows, each so many messages in so many milliseconds, and nothing else.
#[cfg(test)]
pub(super) fn quota(windows: &[(u32, u64)]) -> PlatformQuota {
    let span = Duration::from_millis;
    PlatformQuota {
        windows: windows.iter().map(|(max, millis)| WindowQuota { max: *max, span: span(*millis) }).collect(),
        margin: Duration::ZERO,
        rate_per_second: None,
        penalty_min: Duration::ZERO,
        penalty_max: Duration::ZERO,
    }
}
