//! The records that keep windows correct across a crash, and the trait that stores them.
//!
//! Owns which facts of the pacer survive the process.
//!
//! Not here: their file format (`store/pace_record_codec.rs`), and the restore (`restore.rs`).

use std::time::Duration;

use crate::domain::{GroupName, HoldCause, Platform, RobotId, Timestamp};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaceRecord {
    /// A new segment begins.
    SegmentStart,
    /// The open messages have been written again in this segment. Messages left open in earlier
    /// segments no longer count as open.
    Checkpoint,
    /// A message is about to be sent to a robot.
    AttemptStarted {
        /// The robot.
        robot: RobotId,
        /// Its platform.
        platform: Platform,
        /// When, in the pacer's time.
        at: Timestamp,
    },
    /// A message was answered or given up.
    AttemptEnded {
        /// The robot.
        robot: RobotId,
        /// Its platform.
        platform: Platform,
        /// When, in the pacer's time.
        at: Timestamp,
    },
    /// A delivery that waits in the broker has reserved a slot.
    SlotReserved {
        /// The robot.
        robot: RobotId,
        /// Its platform.
        platform: Platform,
        /// The slot, in the pacer's time.
        slot: Timestamp,
    },
    /// A robot is on hold.
    HoldStarted {
        /// The robot.
        robot: RobotId,
        /// Its platform.
        platform: Platform,
        /// When it was recorded, in the pacer's time.
        at: Timestamp,
        /// The cause.
        cause: HoldCause,
        /// When the hold ends, in the pacer's time.
        until: Timestamp,
        /// The length of the wait.
        wait: Duration,
    },
    /// The hold of a robot has ended.
    HoldEnded {
        /// The robot.
        robot: RobotId,
        /// Its platform.
        platform: Platform,
        /// When, in the pacer's time.
        at: Timestamp,
    },
    /// The used part of an organisation's monthly quota.
    QuotaUsed {
        /// The organisation.
        group: GroupName,
        /// When the month began, by the wall clock.
        month: Timestamp,
        /// The calls counted in that month, those in flight included.
        used: u64,
        /// Until when the platform counts as refusing, by the wall clock; `None` if it has not
        /// reported a used-up quota.
        refused_until: Option<Timestamp>,
    },
}

/// A record could not be written.
#[derive(Debug, thiserror::Error)]
#[error("attempts cannot be recorded, so nothing is sent")]
pub struct AppendFailed(#[source] pub std::io::Error);

/// Stores records so that they survive a crash of the process at any moment. It is called on the
/// async threads, so it must be quick.
pub trait PaceLog: Send + Sync {
    /// Appends a record.
    ///
    /// # Errors
    ///
    /// The record could not be written. The message that it announces must not be sent.
    fn append(&self, record: &PaceRecord) -> Result<(), AppendFailed>;
}
