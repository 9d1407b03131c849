//! Opens the store for a command when no daemon runs.
//!
//! Owns the exit codes of a key or a store that does not open.
//!
//! Not here: the choice between daemon and store (`backend.rs`).

use std::sync::Arc;

use super::exit::Failure;
use crate::{
    admin::{SubscriptionService, ports::AdminStore},
    clock::Clock,
    config::Config,
    crypto::{KeyError, MasterKey},
    store::{Store, StoreError},
    telemetry::with_causes,
};

/// Opens the store.
///
/// # Errors
///
/// If the key cannot be read, or another process has the store open.
pub(super) async fn open_store(config: &Config) -> Result<Arc<dyn AdminStore>, Failure> {
    let (settings, file) = (config.store.clone(), config.key.file.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let key = MasterKey::load(&file).map_err(|error| key_failure(&error))?;
        Store::open(&settings, &key, Clock::System).map_err(|error| store_failure(&error))
    });
    match opened.await {
        Ok(store) => Ok(Arc::new(store?)),
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// The commands on subscriptions, on the opened store.
///
/// # Errors
///
/// If the key cannot be read, or another process has the store open.
pub(super) async fn subscriptions(config: &Config) -> Result<SubscriptionService, Failure> {
    Ok(SubscriptionService::new(open_store(config).await?, config.webhook_hosts()))
}

/// The exit code of a key that cannot be read.
pub(super) fn key_failure(error: &KeyError) -> Failure {
    Failure::Usage(with_causes(error))
}

/// The exit code of a store that does not open.
pub(super) fn store_failure(error: &StoreError) -> Failure {
    let message = with_causes(error);
    match error {
        StoreError::WrongKey { .. } | StoreError::Newer { .. } | StoreError::Exposed(_) => {
            Failure::Usage(message)
        }
        StoreError::Locked { .. } => Failure::Unavailable(message),
        error if error.is_refused_by_disk() => Failure::Unavailable(message),
        _ => Failure::Internal(message),
    }
}
