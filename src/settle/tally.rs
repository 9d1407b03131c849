//! The tally of one message: which of its deliveries are settled, and whether that was all of them.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::{AckTag, Identity, InHand, identity::Made};
use crate::{
    domain::{EventId, SubscriptionId},
    store::{Entry, LedgerKey},
};

/// One message in hand and how far it has come. It is acked only when [`Tally::outcome`] says that it is closed, and that was recorded.
pub struct Tally {
    key: LedgerKey,
    made: Option<Made>,
    ack_tag: AckTag,
    count: Mutex<Count>,
    announced: AtomicBool,
    /// Let go when the message is recorded and acked.
    _in_hand: Option<InHand>,
}

#[derive(Default)]
struct Count {
    opened: usize,
    settled: usize,
    /// Whether all deliveries of the message have been opened.
    complete: bool,
    done: Vec<SubscriptionId>,
    /// How many of `done` the ledger knows already.
    recorded: usize,
}

/// How far a message has come.
pub enum Progress {
    /// Everything is settled: once this is recorded, where there is something to record, the message may be acked.
    Closed(Option<Entry>),
    /// Not all deliveries are settled; this is what the ledger does not know yet and has to, to repeat none of those that are. An entry that says
    /// nothing would stand in the way of one that does.
    Partial(Option<Entry>),
}

impl Tally {
    /// A tally with nothing opened yet. `done` was settled earlier, in a session that ended.
    #[must_use]
    pub fn new(identity: Identity, ack_tag: AckTag) -> Self {
        let Identity { key, made, done, .. } = identity;
        let count = Count { recorded: done.len(), done, ..Count::default() };
        Self { key, made, ack_tag, count: Mutex::new(count), announced: AtomicBool::new(false), _in_hand: None }
    }

    /// The same tally, which keeps its message in hand until it is acked.
    #[must_use]
    pub fn holding(self, in_hand: InHand) -> Self {
        Self { _in_hand: Some(in_hand), ..self }
    }

    /// One delivery more has to be settled.
    pub fn opened(&self) {
        self.count().opened += 1;
    }

    /// No more deliveries will be opened.
    pub fn complete(&self) {
        self.count().complete = true;
    }

    /// One delivery is settled, and its next step, if it has one, is stored.
    pub fn settled(&self, subscription: SubscriptionId) {
        let mut count = self.count();
        count.settled += 1;
        count.done.push(subscription);
    }

    /// One part of a delivery was delivered, and others follow.
    pub fn said(&self, mark: SubscriptionId) {
        self.count().done.push(mark);
    }

    /// Whether everything is settled.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let count = self.count();
        count.complete && count.settled == count.opened
    }

    /// Whether the committer has to be told of this tally; it has not been since the last [`Tally::outcome`].
    pub fn announce(&self) -> bool {
        !self.announced.swap(true, Ordering::AcqRel)
    }

    /// How far the message has come; what is settled from now on is announced again.
    #[must_use]
    pub fn outcome(&self) -> Progress {
        self.announced.store(false, Ordering::Release);
        let closed = self.is_closed();
        let mut count = self.count();
        if closed {
            // A message without a name is not recognised by its closing; only what was left unfinished of it has to be closed.
            let known = self.made.is_none() || count.recorded > 0;
            return Progress::Closed(known.then_some(Entry::Closed { key: self.key }));
        }
        let fresh: Vec<_> = count.done.iter().skip(count.recorded).copied().collect();
        count.recorded = count.done.len();
        Progress::Partial((!fresh.is_empty()).then(|| self.partial(self.key, fresh)))
    }

    /// The ledger's key.
    #[must_use]
    pub const fn key(&self) -> LedgerKey {
        self.key
    }

    /// With what the message is acked.
    #[must_use]
    pub const fn ack_tag(&self) -> AckTag {
        self.ack_tag
    }

    /// For a closed message that certainly was not acked, so that it comes back, and whose publisher gave it no name: the entry by which
    /// it is recognised.
    #[must_use]
    pub fn returning(&self) -> Option<Entry> {
        let done = self.count().done.clone();
        self.made.filter(|_| !done.is_empty()).map(|_| self.partial(LedgerKey(EventId::random_bytes()), done))
    }

    fn partial(&self, key: LedgerKey, done: Vec<SubscriptionId>) -> Entry {
        Entry::Partial {
            key,
            fingerprint: self.made.map(|made| made.fingerprint).unwrap_or_default(),
            event: self.made.map(|made| made.name).unwrap_or_default(),
            done,
        }
    }

    fn count(&self) -> std::sync::MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settle::Identity;

    #[test]
    fn nothing_is_recorded_of_a_message_of_which_nothing_is_settled_yet() {
        let event = EventId::new("e");
        let identity = Identity { key: LedgerKey([1; 16]), event, generation: 0, made: None, done: Vec::new() };
        let tally = Tally::new(identity, AckTag { session: 1, channel: 0, tag: 1 });
        tally.opened();
        tally.complete();
        assert!(matches!(tally.outcome(), Progress::Partial(None)));
        tally.settled(SubscriptionId::from_bytes([2; 16]));
        assert!(matches!(tally.outcome(), Progress::Closed(Some(Entry::Closed { .. }))));
    }
}
