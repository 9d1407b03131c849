//! The dead letters selected for an action, and the letters already processed.
//!
//! Owns the rule that a letter met a second time is processed once.
//!
//! Not here: the criteria (`dead_filter.rs`), the action (`dead_queue.rs`).

use std::collections::{BTreeMap, HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::{dead_letter::DeadLetter, dead_queue_name::DeadQueue};

/// The letters selected for an action, one by one. A letter takes about 50 bytes.
#[derive(Default)]
pub struct DeadLetterSelection {
    pub(super) chosen: BTreeMap<DeadQueue, QueueSelection>,
    count: u64,
}

/// Letters by the hash of their id.
#[derive(Default)]
pub(super) struct QueueSelection {
    /// The letters to process; equal ids are counted.
    pub(super) waiting: HashMap<[u8; 16], u32>,
    /// The processed letters. The broker may lose an ack that is sent shortly before its channel
    /// closes. Such a letter is met again, and only acked.
    acted: HashSet<[u8; 16]>,
}

/// What to do with a letter of the walk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SelectionState {
    Selected,
    AlreadyDone,
    Other,
}

impl DeadLetterSelection {
    /// Selects a letter.
    pub fn choose(&mut self, letter: &DeadLetter) {
        self.chosen.entry(letter.queue).or_default().put(letter);
        self.count += 1;
    }

    /// The number of selected letters.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}

impl QueueSelection {
    pub(super) fn put(&mut self, letter: &DeadLetter) {
        *self.waiting.entry(hash(&letter.id)).or_default() += 1;
    }

    pub(super) fn take(&mut self, letter: &DeadLetter) -> SelectionState {
        let name = hash(&letter.id);
        if self.acted.contains(&name) {
            return SelectionState::AlreadyDone;
        }
        let Some(count) = self.waiting.get_mut(&name) else {
            return SelectionState::Other;
        };
        *count -= 1;
        if *count == 0 {
            self.waiting.remove(&name);
        }
        SelectionState::Selected
    }

    pub(super) fn acted_on(&mut self, letter: &DeadLetter) {
        if letter.is_unmistakable() {
            self.acted.insert(hash(&letter.id));
        }
    }
}

fn hash(id: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.iter_mut().zip(Sha256::digest(id.as_bytes())).for_each(|(to, from)| *to = from);
    short
}
