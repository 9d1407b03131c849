//! Tests of dead letters: the reason of a message that the broker gave up, and how it is redriven.
//!
//! Owns that a redrive uses the exchange, the id and the generation that the letter names.
//!
//! Not here: which letters a filter selects (`dead_filter.rs`).

use super::*;
use crate::broker::TopologySettings;
use crate::broker::envelope::DeadEvent;
use crate::domain::{DeadCause, HEADERS_BYTES_MAX};

fn read(body: &[u8], properties: &BasicProperties) -> DeadLetter {
    let (prefix, tiers) = ("r".to_owned(), Vec::new());
    let topology =
        Topology::new(TopologySettings { prefix, tiers, delivery_limit: 1, receipts: false });
    DeadLetter::read(&topology, DeadQueue::Event, body.to_vec(), properties)
}

fn stored(headers: Headers) -> BasicProperties {
    let published = PublishedMessage::default();
    properties::encode_properties(&published, headers, "own-name", HEADERS_BYTES_MAX)
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
    assert_eq!((letter.reason.known(), letter.topic.as_str()), (Some(DeadReason::Poison), "ops"));
    assert_eq!(letter.dead_at, Some(Timestamp::from_unix_millis(77_000)));
    assert!(letter.id.starts_with("content-") && letter.id.len() == 40, "{}", letter.id);
    assert_eq!(letter.id, read(b"{}", &properties).id);
    assert_ne!(letter.id, read(b"[]", &properties).id);
    let Redriven::Event { headers, .. } = letter.redriven() else { panic!("it is no delivery") };
    assert!(
        headers.is_empty(),
        "some of its deliveries may be made: it is known under its own name"
    );
}

#[test]
fn a_message_that_the_broker_dead_lettered_has_the_reason_of_its_last_death() {
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
        assert_eq!((&letter.reason, letter.code.as_str()), (&reason.into(), code), "{word:?}");
        let Redriven::Event { headers, .. } = letter.redriven() else {
            panic!("it is no delivery")
        };
        assert!(headers.is_empty(), "some of its deliveries may be made");
    }
}

#[test]
fn without_the_list_of_deaths_the_texts_for_the_last_or_the_first_tell_the_reason() {
    for (names, reason, urgent) in [
        (&[("x-first-death-reason", "expired")][..], DeadReason::Expired, false),
        (
            &[("x-first-death-reason", "expired"), ("x-last-death-reason", "maxlen")],
            DeadReason::Evicted,
            false,
        ),
        (
            &[
                ("x-last-death-reason", "delivery_limit"),
                ("x-last-death-queue", "r.publish.urgent"),
            ],
            DeadReason::Poison,
            true,
        ),
    ] {
        let mut headers = FieldTable::default();
        for (name, text) in names {
            headers.insert((*name).into(), AMQPValue::LongString((*text).into()));
        }
        let letter = read(b"{}", &BasicProperties::default().with_headers(headers));
        assert_eq!((letter.reason.known(), letter.urgent), (Some(reason), urgent), "{names:?}");
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
        headers.insert("x-death".into(), AMQPValue::FieldArray(deaths.collect::<Vec<_>>().into()));
        let letter = read(b"{}", &BasicProperties::default().with_headers(headers));
        assert_eq!(letter.topic, format!("to.{}", queues[0]), "{queues:?}");
        assert_eq!(is_urgent(letter), urgent, "{queues:?}");
    }
    for urgent in [true, false] {
        let why = envelope::of_dead_event(
            &DeadEvent {
                published: &PublishedMessage::default(),
                urgent,
                event: "e1",
                generation: 0,
            },
            DeadCause { reason: DeadReason::Undecodable, code: "size", detail: "too large" },
            Timestamp::default(),
        );
        let stored = stored(why);
        assert_eq!(is_urgent(read(b"", &stored)), urgent);
    }
}

#[test]
fn a_reason_of_another_version_is_kept_as_it_is_with_its_code_and_detail() {
    let mut why = envelope::of_dead_event(
        &DeadEvent {
            published: &PublishedMessage::default(),
            urgent: false,
            event: "e1",
            generation: 0,
        },
        DeadCause { reason: DeadReason::Undecodable, code: "1313", detail: "it rattles" },
        Timestamp::from_unix_millis(5),
    );
    for (said, reason) in [("haunted", "haunted"), ("", "")] {
        why.iter_mut()
            .filter(|(name, _)| name == REASON)
            .for_each(|(_, value)| *value = HeaderValue::text(said));
        let stored = stored(why.clone());
        let letter = read(b"", &stored);
        assert_eq!(letter.reason.to_string(), reason);
        assert_eq!((letter.code.as_str(), letter.detail.as_str()), ("1313", "it rattles"));
        let named = StoredReason::named(reason);
        let filter = super::super::DeadLetterFilter { reason: Some(named), ..Default::default() };
        assert!(filter.matches(&letter));
    }
}

#[test]
fn an_event_that_was_not_read_is_redriven_a_generation_later() {
    for reason in [DeadReason::Undecodable, DeadReason::Empty] {
        let why = envelope::of_dead_event(
            &DeadEvent {
                published: &PublishedMessage {
                    routing_key: "ops".into(),
                    ..PublishedMessage::default()
                },
                urgent: false,
                event: "e1",
                generation: 4,
            },
            DeadCause { reason, code: "size", detail: "too large" },
            Timestamp::from_unix_millis(5),
        );
        let letter = read(b"", &stored(why));
        assert_eq!(
            (letter.id.as_str(), letter.event.as_str(), letter.generation),
            ("own-name", "e1", 4)
        );
        let Redriven::Event { headers, .. } = letter.redriven() else {
            panic!("it is no delivery")
        };
        assert_eq!(envelope::count(&headers, GENERATION), Ok(5), "{reason}");
    }
}

#[test]
fn a_publishers_message_id_beside_no_header_of_ours_is_the_events_name_and_not_the_letters() {
    let properties = BasicProperties::default().with_message_id("used twice".into());
    let letter = read(b"one", &properties);
    assert_eq!(letter.event, "used twice");
    assert_ne!(letter.id, read(b"two", &properties).id);
}
