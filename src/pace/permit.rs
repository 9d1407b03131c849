//! The permit of one attempt. Owns that it always comes back, whatever happens to the attempt.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Shard, lane::Lane, with_lane};
use crate::domain::{RobotId, Verdict};

/// The right to make one attempt. Dropped without an outcome (a panic, a cut) it counts as sent.
pub struct Permit {
    shards: Arc<[Shard]>,
    robot: RobotId,
    spent: bool,
}

impl Permit {
    pub(super) fn new(shards: Arc<[Shard]>, robot: RobotId) -> Self {
        Self { shards, robot, spent: false }
    }

    /// Gives the permit back with the attempt's verdict. If that was a refusal for speed, the robot is held, and the
    /// answer is for how long.
    #[must_use]
    pub fn finish(mut self, verdict: Verdict) -> Option<Duration> {
        self.spent = true;
        self.give_back(Some(verdict))
    }

    /// Gives the permit back without anything having been sent.
    pub fn unused(mut self) {
        with_lane(&self.shards, self.robot, Lane::give_back);
        self.spent = true;
    }

    fn give_back(&self, outcome: Option<Verdict>) -> Option<Duration> {
        with_lane(&self.shards, self.robot, |lane| lane.finish(Instant::now(), outcome)).flatten()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.spent {
            self.give_back(None);
        }
    }
}
