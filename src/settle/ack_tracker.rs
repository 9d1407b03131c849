//! The progress of one message: which of its deliveries are settled, and whether all are.
//!
//! Owns when a message may be acknowledged, and which ledger entries its progress needs.
//!
//! Not here: the write and the ack (`group_commit.rs`), and the meaning of marks
//! (`progress_mark.rs`).

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    AckTag, CompletedMarks, DedupIdentity, InFlightGuard, LedgerKey, LedgerMark, LedgerRecord,
    LineageStep, ProgressMark, identity::GeneratedId,
};
use crate::domain::{EventId, SubscriptionId};

/// The progress of one unacknowledged message. It is acknowledged only after [`AckTracker::report`]
/// says that it is closed, and that is recorded.
pub struct AckTracker {
    key: LedgerKey,
    generated: Option<GeneratedId>,
    ack_tag: AckTag,
    /// The progress of earlier sessions.
    earlier: CompletedMarks,
    count: Mutex<TrackerState>,
    dirty: AtomicBool,
    /// Released when the message is recorded and acknowledged.
    _in_flight_guard: Option<InFlightGuard>,
}

/// The registration of a delivery that lasts until its settlement is recorded.
pub struct InFlightDelivery {
    /// Keeps the delivery registered as in flight.
    pub in_flight_guard: InFlightGuard,
    /// The delivery's next step, if an earlier session may have stored it. The step handled second
    /// continues from the progress of the first. Once the delivery is finished, its next step must
    /// not send anything.
    pub next: Option<LineageStep>,
}

#[derive(Default)]
struct TrackerState {
    opened: usize,
    settled: usize,
    /// Whether no further deliveries will be added.
    complete: bool,
    /// The progress of this session.
    done: Vec<LedgerMark>,
    /// How many entries of `done` the ledger already has.
    recorded: usize,
    held: HashMap<SubscriptionId, InFlightDelivery>,
    /// Settled deliveries that stay registered until their settlement is recorded.
    guards_to_release: Vec<InFlightGuard>,
    /// How often the handling of the message panicked in this session.
    faults: u32,
    /// Whether the message becomes a dead letter with its unsettled deliveries. A redrive brings it
    /// back under the same key.
    given_up: bool,
    /// Entries about next steps that may be stored, not yet recorded.
    next_step_records: Vec<LedgerRecord>,
}

/// The progress of a message since the last report.
pub struct CommitReport {
    /// The progress.
    pub progress: CommitProgress,
    /// Further entries to record.
    pub next_step_records: Vec<LedgerRecord>,
    /// To be dropped once this is recorded.
    pub guards_to_release: Vec<InFlightGuard>,
}

/// The progress of a message.
pub enum CommitProgress {
    /// All deliveries are settled. Once the entry is recorded, if there is one, the message may be
    /// acknowledged.
    Closed(Option<LedgerRecord>),
    /// Some deliveries are not settled. The entry records the new progress, so that a redelivery
    /// repeats none of it. It is `None` without new progress, because an empty entry would hide a
    /// useful one.
    Partial(Option<LedgerRecord>),
}

impl AckTracker {
    /// The progress of a message without deliveries yet.
    #[must_use]
    pub fn new(identity: DedupIdentity, ack_tag: AckTag) -> Self {
        let DedupIdentity { key, generated, done: earlier, in_flight_guard, .. } = identity;
        let (count, dirty) = (Mutex::default(), AtomicBool::new(false));
        Self { key, generated, ack_tag, earlier, count, dirty, _in_flight_guard: in_flight_guard }
    }

    /// The progress of earlier sessions.
    #[must_use]
    pub const fn completed_before(&self) -> &CompletedMarks {
        &self.earlier
    }

    /// Adds a delivery that must be settled.
    pub fn add_pending(&self) {
        self.count().opened += 1;
    }

    /// Declares that no further deliveries will be added.
    pub fn complete(&self) {
        self.count().complete = true;
    }

    /// Keeps a delivery registered as in flight until its settlement is recorded.
    pub fn track_in_flight(&self, subscription: SubscriptionId, held: InFlightDelivery) {
        self.count().held.insert(subscription, held);
    }

    /// Counts a delivery as settled. `end` is true if it is finished, and false if its next step is
    /// stored.
    pub fn settled(&self, subscription: SubscriptionId, end: bool) {
        let mut count = self.count();
        count.settled += 1;
        if let Some(InFlightDelivery { in_flight_guard, next }) = count.held.remove(&subscription) {
            count.guards_to_release.push(in_flight_guard);
            count
                .next_step_records
                .extend(next.filter(|_| end).map(|next| LedgerRecord::Closed { key: next.key() }));
        }
        count.done.push(ProgressMark::Settled(subscription).into());
    }

