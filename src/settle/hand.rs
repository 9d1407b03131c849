//! Which deliveries that travel alone are in hand. A step that was stored twice, because the first confirm was lost, comes back as two messages of the
//! same name: while one of them is in hand, the other has nothing to add.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use crate::store::LedgerKey;

/// What one session has in hand. Clones are the same.
#[derive(Clone, Default)]
pub struct Hand(Arc<Mutex<HashSet<LedgerKey>>>);

/// One that is in hand, until this is dropped.
pub struct InHand {
    hand: Hand,
    key: LedgerKey,
}

impl Hand {
    /// Takes a message into hand; nothing if another of the same name is.
    #[must_use]
    pub fn take(&self, key: LedgerKey) -> Option<InHand> {
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        fresh.then(|| InHand { hand: self.clone(), key })
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.hand.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_of_a_name_is_in_hand_at_a_time() {
        let hand = Hand::default();
        let one = hand.take(LedgerKey([1; 16]));
        assert!(one.is_some() && hand.take(LedgerKey([1; 16])).is_none() && hand.take(LedgerKey([2; 16])).is_some());
        drop(one);
        assert!(hand.take(LedgerKey([1; 16])).is_some());
    }
}
