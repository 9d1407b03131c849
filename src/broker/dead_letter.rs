//! One dead letter as an operator reads it, and which ones a filter picks. Pure.

use std::time::Duration;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

use super::{
    envelope::{
        self, ATTEMPTS, CODE, DEAD_AT, DETAIL, EVENT, FIRST_ATTEMPT_AT, GENERATION, PLATFORM, REASON, ROBOT,
        SUBSCRIPTION, TOPIC, find,
    },
    message::Travelling,
    properties,
};
use crate::domain::{DeadReason, HeaderValue, Headers, Moment, Part, Platform, Published, RobotId, SubscriptionId};

/// A delivery, or an event, that was given up.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// By what it is named on the command line: its own message id.
    pub id: String,
    /// The platform; none for an event that could not be read.
    pub platform: Option<Platform>,
    /// Why it was given up.
    pub reason: DeadReason,
    /// The platform's code, or ours.
    pub code: String,
    /// The platform's words, redacted.
    pub detail: String,
    /// The topic.
    pub topic: String,
    /// The event's name.
    pub event: String,
    /// For whom.
    pub subscription: Option<SubscriptionId>,
    /// To which robot.
    pub robot: Option<RobotId>,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the first attempt was made.
    pub first_attempt_at: Option<Moment>,
    /// When it was given up.
    pub dead_at: Option<Moment>,
    /// How often it was redriven before.
    pub generation: u32,
    /// Which part of its text could not be delivered; those before it were.
    pub part: Part,
    /// The event's message, its routing key the topic again.
    pub published: Published,
}

/// Which dead letters are meant; what is not given matches all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// This letter alone.
    pub id: Option<String>,
    /// Of this topic.
    pub topic: Option<String>,
    /// For this reason.
    pub reason: Option<DeadReason>,
    /// With this code.
    pub code: Option<String>,
    /// For this robot.
    pub robot: Option<RobotId>,
    /// For this subscription.
    pub subscription: Option<SubscriptionId>,
    /// Of this event.
    pub event: Option<String>,
    /// Given up at least this long ago.
    pub older_than: Option<Duration>,
    /// Given up at most this long ago.
    pub newer_than: Option<Duration>,
}

impl Filter {
    /// Whether the letter is meant. One that does not say when it was given up is neither old nor new.
    #[must_use]
    pub fn matches(&self, letter: &DeadLetter, now: Moment) -> bool {
        let age = letter.dead_at.map(|at| now.since(at));
        self.id.as_ref().is_none_or(|id| *id == letter.id)
            && self.topic.as_ref().is_none_or(|topic| *topic == letter.topic)
            && self.reason.is_none_or(|reason| reason == letter.reason)
            && self.code.as_ref().is_none_or(|code| *code == letter.code)
            && self.robot.is_none_or(|robot| Some(robot) == letter.robot)
            && self.subscription.is_none_or(|id| Some(id) == letter.subscription)
            && self.event.as_ref().is_none_or(|event| *event == letter.event)
            && self.older_than.is_none_or(|bound| age.is_some_and(|age| age >= bound))
            && self.newer_than.is_none_or(|bound| age.is_some_and(|age| age <= bound))
    }
}

impl DeadLetter {
    /// Reads a dead letter. One that the broker itself made, because a message was redelivered too often, has none of our headers; it is
    /// read as `poison`.
    pub(super) fn read(body: Vec<u8>, properties: &BasicProperties, place: u64) -> Self {
        let (mut published, ours) = properties::take_apart(String::new(), body, properties);
        let text = |name| find(&ours, name).and_then(HeaderValue::as_text).unwrap_or_default().to_owned();
        let poison = find(&ours, REASON).is_none();
        let topic = match find(&ours, TOPIC).and_then(HeaderValue::as_text) {
            Some(topic) => topic.to_owned(),
            None => first_key(properties.headers()).unwrap_or_default(),
        };
        let id = published.message_id.clone().unwrap_or_else(|| format!("number-{place}"));
        if let Some(event) = find(&ours, EVENT).and_then(HeaderValue::as_text) {
            published.message_id = Some(event.to_owned());
        }
        published.routing_key.clone_from(&topic);
        Self {
            event: published.message_id.clone().unwrap_or_default(),
            id,
            platform: text(PLATFORM).parse().ok(),
            reason: text(REASON).parse().unwrap_or(DeadReason::Poison),
            code: if poison { "delivery_limit".to_owned() } else { text(CODE) },
            detail: if poison {
                "the broker gave it up after it came back too often without an outcome".to_owned()
            } else {
                text(DETAIL)
            },
            topic,
            subscription: text(SUBSCRIPTION).parse().ok(),
            robot: text(ROBOT).parse().ok(),
            attempts: envelope::count(&ours, ATTEMPTS).unwrap_or_default(),
            first_attempt_at: envelope::moment(&ours, FIRST_ATTEMPT_AT).unwrap_or_default(),
            dead_at: envelope::moment(&ours, DEAD_AT).unwrap_or_default(),
            generation: envelope::count(&ours, GENERATION).unwrap_or_default(),
            part: envelope::part(&ours).unwrap_or_default(),
            published,
        }
    }

