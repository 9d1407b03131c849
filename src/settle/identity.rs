//! By what name the ledger knows a message. Owns the rule that tells a repeat from another message of the same content.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use crate::{
    domain::{Delivery, EventId, Published, SubscriptionId},
    store::{Ledger, LedgerKey},
};

/// How a message is known to the ledger, and what the ledger knows of it.
pub struct Identity {
    /// The ledger's key.
    pub key: LedgerKey,
    /// The event's name.
    pub event: EventId,
    /// How often the event was redriven as a whole.
    pub generation: u32,
    /// What recognises the message when it comes back, where the publisher gave no `message_id`.
    pub made: Option<Made>,
    /// The subscriptions whose deliveries are already settled.
    pub done: Vec<SubscriptionId>,
}

/// The identity of an event whose publisher gave it no name.
#[derive(Clone, Copy)]
pub struct Made {
    /// The hash of its topic and body.
    pub fingerprint: [u8; 16],
    /// The bytes of the name it was given.
    pub name: [u8; 16],
}

impl Identity {
    /// Of an event.
    ///
    /// With a `message_id` the event is the same if topic, id and body are, whether the broker hands it over again or its publisher, who had no
    /// confirm, published it again; and redriving it as a whole is not what was done before. Without one, two messages of equal content are two
    /// events, so it gets a name at random. When such a message is redelivered it takes over an unfinished entry of equal content, if the ledger
    /// has one: that entry's message was never acked, so it is coming back, and equal copies are interchangeable.
    #[must_use]
    pub fn of_event(published: &Published, generation: u32, redelivered: bool, ledger: &Ledger) -> Self {
        let topic = published.routing_key.as_bytes();
        if let Some(id) = published.message_id.as_deref().filter(|id| !id.is_empty()) {
            let parts: [&[u8]; 4] = [topic, id.as_bytes(), &published.body, &generation.to_be_bytes()];
            // One that was never redriven is known as versions knew it that could not tell.
            let key = LedgerKey(digest(b"event", if generation == 0 { parts.split_at(3).0 } else { parts.as_slice() }));
            let done = ledger.done(key);
            return Self { key, event: EventId::new(id), generation, made: None, done };
        }
        let fingerprint = digest(b"content", &[topic, &published.body]);
        if redelivered && let Some(adopted) = ledger.adopt(fingerprint) {
            let made = Made { fingerprint, name: adopted.event };
            let event = EventId::from_bytes(made.name);
            return Self { key: adopted.key, event, generation, made: Some(made), done: adopted.done };
        }
        let name = EventId::random_bytes();
        Self {
            key: LedgerKey(name),
            event: EventId::from_bytes(name),
            generation,
            made: Some(Made { fingerprint, name }),
            done: Vec::new(),
        }
    }

    /// Of a message that adds nothing to another one in hand: it is acked, and nothing is recorded of it, as the other is not settled yet.
    #[must_use]
    pub fn redundant(event: EventId) -> Self {
        let name = EventId::random_bytes();
        let made = Some(Made { fingerprint: [0; 16], name });
        Self { key: LedgerKey(name), event, generation: 0, made, done: Vec::new() }
    }

    /// Of a delivery that travels alone.
    #[must_use]
    pub fn of_delivery(delivery: &Delivery, ledger: &Ledger) -> Self {
        let key = key_of_delivery(delivery);
        let done = ledger.done(key);
        Self { key, event: delivery.event.id.clone(), generation: delivery.generation, made: None, done }
    }
}

/// The key of a delivery that travels alone. Every hop is a message of its own, so a hop that comes back after the next one was stored
/// is recognised; and so is every redrive, so one that was put back twice, because its redriving was interrupted, is delivered once. What is said is
/// part of it, because publishers have been seen to use one `message_id` twice.
fn key_of_delivery(delivery: &Delivery) -> LedgerKey {
    let counts = [delivery.generation.to_be_bytes(), delivery.hops.to_be_bytes()].concat();
    let event = &delivery.event;
    let (topic, id) = (event.topic.as_str().as_bytes(), event.id.as_str().as_bytes());
    let parts: [&[u8]; 5] = [topic, id, &event.published.body, delivery.subscription.as_bytes(), &counts];
    LedgerKey(digest(b"delivery", &parts))
}

/// How many parts of a delivery were delivered, by what the ledger knows to be done.
#[must_use]
pub fn parts_done(done: &HashSet<SubscriptionId>, subscription: SubscriptionId, from: u32) -> u32 {
    if done.is_empty() {
        return from;
    }
    (from..).find(|at| !done.contains(&mark_of_part(subscription, *at))).unwrap_or(from)
}

/// By what the ledger knows that a part of a delivery was delivered, while others are not: it stands among the subscriptions that are done, and is none.
#[must_use]
pub fn mark_of_part(subscription: SubscriptionId, at: u32) -> SubscriptionId {
    SubscriptionId::from_bytes(digest(b"part", &[subscription.as_bytes(), &at.to_be_bytes()]))
}

/// By what the ledger knows that a delivery was delivered whole, while its receipt may be missing. It stands among the subscriptions that are done, and is
/// none.
#[must_use]
pub fn mark_of_receipt(subscription: SubscriptionId) -> SubscriptionId {
    SubscriptionId::from_bytes(digest(b"receipt", &[subscription.as_bytes()]))
}

/// Whether only the receipt of a delivery is missing, by what the ledger knows to be done.
#[must_use]
pub fn only_receipt_missing(done: &HashSet<SubscriptionId>, subscription: SubscriptionId) -> bool {
    !done.is_empty() && done.contains(&mark_of_receipt(subscription))
}

fn digest(kind: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new_with_prefix(kind);
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let full = hash.finalize();
    let mut short = [0; 16];
    short.iter_mut().zip(full).for_each(|(to, from)| *to = from);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_one_part_ends_and_the_next_begins_matters() {
        assert_ne!(digest(b"k", &[b"ab", b"c"]), digest(b"k", &[b"a", b"bc"]));
        assert_ne!(digest(b"k", &[b"a"]), digest(b"l", &[b"a"]));
        assert_eq!(digest(b"k", &[b"a"]), digest(b"k", &[b"a"]));
    }
}
