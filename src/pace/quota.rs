//! How much a platform allows. Owns the numbers' shape; the documented numbers are the defaults of `config/`.

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
