//! The port that rotates keys.
//!
//! Owns what an implementation must promise during a rotation.
//!
//! Not here: the keys themselves (`crypto/`).

use async_trait::async_trait;

use super::StoreFailure;
use crate::crypto::{KeyId, MasterKey};

/// The state of the store's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// The master key for everything that is sealed from now on.
    pub current: KeyId,
    /// During a rotation, the key that is replaced.
    pub old: Option<KeyId>,
    /// Whether the new key is known to be in the place from which the daemon reads it.
    pub in_place: bool,
    /// The number of data keys.
    pub data_keys: usize,
    /// The number of processed slots and of all slots, while data keys are wrapped under the new
    /// master key.
    pub wrapping: Option<(usize, usize)>,
    /// The number of resealed subscriptions and of all subscriptions, while a resealing runs.
    pub sealing: Option<(usize, usize)>,
}

/// Rotates the master key, and seals subscriptions under new data keys. Lookups and changes go on
/// meanwhile. A crash after any step leaves a store that opens with the old or the new key.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// The state of the keys.
    async fn key_status(&self) -> Result<KeyStatus, StoreFailure>;

    /// Makes a new master key valid beside the old one. A second call with the same key succeeds.
    async fn begin_rotation(&self, new: MasterKey) -> Result<(), StoreFailure>;

    /// Confirms that the new master key is in the place from which the daemon reads it. The old key
    /// becomes invalid as soon as no data key needs it.
    async fn replace_key_in_place(&self) -> Result<(), StoreFailure>;

    /// Starts to wrap every data key under the new master key, if a rotation is in progress. The
    /// status shows the work from the return of this call to its end.
    fn rotate_in_background(&self);

    /// Starts to seal every subscription under a new data key, and to destroy the old keys. The
    /// status shows the work from the return of this call to its end.
    fn reseal_in_background(&self);
}
