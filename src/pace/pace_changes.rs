//! The changes that an attempt causes for its robot and organisation.
//!
//! Owns their list.
//!
//! Not here: what causes them (`robot_queue/finish.rs`, `monthly_quota.rs`).

use std::time::Duration;

use super::{FailureRun, Hold};
use crate::domain::{GroupName, Timestamp, WaitReason};

/// When a delivery may be sent again, and why not earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The earliest time.
    pub at: Timestamp,
    /// Why it waits until then.
    pub reason: WaitReason,
}

impl From<Hold> for Resume {
    fn from(hold: Hold) -> Self {
        Self { at: hold.until, reason: WaitReason::Hold(hold.cause) }
    }
}

/// The changes that an attempt causes for its robot and organisation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PaceChanges {
    /// The hold that begins with this attempt.
    pub held: Option<Hold>,
    /// Whether the robot was on hold before this attempt.
    pub was_held: bool,
    /// The hold that this attempt has ended.
    pub lifted: Option<Hold>,
    /// The robot's failures in a row before the answer that ended them.
    pub failed: Option<FailureRun>,
    /// How long it failed.
    pub failed_for: Option<Duration>,
    /// The outage of the platform that begins or ends with this attempt.
    pub outage: Option<OutageChange>,
    /// The organisation has just passed its warning share: its name, calls used, calls allowed.
    pub budget_warning: Option<(GroupName, u64, u64)>,
    /// The organisation's monthly quota has just been used up, until this time by the wall clock.
    pub budget_spent: Option<(GroupName, Timestamp)>,
    /// When the robot or its organisation may be sent to again, in the pacer's time. Each refusal
    /// for speed or quota has one; `None` if now.
    pub resume: Option<Resume>,
}

/// An outage of a platform begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutageChange {
    /// Most of the robots that were tried fail.
    Began {
        /// The hold of the platform.
        hold: Hold,
        /// How many robots fail.
        failing: u32,
        /// How many were tried.
        tried: u32,
    },
    /// A message got an answer.
    Ended {
        /// The hold of the platform.
        hold: Hold,
        /// How long the platform failed.
        lasted: Duration,
    },
}
