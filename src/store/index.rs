//! The content of the ledger in memory: closed messages, unfinished messages, and claimed ones.
//!
//! Owns the decision which unfinished message without a `message_id` may be claimed by a
//! redelivery.
//!
//! Not here: the files (`ledger.rs`), the keys of messages (`settle/identity.rs`).

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use super::ledger_entry::LedgerEntry;
use crate::{
    domain::Timestamp,
    settle::{ClaimedMessage, LedgerKey, LedgerMark, LedgerRecord, RecordedMessage},
};

/// The age at which an unfinished message is forgotten. No event lives longer than
/// `event.time_to_live_max`, and queues are not left without a consumer for longer than 14 days.
const UNFINISHED_MAX: Duration = Duration::from_secs(14 * 24 * 3600);

/// The number of sessions in which an unfinished message without a `message_id` may come back.
///
/// The broker keeps the unacked messages of a session at the head of the queue, so they come back
/// soon. Later, an equal content is another message. A session without ledger entries does not
/// count.
const SESSIONS_MAX: u64 = 8;

struct Unfinished {
    fingerprint: [u8; 16],
    event: [u8; 16],
    done: HashSet<LedgerMark>,
    at: Timestamp,
    /// The last session in which an entry of it was recorded, or in which it came back.
    session: u64,
}

impl Unfinished {
    /// Whether its message may still come back.
    const fn may_return(&self, session: u64) -> bool {
        let is_named = u128::from_be_bytes(self.fingerprint) == 0;
        is_named || session.saturating_sub(self.session) <= SESSIONS_MAX
    }
}

#[derive(Default)]
pub(super) struct Index {
    unfinished: HashMap<LedgerKey, Unfinished>,
    by_fingerprint: HashMap<[u8; 16], Vec<LedgerKey>>,
    /// The unfinished messages in flight in this session. No other message may claim them.
    in_hand: HashSet<LedgerKey>,
    /// The keys of closed messages, by the segment that contains the entry.
    closed: VecDeque<(u64, HashSet<LedgerKey>)>,
    /// The number of this session, and whether it recorded an entry.
    session: u64,
    recorded: bool,
}

impl Index {
    /// Applies an entry of that segment.
    pub(super) fn apply(&mut self, entry: &LedgerEntry, segment: u64, now: Timestamp) {
        match entry {
            LedgerEntry::Record(LedgerRecord::Partial { key, fingerprint, event, done }) => {
                self.in_hand.insert(*key);
                let unfinished = self.unfinished.entry(*key).or_insert_with(|| {
                    if *fingerprint != [0; 16] {
                        self.by_fingerprint.entry(*fingerprint).or_default().push(*key);
                    }
                    let (done, session) = (HashSet::new(), self.session);
                    Unfinished { fingerprint: *fingerprint, event: *event, done, at: now, session }
                });
                (unfinished.at, unfinished.session) = (now, self.session);
                // The beginning of a segment repeats earlier entries.
                unfinished.done.extend(done);
            }
            LedgerEntry::Record(LedgerRecord::Closed { key }) => {
                self.drop_unfinished(*key);
                if self.closed.back().is_none_or(|(last, _)| *last != segment) {
                    self.closed.push_back((segment, HashSet::new()));
                }
                if let Some((_, closed)) = self.closed.back_mut() {
                    closed.insert(*key);
                }
            }
            LedgerEntry::Session { number } => (self.session, self.recorded) = (*number, true),
        }
    }

    pub(super) fn lookup(&self, key: LedgerKey) -> Option<RecordedMessage> {
        let is_closed = self.closed.iter().any(|(_, closed)| closed.contains(&key));
        let done = self.unfinished.get(&key).map(|found| found.done.clone());
        (is_closed || done.is_some())
            .then(|| RecordedMessage { is_closed, done: done.unwrap_or_default() })
    }

