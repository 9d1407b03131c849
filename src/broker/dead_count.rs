//! The numbers of dead letters by reason.
//!
//! Owns the decision when a queue is counted. A count takes all letters out for a moment
//! (`dead_queue_scan.rs`). So it is made only if something may have changed and no other walk runs,
//! and it uses a small share of the time.
//!
//! Not here: the lengths of all queues (`queue_lengths.rs`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Address, BrokerError, DeadQueue, DeadQueues, topology::Topology};
use crate::{
    clock::Clock,
    domain::{DeadQueueStats, QueueStats},
};

/// The rest after a count, as a multiple of its duration.
const REST: u32 = 50;

/// The time after which a queue of unchanged length is counted again: redriven letters may have
/// been replaced by others.
const RECOUNT: Duration = Duration::from_secs(600);

/// Counts dead letters, independent of sessions.
pub struct DeadCounter {
    address: Address,
    topology: Arc<Topology>,
    clock: Clock,
    every: Duration,
    queues: BTreeMap<DeadQueue, QueueCount>,
}

/// The result of the last attempt to count a queue.
struct QueueCount {
    tried: Instant,
    took: Duration,
    /// `None` before the first successful count.
    seen: Option<DeadQueueStats>,
}

impl QueueCount {
    fn of(seen: Option<DeadQueueStats>, took: Duration) -> Self {
        Self { tried: Instant::now(), took, seen }
    }
}

impl DeadCounter {
    /// A counter without results. A queue is counted at most once in `every`; zero turns counting
    /// off.
    #[must_use]
    pub const fn new(
        address: Address,
        topology: Arc<Topology>,
        clock: Clock,
        every: Duration,
    ) -> Self {
        Self { address, topology, clock, every, queues: BTreeMap::new() }
    }

    /// Counts the queues that are due, given the queue lengths `seen`. Returns all known counts.
    ///
    /// A queue that was never counted is missing. A queue in use keeps its previous count.
    pub async fn count(&mut self, seen: &[QueueStats]) -> Result<Vec<DeadQueueStats>, BrokerError> {
        if self.every.is_zero() {
            return Ok(Vec::new());
        }
        let due: Vec<_> = DeadQueue::all().filter(|queue| self.is_due(*queue, seen)).collect();
        for queue in DeadQueue::all() {
            if self.depth(queue, seen) == Some(0) {
                let empty = DeadQueueStats::empty(queue.platform(), self.clock.now());
                self.queues
                    .entry(queue)
                    .or_insert_with(|| QueueCount::of(Some(empty), Duration::ZERO));
            }
        }
        if !due.is_empty() {
            let counted = self.count_all(&due).await;
            // After an error too, the next attempt waits.
            for queue in due {
                let counted = self
                    .queues
                    .entry(queue)
                    .or_insert_with(|| QueueCount::of(None, Duration::ZERO));
                counted.tried = Instant::now();
            }
            counted?;
        }
        Ok(self.queues.values().filter_map(|counted| counted.seen.clone()).collect())
    }

    async fn count_all(&mut self, due: &[DeadQueue]) -> Result<(), BrokerError> {
        let queues =
            DeadQueues::open_without_bodies(&self.address, Arc::clone(&self.topology)).await?;
        for queue in due {
            let (began, mut seen) =
                (Instant::now(), DeadQueueStats::empty(queue.platform(), self.clock.now()));
            let report = queues
                .scan_if_free(*queue, |letter| seen.add(letter.reason, letter.dead_at))
                .await?;
            // The letters held by other consumers are unknown, so the previous count stays.
            if report.is_some_and(|report| report.missed == 0) {
                self.queues.insert(*queue, QueueCount::of(Some(seen), began.elapsed()));
            }
        }
        queues.close().await
    }

    /// Whether a queue is due. An empty queue needs no count.
    fn is_due(&self, queue: DeadQueue, seen: &[QueueStats]) -> bool {
        let Some(depth) = self.depth(queue, seen) else {
            return false;
        };
        match self.queues.get(&queue) {
            None => depth > 0,
            Some(counted) => {
                let known = counted.seen.as_ref().map(DeadQueueStats::letters);
                is_worth_counting(counted.tried.elapsed(), counted.took, known, depth, self.every)
            }
        }
    }

    fn depth(&self, queue: DeadQueue, seen: &[QueueStats]) -> Option<u64> {
        let name = queue.name(&self.topology);
        let name = self.topology.without_prefix(&name);
        seen.iter().find(|queue| queue.name == name).map(|queue| u64::from(queue.ready))
    }
}

/// Whether a queue is worth counting: it has `depth` letters ready, and had `known` at the count
/// `ago`, which `took` that long.
fn is_worth_counting(
    ago: Duration,
    took: Duration,
    known: Option<u64>,
    depth: u64,
    every: Duration,
) -> bool {
    let rested = ago >= every.max(took * REST);
    let stale = ago >= RECOUNT.max(every) && depth > 0;
    rested && (known != Some(depth) || stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_counted_when_it_may_have_changed_and_has_rested() {
        let (minute, second) = (Duration::from_secs(60), Duration::from_secs(1));
        for (what, ago, took, known, depth, due) in [
            ("changed", minute, second, Some(3), 4, true),
            ("emptied", minute, second, Some(3), 0, true),
            ("never counted", minute, second, None, 4, true),
            ("unchanged", minute, second, Some(3), 3, false),
            ("changed just now", second, second, Some(3), 4, false),
            ("slow to count", minute * 2, second * 3, Some(3), 4, false),
            ("slow to count, and rested", minute * 3, second * 3, Some(3), 4, true),
            ("unchanged for long", minute * 10, second, Some(3), 3, true),
            ("empty for long", minute * 10, second, Some(0), 0, false),
            ("unchanged for long, but slow to count", minute * 10, second * 20, Some(3), 3, false),
        ] {
            assert_eq!(is_worth_counting(ago, took, known, depth, minute), due, "{what}");
        }
    }
}
