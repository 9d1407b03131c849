//! Tests of stored deliveries: what a version writes and reads.
//!
//! Owns the forms of earlier versions, and the headers of each step.
//!
//! Not here: the broker itself (`tests/it`).

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::{DeadReason, Event, EventContent, Platform, RobotId, SubscriptionId, every};

fn delivery() -> Delivery {
    let event = Event {
        id: EventId::new("e-1"),
        topic: "ops.db".parse().unwrap(),
        content: EventContent::default(),
        urgent: true,
        received_at: Timestamp::from_unix_millis(1_700_000_000_123),
        expires_at: Timestamp::from_unix_millis(1_700_000_060_123),
        published: PublishedMessage {
            routing_key: "ops.db".into(),
            body: b"{}".to_vec(),
            message_id: Some("e-1".into()),
            ..PublishedMessage::default()
        },
    };
    Delivery {
        event: Arc::new(event),
        subscription: SubscriptionId::from_bytes([7; 16]),
        platform: Platform::DingTalkInternal,
        robot: RobotId::from_bytes([8; 16]),
        attempts: 2,
        hops: 3,
        first_attempt_at: Some(Timestamp::from_unix_millis(1_700_000_001_000)),
        due_at: None,
        slot: Some(Timestamp::from_unix_millis(1_700_000_020_000)),
        wait_reason: Some(WaitReason::QuietHours),
        generation: 1,
        part: Part { index: 1, total: Some(3) },
        degradation: Degradation {
            omitted: FeatureSet::named("tables,markup"),
            plain_part: Part { index: 1, total: Some(2) },
            earlier: FeatureSet::named("mentions"),
        },
    }
}

#[test]
fn a_delivery_is_read_back_from_its_headers_and_keeps_its_attempt_number() {
    let delivery = delivery();
    let until = Timestamp::from_unix_millis(1_700_000_030_000);
    let mut published = delivery.event.published.clone();
    published.routing_key = "5s.dingtalk_internal".into();
    let stored =
        read(published, &of_delivery(&delivery, until, Duration::from_millis(1500))).unwrap();
    assert_eq!(stored.published, delivery.event.published);
    assert_eq!((stored.attempts, stored.hops, stored.generation), (2, 3, 1));
    assert_eq!((stored.part, stored.robot), (delivery.part, Some(delivery.robot)));
    assert_eq!(stored.degradation, delivery.degradation);
    assert_eq!((stored.due_at, stored.left), (Some(until), Some(Duration::from_millis(1500))));
    assert_eq!(stored.slot, delivery.slot);
    assert_eq!(stored.first_attempt_at, delivery.first_attempt_at);
    assert_eq!(stored.received_at, Some(delivery.event.received_at));
    assert_eq!(stored.expires_at, Some(delivery.event.expires_at));
    assert!(stored.urgent);
}

#[test]
fn a_redriven_delivery_is_a_generation_later_and_begins_anew() {
    let delivery = delivery();
    let cause = DeadCause { reason: DeadReason::Exhausted, code: "c", detail: "d" };
    let dead = of_dead_delivery(&delivery, cause, Timestamp::from_unix_millis(5));
    let first = read(PublishedMessage::default(), &dead).unwrap();
    let again = read(PublishedMessage::default(), &of_redriven(&first)).unwrap();
    assert_eq!((again.generation, again.attempts, again.hops), (2, 0, 0));
    assert_eq!(first.degradation, delivery.degradation, "the letter says what was left out");
    assert_eq!(again.degradation, Degradation::default(), "the platform may take it now");
    assert_eq!((again.received_at, again.expires_at, again.first_attempt_at), (None, None, None));
    assert_eq!((again.subscription, again.part), (delivery.subscription, delivery.part));
    assert_eq!(again.robot, Some(delivery.robot), "another robot begins with the first part");
}

#[test]
fn no_text_in_the_headers_about_what_is_left_out_makes_a_delivery_unreadable() {
    let dead = of_delivery(&delivery(), Timestamp::from_unix_millis(0), Duration::ZERO);
    for bad in [HeaderValue::text("hologram"), HeaderValue::Int(7), HeaderValue::Void] {
        let mut headers = dead.clone();
        for name in [OMITTED, OMITTED_BEFORE, PLAIN_PART] {
            headers.retain(|(known, _)| known != name);
            headers.push((name.to_owned(), bad.clone()));
        }
        let read = read(PublishedMessage::default(), &headers).unwrap();
        assert_eq!(read.degradation, Degradation::default(), "{bad:?}");
    }
}

#[test]
fn the_reason_of_a_wait_goes_along_and_no_text_in_its_place_makes_a_delivery_unreadable() {
    let mut waiting = delivery();
    let stored =
        |delivery: &Delivery| of_delivery(delivery, Timestamp::from_unix_millis(0), Duration::ZERO);
    let reason =
        |headers: &Headers| read(PublishedMessage::default(), headers).unwrap().wait_reason;
    for one in every::<WaitReason>() {
        waiting.wait_reason = Some(one);
        assert_eq!(reason(&stored(&waiting)), Some(one));
    }
    waiting.wait_reason = None;
    let mut headers = stored(&waiting);
    assert_eq!(find(&headers, WAIT_REASON), None, "as an earlier version stored it");
    assert_eq!(reason(&headers), None);
    for later in [HeaderValue::text("full_moon"), HeaderValue::Int(7), HeaderValue::Void] {
        headers.push((WAIT_REASON.into(), later));
        assert_eq!(reason(&headers), None, "as a later version may store it");
        headers.pop();
    }
}

#[test]
fn a_mistake_in_the_headers_is_named() {
    let good = of_delivery(&delivery(), Timestamp::from_unix_millis(0), Duration::ZERO);
    for (name, value, says) in [
        (EVENT, HeaderValue::Int(7), "x-roomcast-event is missing or not text"),
        (SUBSCRIPTION, HeaderValue::text("zz"), "not a subscription id"),
        (PLATFORM, HeaderValue::text("slack"), "unknown platform"),
        (ATTEMPTS, HeaderValue::Int(-1), "not a count"),
        (DUE_AT, HeaderValue::text("soon"), "x-roomcast-due-at"),
        (ROBOT, HeaderValue::text("c3po"), "x-roomcast-robot"),
        (PART, HeaderValue::text("4/3"), "x-roomcast-part is not a part"),
        (PART, HeaderValue::text("0/3"), "x-roomcast-part is not a part"),
    ] {
        let mut bad = good.clone();
        bad.iter_mut().filter(|(known, _)| known == name).for_each(|(_, old)| *old = value.clone());
        let (_, why) = *read(PublishedMessage::default(), &bad).unwrap_err();
        assert!(why.contains(says), "{name}: {why}");
    }
}

proptest! {
    #[test]
    fn no_headers_make_the_reader_panic(
        values in prop::collection::vec((0usize..8, ".*", any::<i64>()), 0..9),
    ) {
        let names = [EVENT, SUBSCRIPTION, PLATFORM, ATTEMPTS, HOPS, DUE_AT, RECEIVED_AT, TOPIC];
        let headers = values
            .into_iter()
            .map(|(name, text, number)| {
                let is_number = number % 2 == 0;
                let value =
                    if is_number { HeaderValue::Int(number) } else { HeaderValue::text(text) };
                (names[name].to_owned(), value)
            })
            .collect();
        let _ = read(PublishedMessage::default(), &headers);
    }
}
