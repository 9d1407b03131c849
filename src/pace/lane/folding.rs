//! What becomes of a subscription's deliveries that wait: each keeps its turn, they are folded into one, or only the newest stays.

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::{Class, Key, Lane, Told, Waiter};
use crate::{
    domain::{EventId, Moment, Overflow, SubscriptionId},
    pace::{Ask, Folded, Place},
};

/// So many messages are folded into one at the most.
const FOLDED_MAX: usize = 1000;

/// What subscriptions with an overflow policy of their own have waiting.
#[derive(Default)]
pub(super) struct Folding {
    /// The slot at which everything of a subscription leaves as one message.
    bundles: HashMap<SubscriptionId, Moment>,
    /// The newest of a subscription, and the slot at which it leaves.
    newest: HashMap<SubscriptionId, (Moment, EventId, Option<Moment>)>,
}

impl Lane {
    /// Whether a newer message of the same subscription is known. If not, this is the newest.
    pub(super) fn is_superseded(&mut self, ask: &Ask<'_>) -> bool {
        let newest = &mut self.folding.get_or_insert_default().newest;
        let event = ask.event;
        match newest.get_mut(&ask.subscription) {
            Some((_, id, _)) if *id == event.id => false,
            // Names that roomcast gives sort as they were given, so they decide between two of one millisecond.
            Some((at, id, _))
                if ask.place == Place::Fresh || (event.received_at, event.id.as_str()) > (*at, id.as_str()) =>
            {
                (*at, *id) = (event.received_at, event.id.clone());
                false
            }
            Some(_) => true,
            None => {
                newest.insert(ask.subscription, (event.received_at, event.id.clone(), None));
                false
            }
        }
    }

    /// The slot that a delivery shares with, or takes over from, another of its subscription.
    pub(super) fn shared_slot(&mut self, ask: &Ask<'_>, now: Moment) -> Option<Moment> {
        if ask.overflow == Overflow::Queue {
            return None;
        }
        let class = if ask.event.urgent { Class::Urgent } else { Class::Other };
        let same = |key: &Key, waiter: &Waiter| {
            let alike = waiter.subscription == ask.subscription && waiter.overflow == ask.overflow;
            alike && waiter.overflowed && key.class == class
        };
        let sitting = self.waiters.iter().find(|(key, waiter)| same(key, waiter)).map(|(key, _)| *key);
        if let Some(key) = sitting {
            if ask.overflow == Overflow::Latest
                && let Some(older) = self.waiters.remove(&key)
            {
                older.seat.tell(Told::Superseded);
            }
            return Some(key.slot);
        }
        let folding = self.folding.as_ref()?;
        let slot = match ask.overflow {
            Overflow::Digest => folding.bundles.get(&ask.subscription).copied(),
            _ => folding.newest.get(&ask.subscription).and_then(|(_, _, slot)| *slot),
        };
        slot.filter(|slot| slot.after(self.shift) > now)
    }

    pub(super) fn remember_slot(&mut self, ask: &Ask<'_>, slot: Moment) {
        match ask.overflow {
            Overflow::Queue => (),
            Overflow::Digest => {
                self.folding.get_or_insert_default().bundles.insert(ask.subscription, slot);
            }
            Overflow::Latest => {
                let newest = &mut self.folding.get_or_insert_default().newest;
                if let Some((_, _, known)) = newest.get_mut(&ask.subscription) {
                    *known = Some(slot);
                }
            }
        }
    }

    /// Everything of a digesting subscription that waits in memory is spoken for by the one that leaves, also what only waits for the message before
    /// it: else younger ones would leave before that.
    pub(super) fn fold(&mut self, leader: &Waiter) -> Vec<Folded> {
        if leader.overflow != Overflow::Digest || !leader.overflowed {
            return Vec::new();
        }
        let same = |waiter: &Waiter| waiter.overflow == Overflow::Digest && waiter.subscription == leader.subscription;
        let keys: Vec<_> =
            self.waiters.iter().filter(|(_, waiter)| same(waiter)).map(|(key, _)| *key).take(FOLDED_MAX).collect();
        let mut folded = Vec::with_capacity(keys.len());
        for waiter in keys.iter().filter_map(|key| self.waiters.remove(key)) {
            let (tell, hear) = oneshot::channel();
            waiter.seat.tell(Told::Spoken(hear));
            folded.push(Folded { event: waiter.event, tell });
        }
        folded
    }
}
