//! The overflow policies: waiting deliveries of a subscription stay in the queue, are coalesced, or
//! only the newest stays.
//!
//! Owns which deliveries are coalesced and which are superseded.
//!
//! Not here: the text of a digest (`platforms/digest.rs`).

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::{Class, Key, Lane, Told, Waiter};
use crate::{
    domain::{EventId, Moment, Overflow, SubscriptionId},
    pace::{Ask, Folded, Place},
};

/// The most deliveries in one message.
const FOLDED_MAX: usize = 1000;

/// The waiting deliveries of subscriptions with the policy `digest` or `latest`.
#[derive(Default)]
pub(super) struct Folding {
    /// The slot at which all waiting deliveries of a subscription leave as one message.
    bundles: HashMap<SubscriptionId, Moment>,
    /// The newest delivery of a subscription, and the slot at which it leaves.
    newest: HashMap<SubscriptionId, (Moment, EventId, Option<Moment>)>,
}

impl Lane {
    /// Whether a newer message of the same subscription is known. If not, this one becomes the
    /// newest.
    pub(super) fn is_superseded(&mut self, ask: &Ask<'_>) -> bool {
        let newest = &mut self.folding.get_or_insert_default().newest;
        let event = ask.event;
        match newest.get_mut(&ask.subscription) {
            Some((_, id, _)) if *id == event.id => false,
            // Generated ids sort in the order of their creation, so they decide between two events
            // of one millisecond.
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

    /// The slot that a delivery shares with another of its subscription, or takes over from it.
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

    /// Coalesces all deliveries of a digest subscription that wait in memory into the message of
    /// `leader`. That includes deliveries that only wait for the message before them. Otherwise
    /// newer deliveries would leave first.
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
