//! The permit of one attempt.
//!
//! Owns the invariant that a permit is always returned, even if the attempt panics or is cancelled.
//!
//! Not here: the windows that grant it (`window.rs`), and the host's part of it (`host.rs`).

use std::{sync::Arc, time::Duration};

use super::{
    AppendFailed, PaceChanges,
    host::{Answered, HostPermit},
    robot_queues::{AttemptEnd, RobotQueues},
};
use crate::domain::{AttemptOutcome, GroupName, Platform, RobotId, Timestamp, Verdict, WaitReason};

/// The right to make one attempt. Dropped without a verdict, it counts as sent if the message had
/// left.
pub struct Permit {
    pace: Arc<RobotQueues>,
    robot: RobotId,
    platform: Platform,
    group: Option<GroupName>,
    /// The host's token and concurrency permit, returned together with the permit.
    host: Option<HostPermit>,
    position: Timestamp,
    waited_for: Option<WaitReason>,
    stage: PermitStage,
    next_part_pending: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PermitStage {
    Granted,
    Left,
    Returned,
}

impl Permit {
    pub(super) fn new(
        pace: Arc<RobotQueues>,
        robot: RobotId,
        platform: Platform,
        position: Timestamp,
    ) -> Self {
        Self {
            pace,
            robot,
            platform,
            group: None,
            host: None,
            position,
            waited_for: None,
            stage: PermitStage::Granted,
            next_part_pending: false,
        }
    }

    /// Records that the attempt uses a call of this organisation's quota.
    pub(super) fn charge_group(&mut self, group: Option<GroupName>) {
        self.group = group;
    }

    /// Records why the delivery waited in memory. The first reason stays.
    pub(super) fn note_wait(&mut self, reason: Option<WaitReason>) {
        self.waited_for = self.waited_for.or(reason);
    }

    /// Why the delivery waited in memory; `None` if it got the permit at once.
    #[must_use]
    pub const fn waited_for(&self) -> Option<WaitReason> {
        self.waited_for
    }

    /// Adds the permit of the host.
    pub(super) fn with_host(self, host: HostPermit) -> Self {
        let mut permit = self;
        permit.host = Some(host);
        permit
    }

    /// The position in the robot's order. A delivery that is refused for speed takes it as its
    /// slot, so it comes back before those behind it.
    #[must_use]
    pub const fn position(&self) -> Timestamp {
        self.position
    }

    /// Records that the attempt leaves now; the record survives the process. If
    /// `next_part_pending`, no other message of the robot leaves before this one is answered,
    /// because its next part follows.
    ///
    /// # Errors
    ///
    /// The record could not be written. The attempt must not be made.
    pub async fn mark_sent(&mut self, next_part_pending: bool) -> Result<(), AppendFailed> {
        let (robot, group) = (self.robot, self.group.as_ref());
        self.pace.mark_sent(robot, self.platform, group, next_part_pending).await?;
        self.stage = PermitStage::Left;
        self.host.iter_mut().for_each(HostPermit::mark_sent);
        self.next_part_pending = next_part_pending;
        Ok(())
    }

    /// Returns the permit with the attempt's answer, after [`Permit::mark_sent`].
    #[must_use]
    pub fn finish(mut self, answer: &AttemptOutcome, took: Duration) -> PaceChanges {
        self.stage = PermitStage::Returned;
        if let Some(host) = self.host.take() {
            let heard = !matches!(answer.verdict, Verdict::TryAgain { .. });
            host.finish(Answered { took, heard });
        }
        let end = AttemptEnd {
            answer: Some(answer),
            took: Some(took),
            next_part_pending: self.next_part_pending,
        };
        self.pace.finish(self.robot, self.platform, self.group.as_ref(), &end)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        match self.stage {
            PermitStage::Granted => self.pace.refund(self.robot, self.group.as_ref()),
            PermitStage::Left => {
                let end = AttemptEnd {
                    answer: None,
                    took: None,
                    next_part_pending: self.next_part_pending,
                };
                let _ = self.pace.finish(self.robot, self.platform, self.group.as_ref(), &end);
            }
            PermitStage::Returned => (),
        }
    }
}
