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
    dead_filter::DeadQueue,
    envelope::{
        self, ATTEMPTS, CODE, DEAD_AT, DETAIL, EVENT, FIRST_ATTEMPT_AT, GENERATION, HOPS, PLATFORM,
        REASON, RECEIVED_AT, ROBOT, SUBSCRIPTION, TOPIC, URGENT, find,
    },
    message::StoredDelivery,
    properties,
    topology::Topology,
};
use crate::domain::{
    DeadReason, EventId, HeaderValue, Headers, Part, Platform, PublishedMessage, RobotId,
    SubscriptionId, Timestamp,
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
    pub reason: DeadReason,
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
        let (reason, code, detail) = match text(REASON).parse() {
            Ok(reason) => (reason, text(CODE), text(DETAIL)),
            Err(_) if by_broker => death.why(),
            // A later version wrote a reason that this one does not know.
            Err(_) => (DeadReason::Evicted, text(REASON), text(DETAIL)),
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
            urgent: died_urgent || matches!(find(&ours, URGENT), Some(HeaderValue::Bool(true))),
            published,
        }
    }

    /// The message as which it is redriven: one delivery with the next generation, or the whole
    /// event.
    ///
    /// An undecodable event gets the next generation too, because the ledger knows this one as
    /// settled. An event that the broker gave up keeps its generation. Some of its deliveries may
    /// have been made, and the ledger must recognise them.
    pub(super) fn redriven(&self) -> Redriven {
        let Some((platform, subscription)) = self.platform.zip(self.subscription) else {
            let unread = self.reason == DeadReason::Undecodable;
            let generation = if unread { self.generation + 1 } else { self.generation };
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
                    "its expiration, set by its publisher or by a policy of the broker, ended in {queue}"
                ),
            ),
            Some(other) => (
                DeadReason::Evicted,
                other.to_owned(),
                format!("the broker put it out of {queue}, as it says: {other}"),
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
            return Self::default();
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
mod tests {
    use super::*;
    use crate::broker::TopologySettings;

    fn read(body: &[u8], properties: &BasicProperties) -> DeadLetter {
        let (prefix, tiers) = ("r".to_owned(), Vec::new());
        let topology =
            Topology::new(TopologySettings { prefix, tiers, delivery_limit: 1, receipts: false });
        DeadLetter::read(&topology, DeadQueue::Event, body.to_vec(), properties)
    }

    #[test]
    fn a_message_that_the_broker_gave_up_is_poison_and_has_its_topic_from_its_death() {
        let mut death = FieldTable::default();
        let keys = vec![AMQPValue::LongString("ops".into())];
        death.insert("routing-keys".into(), AMQPValue::FieldArray(keys.into()));
        death.insert("time".into(), AMQPValue::Timestamp(77));
        let mut headers = FieldTable::default();
        let deaths = vec![AMQPValue::FieldTable(death)];
        headers.insert("x-death".into(), AMQPValue::FieldArray(deaths.into()));
        let properties = BasicProperties::default().with_headers(headers);
        let letter = read(b"{}", &properties);
        assert_eq!((letter.reason, letter.topic.as_str()), (DeadReason::Poison, "ops"));
        assert_eq!(letter.dead_at, Some(Timestamp::from_unix_millis(77_000)));
        assert!(letter.id.starts_with("content-") && letter.id.len() == 40, "{}", letter.id);
        assert_eq!(letter.id, read(b"{}", &properties).id);
        assert_ne!(letter.id, read(b"[]", &properties).id);
        let Redriven::Event { headers, .. } = letter.redriven() else {
            panic!("it is no delivery")
        };
        assert!(
            headers.is_empty(),
            "some of its deliveries may be made: it is known under its own name"
        );
    }

    #[test]
    fn what_the_broker_gave_up_has_the_reason_of_its_last_death() {
        for (word, reason, code) in [
            (None, DeadReason::Poison, "delivery_limit"),
            (Some("delivery_limit"), DeadReason::Poison, "delivery_limit"),
            (Some("expired"), DeadReason::Expired, "broker_expiration"),
            (Some("maxlen"), DeadReason::Evicted, "maxlen"),
            (Some("rejected"), DeadReason::Evicted, "rejected"),
            (Some("something new"), DeadReason::Evicted, "something new"),
        ] {
            // An earlier entry: the message waited in a tier.
            let deaths = [word, Some("expired")].map(|word| {
                let mut death = FieldTable::default();
                if let Some(word) = word {
                    death.insert("reason".into(), AMQPValue::LongString(word.into()));
                }
                AMQPValue::FieldTable(death)
            });
            let mut headers = FieldTable::default();
            headers.insert("x-death".into(), AMQPValue::FieldArray(deaths.to_vec().into()));
            let letter = read(b"{}", &BasicProperties::default().with_headers(headers));
            assert_eq!((letter.reason, letter.code.as_str()), (reason, code), "{word:?}");
            let Redriven::Event { headers, .. } = letter.redriven() else {
                panic!("it is no delivery")
            };
            assert!(headers.is_empty(), "some of its deliveries may be made");
        }
    }

    #[test]
    fn an_event_is_redriven_through_the_exchange_through_which_it_came() {
        let is_urgent = |letter: DeadLetter| match letter.redriven() {
            Redriven::Event { urgent, .. } => urgent,
            Redriven::Delivery(..) => panic!("it is no delivery"),
        };
        // The broker puts the latest entry first.
        for (queues, urgent) in [
            (vec!["r.publish.urgent"], true),
            (vec!["r.publish"], false),
            (vec!["r.publish", "r.publish.urgent"], false),
            (vec!["r.publish.urgent", "a.delay.of.the.publisher"], true),
            (vec!["other.publish.urgent"], false),
        ] {
            let deaths = queues.iter().map(|queue| {
                let mut death = FieldTable::default();
                let text = |text: &str| AMQPValue::LongString(text.into());
                death.insert("queue".into(), text(queue));
                let keys = vec![text(&format!("to.{queue}"))];
                death.insert("routing-keys".into(), AMQPValue::FieldArray(keys.into()));
                AMQPValue::FieldTable(death)
            });
            let mut headers = FieldTable::default();
            headers
                .insert("x-death".into(), AMQPValue::FieldArray(deaths.collect::<Vec<_>>().into()));
            let letter = read(b"{}", &BasicProperties::default().with_headers(headers));
            assert_eq!(letter.topic, format!("to.{}", queues[0]), "{queues:?}");
            assert_eq!(is_urgent(letter), urgent, "{queues:?}");
        }
        for urgent in [true, false] {
            let why = envelope::of_dead_event(
                &PublishedMessage::default(),
                urgent,
                ("e1", 0),
                (DeadReason::Undecodable, "size", "too large"),
                Timestamp::default(),
            );
            let stored =
                properties::encode_properties(&PublishedMessage::default(), why, "own-name");
            assert_eq!(is_urgent(read(b"", &stored)), urgent);
        }
    }

    #[test]
    fn an_undecodable_event_is_redriven_a_generation_later() {
        let why = envelope::of_dead_event(
            &PublishedMessage { routing_key: "ops".into(), ..PublishedMessage::default() },
            false,
            ("e1", 4),
            (DeadReason::Undecodable, "size", "too large"),
            Timestamp::from_unix_millis(5),
        );
        let stored = properties::encode_properties(&PublishedMessage::default(), why, "own-name");
        let letter = read(b"", &stored);
        assert_eq!(
            (letter.id.as_str(), letter.event.as_str(), letter.generation),
            ("own-name", "e1", 4)
        );
        let Redriven::Event { headers, .. } = letter.redriven() else {
            panic!("it is no delivery")
        };
        assert_eq!(envelope::count(&headers, GENERATION), Ok(5));
    }

    #[test]
    fn a_publishers_message_id_beside_no_header_of_ours_is_the_events_name_and_not_the_letters() {
        let properties = BasicProperties::default().with_message_id("used twice".into());
        let letter = read(b"one", &properties);
        assert_eq!(letter.event, "used twice");
        assert_ne!(letter.id, read(b"two", &properties).id);
    }
}
