//! How many letters lie in the dead queues, and for which reasons. Owns when a queue is worth counting: a count takes its letters out for a moment (`dead_walk.rs`), so it
//! is made only when something may have changed, not while anybody else is at the queue, and it takes up a small share of the time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Address, BrokerError, DeadQueue, DeadQueues, topology::Topology};
use crate::{
    clock::Clock,
    domain::{DeadSeen, QueueSeen},
};

/// A queue is left alone for so many times as long as its last count took.
const REST: u32 = 50;

/// A queue of unchanged length is counted again after so long: what was redriven may have been replaced by others.
const RECOUNT: Duration = Duration::from_secs(600);

/// Counts dead letters, whatever becomes of sessions meanwhile.
pub struct DeadCounter {
    address: Address,
    topology: Arc<Topology>,
    clock: Clock,
    every: Duration,
    queues: BTreeMap<DeadQueue, Counted>,
}

/// What came of the last try to count a queue.
struct Counted {
    tried: Instant,
    took: Duration,
    /// Nothing if it has never been counted.
    seen: Option<DeadSeen>,
}

impl Counted {
    fn of(seen: Option<DeadSeen>, took: Duration) -> Self {
        Self { tried: Instant::now(), took, seen }
    }
}

impl DeadCounter {
    /// Nothing is counted yet. A queue is counted at most once in `every`; zero means never.
    #[must_use]
    pub const fn new(address: Address, topology: Arc<Topology>, clock: Clock, every: Duration) -> Self {
        Self { address, topology, clock, every, queues: BTreeMap::new() }
    }

    /// Counts the queues that are due, now that they were seen like this. Gives what is known of all of them: a queue that has never been
    /// counted is missing, one that others are at is as it was counted before.
    pub async fn count(&mut self, seen: &[QueueSeen]) -> Result<Vec<DeadSeen>, BrokerError> {
        if self.every.is_zero() {
            return Ok(Vec::new());
        }
        let due: Vec<_> = DeadQueue::ALL.into_iter().filter(|queue| self.is_due(*queue, seen)).collect();
        for queue in DeadQueue::ALL {
            if self.depth(queue, seen) == Some(0) {
                let empty = DeadSeen::nothing(queue.platform(), self.clock.now());
                self.queues.entry(queue).or_insert_with(|| Counted::of(Some(empty), Duration::ZERO));
            }
        }
        if !due.is_empty() {
            let counted = self.count_all(&due).await;
            // Whatever went wrong is not tried again at once.
            for queue in due {
                let counted = self.queues.entry(queue).or_insert_with(|| Counted::of(None, Duration::ZERO));
                counted.tried = Instant::now();
            }
            counted?;
        }
        Ok(self.queues.values().filter_map(|counted| counted.seen.clone()).collect())
    }

    async fn count_all(&mut self, due: &[DeadQueue]) -> Result<(), BrokerError> {
        let queues = DeadQueues::open_without_bodies(&self.address, Arc::clone(&self.topology)).await?;
        for queue in due {
            let (began, mut seen) = (Instant::now(), DeadSeen::nothing(queue.platform(), self.clock.now()));
            let looked = queues.look_if_free(*queue, |letter| seen.add(letter.reason, letter.dead_at)).await?;
            // What others hold is not known, so what was known stays.
            if looked.is_some_and(|looked| looked.missed == 0) {
                self.queues.insert(*queue, Counted::of(Some(seen), began.elapsed()));
            }
        }
        queues.close().await
    }

    /// Whether a queue is to be counted. One that is met empty is known to be empty without a count.
    fn is_due(&self, queue: DeadQueue, seen: &[QueueSeen]) -> bool {
        let Some(depth) = self.depth(queue, seen) else {
            return false;
        };
        match self.queues.get(&queue) {
            None => depth > 0,
            Some(counted) => {
                let known = counted.seen.as_ref().map(DeadSeen::letters);
                is_worth_counting(counted.tried.elapsed(), counted.took, known, depth, self.every)
            }
        }
    }

    fn depth(&self, queue: DeadQueue, seen: &[QueueSeen]) -> Option<u64> {
        let name = queue.name(&self.topology);
        let name = self.topology.without_prefix(&name);
        seen.iter().find(|queue| queue.name == name).map(|queue| u64::from(queue.ready))
    }
}

/// Whether a queue is worth counting that has `depth` letters ready, had `known` when it was counted `ago`, and took so long.
fn is_worth_counting(ago: Duration, took: Duration, known: Option<u64>, depth: u64, every: Duration) -> bool {
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
