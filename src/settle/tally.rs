//! The tally of one message: which of its deliveries are settled, and whether that was all of them.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{AckTag, Done, Identity, InHand, Mark, Step, identity::Made};
use crate::{
    domain::{EventId, SubscriptionId},
    store::{Entry, LedgerKey, LedgerMark},
};

/// One message in hand and how far it has come. It is acked only when [`Tally::report`] says that it is closed, and that was recorded.
pub struct Tally {
    key: LedgerKey,
    made: Option<Made>,
    ack_tag: AckTag,
    /// What was done in a session that ended.
    earlier: Done,
    count: Mutex<Count>,
    announced: AtomicBool,
    /// Let go when the message is recorded and acked.
    _in_hand: Option<InHand>,
}

/// What a tally keeps in hand of a delivery until it is recorded that it is settled.
pub struct Held {
    /// That the delivery is in hand.
    pub in_hand: InHand,
    /// Its next step, if it may have been stored without our knowing in a session that ended. That step then goes on
    /// where this one is, whichever is handled first, and once the delivery is at its end nothing is to come of it.
    pub next: Option<Step>,
}

#[derive(Default)]
struct Count {
    opened: usize,
    settled: usize,
    /// Whether all deliveries of the message have been opened.
    complete: bool,
    /// What was done in this session.
    done: Vec<LedgerMark>,
    /// How many of `done` the ledger knows already.
    recorded: usize,
    held: HashMap<SubscriptionId, Held>,
    /// What is settled and is in hand until that is recorded.
    letting_go: Vec<InHand>,
    /// How often the handling of the message failed in this session.
    faults: u32,
    /// Whether the message is given up with what is not settled of it. If it is put back, it comes under the same name.
    given_up: bool,
    /// What the ledger does not know yet of steps that may be stored.
    of_next: Vec<Entry>,
}

/// How far a message has come, and what follows of that.
pub struct Report {
    /// How far.
    pub progress: Progress,
    /// What is to be recorded besides.
    pub besides: Vec<Entry>,
    /// To be dropped once this is recorded.
    pub letting_go: Vec<InHand>,
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
    /// A tally with nothing opened yet.
    #[must_use]
    pub fn new(identity: Identity, ack_tag: AckTag) -> Self {
        let Identity { key, made, done: earlier, in_hand, .. } = identity;
        let (count, announced) = (Mutex::default(), AtomicBool::new(false));
        Self { key, made, ack_tag, earlier, count, announced, _in_hand: in_hand }
    }

    /// What was done in a session that ended.
    #[must_use]
    pub const fn earlier(&self) -> &Done {
        &self.earlier
    }

    /// One delivery more has to be settled.
    pub fn opened(&self) {
        self.count().opened += 1;
    }

    /// No more deliveries will be opened.
    pub fn complete(&self) {
        self.count().complete = true;
    }

    /// Keeps a delivery in hand until it is recorded that it is settled.
    pub fn hold(&self, subscription: SubscriptionId, held: Held) {
        self.count().held.insert(subscription, held);
    }

    /// One delivery is settled: it is at its `end`, or its next step is stored.
    pub fn settled(&self, subscription: SubscriptionId, end: bool) {
        let mut count = self.count();
        count.settled += 1;
        if let Some(Held { in_hand, next }) = count.held.remove(&subscription) {
            count.letting_go.push(in_hand);
            count.of_next.extend(next.filter(|_| end).map(|next| Entry::Closed { key: next.key() }));
        }
        count.done.push(Mark::Settled(subscription).into());
    }

    /// Something that was opened and is no delivery has ended.
    pub fn ended(&self) {
        self.count().settled += 1;
    }

    /// Its handling ended without a verdict; says how often by now.
    pub fn fault(&self) -> u32 {
        let mut count = self.count();
        count.faults = count.faults.saturating_add(1);
        let number = self.earlier.faults().saturating_add(count.faults);
        count.done.push(Mark::Fault(number).into());
        number
    }

    /// The message is given up: it is acked once what was opened is settled, and the ledger keeps what is done of it.
    pub fn give_up(&self) {
        self.count().given_up = true;
    }

    /// Something is done, and the delivery is not settled.
    pub fn mark(&self, mark: Mark) {
        let mut count = self.count();
        let next = mark.subscription().and_then(|subscription| count.held.get(&subscription)?.next);
        if let Some(next) = next {
            let (key, done) = (next.progress_key(), vec![mark.into()]);
            count.of_next.push(Entry::Partial { key, fingerprint: [0; 16], event: [0; 16], done });
        }
        count.done.push(mark.into());
    }

    /// Whether everything is settled.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let count = self.count();
        count.complete && count.settled == count.opened
    }

    /// Whether the committer has to be told of this tally; it has not been since the last [`Tally::report`].
    pub fn announce(&self) -> bool {
        !self.announced.swap(true, Ordering::AcqRel)
    }

    /// How far the message has come; what is settled from now on is announced again.
    #[must_use]
    pub fn report(&self) -> Report {
        self.announced.store(false, Ordering::Release);
        let closed = self.is_closed();
        let mut count = self.count();
        let letting_go = std::mem::take(&mut count.letting_go);
        let besides = std::mem::take(&mut count.of_next);
        if closed && !(count.given_up && self.made.is_none()) {
            // A message without a name is not recognised by its closing; only what was left unfinished of it has to be closed.
            let known = self.made.is_none() || count.recorded > 0 || !self.earlier.is_empty();
            let progress = Progress::Closed(known.then_some(Entry::Closed { key: self.key }));
            return Report { progress, besides, letting_go };
        }
        let fresh: Vec<_> = count.done.iter().skip(count.recorded).copied().collect();
        count.recorded = count.done.len();
        let partial = (!fresh.is_empty()).then(|| self.partial(self.key, fresh));
        let progress = if closed { Progress::Closed(partial) } else { Progress::Partial(partial) };
        Report { progress, besides, letting_go }
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
        let done: Vec<_> = self.earlier.iter().chain(self.count().done.iter().copied()).collect();
        self.made.filter(|_| !done.is_empty()).map(|_| self.partial(LedgerKey(EventId::random_bytes()), done))
    }

    fn partial(&self, key: LedgerKey, done: Vec<LedgerMark>) -> Entry {
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
        let (key, done) = (LedgerKey([1; 16]), Done::default());
        let identity = Identity { key, event, generation: 0, made: None, done, in_hand: None };
        let tally = Tally::new(identity, AckTag { session: 1, channel: 0, tag: 1 });
        tally.opened();
        tally.complete();
        assert!(matches!(tally.report().progress, Progress::Partial(None)));
        tally.settled(SubscriptionId::from_bytes([2; 16]), true);
        assert!(matches!(tally.report().progress, Progress::Closed(Some(Entry::Closed { .. }))));
    }
}
