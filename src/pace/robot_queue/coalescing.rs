//! The overflow policies: waiting deliveries of a subscription stay in the queue, are coalesced, or
//! only the newest stays.
//!
//! Owns which deliveries are coalesced and which are superseded.
//!
//! Not here: the text of a digest (`platforms/digest.rs`).

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::{Priority, QueueKey, RobotQueue, Waiter, WakeReason};
use crate::{
    domain::{EventId, OverflowPolicy, SubscriptionId, Timestamp},
    pace::{AdmissionRequest, CoalescedDelivery, QueuePosition},
};

/// The most deliveries in one message.
const COALESCED_MAX: usize = 1000;

/// The waiting deliveries of subscriptions with the policy `digest` or `latest`.
#[derive(Default)]
pub(super) struct CoalescingState {
    /// The slot at which all waiting deliveries of a subscription leave as one message.
    bundles: HashMap<SubscriptionId, Timestamp>,
    /// The newest delivery of a subscription, and the slot at which it leaves.
    newest: HashMap<SubscriptionId, (Timestamp, EventId, Option<Timestamp>)>,
}

impl RobotQueue {
    /// Whether a newer message of the same subscription is known. If not, this one becomes the
    /// newest.
    pub(super) fn is_superseded(&mut self, request: &AdmissionRequest<'_>) -> bool {
        let newest = &mut self.coalescing.get_or_insert_default().newest;
        let event = request.event;
        match newest.get_mut(&request.subscription) {
            Some((_, id, _)) if *id == event.id => false,
            // Generated ids sort in the order of their creation, so they decide between two events
            // of one millisecond.
            Some((at, id, _))
                if request.position == QueuePosition::Tail
                    || (event.received_at, event.id.as_str()) > (*at, id.as_str()) =>
            {
                (*at, *id) = (event.received_at, event.id.clone());
                false
            }
            Some(_) => true,
            None => {
                newest.insert(request.subscription, (event.received_at, event.id.clone(), None));
                false
            }
        }
    }

    /// The slot that a delivery shares with another of its subscription, or takes over from it.
    pub(super) fn shared_slot(
        &mut self,
        request: &AdmissionRequest<'_>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if request.overflow == OverflowPolicy::Queue {
            return None;
        }
        let class = if request.event.urgent { Priority::Urgent } else { Priority::Other };
        let same = |key: &QueueKey, waiter: &Waiter| {
            let alike =
                waiter.subscription == request.subscription && waiter.overflow == request.overflow;
            alike && waiter.overflowed && key.class == class
        };
        let sitting =
            self.waiters.iter().find(|(key, waiter)| same(key, waiter)).map(|(key, _)| *key);
        if let Some(key) = sitting {
            if request.overflow == OverflowPolicy::Latest
                && let Some(older) = self.waiters.remove(&key)
            {
                older.handle.wake(WakeReason::Superseded);
            }
            return Some(key.slot);
        }
        let coalescing = self.coalescing.as_ref()?;
        let slot = match request.overflow {
            OverflowPolicy::Digest => coalescing.bundles.get(&request.subscription).copied(),
            _ => coalescing.newest.get(&request.subscription).and_then(|(_, _, slot)| *slot),
        };
        slot.filter(|slot| slot.after(self.hold_offset) > now)
    }

    pub(super) fn remember_slot(&mut self, request: &AdmissionRequest<'_>, slot: Timestamp) {
        match request.overflow {
            OverflowPolicy::Queue => (),
            OverflowPolicy::Digest => {
                self.coalescing.get_or_insert_default().bundles.insert(request.subscription, slot);
            }
            OverflowPolicy::Latest => {
                let newest = &mut self.coalescing.get_or_insert_default().newest;
                if let Some((_, _, known)) = newest.get_mut(&request.subscription) {
                    *known = Some(slot);
                }
            }
        }
    }

    /// Coalesces all deliveries of a digest subscription that wait in memory into the message of
    /// `leader`. That includes deliveries that only wait for the message before them. Otherwise
    /// newer deliveries would leave first.
    pub(super) fn coalesce(&mut self, leader: &Waiter) -> Vec<CoalescedDelivery> {
        if leader.overflow != OverflowPolicy::Digest || !leader.overflowed {
            return Vec::new();
        }
        let same = |waiter: &Waiter| {
            waiter.overflow == OverflowPolicy::Digest && waiter.subscription == leader.subscription
        };
        let keys: Vec<_> = self
            .waiters
            .iter()
            .filter(|(_, waiter)| same(waiter))
            .map(|(key, _)| *key)
            .take(COALESCED_MAX)
            .collect();
        let mut coalesced = Vec::with_capacity(keys.len());
        for waiter in keys.iter().filter_map(|key| self.waiters.remove(key)) {
            let (tell, hear) = oneshot::channel();
            waiter.handle.wake(WakeReason::Coalesced(hear));
            coalesced.push(CoalescedDelivery { event: waiter.event, notify: tell });
        }
        coalesced
    }
}
