//! The state that all requests of the console share.
//!
//! Owns which parts the requests share.
//!
//! Not here: the sessions (`session.rs`), the snapshots (`event_stream.rs`).

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{event_stream::EventStream, session::ConsoleSessions};
use crate::admin::{Admin, authenticator::TokenAuthenticator};

/// The state of the console.
pub(super) struct Console {
    pub(super) admin: Admin,
    pub(super) authenticator: Arc<TokenAuthenticator>,
    pub(super) sessions: ConsoleSessions,
    pub(super) live: EventStream,
    pub(super) stop: CancellationToken,
}
