//! How many letters lie in the dead queues, and for which reasons. Owns when a queue is worth counting: a count takes its letters out for a moment (`dead_walk.rs`), so it
//! is made only when something may have changed, not while anybody else is at the queue, and it takes up a small share of the time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Address, BrokerError, DeadQueue, DeadQueues, depths::Depths, topology::Topology};
use crate::{clock::Clock, domain::DeadSeen};

/// A queue is left alone for so many times as long as its last count took.
const REST: u32 = 50;

/// A queue of unchanged length is counted again after so long: what was redriven may have been replaced by others.
const RECOUNT: Duration = Duration::from_secs(600);

/// Counts dead letters, for as long as a session lasts.
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

impl DeadCounter {
    /// Nothing is counted yet. A queue is counted at most once in `every`; zero means never.
    #[must_use]
    pub const fn new(address: Address, topology: Arc<Topology>, clock: Clock, every: Duration) -> Self {
        Self { address, topology, clock, every, queues: BTreeMap::new() }
    }

    /// Counts the queues that are due, now that they are seen to have these lengths. Gives what is known of all of them: a queue that has never been
    /// counted is missing, one that others are at is as it was counted before.
    pub async fn count(&mut self, depths: &Depths) -> Result<Vec<DeadSeen>, BrokerError> {
        let due: Vec<_> = if self.every.is_zero() {
            Vec::new()
        } else {
            DeadQueue::ALL.into_iter().filter(|queue| self.is_due(*queue, depths)).collect()
        };
        if !due.is_empty() {
            let counted = self.count_all(&due).await;
            // Whatever went wrong is not tried again at once.
            for queue in due {
                self.queues
                    .entry(queue)
                    .and_modify(|counted| counted.tried = Instant::now())
                    .or_insert_with(|| Counted { tried: Instant::now(), took: Duration::ZERO, seen: None });
            }
            counted?;
        }
        Ok(self.queues.values().filter_map(|counted| counted.seen.clone()).collect())
    }

    async fn count_all(&mut self, due: &[DeadQueue]) -> Result<(), BrokerError> {
        // Looking awaits no confirm.
        let queues = DeadQueues::open(&self.address, Arc::clone(&self.topology), Duration::MAX).await?;
        for queue in due {
            let (began, mut seen) = (Instant::now(), DeadSeen::nothing(queue.platform(), self.clock.now()));
            let looked = queues.look_if_free(*queue, |letter| seen.add(letter.reason, letter.dead_at)).await?;
            // What others hold is not known, so what was known stays.
            if looked.is_some_and(|looked| looked.missed == 0) {
                let counted = Counted { tried: Instant::now(), took: began.elapsed(), seen: Some(seen) };
                self.queues.insert(*queue, counted);
            }
        }
        queues.close().await
    }

    fn is_due(&mut self, queue: DeadQueue, depths: &Depths) -> bool {
        let name = match queue {
            DeadQueue::Platform(platform) => self.topology.dead_queue(platform),
            DeadQueue::Event => self.topology.dead_event_queue(),
        };
        let name = self.topology.without_prefix(&name);
        let Some((_, depth)) = depths.iter().find(|(queue, _)| queue == name) else {
            return false;
        };
        match self.queues.get(&queue) {
            None if *depth == 0 => {
                let seen = Some(DeadSeen::nothing(queue.platform(), self.clock.now()));
                let tried = Instant::now();
                self.queues.insert(queue, Counted { tried, took: Duration::ZERO, seen });
                false
            }
            None => true,
            Some(counted) => {
                let known = counted.seen.as_ref().map(DeadSeen::letters);
                is_due(counted.tried.elapsed(), counted.took, known, u64::from(*depth), self.every)
            }
        }
    }
}

/// Whether a queue is worth counting that has `depth` letters ready, had `known` when it was counted `ago`, and took so long.
fn is_due(ago: Duration, took: Duration, known: Option<u64>, depth: u64, every: Duration) -> bool {
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
            assert_eq!(is_due(ago, took, known, depth, minute), due, "{what}");
        }
    }
}
