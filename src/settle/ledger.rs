//! The port of the deduplication ledger: which deliveries of a message are settled.
//!
//! Owns what an implementation must promise. Each promise has a test in `store/conformance/`.
//!
//! Not here: how keys are formed (`identity.rs`), the meaning of marks (`progress_mark.rs`), the
//! implementation on files (`store/ledger.rs`).

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;

use crate::{domain::Timestamp, port::PortFuture};

/// The key of a message in the ledger: a hash without a key, or a random number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LedgerKey(pub [u8; 16]);

/// One finished part of a message, in the form that the ledger stores. `progress_mark.rs` defines
/// its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LedgerMark(pub [u8; 16]);

/// One fact for the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerRecord {
    /// These marks of a message are done, in addition to the marks recorded before, and others are
    /// not.
    Partial {
        /// The message.
        key: LedgerKey,
        /// The hash of the content if the message has no `message_id`, else zeros.
        fingerprint: [u8; 16],
        /// The event id that roomcast generated in that case, else zeros.
        event: [u8; 16],
        /// The new marks.
        done: Vec<LedgerMark>,
    },
    /// All deliveries of a message are settled.
    Closed {
        /// The message.
        key: LedgerKey,
    },
}

/// What the ledger has recorded of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedMessage {
    /// Whether all deliveries of the message are recorded as settled.
    pub is_closed: bool,
    /// The finished marks, if the message is not closed.
    pub done: HashSet<LedgerMark>,
}

/// An unfinished message without a `message_id` that was recognised by its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedMessage {
    /// Its key in the ledger.
    pub key: LedgerKey,
    /// The event id that roomcast generated for it.
    pub event: [u8; 16],
    /// The marks that are done.
    pub done: HashSet<LedgerMark>,
}

/// The ledger could not be read or written. This settles nothing: the message stays unacknowledged,
/// the session ends, and the next one tries again.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LedgerUnavailable(pub Box<dyn std::error::Error + Send + Sync>);

/// The ledger of settled deliveries. Answers include every [`Ledger::append`] that has returned.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// What is recorded of a message; `None` if there is no record of it.
    fn lookup(
        &self,
        key: LedgerKey,
    ) -> PortFuture<'_, Result<Option<RecordedMessage>, LedgerUnavailable>>;

    /// Claims an unfinished message of that content that may still come back. Each one is claimed
    /// at most once in a session, and none that this session recorded.
    fn claim_unfinished(
        &self,
        fingerprint: [u8; 16],
    ) -> PortFuture<'_, Result<Option<ClaimedMessage>, LedgerUnavailable>>;

    /// Begins a session: no message is in flight any more.
    ///
    /// # Errors
    ///
    /// The ledger is not writable. A session that cannot record would send every message and ack
    /// none.
    async fn begin_session(self: Arc<Self>, now: Timestamp) -> Result<(), LedgerUnavailable>;

    /// Records a group; all of it is durable when it returns. After an error or a crash, any part
    /// of the group may be recorded. Records survive for the deduplication window at least.
    async fn append(
        self: Arc<Self>,
        records: Vec<LedgerRecord>,
        now: Timestamp,
    ) -> Result<(), LedgerUnavailable>;
}
