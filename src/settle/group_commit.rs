//! The group commit: one write records many settlements, then few frames acknowledge them.
//!
//! It works for one session. Messages that it cannot acknowledge are redelivered in the next.
//!
//! Owns the order of the last two steps: the ledger entry is durable before the ack is sent.
//!
//! Not here: when a message counts as settled (`ack_tracker.rs`), and where records go
//! (`ledger.rs`, `pace/pace_log.rs`).

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{AckTracker, CommitProgress, Ledger, LedgerRecord, StepPublisher};
use crate::{clock::Clock, pace::PaceLog};

/// How long the first settlement of a group waits for others. It delays acks, never messages.
const LINGER: Duration = Duration::from_millis(10);

/// The most trackers in one group.
const GROUP_MAX: usize = 8192;

/// The queue of settlements to commit.
#[derive(Clone)]
pub struct CommitQueue {
    // Unbounded, but each tracker belongs to an unacknowledged message, and the prefetch bounds
    // those.
    trackers: mpsc::UnboundedSender<Arc<AckTracker>>,
}

impl CommitQueue {
    /// Enqueues a message with new progress. The committer records it soon, and acknowledges the
    /// message if all of it is settled.
    pub fn commit_progress(&self, tracker: &Arc<AckTracker>) {
        if tracker.mark_dirty() {
            // The committer outlives every sender. If it is gone, the session is over and the
            // message is redelivered.
            let _ = self.trackers.send(Arc::clone(tracker));
        }
    }
}

/// The ledger could not be written, so the committer stopped.
#[derive(Debug, thiserror::Error)]
#[error("the ledger cannot be written, so nothing more is acked")]
pub struct RecordError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Records settlements and acknowledges messages for one session.
pub struct GroupCommitter {
    /// The ledger of settlements.
    pub ledger: Arc<dyn Ledger>,
    /// The records of sent messages. Each group makes them durable.
    pub pace_log: Arc<dyn PaceLog>,
    /// Sends the acks.
    pub step_publisher: Arc<dyn StepPublisher>,
    /// The source of time.
    pub clock: Clock,
    /// Called with the duration of each write.
    pub recorded: Box<dyn Fn(Duration) + Send + Sync>,
    /// Cancelled when later settlements need not be committed.
    pub finish: CancellationToken,
}

impl GroupCommitter {
    /// Starts the committer. It ends when everything in the queue is recorded and nothing more can
    /// arrive: the last [`CommitQueue`] is dropped, or `finish` is cancelled.
    #[must_use]
    pub fn start(self) -> (CommitQueue, tokio::task::JoinHandle<Result<(), RecordError>>) {
        let (trackers, handed_in) = mpsc::unbounded_channel();
        (CommitQueue { trackers }, tokio::spawn(self.run(handed_in)))
    }

    async fn run(
        self,
        mut trackers: mpsc::UnboundedReceiver<Arc<AckTracker>>,
    ) -> Result<(), RecordError> {
        let mut group = Vec::new();
        loop {
            tokio::select! {
                biased;
                received = trackers.recv_many(&mut group, GROUP_MAX) => {
                    if received == 0 {
                        return Ok(());
                    }
                }
                () = self.finish.cancelled(), if !trackers.is_closed() => {
                    trackers.close();
                    continue;
                }
            }
            tokio::time::sleep(LINGER).await;
            while group.len() < GROUP_MAX
                && let Ok(tracker) = trackers.try_recv()
            {
                group.push(tracker);
            }
            self.commit(std::mem::take(&mut group)).await?;
        }
    }

    async fn commit(&self, group: Vec<Arc<AckTracker>>) -> Result<(), RecordError> {
        let (mut entries, mut closed) = (Vec::with_capacity(group.len()), Vec::new());
        let mut guards_to_release = Vec::new();
        for tracker in group {
            let report = tracker.report();
            entries.extend(report.next_step_records);
            guards_to_release.extend(report.guards_to_release);
            match report.progress {
                CommitProgress::Partial(entry) => entries.extend(entry),
                CommitProgress::Closed(entry) => {
                    entries.extend(entry);
                    closed.push(tracker);
                }
            }
        }
        self.record(entries).await?;
        drop(guards_to_release);
        let ack_tags: Vec<_> = closed.iter().map(|tracker| tracker.ack_tag()).collect();
        if self.step_publisher.acknowledge(&ack_tags).await.is_err() {
            // These messages are certainly redelivered. One with a `message_id` is recognised by
            // its key; the others need a new entry.
            self.record(closed.iter().filter_map(|tracker| tracker.returning_record()).collect())
                .await?;
        }
        Ok(())
    }

    /// Makes the records of the pacer durable, then these of the ledger.
    async fn record(&self, records: Vec<LedgerRecord>) -> Result<(), RecordError> {
        let began = Instant::now();
        Arc::clone(&self.pace_log).sync().await.map_err(|error| RecordError(error.0))?;
        if !records.is_empty() {
            let (ledger, now) = (Arc::clone(&self.ledger), self.clock.now());
            ledger.append(records, now).await.map_err(|error| RecordError(error.0))?;
        }
        (self.recorded)(began.elapsed());
        Ok(())
    }
}
