//! The ids of dead letters.
//!
//! Owns how a new id is made.
//!
//! Not here: the id of a message that the broker itself dead-lettered (`broker/dead_letter.rs`),
//! and the error for a text that is not an id (`id.rs`).

use std::fmt;

use uuid::Uuid;

/// The id of a dead letter that roomcast stores: the AMQP `message_id` of the stored message. It is
/// chosen before the letter is stored, so that log lines can name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterId(Uuid);

impl LetterId {
    /// A new id. Ids made later sort later.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
