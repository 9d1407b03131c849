//! The recorded progress of a message before it is settled.
//!
//! Owns the meaning of the marks in the ledger. Their hashes are a file format and must not change.
//!
//! Not here: their storage (`store/ledger.rs`), which never interprets them.

use std::collections::HashSet;

use super::identity::digest;
use crate::{domain::SubscriptionId, store::LedgerMark};

/// One recorded fact about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A delivery is settled.
    Settled(SubscriptionId),
    /// A part of a delivery was delivered, and others follow.
    Part {
        /// The subscription of the delivery.
        subscription: SubscriptionId,
        /// The index of the part, counted from 0.
        at: u32,
    },
    /// A delivery was delivered completely. Its receipt may be missing.
    Delivered(SubscriptionId),
    /// An attempt failed. Its next step may not be stored.
    Attempt {
        /// The subscription of the delivery.
        subscription: SubscriptionId,
        /// The index of the part, counted from 0.
        part: u32,
        /// The number of the attempt, counted from 1.
        number: u32,
    },
    /// The handling of the message panicked. The number counts from 1.
    Fault(u32),
}

impl Mark {
    /// The subscription of the delivery; `None` if the mark is about the whole message.
    #[must_use]
    pub const fn subscription(self) -> Option<SubscriptionId> {
        match self {
            Self::Settled(subscription)
            | Self::Delivered(subscription)
            | Self::Part { subscription, .. }
            | Self::Attempt { subscription, .. } => Some(subscription),
            Self::Fault(_) => None,
        }
    }
}

impl From<Mark> for LedgerMark {
    fn from(mark: Mark) -> Self {
        match mark {
            Mark::Settled(subscription) => Self(*subscription.as_bytes()),
            Mark::Part { subscription, at } => Self(digest(b"part", &[subscription.as_bytes(), &at.to_be_bytes()])),
            Mark::Delivered(subscription) => Self(digest(b"receipt", &[subscription.as_bytes()])),
            Mark::Fault(number) => Self(digest(b"fault", &[&number.to_be_bytes()])),
            Mark::Attempt { subscription, part, number } => {
                Self(digest(b"attempt", &[subscription.as_bytes(), &part.to_be_bytes(), &number.to_be_bytes()]))
            }
        }
    }
}

/// The recorded progress of a redelivered message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done(HashSet<LedgerMark>);

impl Done {
    /// Whether this mark is recorded.
    #[must_use]
    pub fn contains(&self, mark: Mark) -> bool {
        !self.0.is_empty() && self.0.contains(&mark.into())
    }

    /// Whether no mark is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next part of a delivery whose message carries part `from`.
    #[must_use]
    pub fn next_part(&self, subscription: SubscriptionId, from: u32) -> u32 {
        (from..).find(|at| !self.contains(Mark::Part { subscription, at: *at })).unwrap_or(from)
    }

    /// The number of failed attempts of a part, if its message carries the number `said`.
    #[must_use]
    pub fn attempts(&self, subscription: SubscriptionId, part: u32, said: u32) -> u32 {
        let is_made = |made: &u32| {
            made.checked_add(1).is_some_and(|number| self.contains(Mark::Attempt { subscription, part, number }))
        };
        (said..).find(|made| !is_made(made)).unwrap_or(said)
    }

    /// How often the handling of the message panicked.
    #[must_use]
    pub fn faults(&self) -> u32 {
        (0..).find(|known: &u32| !self.contains(Mark::Fault(known.saturating_add(1)))).unwrap_or_default()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = LedgerMark> {
        self.0.iter().copied()
    }
}

impl From<HashSet<LedgerMark>> for Done {
    fn from(marks: HashSet<LedgerMark>) -> Self {
        Self(marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done<const N: usize>(marks: [Mark; N]) -> Done {
        Done(marks.map(LedgerMark::from).into())
    }

    #[test]
    fn parts_and_attempts_are_counted_from_what_the_message_says() {
        let (subscription, other) = (SubscriptionId::from_bytes([1; 16]), SubscriptionId::from_bytes([2; 16]));
        let attempt = |part, number| Mark::Attempt { subscription, part, number };
        let part = |at| Mark::Part { subscription, at };
        let known = done([part(0), part(1), attempt(2, 1), attempt(2, 2), attempt(2, 4)]);
        assert_eq!([0, 1, 2, 3].map(|from| known.next_part(subscription, from)), [2, 2, 2, 3]);
        assert_eq!([0, 1, 2, 3, 9].map(|said| known.attempts(subscription, 2, said)), [2, 2, 2, 4, 9]);
        assert_eq!((known.next_part(other, 0), known.attempts(other, 2, 0)), (0, 0));
        assert_eq!(known.attempts(subscription, 0, 0), 0);
        assert!(known.contains(part(0)) && !known.contains(Mark::Settled(subscription)));
        assert_eq!((known.faults(), done([Mark::Fault(1), Mark::Fault(2)]).faults()), (0, 2));
        assert_eq!(Done::default().attempts(subscription, 0, 3), 3);
    }

    #[test]
    fn marks_stay_what_they_were_for_the_ledgers_of_earlier_versions() {
        let subscription = SubscriptionId::from_bytes([1; 16]);
        let form = |mark: Mark| hex::encode(LedgerMark::from(mark).0);
        assert_eq!(form(Mark::Settled(subscription)), "01".repeat(16));
        assert_eq!(form(Mark::Part { subscription, at: 3 }), hex::encode(digest(b"part", &[&[1; 16], &[0, 0, 0, 3]])));
        assert_eq!(form(Mark::Delivered(subscription)), hex::encode(digest(b"receipt", &[&[1; 16]])));
    }
}
