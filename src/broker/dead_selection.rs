//! Which dead letters are to be acted on, and which were. Owns that a letter that is met again is acted on once.

use std::collections::{BTreeMap, HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::{dead_filter::DeadQueue, dead_letter::DeadLetter};

/// Which letters are to be acted on, chosen one by one. It takes some 50 bytes for each.
#[derive(Default)]
pub struct Selection {
    pub(super) chosen: BTreeMap<DeadQueue, Chosen>,
    count: u64,
}

/// Letters by the hash of their names.
#[derive(Default)]
pub(super) struct Chosen {
    /// What is to be acted on; equal ones are counted.
    pub(super) waiting: HashMap<[u8; 16], u32>,
    /// What was acted on. The broker may forget acks that were sent shortly before their channel was closed: such a letter is met again, and only acked.
    acted: HashSet<[u8; 16]>,
}

/// What is to be done about a letter that was met.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    Chosen,
    Acted,
    Other,
}

impl Selection {
    /// Chooses a letter.
    pub fn choose(&mut self, letter: &DeadLetter) {
        self.chosen.entry(letter.queue).or_default().put(letter);
        self.count += 1;
    }

    /// How many are chosen.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}

impl Chosen {
    pub(super) fn put(&mut self, letter: &DeadLetter) {
        *self.waiting.entry(hash(&letter.id)).or_default() += 1;
    }

    pub(super) fn take(&mut self, letter: &DeadLetter) -> Met {
        let name = hash(&letter.id);
        if self.acted.contains(&name) {
            return Met::Acted;
        }
        let Some(count) = self.waiting.get_mut(&name) else {
            return Met::Other;
        };
        *count -= 1;
        if *count == 0 {
            self.waiting.remove(&name);
        }
        Met::Chosen
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
