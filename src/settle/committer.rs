//! The group commit: one write records many settlements, then few frames acknowledge them.
//!
//! It works for one session. Messages that it cannot acknowledge are redelivered in the next.
//!
//! Owns the order of the last two steps: the ledger entry is durable before the ack is sent.
//!
//! Not here: when a message counts as settled (`tally.rs`), and the files of the ledger
//! (`store/ledger.rs`).

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Outbox, Progress, Tally};
use crate::{
    clock::Clock,
    store::{Entry, Journal, Ledger},
};

/// How long the first settlement of a group waits for others. It delays acks, never messages.
const LINGER: Duration = Duration::from_millis(10);

/// The most tallies in one group.
const GROUP_MAX: usize = 8192;

/// The queue of settlements to commit.
#[derive(Clone)]
pub struct Commits {
    // Unbounded, but each tally belongs to an unacknowledged message, and the prefetch bounds
    // those.
    tallies: mpsc::UnboundedSender<Arc<Tally>>,
}

impl Commits {
    /// Enqueues a message with new progress. The committer records it soon, and acknowledges the
    /// message if all of it is settled.
    pub fn progressed(&self, tally: &Arc<Tally>) {
        if tally.announce() {
            // The committer outlives every sender. If it is gone, the session is over and the
            // message is redelivered.
            let _ = self.tallies.send(Arc::clone(tally));
        }
    }
}

/// The ledger could not be written, so the committer stopped.
#[derive(Debug, thiserror::Error)]
#[error("the ledger cannot be written, so nothing more is acked")]
pub struct NotRecorded(#[source] pub crate::store::LedgerError);

/// Records settlements and acknowledges messages for one session.
pub struct Committer {
    /// The ledger of settlements.
    pub ledger: Arc<Ledger>,
    /// The journal of sent messages. Each group makes it durable.
    pub journal: Arc<Journal>,
    /// Sends the acks.
    pub outbox: Arc<dyn Outbox>,
    /// The source of time.
    pub clock: Clock,
    /// Called with the duration of each write.
    pub recorded: Box<dyn Fn(Duration) + Send + Sync>,
    /// Cancelled when later settlements need not be committed.
    pub finish: CancellationToken,
}

impl Committer {
    /// Starts the committer. It ends when everything in the queue is recorded and nothing more can
    /// arrive: the last [`Commits`] is dropped, or `finish` is cancelled.
    #[must_use]
    pub fn start(self) -> (Commits, tokio::task::JoinHandle<Result<(), NotRecorded>>) {
        let (tallies, handed_in) = mpsc::unbounded_channel();
        (Commits { tallies }, tokio::spawn(self.run(handed_in)))
    }

    async fn run(self, mut tallies: mpsc::UnboundedReceiver<Arc<Tally>>) -> Result<(), NotRecorded> {
        let mut group = Vec::new();
        loop {
            tokio::select! {
                biased;
                received = tallies.recv_many(&mut group, GROUP_MAX) => {
                    if received == 0 {
                        return Ok(());
                    }
                }
                () = self.finish.cancelled(), if !tallies.is_closed() => {
                    tallies.close();
                    continue;
                }
            }
            tokio::time::sleep(LINGER).await;
            while group.len() < GROUP_MAX
                && let Ok(tally) = tallies.try_recv()
            {
                group.push(tally);
            }
            self.commit(std::mem::take(&mut group)).await?;
        }
    }

    async fn commit(&self, group: Vec<Arc<Tally>>) -> Result<(), NotRecorded> {
        let (mut entries, mut closed) = (Vec::with_capacity(group.len()), Vec::new());
        let mut letting_go = Vec::new();
        for tally in group {
            let report = tally.report();
            entries.extend(report.besides);
            letting_go.extend(report.letting_go);
            match report.progress {
                Progress::Partial(entry) => entries.extend(entry),
                Progress::Closed(entry) => {
                    entries.extend(entry);
                    closed.push(tally);
                }
            }
        }
        self.record(entries).await?;
        drop(letting_go);
        let ack_tags: Vec<_> = closed.iter().map(|tally| tally.ack_tag()).collect();
        if self.outbox.acknowledge(&ack_tags).await.is_err() {
            // These messages are certainly redelivered. One with a `message_id` is recognised by
            // its key; the others need a new entry.
            self.record(closed.iter().filter_map(|tally| tally.returning()).collect()).await?;
        }
        Ok(())
    }

    async fn record(&self, entries: Vec<Entry>) -> Result<(), NotRecorded> {
        let (ledger, journal, now) = (Arc::clone(&self.ledger), Arc::clone(&self.journal), self.clock.now());
        let write = move || {
            journal.sync()?;
            if entries.is_empty() { Ok(()) } else { ledger.append(&entries, now) }
        };
        let began = Instant::now();
        match tokio::task::spawn_blocking(write).await {
            Ok(appended) => {
                appended.map_err(NotRecorded)?;
                (self.recorded)(began.elapsed());
                Ok(())
            }
            // The blocking task panicked. Resuming the panic keeps the invariant that no unrecorded
            // message is acknowledged.
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}
