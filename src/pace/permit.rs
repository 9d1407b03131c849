//! The permit of one attempt. Owns that it always comes back, whatever happens to the attempt.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Shard, with_lane};
use crate::domain::{RobotId, Verdict};

/// The right to make one attempt. Dropped without an outcome (a panic, a cut) it counts as sent.
pub struct Permit {
    shards: Arc<[Shard]>,
    robot: RobotId,
    outcome: Option<Verdict>,
}

impl Permit {
    pub(super) fn new(shards: Arc<[Shard]>, robot: RobotId) -> Self {
        Self {
            shards,
            robot,
            outcome: None,
        }
    }

    /// Gives the permit back with the attempt's verdict. If that was a refusal for speed, the robot is held, and the
    /// answer is for how long.
    #[must_use]
    pub fn finish(mut self, verdict: Verdict) -> Option<Duration> {
        self.outcome = Some(verdict);
        self.give_back()
    }

    fn give_back(&self) -> Option<Duration> {
        let outcome = self.outcome;
        with_lane(&self.shards, self.robot, |lane| {
            lane.finish(Instant::now(), outcome)
        })
        .flatten()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.outcome.is_none() {
            self.give_back();
        }
    }
}
