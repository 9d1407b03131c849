//! The permit of one attempt.
//!
//! Owns the invariant that a permit is always returned, even if the attempt panics or is cancelled.
//!
//! Not here: the windows that grant it (`window.rs`), and the host's part of it (`host.rs`).

use std::{sync::Arc, time::Duration};

use super::{
    Hold, NotNoted,
    host::{Answered, HostPermit},
    inner::Inner,
    lane::Finish,
};
use crate::domain::{GroupName, Moment, Platform, RobotId, Verdict};

/// The right to make one attempt. Dropped without a verdict, it counts as sent if the message had
/// left.
pub struct Permit {
    pace: Arc<Inner>,
    robot: RobotId,
    platform: Platform,
    group: Option<GroupName>,
    /// The host's token and concurrency permit, returned together with the permit.
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

/// The changes that an attempt causes for its robot and organisation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// The hold that begins with this attempt.
    pub held: Option<Hold>,
    /// Whether the robot was on hold before this attempt.
    pub was_held: bool,
    /// The hold that this attempt has ended.
    pub lifted: Option<Hold>,
    /// The organisation has just passed its warning share: its name, calls used, calls allowed.
    pub budget_warning: Option<(GroupName, u64, u64)>,
    /// The organisation's monthly quota has just been used up, until this time by the wall clock.
    pub budget_spent: Option<(GroupName, Moment)>,
    /// When the robot or its organisation may be sent to again, in the pacer's time; `None` if now.
    pub resume: Option<Moment>,
}

impl Permit {
    pub(super) fn new(pace: Arc<Inner>, robot: RobotId, platform: Platform, place: Moment) -> Self {
        Self { pace, robot, platform, group: None, host: None, place, stage: Stage::Granted, followed: false }
    }

    /// Records that the attempt uses a call of this organisation's quota.
    pub(super) fn draws_on(&mut self, group: Option<GroupName>) {
        self.group = group;
    }

    /// Adds the permit of the host.
    pub(super) fn departs(self, host: HostPermit) -> Self {
        let mut permit = self;
        permit.host = Some(host);
        permit
    }

    /// The position in the robot's order. A delivery that is refused for speed takes it as its
    /// slot, so it comes back before those behind it.
    #[must_use]
    pub const fn place(&self) -> Moment {
        self.place
    }

    /// Records that the attempt leaves now; the record survives the process. If `followed`, no
    /// other message of the robot leaves before this one is answered, because its next part
    /// follows.
    ///
    /// # Errors
    ///
    /// The record could not be written. The attempt must not be made.
    pub fn leaves(&mut self, followed: bool) -> Result<(), NotNoted> {
        self.pace.leaves(self.robot, self.platform, self.group.as_ref(), followed)?;
        self.stage = Stage::Left;
        self.host.iter_mut().for_each(HostPermit::leaves);
        self.followed = followed;
        Ok(())
    }

    /// Returns the permit with the attempt's verdict, after [`Permit::leaves`].
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