    /// The headers under which the delivery is tried again; nothing for an event, which is published again instead.
    pub(super) fn redriven(&self) -> Option<(Platform, Headers)> {
        let (platform, subscription) = self.platform.zip(self.subscription)?;
        let travelling = Travelling {
            published: self.published.clone(),
            event: crate::domain::EventId::new(&self.event),
            subscription,
            platform,
            attempts: self.attempts,
            hops: 0,
            generation: self.generation,
            part: self.part,
            first_attempt_at: None,
            due_at: None,
            slot: None,
            received_at: None,
            expires_at: None,
            urgent: false,
        };
        Some((platform, envelope::of_redriven(&travelling)))
    }
}

/// The routing key with which the message first died, which for an event is its topic.
fn first_key(headers: &Option<FieldTable>) -> Option<String> {
    let deaths = headers.as_ref()?.inner().get("x-death")?.as_array()?;
    let AMQPValue::FieldTable(death) = deaths.as_slice().last()? else {
        return None;
    };
    let keys = death.inner().get("routing-keys")?.as_array()?;
    match keys.as_slice().first()? {
        AMQPValue::LongString(key) => Some(key.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> DeadLetter {
        DeadLetter {
            id: "l1".into(),
            platform: Some(Platform::WeCom),
            reason: DeadReason::Refused,
            code: "40058".into(),
            detail: String::new(),
            topic: "ops".into(),
            event: "e1".into(),
            subscription: Some(SubscriptionId::from_bytes([1; 16])),
            robot: Some(RobotId::from_bytes([2; 16])),
            attempts: 1,
            first_attempt_at: None,
            dead_at: Some(Moment::from_unix_millis(60_000)),
            generation: 0,
            part: Part::default(),
            published: Published::default(),
        }
    }

    #[test]
    fn a_filter_picks_what_agrees_in_everything_it_names() {
        let now = Moment::from_unix_millis(120_000);
        let minute = Duration::from_secs(60);
        for (filter, matches) in [
            (Filter::default(), true),
            (Filter { id: Some("l1".into()), topic: Some("ops".into()), ..Filter::default() }, true),
            (Filter { reason: Some(DeadReason::Refused), code: Some("40058".into()), ..Filter::default() }, true),
            (Filter { reason: Some(DeadReason::Expired), code: Some("40058".into()), ..Filter::default() }, false),
            (Filter { robot: Some(RobotId::from_bytes([3; 16])), ..Filter::default() }, false),
            (Filter { subscription: Some(SubscriptionId::from_bytes([1; 16])), ..Filter::default() }, true),
            (Filter { event: Some("e2".into()), ..Filter::default() }, false),
            (Filter { older_than: Some(minute), newer_than: Some(minute), ..Filter::default() }, true),
            (Filter { older_than: Some(minute * 2), ..Filter::default() }, false),
            (Filter { newer_than: Some(minute / 2), ..Filter::default() }, false),
        ] {
            assert_eq!(filter.matches(&letter(), now), matches, "{filter:?}");
        }
    }

    #[test]
    fn what_the_broker_itself_gave_up_is_poison_and_its_topic_is_found() {
        let mut death = FieldTable::default();
        let keys = vec![AMQPValue::LongString("ops.db".into())];
        death.insert("routing-keys".into(), AMQPValue::FieldArray(keys.into()));
        let mut headers = FieldTable::default();
        headers.insert("x-death".into(), AMQPValue::FieldArray(vec![AMQPValue::FieldTable(death)].into()));
        let properties = BasicProperties::default().with_headers(headers);
        let letter = DeadLetter::read(b"{}".to_vec(), &properties, 7);
        assert_eq!(
            (letter.reason, letter.topic.as_str(), letter.id.as_str()),
            (DeadReason::Poison, "ops.db", "number-7")
        );
        assert_eq!(letter.published.routing_key, "ops.db");
    }
}
