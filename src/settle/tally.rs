//! The progress of one message: which of its deliveries are settled, and whether all are.
//!
//! Owns when a message may be acknowledged, and which ledger entries its progress needs.
//!
//! Not here: the write and the ack (`committer.rs`), and the meaning of marks (`mark.rs`).

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

/// The progress of one unacknowledged message. It is acknowledged only after [`Tally::report`] says
/// that it is closed, and that is recorded.
pub struct Tally {
    key: LedgerKey,
    made: Option<Made>,
    ack_tag: AckTag,
    /// The progress of earlier sessions.
    earlier: Done,
    count: Mutex<Count>,
    announced: AtomicBool,
    /// Released when the message is recorded and acknowledged.
    _in_hand: Option<InHand>,
}

/// The registration of a delivery that lasts until its settlement is recorded.
pub struct Held {
    /// Keeps the delivery registered as in flight.
    pub in_hand: InHand,
    /// The delivery's next step, if an earlier session may have stored it. The step handled second
    /// continues from the progress of the first. Once the delivery is finished, its next step must
    /// not send anything.
    pub next: Option<Step>,
}

#[derive(Default)]
struct Count {
    opened: usize,
    settled: usize,
    /// Whether no further deliveries will be added.
    complete: bool,
    /// The progress of this session.
    done: Vec<LedgerMark>,
    /// How many entries of `done` the ledger already has.
    recorded: usize,
    held: HashMap<SubscriptionId, Held>,
    /// Settled deliveries that stay registered until their settlement is recorded.
    letting_go: Vec<InHand>,
    /// How often the handling of the message panicked in this session.
    faults: u32,
    /// Whether the message becomes a dead letter with its unsettled deliveries. A redrive brings it
    /// back under the same key.
    given_up: bool,
    /// Entries about next steps that may be stored, not yet recorded.
    of_next: Vec<Entry>,
}

/// The progress of a message since the last report.
pub struct Report {
    /// The progress.
    pub progress: Progress,
    /// Further entries to record.
    pub besides: Vec<Entry>,
    /// To be dropped once this is recorded.
    pub letting_go: Vec<InHand>,
}

/// The progress of a message.
pub enum Progress {
    /// All deliveries are settled. Once the entry is recorded, if there is one, the message may be
    /// acknowledged.
    Closed(Option<Entry>),
    /// Some deliveries are not settled. The entry records the new progress, so that a redelivery
    /// repeats none of it. It is `None` without new progress, because an empty entry would hide a
    /// useful one.
    Partial(Option<Entry>),
}

impl Tally {
    /// The progress of a message without deliveries yet.
    #[must_use]
    pub fn new(identity: Identity, ack_tag: AckTag) -> Self {
        let Identity { key, made, done: earlier, in_hand, .. } = identity;
        let (count, announced) = (Mutex::default(), AtomicBool::new(false));
        Self { key, made, ack_tag, earlier, count, announced, _in_hand: in_hand }
    }

    /// The progress of earlier sessions.
    #[must_use]
    pub const fn earlier(&self) -> &Done {
        &self.earlier
    }

    /// Adds a delivery that must be settled.
    pub fn opened(&self) {
        self.count().opened += 1;
    }

    /// Declares that no further deliveries will be added.
    pub fn complete(&self) {
        self.count().complete = true;
    }

    /// Keeps a delivery registered as in flight until its settlement is recorded.
    pub fn hold(&self, subscription: SubscriptionId, held: Held) {
        self.count().held.insert(subscription, held);
    }

    /// Counts a delivery as settled. `end` is true if it is finished, and false if its next step is
    /// stored.
    pub fn settled(&self, subscription: SubscriptionId, end: bool) {
        let mut count = self.count();
        count.settled += 1;
        if let Some(Held { in_hand, next }) = count.held.remove(&subscription) {
            count.letting_go.push(in_hand);
            count.of_next.extend(next.filter(|_| end).map(|next| Entry::Closed { key: next.key() }));
        }
        count.done.push(Mark::Settled(subscription).into());
    }

    /// Counts as settled an item that was added and is not a delivery.
    pub fn ended(&self) {
        self.count().settled += 1;
    }

    /// Counts a panic in the handling of the message. Returns the number of panics over all
    /// sessions.
    pub fn fault(&self) -> u32 {
        let mut count = self.count();
        count.faults = count.faults.saturating_add(1);
        let number = self.earlier.faults().saturating_add(count.faults);
        count.done.push(Mark::Fault(number).into());
        number
    }

    /// Gives up the message. It is acknowledged once the added items are settled, and the ledger
    /// keeps its progress.
    pub fn give_up(&self) {
        self.count().given_up = true;
    }

    /// Records progress of a delivery that is not settled.
    pub fn mark(&self, mark: Mark) {
        let mut count = self.count();
        let next = mark.subscription().and_then(|subscription| count.held.get(&subscription)?.next);
        if let Some(next) = next {
            let (key, done) = (next.progress_key(), vec![mark.into()]);
            count.of_next.push(Entry::Partial { key, fingerprint: [0; 16], event: [0; 16], done });
        }
        count.done.push(mark.into());
    }

    /// Whether all deliveries are settled.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let count = self.count();
        count.complete && count.settled == count.opened
    }

    /// Whether the committer must be notified: true for the first call since the last
    /// [`Tally::report`].
    pub fn announce(&self) -> bool {
        !self.announced.swap(true, Ordering::AcqRel)
    }

    /// The progress since the last report. Later progress notifies the committer again.
    #[must_use]
    pub fn report(&self) -> Report {
        self.announced.store(false, Ordering::Release);
        let closed = self.is_closed();
        let mut count = self.count();
        let letting_go = std::mem::take(&mut count.letting_go);
        let besides = std::mem::take(&mut count.of_next);
        if closed && !(count.given_up && self.made.is_none()) {
            // A message without a `message_id` is not recognised by its closing entry. The entry is
            // needed only to close an unfinished one.
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

    /// The handle that acknowledges the message.
    #[must_use]
    pub const fn ack_tag(&self) -> AckTag {
        self.ack_tag
    }

    /// The entry that recognises a closed message without a `message_id` whose ack was certainly
    /// not sent.
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
