//! The records that keep windows correct across a crash, and the trait that stores them.
//!
//! Owns which facts of the pacer survive the process.
//!
//! Not here: their file format (`store/note.rs`), and the restore (`recall.rs`).

use std::time::Duration;

use super::HoldCause;
use crate::domain::{GroupName, Moment, Platform, RobotId};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A new segment begins.
    Page,
    /// The open messages have been written again in this segment. Messages left open in earlier
    /// segments no longer count as open.
    Restated,
    /// A message is about to be sent to a robot.
    Begun {
        /// The robot.
        robot: RobotId,
        /// Its platform.
        platform: Platform,
        /// When, in the pacer's time.
        at: Moment,
    },
    /// A message was answered or given up.
    Answered {
        /// The robot.
        robot: RobotId,
        /// Its platform.
        platform: Platform,
        /// When, in the pacer's time.
        at: Moment,
    },
    /// A delivery that waits in the broker has reserved a slot.
    Booked {
        /// The robot.
        robot: RobotId,
        /// Its platform.
        platform: Platform,
        /// The slot, in the pacer's time.
        slot: Moment,
    },
    /// A robot is on hold.
    Held {
        /// The robot.
        robot: RobotId,
        /// Its platform.
        platform: Platform,
        /// When it was recorded, in the pacer's time.
        at: Moment,
        /// The cause.
        cause: HoldCause,
        /// When the hold ends, in the pacer's time.
        until: Moment,
        /// The length of the wait.
        wait: Duration,
    },
    /// The hold of a robot has ended.
    Lifted {
        /// The robot.
        robot: RobotId,
        /// Its platform.
        platform: Platform,
        /// When, in the pacer's time.
        at: Moment,
    },
    /// The used part of an organisation's monthly quota.
    Spent {
        /// The organisation.
        group: GroupName,
        /// When the month began, by the wall clock.
        month: Moment,
        /// The calls counted in that month, those in flight included.
        used: u64,
        /// Until when the platform counts as refusing, by the wall clock; `None` if it has not
        /// reported a used-up quota.
        refused_until: Option<Moment>,
    },
}

/// A record could not be written.
#[derive(Debug, thiserror::Error)]
#[error("what is sent to robots cannot be written down, so nothing is sent")]
pub struct NotNoted(#[source] pub std::io::Error);

/// Stores records so that they survive a crash of the process at any moment. It is called on the
/// async threads, so it must be quick.
pub trait Notebook: Send + Sync {
    /// Appends a record.
    ///
    /// # Errors
    ///
    /// The record could not be written. The message that it announces must not be sent.
    fn note(&self, note: &Note) -> Result<(), NotNoted>;
}
