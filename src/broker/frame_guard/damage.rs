//! The report of a message's damage.
//!
//! Owns its text and the bounds of it.
//!
//! Not here: finding and repairing the damage (`fields.rs`, `content.rs`, `methods.rs`).

use std::fmt::Write;

/// The maximum number of different kinds of damage in a report.
const REPORTED_MAX: usize = 5;

/// The maximum size of a report, in bytes. It fits into the smallest frame beside the longest
/// properties.
const SENTENCE_MAX: usize = 1000;

/// The number of bytes that are shown of a text that is not UTF-8.
const BYTES_MAX: usize = 64;

/// The damage of one message.
#[derive(Debug, Default)]
pub(super) struct Damage {
    reported: Vec<String>,
    /// The number of further damages that are not listed.
    unreported: usize,
}

impl Damage {
    pub(super) const fn is_none(&self) -> bool {
        self.reported.is_empty()
    }

    /// Adds a text that is not UTF-8; `text` is the original.
    pub(super) fn not_text(&mut self, what: &str, text: &[u8]) {
        if self.reported.len() == REPORTED_MAX {
            self.unreported += 1;
            return;
        }
        let shown = hex::encode(text.get(..BYTES_MAX).unwrap_or(text));
        let more = if text.len() > BYTES_MAX { "…" } else { "" };
        self.add(format!("{what} is not UTF-8 (in hexadecimal: {shown}{more})"));
    }

    /// Adds an array or table that is nested deeper than `max`.
    pub(super) fn too_deep(&mut self, max: usize) {
        self.add(format!("the headers nest arrays or tables more than {max} deep"));
    }

    /// Adds an array or table whose content is not valid AMQP.
    pub(super) fn unreadable(&mut self) {
        self.add("an array or table in the headers cannot be read".to_owned());
    }

    /// Adds a description, unless it is listed already.
    pub(super) fn add(&mut self, what: String) {
        if self.reported.contains(&what) {
        } else if self.reported.len() < REPORTED_MAX {
            self.reported.push(what);
        } else {
            self.unreported += 1;
        }
    }

    /// The report as one sentence.
    pub(super) fn sentence(&self) -> String {
        let mut sentence = self.reported.join("; ");
        if self.unreported > 0 {
            // Writing to a `String` cannot fail.
            let _ = write!(sentence, "; and {} more", self.unreported);
        }
        sentence.truncate(sentence.floor_char_boundary(SENTENCE_MAX));
        sentence
    }
}
