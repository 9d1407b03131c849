//! A dead letter: its fields for operators, and the message as which it is redriven. Pure.
//!
//! Owns how a letter is read, including a message that the broker itself dead-lettered.
//!
//! Not here: the headers (`envelope.rs`), redriving and discarding (`dead_queue.rs`).

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use sha2::{Digest, Sha256};

use super::{
    dead_queue_name::DeadQueue,
    envelope::{
        self, ATTEMPTS, CODE, DEAD_AT, DETAIL, EVENT, FIRST_ATTEMPT_AT, GENERATION, HOPS, PLATFORM,
        REASON, RECEIVED_AT, ROBOT, SUBSCRIPTION, TOPIC, URGENT, find,
    },
    message::StoredDelivery,
    properties,
    topology::Topology,
};
use crate::domain::{
    DeadReason, EventId, FeatureSet, HeaderValue, Headers, Part, Platform, PublishedMessage,
    RobotId, StoredReason, SubscriptionId, Timestamp,
};

/// A delivery or an event that was given up.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// The id of the letter: the message id from its storing, which stays the same in the queue. A
    /// message without such an id gets a hash of its content, so equal messages share one.
    pub id: String,
    /// The queue.
    pub queue: DeadQueue,
    /// The platform; `None` for an event.
    pub platform: Option<Platform>,
    /// The reason.
    pub reason: StoredReason,
    /// The code of the platform, or of roomcast.
    pub code: String,
    /// The text of the platform's answer, redacted.
    pub detail: String,
    /// The topic.
    pub topic: String,
    /// The event id.
    pub event: String,
    /// The subscription.
    pub subscription: Option<SubscriptionId>,
    /// The robot.
    pub robot: Option<RobotId>,
    /// The number of attempts.
    pub attempts: u32,
    /// The number of stays in a delay tier.
    pub hops: u32,
    /// The time at which the event was received, or the delivery last redriven.
    pub received_at: Option<Timestamp>,
    /// The time of the first attempt.
    pub first_attempt_at: Option<Timestamp>,
    /// The time at which it was given up.
    pub dead_at: Option<Timestamp>,
    /// The number of earlier redrives.
    pub generation: u32,
    /// The first part of its text that was not delivered.
    pub part: Part,
    /// What it left out after its platform refused it.
    pub omitted: FeatureSet,
    /// Whether it was urgent. For an event: whether it came through the urgent exchange.
    pub urgent: bool,
    /// The message of the event, with the topic as routing key.
    pub published: PublishedMessage,
}

/// The message as which a dead letter is redriven.
#[derive(Debug)]
pub(super) enum Redriven {
    /// One delivery, with these headers.
    Delivery(Platform, Headers),
    /// An event, published again with these headers to the urgent or the normal exchange.
    Event { urgent: bool, headers: Headers },
}

/// The prefix of ids that are hashes of the content.
const BY_CONTENT: &str = "content-";

impl DeadLetter {
    /// Whether the id is unique.
    pub(super) fn is_unmistakable(&self) -> bool {
        !self.id.starts_with(BY_CONTENT)
    }

    /// Reads a dead letter. If the broker itself dead-lettered the message, our headers are
    /// missing. Then its last entry in `x-death` tells the reason and whether it was urgent.
    pub(super) fn read(
        topology: &Topology,
        queue: DeadQueue,
        body: Vec<u8>,
        properties: &BasicProperties,
    ) -> Self {
        let (mut published, ours) = properties::decode_properties(String::new(), body, properties);
        let text =
            |name| find(&ours, name).and_then(HeaderValue::as_text).unwrap_or_default().to_owned();
        let by_broker = find(&ours, REASON).is_none();
        let death = XDeath::of(properties.headers());
        let died_urgent =
            by_broker && death.last_queue.as_ref().is_some_and(|queue| *queue == topology.urgent());
        let (reason, code, detail) = if by_broker {
            let (reason, code, detail) = death.why();
            (reason.into(), code, detail)
        } else {
            // Another version may have written a reason that this one does not know.
            (StoredReason::named(&text(REASON)), text(CODE), text(DETAIL))
        };
        let topic = match find(&ours, TOPIC).and_then(HeaderValue::as_text) {
            Some(topic) => topic.to_owned(),
            None => death.last_key.unwrap_or_default(),
        };
        // Beside our headers, the message id is ours. Otherwise it is the publisher's, and may not
        // be unique.
        let own = published.message_id.take_if(|id| !id.is_empty() && find(&ours, EVENT).is_some());
        let id = own.unwrap_or_else(|| named_by_content(&topic, &published));
        if let Some(event) = find(&ours, EVENT).and_then(HeaderValue::as_text) {
            published.message_id = Some(event.to_owned());
        }
        published.routing_key.clone_from(&topic);
        Self {
            event: published.message_id.clone().unwrap_or_default(),
            id,
            queue,
            platform: text(PLATFORM).parse().ok(),
            reason,
            code,
            detail,
            topic,
            subscription: text(SUBSCRIPTION).parse().ok(),
            robot: text(ROBOT).parse().ok(),
            attempts: envelope::count(&ours, ATTEMPTS).unwrap_or_default(),
            hops: envelope::count(&ours, HOPS).unwrap_or_default(),
            received_at: envelope::moment(&ours, RECEIVED_AT).unwrap_or_default(),
            first_attempt_at: envelope::moment(&ours, FIRST_ATTEMPT_AT).unwrap_or_default(),
            dead_at: envelope::moment(&ours, DEAD_AT)
                .unwrap_or_default()
                .or(death.last_at.filter(|_| by_broker)),
            generation: envelope::count(&ours, GENERATION).unwrap_or_default(),
            part: envelope::part(&ours).unwrap_or_default(),
            omitted: envelope::degradation(&ours).all(),
            urgent: died_urgent || matches!(find(&ours, URGENT), Some(HeaderValue::Bool(true))),
            published,
        }
    }

