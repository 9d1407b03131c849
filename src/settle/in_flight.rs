//! The registry of messages in flight in one session.
//!
//! Owns the guarantee that two messages with one key are never handled at the same time. The second
//! waits for the first, and then does only the rest.
//!
//! Not here: how keys are formed (`identity.rs`), and what the second message does
//! (`pipeline/in_flight.rs`).

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use super::LedgerKey;

/// The keys in flight of one session. Clones share them.
#[derive(Clone, Default)]
pub struct InFlightRegistry(Arc<Mutex<HashMap<LedgerKey, Option<CancellationToken>>>>);

/// A registered key. Dropping it releases the key.
pub struct InFlightGuard {
    in_flight: InFlightRegistry,
    key: LedgerKey,
}

/// Another message with the same key is in flight.
pub struct AlreadyInFlight(CancellationToken);

impl InFlightRegistry {
    /// Registers a key.
    ///
    /// # Errors
    ///
    /// The key is already registered.
    pub fn register(&self, key: LedgerKey) -> Result<InFlightGuard, AlreadyInFlight> {
        match self.all().entry(key) {
            Entry::Vacant(free) => {
                free.insert(None);
                Ok(InFlightGuard { in_flight: self.clone(), key })
            }
            Entry::Occupied(mut taken) => {
                Err(AlreadyInFlight(taken.get_mut().get_or_insert_default().clone()))
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<LedgerKey, Option<CancellationToken>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let waiting = self.in_flight.all().remove(&self.key).flatten();
        if let Some(waiting) = waiting {
            waiting.cancel();
        }
    }
}

impl AlreadyInFlight {
    /// Waits until the key is released.
    pub async fn released(self) {
        self.0.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_message_of_an_identity_is_in_flight_and_the_others_are_notified_at_its_end() {
        let in_flight = InFlightRegistry::default();
        let one = in_flight.register(LedgerKey([1; 16])).ok();
        let (second, third) = (
            in_flight.register(LedgerKey([1; 16])).err().unwrap(),
            in_flight.register(LedgerKey([1; 16])).err().unwrap(),
        );
        assert!(one.is_some() && in_flight.register(LedgerKey([2; 16])).is_ok());
        let waiting = tokio::spawn(async { tokio::join!(second.released(), third.released()) });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(one);
        waiting.await.unwrap();
        assert!(in_flight.register(LedgerKey([1; 16])).is_ok());
    }
}
