//! Acks in as few frames as possible: one for the contiguous settled beginning of a channel, single ones for the rest.

use std::collections::BTreeSet;

/// Which of a channel's messages are settled. Delivery tags count up from 1.
#[derive(Debug)]
pub(super) struct AckBook {
    /// Every tag below this one is acked.
    next: u64,
    /// Acked tags at or above `next`.
    acked: BTreeSet<u64>,
}

/// What has to be sent to the broker.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Acks {
    /// Everything up to this tag.
    pub(super) up_to: Option<u64>,
    /// These tags alone.
    pub(super) single: Vec<u64>,
}

impl AckBook {
    pub(super) const fn new() -> Self {
        Self { next: 1, acked: BTreeSet::new() }
    }

    /// Marks a tag for which something else than an ack was sent already: what is sent later leaves it out.
    pub(super) fn set_aside(&mut self, tag: u64) {
        if tag >= self.next {
            self.acked.insert(tag);
        }
    }

    /// Marks tags as acked and says what to send. A tag given twice is sent once.
    pub(super) fn settle(&mut self, tags: impl IntoIterator<Item = u64>) -> Acks {
        let mut fresh: BTreeSet<u64> =
            tags.into_iter().filter(|tag| *tag >= self.next && !self.acked.contains(tag)).collect();
        self.acked.extend(&fresh);
        let first = self.next;
        while self.acked.remove(&self.next) {
            self.next += 1;
        }
        let single = fresh.split_off(&self.next).into_iter().collect();
        // What is left in `fresh` lies below `next`: the last of it covers all of it.
        let up_to = fresh.last().copied().filter(|_| self.next > first);
        Acks { up_to, single }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_contiguous_beginning_is_one_ack_and_the_rest_are_single_ones() {
        let mut book = AckBook::new();
        assert_eq!(book.settle([1, 2, 3, 5]), Acks { up_to: Some(3), single: vec![5] });
        assert_eq!(book.settle([7, 5]), Acks { up_to: None, single: vec![7] });
        assert_eq!(book.settle([4]), Acks { up_to: Some(4), single: vec![] });
        assert_eq!(book.settle([6]), Acks { up_to: Some(6), single: vec![] });
        assert_eq!(book.settle([]), Acks::default());
    }

    #[test]
    fn a_tag_that_was_set_aside_is_never_acked_and_holds_no_other_up() {
        let mut book = AckBook::new();
        book.set_aside(2);
        assert_eq!(book.settle([1]), Acks { up_to: Some(1), single: vec![] });
        book.set_aside(3);
        assert_eq!(book.settle([5]), Acks { up_to: None, single: vec![5] });
        assert_eq!(book.settle([4]), Acks { up_to: Some(4), single: vec![] });
        book.set_aside(4);
        book.set_aside(7);
        assert_eq!(book.settle([6]), Acks { up_to: Some(6), single: vec![] });
        assert_eq!(book.settle([7, 8]), Acks { up_to: Some(8), single: vec![] });
    }

    proptest! {
        /// Whatever the order of settling: the broker never sees an ack for what is not settled, and in the end sees
        /// one for everything.
        #[test]
        fn nothing_unsettled_is_acked_and_everything_settled_is(
            order in Just((1u64..=40).collect::<Vec<_>>()).prop_shuffle(), sizes in prop::collection::vec(1usize..8, 40),
        ) {
            let (mut book, mut settled, mut acked) = (AckBook::new(), BTreeSet::new(), BTreeSet::new());
            let mut left = order.as_slice();
            for size in sizes {
                let (now, later) = left.split_at(size.min(left.len()));
                left = later;
                settled.extend(now.iter().copied());
                let acks = book.settle(now.iter().copied());
                acked.extend(acks.single);
                if let Some(tag) = acks.up_to {
                    acked.extend(1..=tag);
                }
                prop_assert!(acked.is_subset(&settled));
            }
            prop_assert_eq!(acked.len(), 40);
        }
    }
}
