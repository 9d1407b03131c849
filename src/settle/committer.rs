//! The group commit: what was settled in the last moments is recorded with one write, then acked with few frames.
//!
//! Owns the order of the last two steps: first the ledger, durable, then the ack. It works for one session; what it cannot ack comes back
//! in the next.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Outbox, Progress, Tally};
use crate::{
    clock::Clock,
    store::{Entry, Journal, Ledger},
};

/// How long the first settlement of a group waits for company. It delays acks, never messages.
const LINGER: Duration = Duration::from_millis(10);

/// How many tallies make a group at the most.
const GROUP_MAX: usize = 8192;

/// Where settlements are handed in.
#[derive(Clone)]
pub struct Commits {
    // Unbounded, but every tally belongs to a message in hand, and those are bounded.
    tallies: mpsc::UnboundedSender<Arc<Tally>>,
}

impl Commits {
    /// Something about this message was settled. It is recorded soon, and acked if that was all of it.
    pub fn progressed(&self, tally: &Arc<Tally>) {
        if tally.announce() {
            // The committer outlives every sender; if it is gone the session is over, and the message comes back.
            let _ = self.tallies.send(Arc::clone(tally));
        }
    }
}

/// What the committer could not do.
#[derive(Debug, thiserror::Error)]
#[error("the ledger cannot be written, so nothing more is acked")]
pub struct NotRecorded(#[source] pub crate::store::LedgerError);

/// Records and acks for one session.
pub struct Committer {
    /// Where settlements are recorded.
    pub ledger: Arc<Ledger>,
    /// Where it is noted what was sent; made durable with each group.
    pub journal: Arc<Journal>,
    /// Through which they are acked.
    pub outbox: Arc<dyn Outbox>,
    /// What time it is.
    pub clock: Clock,
    /// Told how long it took to record each group.
    pub recorded: Box<dyn Fn(Duration) + Send + Sync>,
    /// Cancelled when nothing that is handed in later is waited for.
    pub finish: CancellationToken,
}

impl Committer {
    /// Starts a committer; it ends with an answer when everything handed in is recorded and nothing more will be: the last [`Commits`] is dropped, or it was
    /// told to finish.
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
            // These come back for certain. With a name they are recognised; for the others a new entry is left behind.
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
            // The blocking task panicked: resuming keeps the promise that nothing unrecorded is acked.
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}
