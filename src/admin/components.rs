//! The components that the API calls, and how a route calls one that blocks.
//!
//! Owns that no route blocks an async thread.
//!
//! Not here: the routes (`routes.rs`), and building the components (`app/wiring.rs`).

use std::sync::Arc;

use tokio::sync::watch;

use super::{ApiError, DeadLetterService, Explainer, SubscriptionService};
use crate::{domain::Timestamp, pace::Pace, telemetry::Telemetry};

/// The components that the API calls.
#[derive(Clone)]
pub struct Admin {
    /// Commands on subscriptions.
    pub subscriptions: SubscriptionService,
    /// Explanations of events.
    pub explainer: Explainer,
    /// Dead letters.
    pub letters: DeadLetterService,
    /// Robots and groups.
    pub pace: Pace,
    /// Metrics.
    pub telemetry: Arc<Telemetry>,
    /// Whether a session with the broker is open.
    pub ready: watch::Receiver<bool>,
    /// When the metrics began to count.
    pub since: Timestamp,
}

/// Runs work on a thread that may block, because the store blocks on the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => {
            tracing::error!(error = &panicked as &dyn std::error::Error, "a request panicked");
            Err(ApiError::Internal("the daemon failed; its log says why".to_owned()))
        }
    }
}
