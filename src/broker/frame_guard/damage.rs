//! What was wrong with a message. Owns the sentence of it, which is bounded.

use std::fmt::Write;

use super::fields::DEPTH_MAX;

/// So many kinds of damage are told of one message.
const TOLD_MAX: usize = 5;

/// A sentence has at most so many bytes, so that it fits into the smallest frame beside the longest properties.
const SENTENCE_MAX: usize = 1000;

/// So many bytes of a text that is not UTF-8 are told.
const BYTES_MAX: usize = 64;

/// What was wrong with one message.
#[derive(Debug, Default)]
pub(super) struct Damage {
    told: Vec<String>,
    /// How many more there are that are not told.
    untold: usize,
}

impl Damage {
    pub(super) const fn is_none(&self) -> bool {
        self.told.is_empty()
    }

    /// A text that is not UTF-8, as it came.
    pub(super) fn not_text(&mut self, what: &str, text: &[u8]) {
        if self.told.len() == TOLD_MAX {
            self.untold += 1;
            return;
        }
        let shown = hex::encode(text.get(..BYTES_MAX).unwrap_or(text));
        let more = if text.len() > BYTES_MAX { "…" } else { "" };
        self.add(format!("{what} is not UTF-8 (in hexadecimal: {shown}{more})"));
    }

    /// An array or table that nests too deep.
    pub(super) fn too_deep(&mut self) {
        self.add(format!("the headers nest arrays or tables more than {DEPTH_MAX} deep"));
    }

    /// An array or table with content that is not AMQP.
    pub(super) fn unreadable(&mut self) {
        self.add("an array or table in the headers cannot be read".to_owned());
    }

    /// Adds what was wrong, once.
    pub(super) fn add(&mut self, what: String) {
        if self.told.contains(&what) {
        } else if self.told.len() < TOLD_MAX {
            self.told.push(what);
        } else {
            self.untold += 1;
        }
    }

    /// Everything in one sentence.
    pub(super) fn sentence(&self) -> String {
        let mut sentence = self.told.join("; ");
        if self.untold > 0 {
            // Writing to a text cannot fail.
            let _ = write!(sentence, "; and {} more", self.untold);
        }
        sentence.truncate(sentence.floor_char_boundary(SENTENCE_MAX));
        sentence
    }
}
