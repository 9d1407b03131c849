//! The state of one robot for operators.
//!
//! Owns which of the queue's numbers are shown.
//!
//! Not here: their source (`robot_queue/status.rs`), and the sums over all robots (`status.rs`).

use std::time::Duration;

use super::{Hold, MonotonicWallClock, RobotHealth};
use crate::domain::{Platform, RobotId, Timestamp, WaitCounts, WaitReason};

/// The state of one robot.
#[derive(Clone, Debug)]
pub struct RobotStatus {
    /// The robot.
    pub robot: RobotId,
    /// Its platform.
    pub platform: Platform,
    /// The used permits of its longest window.
    pub used: u32,
    /// The permits of its longest window; `None` if the robot has no window.
    pub allowed: Option<u32>,
    /// The attempts in flight.
    pub in_flight: u32,
    /// The waiting deliveries, in memory and in the broker; after a restart only those that are
    /// known.
    pub waiting: u32,
    /// How many of them wait for each reason. The reason is that of the decision by which a
    /// delivery was queued or deferred.
    pub waits: WaitCounts,
    /// Why the robot gets nothing: its hold, else the most frequent reason. `None` if it has no
    /// hold and none waits.
    pub wait_reason: Option<WaitReason>,
    /// How long until the last of them can leave; zero if none waits. `None` if that is unknown,
    /// because nothing gets through to the robot.
    pub drained_in: Option<Duration>,
    /// The hold of the robot or of its platform, and the length of its last wait, until the robot
    /// accepts a message again.
    pub hold: Option<Hold>,
    /// How much longer nothing is sent to it.
    pub held_for: Option<Duration>,
    /// When the hold began, by the wall clock.
    pub held_since: Option<Timestamp>,
    /// What its attempts have shown, by the wall clock; `None` if none is known.
    pub health: Option<RobotHealth>,
    /// The share of the attempts of the last hour that were accepted, from 0 to 1; `None` without
    /// any.
    pub success_share: Option<f64>,
}

impl RobotStatus {
    /// The status with all times by the wall clock.
    pub(super) fn by_wall_clock(mut self, timeline: &MonotonicWallClock) -> Self {
        let wall = |at: &mut Timestamp| *at = timeline.wall_at(*at);
        self.held_since.iter_mut().for_each(wall);
        if let Some(health) = &mut self.health {
            health.last_success.iter_mut().for_each(wall);
            health.run.iter_mut().for_each(|run| wall(&mut run.since));
            health.last_failure.iter_mut().for_each(|failure| wall(&mut failure.at));
        }
        self
    }
}

/// A hold that an operator has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedHold {
    /// The robot's platform.
    pub platform: Platform,
    /// The hold.
    pub hold: Hold,
    /// The known deliveries that wait in the broker. The end of the hold does not bring them back
    /// earlier.
    pub waiting_in_broker: u32,
    /// How long until the last of them comes back; zero if there are none.
    pub back_within: Duration,
}
