//! The content of a dead queue, in numbers.
//!
//! Owns how dead letters are counted: by reason, with the oldest of each.
//!
//! Not here: how the queue is read (`broker/dead_count.rs`).

use super::{Platform, StoredReason, Timestamp};

/// The most reasons of other versions that are counted apart. Letters with further ones are counted
/// together, as [`OTHER`].
const UNKNOWN_MAX: usize = 16;

/// The name of further reasons.
const OTHER: &str = "unknown";

/// The counts of one dead queue, from the last scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadQueueStats {
    /// The platform; `None` for the queue of events that could not be read.
    pub platform: Option<Platform>,
    /// When the scan was made.
    pub at: Timestamp,
    /// The letters by reason, in the order of [`StoredReason`]. Reasons without letters are left
    /// out.
    pub counts: Vec<DeadCount>,
}

/// The letters of one dead queue that have the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadCount {
    /// The reason.
    pub reason: StoredReason,
    /// The number of letters; more than 0.
    pub letters: u64,
    /// When the oldest of them became a dead letter; `None` if no letter says it.
    pub oldest: Option<Timestamp>,
}

impl DeadQueueStats {
    /// An empty queue.
    #[must_use]
    pub const fn empty(platform: Option<Platform>, at: Timestamp) -> Self {
        Self { platform, at, counts: Vec::new() }
    }

    /// Adds one letter to the counts.
    pub fn add(&mut self, reason: StoredReason, dead_at: Option<Timestamp>) {
        match self.place(&reason) {
            Ok(place) => {
                if let Some(count) = self.counts.get_mut(place) {
                    count.letters += 1;
                    count.oldest = count.oldest.into_iter().chain(dead_at).min();
                }
            }
            Err(_) if reason.as_str() != OTHER && self.has_many_unknown(&reason) => {
                self.add(StoredReason::Unknown(OTHER.to_owned()), dead_at);
            }
            Err(place) => {
                self.counts.insert(place, DeadCount { reason, letters: 1, oldest: dead_at })
            }
        }
    }

    fn place(&self, reason: &StoredReason) -> Result<usize, usize> {
        self.counts.binary_search_by(|count| count.reason.cmp(reason))
    }

    fn has_many_unknown(&self, reason: &StoredReason) -> bool {
        let unknown = self.counts.iter().filter(|count| count.reason.known().is_none());
        reason.known().is_none() && unknown.count() >= UNKNOWN_MAX
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
    use crate::domain::DeadReason;

    #[test]
    fn letters_are_counted_by_reason_and_the_oldest_that_says_so_is_known() {
        let at = |millis| Some(Timestamp::from_unix_millis(millis));
        let mut seen = DeadQueueStats::empty(Some(Platform::WeCom), Timestamp::from_unix_millis(9));
        seen.add(DeadReason::Poison.into(), None);
        seen.add(DeadReason::Expired.into(), at(5));
        seen.add(DeadReason::Expired.into(), None);
        seen.add(DeadReason::Expired.into(), at(4));
        let count = |reason: DeadReason, letters, oldest| DeadCount {
            reason: reason.into(),
            letters,
            oldest,
        };
        assert_eq!(
            seen.counts,
            [count(DeadReason::Expired, 3, at(4)), count(DeadReason::Poison, 1, None)]
        );
        assert_eq!(seen.letters(), 4);
    }

    #[test]
    fn the_reasons_of_other_versions_are_counted_as_they_are_and_any_number_of_them_is_bounded() {
        let mut seen = DeadQueueStats::empty(None, Timestamp::default());
        for number in 0..100 {
            seen.add(StoredReason::Unknown(format!("reason_{number:02}")), None);
        }
        seen.add(DeadReason::Poison.into(), None);
        let first = |at: usize| (seen.counts[at].reason.as_str(), seen.counts[at].letters);
        assert_eq!(
            (first(0), first(1), first(16)),
            (("poison", 1), ("reason_00", 1), ("reason_15", 1))
        );
        assert_eq!((first(17), seen.counts.len(), seen.letters()), (("unknown", 84), 18, 101));
    }
}
