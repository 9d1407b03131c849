//! The records that keep windows correct across a crash, and the port that stores them.
//!
//! Owns which facts of the pacer survive the process, and what an implementation must promise. Each
//! promise has a test in `store/conformance/`.
//!
//! Not here: their file format (`store/pace_record_codec.rs`), the restore (`restore.rs`), the
//! implementation on files (`store/journal.rs`).

use std::{error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{Hold, MonotonicWallClock, RobotHealth};
use crate::{
    domain::{GroupName, Platform, RobotId, Timestamp, WaitReason},
    port::PortFuture,
};

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
        /// Why the delivery waits. Earlier versions did not record it.
        reason: WaitReason,
    },
    /// A robot is on hold.
    HoldStarted {
        /// The robot.
        robot: RobotId,
        /// Its platform.
        platform: Platform,
        /// When it was recorded, in the pacer's time.
        at: Timestamp,
        /// The hold, in the pacer's time. Records of earlier versions have no beginning; for those
        /// it is `at`.
        hold: Hold,
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
    /// A platform is on hold, because most of its robots fail.
    OutageStarted {
        /// The platform.
        platform: Platform,
        /// When it was recorded, in the pacer's time.
        at: Timestamp,
        /// The hold, in the pacer's time.
        hold: Hold,
    },
    /// The hold of a platform has ended.
    OutageEnded {
        /// The platform.
        platform: Platform,
        /// When, in the pacer's time.
        at: Timestamp,
    },
    /// The health of a robot has changed.
    HealthChanged {
        /// The robot.
        robot: RobotId,
        /// Its platform.
        platform: Platform,
        /// When it was recorded, in the pacer's time.
        at: Timestamp,
        /// Its health.
        health: Box<RobotHealth>,
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

/// The records that an earlier process left, as an implementation reads them at its opening.
pub struct RestoredLog {
    /// All records in the order of writing.
    pub records: Vec<PaceRecord>,
    /// Whether no record can be missing. For the implementation on files, the machine has not
    /// rebooted since the last segment was begun.
    pub complete: bool,
    /// The pacer's time, continued from the last record.
    pub timeline: MonotonicWallClock,
}

/// A record could not be written.
#[derive(Debug, thiserror::Error)]
#[error("attempts cannot be recorded, so nothing is sent")]
pub struct AppendFailed(#[source] pub Box<dyn Error + Send + Sync>);

/// The log could not be synced or begin a segment. The caller tries again later.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct PaceLogUnavailable(pub Box<dyn Error + Send + Sync>);

/// A segment has begun. Its first records must be a checkpoint, and then
/// [`PaceLog::complete_checkpoint`] may drop the records before it.
#[derive(Debug)]
#[must_use]
pub struct CheckpointDue(());

impl CheckpointDue {
    /// For implementations of [`PaceLog`].
    pub const fn begun() -> Self {
        Self(())
    }
}

/// Stores records so that they survive a crash of the process at any moment.
#[async_trait]
pub trait PaceLog: Send + Sync {
    /// Appends a record. The order of the calls is the order of the records, so the pacer calls
    /// this under the lock of what the record describes. The call itself must not wait: it writes
    /// to memory or to the page cache, or adds the record to the next group commit.
    ///
    /// The future ends when the record survives the process. An action that a record announces
    /// begins only then. The append also happens if the future is dropped.
    ///
    /// # Errors
    ///
    /// The record could not be written. The message that it announces must not be sent.
    fn append(&self, record: &PaceRecord) -> PortFuture<'static, Result<(), AppendFailed>>;

    /// Makes all records so far survive the machine.
    async fn sync(self: Arc<Self>) -> Result<(), PaceLogUnavailable>;

    /// Begins a new segment if the current one is old or large; `None` if none is due. Called every
    /// few seconds.
    async fn begin_checkpoint(self: Arc<Self>)
    -> Result<Option<CheckpointDue>, PaceLogUnavailable>;

    /// Declares that the segment repeats every earlier record that still matters. Makes it durable,
    /// and may then drop earlier records.
    async fn complete_checkpoint(
        self: Arc<Self>,
        due: CheckpointDue,
    ) -> Result<(), PaceLogUnavailable>;

    /// Sets the minimum time for which the sent messages of a robot are remembered.
    fn remember(&self, window: Duration);
}
