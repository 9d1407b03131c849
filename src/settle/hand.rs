//! What is in hand. The second of two messages of one name waits for what becomes of the first, and adds what is left.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::store::LedgerKey;

/// What one session has in hand. Clones are the same.
#[derive(Clone, Default)]
pub struct Hand(Arc<Mutex<HashMap<LedgerKey, Option<CancellationToken>>>>);

/// A name that is in hand, until this is dropped.
pub struct InHand {
    hand: Hand,
    key: LedgerKey,
}

/// Another of the same name is in hand.
pub struct Taken(CancellationToken);

impl Hand {
    /// Takes a name into hand, unless it is.
    pub fn take(&self, key: LedgerKey) -> Result<InHand, Taken> {
        match self.all().entry(key) {
            Entry::Vacant(free) => {
                free.insert(None);
                Ok(InHand { hand: self.clone(), key })
            }
            Entry::Occupied(mut taken) => Err(Taken(taken.get_mut().get_or_insert_default().clone())),
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<LedgerKey, Option<CancellationToken>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        let waiting = self.hand.all().remove(&self.key).flatten();
        if let Some(waiting) = waiting {
            waiting.cancel();
        }
    }
}

impl Taken {
    /// Waits until the name is not in hand any more.
    pub async fn given_back(self) {
        self.0.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_message_of_a_name_is_in_hand_at_a_time_and_the_others_are_told_when_it_is_not() {
        let hand = Hand::default();
        let one = hand.take(LedgerKey([1; 16])).ok();
        let (second, third) =
            (hand.take(LedgerKey([1; 16])).err().unwrap(), hand.take(LedgerKey([1; 16])).err().unwrap());
        assert!(one.is_some() && hand.take(LedgerKey([2; 16])).is_ok());
        let waiting = tokio::spawn(async { tokio::join!(second.given_back(), third.given_back()) });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(one);
        waiting.await.unwrap();
        assert!(hand.take(LedgerKey([1; 16])).is_ok());
    }
}
