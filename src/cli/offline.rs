//! What the command line does without a daemon: it opens the store itself.

use super::exit::Failure;
use crate::{
    app,
    config::Config,
    crypto::{KeyError, MasterKey},
    store::{Store, StoreError},
    telemetry::with_causes,
};

/// Opens the store, if no other process has it open.
pub(super) fn open_store(config: &Config) -> Result<Store, Failure> {
    let key = MasterKey::load(&config.key.file).map_err(|error| key_failure(&error))?;
    Store::open(&app::store_settings(config), &key).map_err(|error| store_failure(&error))
}

/// What a broken key means for the exit code.
pub(super) fn key_failure(error: &KeyError) -> Failure {
    Failure::Usage(with_causes(error))
}

/// What a store that does not open means for the exit code.
pub(super) fn store_failure(error: &StoreError) -> Failure {
    let message = with_causes(error);
    match error {
        StoreError::WrongKey { .. } | StoreError::Newer { .. } | StoreError::Exposed(_) => Failure::Usage(message),
        StoreError::Locked { .. } => Failure::Unavailable(message),
        error if error.is_refused_by_disk() => Failure::Unavailable(message),
        _ => Failure::Internal(message),
    }
}
