//! The end of a session with the broker.
//!
//! Owns that all parts of a session learn of its end, and that its first cause is kept.
//!
//! Not here: the parts that end a session (`session.rs`, `publisher.rs`, `message_stream.rs`).

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// The end of a session, shared by all its parts. The first cause is kept.
#[derive(Clone, Default)]
pub struct SessionEnd {
    token: CancellationToken,
    cause: Arc<OnceLock<String>>,
}

impl SessionEnd {
    /// Ends the session.
    pub fn end(&self, cause: String) {
        let _ = self.cause.set(cause);
        self.token.cancel();
    }

    /// Waits for the end.
    pub async fn wait(&self) {
        self.token.cancelled().await;
    }

    /// Whether the session has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.token.is_cancelled()
    }

    /// The cause of the end.
    #[must_use]
    pub fn cause(&self) -> String {
        self.cause.get().cloned().unwrap_or_else(|| "it was closed".to_owned())
    }
}
