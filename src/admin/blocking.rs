//! Runs work of a route that would hold up an async thread.
//!
//! Owns that no route blocks an async thread.
//!
//! Not here: waits for the store, whose ports are async (`ports.rs`).

use super::ApiError;

/// Runs long calculations on a thread that may be busy with them.
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
