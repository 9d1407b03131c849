//! Robots and organisations, as they are paced now.

use serde::{Deserialize, Serialize};

/// One robot that is busy or held.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RobotView {
    /// Its id.
    pub robot: String,
    /// Its platform.
    pub platform: String,
    /// How much of its longest window is used.
    pub used: u32,
    /// How much there is of it; none if no window bounds the robot.
    pub allowed: Option<u32>,
    /// How many attempts are in the air.
    pub in_flight: u32,
    /// How many deliveries wait for their turn.
    pub waiting: u32,
    /// In how many seconds the last of them can leave.
    pub drained_in_seconds: u64,
    /// For how many seconds nothing is sent to it any more.
    pub held_for_seconds: Option<u64>,
    /// Why it is held, until it takes a message again: `throttled`, `budget`, `security` or `robot_gone`.
    pub cause: Option<String>,
    /// How many seconds the last wait was; the next that fails is twice as long.
    pub penalty_seconds: Option<u64>,
}

/// One organisation with a monthly quota.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct GroupView {
    /// Its name.
    pub group: String,
    /// How many calls it has made this month.
    pub used: u64,
    /// How many it may make, if that is configured.
    pub monthly: Option<u64>,
    /// How many it will have made at the month's end if it goes on like this.
    pub forecast: u64,
    /// When the month ends, RFC 3339.
    pub month_ends: String,
    /// Until when nothing is sent for it, because its quota is used up.
    pub spent_until: Option<String>,
}

/// The answer to a release.
#[derive(Debug, Deserialize, Serialize)]
pub struct Released {
    /// Whether the robot was held.
    pub was_held: bool,
    /// How many of its deliveries wait in the broker all the same, as far as is known.
    pub waiting: u32,
    /// Within how many seconds the last of them comes back.
    pub back_within_seconds: u64,
}
