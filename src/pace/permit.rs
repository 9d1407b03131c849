//! The permit of one attempt. Owns that it always comes back, whatever happens to the attempt.

use std::{sync::Arc, time::Duration};

use super::{
    Hold, NotNoted,
    host::{Answered, HostPermit},
    inner::Inner,
    lane::Finish,
};
use crate::domain::{GroupName, Moment, Platform, RobotId, Verdict};

/// The right to make one attempt. Dropped without an outcome (a panic, a cut) it counts as sent if it had left.
pub struct Permit {
    pace: Arc<Inner>,
    robot: RobotId,
    platform: Platform,
    group: Option<GroupName>,
    /// Rate and room of the host that it is sent to; given back with it.
    host: Option<HostPermit>,
    place: Moment,
    stage: Stage,
    followed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Granted,
    Left,
    Returned,
}

/// What the outcome of an attempt changes for its robot and organisation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// The robot is left alone from now on.
    pub held: Option<Hold>,
    /// Whether the robot was left alone before this attempt already.
    pub was_held: bool,
    /// The hold that this attempt has ended.
    pub lifted: Option<Hold>,
    /// Just now the organisation's use passed the share at which its setting wants a warning: used, budget.
    pub budget_warning: Option<(GroupName, u64, u64)>,
    /// Just now the organisation's monthly quota was found used up, until then.
    pub budget_spent: Option<(GroupName, Moment)>,
    /// When the robot may be sent to again, if it may not now.
    pub resume: Option<Moment>,
}

impl Permit {
    pub(super) fn new(pace: Arc<Inner>, robot: RobotId, platform: Platform, place: Moment) -> Self {
        Self { pace, robot, platform, group: None, host: None, place, stage: Stage::Granted, followed: false }
    }

    /// A call was taken out of this organisation's quota for the attempt.
    pub(super) fn draws_on(&mut self, group: Option<GroupName>) {
        self.group = group;
    }

    /// The host has time and room for the attempt.
    pub(super) fn departs(self, host: HostPermit) -> Self {
        let mut permit = self;
        permit.host = Some(host);
        permit
    }

    /// The place in the robot's order: with this slot a delivery that was refused for speed comes back before those behind it.
    #[must_use]
    pub const fn place(&self) -> Moment {
        self.place
    }

    /// Says that the attempt leaves now. What is written here survives the process: an attempt that cannot be written down must not be made. If it is `followed` by
    /// another part of the same message, no other message of the robot leaves before it is answered.
    pub fn leaves(&mut self, followed: bool) -> Result<(), NotNoted> {
        self.pace.leaves(self.robot, self.platform, self.group.as_ref(), followed)?;
        self.stage = Stage::Left;
        self.host.iter_mut().for_each(HostPermit::leaves);
        self.followed = followed;
        Ok(())
    }

    /// Gives the permit back with the attempt's verdict, after [`Permit::leaves`].
    #[must_use]
    pub fn finish(mut self, verdict: Verdict, took: Duration) -> Changes {
        self.stage = Stage::Returned;
        if let Some(host) = self.host.take() {
            host.finish(Answered { took, heard: !matches!(verdict, Verdict::TryAgain { .. }) });
        }
        let end = Finish { verdict: Some(verdict), took: Some(took), followed: self.followed };
        self.pace.finish(self.robot, self.platform, self.group.as_ref(), &end)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        match self.stage {
            Stage::Granted => self.pace.give_back(self.robot, self.group.as_ref()),
            Stage::Left => {
                let end = Finish { verdict: None, took: None, followed: self.followed };
                let _ = self.pace.finish(self.robot, self.platform, self.group.as_ref(), &end);
            }
            Stage::Returned => (),
        }
    }
}
