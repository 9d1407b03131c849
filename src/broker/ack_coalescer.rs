//! Groups the acks of a channel into as few frames as possible.
//!
//! Owns the rule that a cumulative ack never includes an unsettled message.
//!
//! Not here: sending the frames (`consumer_channel.rs`), when a message is settled (`settle/`).

use std::collections::BTreeSet;

/// The settled messages of a channel. Delivery tags count up from 1.
#[derive(Debug)]
pub(super) struct AckCoalescer {
    /// Every tag below this one is acked.
    next: u64,
    /// Acked tags at or above `next`.
    acked: BTreeSet<u64>,
}

/// The frames to send.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AckFrames {
    /// One cumulative ack up to this tag.
    pub(super) up_to: Option<u64>,
    /// One ack for each of these tags.
    pub(super) single: Vec<u64>,
}

impl AckCoalescer {
    pub(super) const fn new() -> Self {
        Self { next: 1, acked: BTreeSet::new() }
    }

    /// Marks a tag that was answered with another frame than an ack, such as a nack. No later ack
    /// contains it.
    pub(super) fn set_aside(&mut self, tag: u64) {
        if tag >= self.next {
            self.acked.insert(tag);
        }
    }

    /// Marks tags as acked and returns the frames to send. A repeated tag is sent once.
    pub(super) fn settle(&mut self, tags: impl IntoIterator<Item = u64>) -> AckFrames {
        let mut fresh: BTreeSet<u64> =
            tags.into_iter().filter(|tag| *tag >= self.next && !self.acked.contains(tag)).collect();
        self.acked.extend(&fresh);
        let first = self.next;
        while self.acked.remove(&self.next) {
            self.next += 1;
        }
        let single = fresh.split_off(&self.next).into_iter().collect();
        // The remaining tags in `fresh` are below `next`, so an ack of the last one covers them
        // all.
        let up_to = fresh.last().copied().filter(|_| self.next > first);
        AckFrames { up_to, single }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_contiguous_beginning_is_one_ack_and_the_rest_are_single_ones() {
        let mut book = AckCoalescer::new();
        assert_eq!(book.settle([1, 2, 3, 5]), AckFrames { up_to: Some(3), single: vec![5] });
        assert_eq!(book.settle([7, 5]), AckFrames { up_to: None, single: vec![7] });
        assert_eq!(book.settle([4]), AckFrames { up_to: Some(4), single: vec![] });
        assert_eq!(book.settle([6]), AckFrames { up_to: Some(6), single: vec![] });
        assert_eq!(book.settle([]), AckFrames::default());
    }

    #[test]
    fn a_tag_that_was_set_aside_is_never_acked_and_holds_no_other_up() {
        let mut book = AckCoalescer::new();
        book.set_aside(2);
        assert_eq!(book.settle([1]), AckFrames { up_to: Some(1), single: vec![] });
        book.set_aside(3);
        assert_eq!(book.settle([5]), AckFrames { up_to: None, single: vec![5] });
        assert_eq!(book.settle([4]), AckFrames { up_to: Some(4), single: vec![] });
        book.set_aside(4);
        book.set_aside(7);
        assert_eq!(book.settle([6]), AckFrames { up_to: Some(6), single: vec![] });
        assert_eq!(book.settle([7, 8]), AckFrames { up_to: Some(8), single: vec![] });
    }

    proptest! {
        /// In any order of settling, no ack covers an unsettled message, and in the end each
        /// message is acked.
        #[test]
        fn nothing_unsettled_is_acked_and_everything_settled_is(
            order in Just((1u64..=40).collect::<Vec<_>>()).prop_shuffle(),
            sizes in prop::collection::vec(1usize..8, 40),
        ) {
            let mut book = AckCoalescer::new();
            let (mut settled, mut acked) = (BTreeSet::new(), BTreeSet::new());
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
