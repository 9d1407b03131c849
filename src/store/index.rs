//! What the ledger knows, in memory: what is closed, what is unfinished, and which unfinished message is in hand.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use super::entry::{Entry, LedgerKey};
use crate::domain::{Moment, SubscriptionId};

/// An unfinished message nobody has come back for in this time does not come back: no event lives longer than `event.time_to_live_max`, and
/// queues are not left alone for longer.
const UNFINISHED_MAX: Duration = Duration::from_secs(14 * 24 * 3600);

/// An unfinished message that came back under no name and was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Its key.
    pub key: LedgerKey,
    /// The name it was given.
    pub event: [u8; 16],
    /// Whose deliveries are settled.
    pub done: Vec<SubscriptionId>,
}

struct Unfinished {
    fingerprint: [u8; 16],
    event: [u8; 16],
    done: Vec<SubscriptionId>,
    at: Moment,
}

#[derive(Default)]
pub(super) struct Index {
    unfinished: HashMap<LedgerKey, Unfinished>,
    by_fingerprint: HashMap<[u8; 16], Vec<LedgerKey>>,
    /// Unfinished messages that somebody in this session works on: nobody else may take them for his own.
    in_hand: HashSet<LedgerKey>,
    /// What was closed, by the segment that says so.
    closed: VecDeque<(u64, HashSet<LedgerKey>)>,
}

impl Index {
    /// Takes in an entry of that segment.
    pub(super) fn apply(&mut self, entry: &Entry, segment: u64, now: Moment) {
        match entry {
            Entry::Partial { key, fingerprint, event, done } => {
                self.in_hand.insert(*key);
                let fresh = || Unfinished { fingerprint: *fingerprint, event: *event, done: Vec::new(), at: now };
                let known = self.unfinished.contains_key(key);
                let unfinished = self.unfinished.entry(*key).or_insert_with(fresh);
                unfinished.at = now;
                // The beginning of a segment repeats what is known already.
                let old: HashSet<_> = unfinished.done.iter().copied().collect();
                unfinished.done.extend(done.iter().filter(|one| !old.contains(one)));
                if !known && *fingerprint != [0; 16] {
                    self.by_fingerprint.entry(*fingerprint).or_default().push(*key);
                }
            }
            Entry::Closed { key } => {
                self.drop_unfinished(*key);
                if self.closed.back().is_none_or(|(last, _)| *last != segment) {
                    self.closed.push_back((segment, HashSet::new()));
                }
                if let Some((_, closed)) = self.closed.back_mut() {
                    closed.insert(*key);
                }
            }
        }
    }

    pub(super) fn is_closed(&self, key: LedgerKey) -> bool {
        self.closed.iter().any(|(_, closed)| closed.contains(&key))
    }

    pub(super) fn done(&self, key: LedgerKey) -> Vec<SubscriptionId> {
        self.unfinished.get(&key).map(|found| found.done.clone()).unwrap_or_default()
    }

    /// Gives an unfinished message of that content to the one who asks, and to nobody else in this session.
    pub(super) fn adopt(&mut self, fingerprint: [u8; 16]) -> Option<Adopted> {
        let candidates = self.by_fingerprint.get(&fingerprint)?;
        let key = *candidates.iter().find(|key| !self.in_hand.contains(key))?;
        self.in_hand.insert(key);
        let Unfinished { event, done, .. } = self.unfinished.get(&key)?;
        Some(Adopted { key, event: *event, done: done.clone() })
    }

    /// Nothing is in hand any more.
    pub(super) fn begin_session(&mut self) {
        self.in_hand.clear();
    }

    /// Forgets what the segments up to this one say is closed.
    pub(super) fn forget_segment(&mut self, number: u64) {
        self.closed.retain(|(segment, _)| *segment > number);
    }

    /// Everything unfinished, as entries for the beginning of a segment; what is too old is forgotten.
    pub(super) fn unfinished(&mut self, now: Moment) -> Vec<Entry> {
        let old: Vec<_> =
            self.unfinished.iter().filter(|(_, one)| now.since(one.at) > UNFINISHED_MAX).map(|(key, _)| *key).collect();
        old.into_iter().for_each(|key| self.drop_unfinished(key));
        let entry = |(key, one): (&LedgerKey, &Unfinished)| Entry::Partial {
            key: *key,
            fingerprint: one.fingerprint,
            event: one.event,
            done: one.done.clone(),
        };
        self.unfinished.iter().map(entry).collect()
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
