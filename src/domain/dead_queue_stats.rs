//! The content of a dead queue, in numbers.
//!
//! Owns how dead letters are counted: by reason, with the oldest of each.
//!
//! Not here: how the queue is read (`broker/dead_count.rs`).

use super::{DeadReason, Platform, Timestamp};

/// The counts of one dead queue, from the last scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadQueueStats {
    /// The platform; `None` for the queue of events that could not be read.
    pub platform: Option<Platform>,
    /// When the scan was made.
    pub at: Timestamp,
    /// The letters by reason, in the order of [`DeadReason::ALL`]. Reasons without letters are left
    /// out.
    pub counts: Vec<DeadCount>,
}

/// The letters of one dead queue that have the same reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadCount {
    /// The reason.
    pub reason: DeadReason,
    /// The number of letters; more than 0.
    pub letters: u64,
    /// When the oldest of them became a dead letter; `None` if no letter says it.
    pub oldest: Option<Timestamp>,
}

impl DeadQueueStats {
    /// An empty queue.
    #[must_use]
    pub const fn nothing(platform: Option<Platform>, at: Timestamp) -> Self {
        Self { platform, at, counts: Vec::new() }
    }

    /// Adds one letter to the counts.
    pub fn add(&mut self, reason: DeadReason, dead_at: Option<Timestamp>) {
        let place = self.counts.binary_search_by_key(&reason, |count| count.reason);
        match place {
            Ok(place) => {
                if let Some(count) = self.counts.get_mut(place) {
                    count.letters += 1;
                    count.oldest = count.oldest.into_iter().chain(dead_at).min();
                }
            }
            Err(place) => {
                self.counts.insert(place, DeadCount { reason, letters: 1, oldest: dead_at })
            }
        }
    }

    /// The number of letters, over all reasons.
    #[must_use]
    pub fn letters(&self) -> u64 {
        self.counts.iter().map(|count| count.letters).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted_by_reason_and_the_oldest_that_says_so_is_known() {
        let at = |millis| Some(Timestamp::from_unix_millis(millis));
        let mut seen =
            DeadQueueStats::nothing(Some(Platform::WeCom), Timestamp::from_unix_millis(9));
        seen.add(DeadReason::Poison, None);
        seen.add(DeadReason::Expired, at(5));
        seen.add(DeadReason::Expired, None);
        seen.add(DeadReason::Expired, at(4));
        let count = |reason, letters, oldest| DeadCount { reason, letters, oldest };
        assert_eq!(
            seen.counts,
            [count(DeadReason::Expired, 3, at(4)), count(DeadReason::Poison, 1, None)]
        );
        assert_eq!(seen.letters(), 4);
    }
}