    /// Counts as settled an item that was added and is not a delivery.
    pub fn complete_one(&self) {
        self.count().settled += 1;
    }

    /// Counts a panic in the handling of the message. Returns the number of panics over all
    /// sessions.
    pub fn record_fault(&self) -> u32 {
        let mut count = self.count();
        count.faults = count.faults.saturating_add(1);
        let number = self.earlier.faults().saturating_add(count.faults);
        count.done.push(ProgressMark::HandlingFault(number).into());
        number
    }

    /// Gives up the message. It is acknowledged once the added items are settled, and the ledger
    /// keeps its progress.
    pub fn give_up(&self) {
        self.count().given_up = true;
    }

    /// Records progress of a delivery that is not settled.
    pub fn record_mark(&self, mark: ProgressMark) {
        let mut count = self.count();
        let next = mark.subscription().and_then(|subscription| count.held.get(&subscription)?.next);
        if let Some(next) = next {
            let (key, done) = (next.progress_key(), vec![mark.into()]);
            count.next_step_records.push(LedgerRecord::Partial {
                key,
                fingerprint: [0; 16],
                event: [0; 16],
                done,
            });
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
    /// [`AckTracker::report`].
    pub fn mark_dirty(&self) -> bool {
        !self.dirty.swap(true, Ordering::AcqRel)
    }

    /// The progress since the last report. Later progress notifies the committer again.
    #[must_use]
    pub fn report(&self) -> CommitReport {
        self.dirty.store(false, Ordering::Release);
        let closed = self.is_closed();
        let mut count = self.count();
        let guards_to_release = std::mem::take(&mut count.guards_to_release);
        let next_step_records = std::mem::take(&mut count.next_step_records);
        if closed && !(count.given_up && self.generated.is_none()) {
            // A message without a `message_id` is not recognised by its closing entry. The entry is
            // needed only to close an unfinished one.
            let known = self.generated.is_none() || count.recorded > 0 || !self.earlier.is_empty();
            let progress =
                CommitProgress::Closed(known.then_some(LedgerRecord::Closed { key: self.key }));
            return CommitReport { progress, next_step_records, guards_to_release };
        }
        let fresh: Vec<_> = count.done.iter().skip(count.recorded).copied().collect();
        count.recorded = count.done.len();
        let partial = (!fresh.is_empty()).then(|| self.partial(self.key, fresh));
        let progress =
            if closed { CommitProgress::Closed(partial) } else { CommitProgress::Partial(partial) };
        CommitReport { progress, next_step_records, guards_to_release }
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
    pub fn returning_record(&self) -> Option<LedgerRecord> {
        let done: Vec<_> = self.earlier.iter().chain(self.count().done.iter().copied()).collect();
        self.generated
            .filter(|_| !done.is_empty())
            .map(|_| self.partial(LedgerKey(EventId::random_bytes()), done))
    }

    fn partial(&self, key: LedgerKey, done: Vec<LedgerMark>) -> LedgerRecord {
        LedgerRecord::Partial {
            key,
            fingerprint: self.generated.map(|generated| generated.fingerprint).unwrap_or_default(),
            event: self.generated.map(|generated| generated.name).unwrap_or_default(),
            done,
        }
    }

    fn count(&self) -> std::sync::MutexGuard<'_, TrackerState> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settle::DedupIdentity;

    #[test]
    fn nothing_is_recorded_of_a_message_of_which_nothing_is_settled_yet() {
        let event = EventId::new("e");
        let (key, done) = (LedgerKey([1; 16]), CompletedMarks::default());
        let identity = DedupIdentity {
            key,
            event,
            generation: 0,
            generated: None,
            is_closed: false,
            done,
            in_flight_guard: None,
        };
        let tracker = AckTracker::new(identity, AckTag { session: 1, channel: 0, tag: 1 });
        tracker.add_pending();
        tracker.complete();
        assert!(matches!(tracker.report().progress, CommitProgress::Partial(None)));
        tracker.settled(SubscriptionId::from_bytes([2; 16]), true);
        assert!(matches!(
            tracker.report().progress,
            CommitProgress::Closed(Some(LedgerRecord::Closed { .. }))
        ));
    }
}