    /// Claims an unfinished message of that content. Each one is claimed at most once in a session.
    pub(super) fn claim_unfinished(&mut self, fingerprint: [u8; 16]) -> Option<ClaimedMessage> {
        let candidates = self.by_fingerprint.get(&fingerprint)?;
        let may_return = |key: &LedgerKey| {
            self.unfinished.get(key).is_some_and(|one| one.may_return(self.session))
        };
        let key = *candidates.iter().find(|key| !self.in_hand.contains(key) && may_return(key))?;
        self.in_hand.insert(key);
        let found = self.unfinished.get_mut(&key)?;
        found.session = self.session;
        Some(ClaimedMessage { key, event: found.event, done: found.done.clone() })
    }

    /// Begins a session: no message is in flight any more.
    pub(super) fn begin_session(&mut self) {
        self.in_hand.clear();
        self.session += u64::from(std::mem::take(&mut self.recorded));
    }

    /// The entry to record before the first one of a session, or `None` if it is recorded already.
    pub(super) fn first_of_session(&self) -> Option<LedgerEntry> {
        (!self.recorded).then_some(LedgerEntry::Session { number: self.session })
    }

    /// Forgets the closed messages of the segments up to this one.
    pub(super) fn forget_segment(&mut self, number: u64) {
        self.closed.retain(|(segment, _)| *segment > number);
    }

    /// All unfinished messages, as entries for the beginning of a segment. Messages that are too
    /// old are forgotten.
    pub(super) fn unfinished(&mut self, now: Timestamp) -> Vec<LedgerEntry> {
        let is_over =
            |one: &Unfinished| now.since(one.at) > UNFINISHED_MAX || !one.may_return(self.session);
        let over: Vec<_> =
            self.unfinished.iter().filter(|(_, one)| is_over(one)).map(|(key, _)| *key).collect();
        over.into_iter().for_each(|key| self.drop_unfinished(key));
        let mut all: Vec<_> = self.unfinished.iter().collect();
        all.sort_unstable_by_key(|(_, one)| one.session);
        let mut entries = Vec::new();
        for sessions in all.chunk_by(|(_, one), (_, next)| one.session == next.session) {
            entries.extend(
                sessions.first().map(|(_, one)| LedgerEntry::Session { number: one.session }),
            );
            entries.extend(sessions.iter().map(|(key, one)| {
                LedgerEntry::Record(LedgerRecord::Partial {
                    key: **key,
                    fingerprint: one.fingerprint,
                    event: one.event,
                    done: one.done.iter().copied().collect(),
                })
            }));
        }
        if self.recorded {
            entries.push(LedgerEntry::Session { number: self.session });
        }
        entries
    }

    fn drop_unfinished(&mut self, key: LedgerKey) {
        self.in_hand.remove(&key);
        let Some(gone) = self.unfinished.remove(&key) else {
            return;
        };
        if let Some(same) = self.by_fingerprint.get_mut(&gone.fingerprint) {
            same.retain(|other| *other != key);
            if same.is_empty() {
                self.by_fingerprint.remove(&gone.fingerprint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    /// What this thread has worked: other load does not count.
    fn on_the_processor() -> Duration {
        clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
    }

    #[test]
    fn an_event_for_twenty_thousand_is_recorded_in_portions_in_time_proportional_to_them() {
        let mut index = Index::default();
        let mark = |number: u64| {
            let mut name = [0; 16];
            name[..8].copy_from_slice(&number.to_be_bytes());
            LedgerMark(name)
        };
        let mut work = |numbers: std::ops::Range<u64>, together: usize| {
            let marks: Vec<_> = numbers.map(mark).collect();
            let began = on_the_processor();
            for done in marks.chunks(together) {
                let (key, done) = (LedgerKey([1; 16]), done.to_vec());
                let (fingerprint, event) = ([0; 16], [0; 16]);
                let record = LedgerRecord::Partial { key, fingerprint, event, done };
                index.apply(&LedgerEntry::Record(record), 1, Timestamp::from_unix_millis(0));
            }
            on_the_processor() - began
        };
        let early = work(0..500, 1);
        let _ = work(500..20_000, 20_000);
        let late = work(20_000..20_500, 1);
        assert!(late < early * 20, "{early:?} for the first 500, {late:?} with 20,000 known");
    }
}