    /// The message as which it is redriven: one delivery with the next generation, or the whole
    /// event.
    ///
    /// An event that was not read, or whose topic had no subscription, gets the next generation
    /// too, because the ledger knows this one as settled. An event that the broker gave up keeps
    /// its generation. Some of its deliveries may have been made, and the ledger must recognise
    /// them.
    pub(super) fn redriven(&self) -> Redriven {
        let Some((platform, subscription)) = self.platform.zip(self.subscription) else {
            let is_settled = matches!(
                self.reason.known(),
                Some(DeadReason::Undecodable | DeadReason::Empty | DeadReason::NoSubscription)
            );
            let generation = if is_settled { self.generation + 1 } else { self.generation };
            return Redriven::Event {
                urgent: self.urgent,
                headers: envelope::of_redriven_event(generation),
            };
        };
        let stored = StoredDelivery {
            robot: self.robot,
            attempts: self.attempts,
            generation: self.generation,
            part: self.part,
            urgent: self.urgent,
            ..StoredDelivery::new(
                self.published.clone(),
                EventId::new(&self.event),
                subscription,
                platform,
            )
        };
        Redriven::Delivery(platform, envelope::of_redriven(&stored))
    }
}

/// The id of a message without an id of ours.
fn named_by_content(topic: &str, published: &PublishedMessage) -> String {
    let id = published.message_id.as_deref().unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [topic.as_bytes(), id.as_bytes(), &published.body] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    format!("{BY_CONTENT}{}", hex::encode(digest.get(..16).unwrap_or_default()))
}

/// The last entry in the broker's `x-death` header.
#[derive(Default)]
struct XDeath {
    /// The queue.
    last_queue: Option<String>,
    /// The routing key in that queue. For an event it is the topic, even if the publisher's own
    /// queues come earlier in the header.
    last_key: Option<String>,
    /// The time.
    last_at: Option<Timestamp>,
    /// The reason in the broker's terms.
    last_reason: Option<String>,
}

impl XDeath {
    /// Reason, code and detail. An unknown reason of the broker is shown unchanged.
    fn why(&self) -> (DeadReason, String, String) {
        let queue = self.last_queue.as_deref().unwrap_or("its queue");
        match self.last_reason.as_deref() {
            None | Some("delivery_limit") => (
                DeadReason::Poison,
                "delivery_limit".to_owned(),
                "the broker gave it up after it came back too often without an outcome".to_owned(),
            ),
            Some("expired") => (
                DeadReason::Expired,
                "broker_expiration".to_owned(),
                format!(
                    "its expiration, set by its publisher or by a policy of the broker, \
                     ended in {queue}"
                ),
            ),
            Some(other) => (
                DeadReason::Evicted,
                other.to_owned(),
                format!("the broker removed it from {queue}; its reason: {other}"),
            ),
        }
    }

    fn of(headers: &Option<FieldTable>) -> Self {
        let table = |value: &AMQPValue| match value {
            AMQPValue::FieldTable(death) => Some(death.clone()),
            _ => None,
        };
        let deaths =
            headers.as_ref().and_then(|headers| headers.inner().get("x-death")?.as_array());
        let Some(deaths) = deaths.map(lapin::types::FieldArray::as_slice) else {
            // Every version writes these texts too, the later ones those of the last death.
            let text = |name: &str| match headers.as_ref()?.inner().get(name)? {
                AMQPValue::LongString(text) => Some(text.to_string()),
                _ => None,
            };
            let either = |last, first| text(last).or_else(|| text(first));
            return Self {
                last_queue: either("x-last-death-queue", "x-first-death-queue"),
                last_reason: either("x-last-death-reason", "x-first-death-reason"),
                ..Self::default()
            };
        };
        let key = |death: FieldTable| match death
            .inner()
            .get("routing-keys")?
            .as_array()?
            .as_slice()
            .first()?
        {
            AMQPValue::LongString(key) => Some(key.to_string()),
            _ => None,
        };
        let text = |name: &str| match deaths.first().and_then(table)?.inner().get(name)? {
            AMQPValue::LongString(text) => Some(text.to_string()),
            _ => None,
        };
        let at = |death: FieldTable| match death.inner().get("time")? {
            AMQPValue::Timestamp(seconds) => {
                Some(Timestamp::from_unix_millis(seconds.saturating_mul(1000)))
            }
            _ => None,
        };
        Self {
            last_queue: text("queue"),
            last_reason: text("reason"),
            last_key: deaths.first().and_then(table).and_then(key),
            last_at: deaths.first().and_then(table).and_then(at),
        }
    }
}

#[cfg(test)]
mod tests;
