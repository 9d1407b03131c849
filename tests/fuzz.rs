//! Fuzz targets: what strangers can send, and what is made of it. `cargo test` runs each on random inputs for a moment; the long form follows the coverage:
//! `cargo +nightly bolero test --test fuzz NAME -T 10min` (`cargo install cargo-bolero`).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a target that meets the unexpected fails by panicking"
)]

use std::{sync::Arc, time::Duration};

use bolero::check;
use roomcast::{
    domain::{
        Content, Delivery, Endpoint, Event, EventId, Format, HeaderValue, Mentions, Moment, Options, Part, Platform,
        Published, RobotId, Secret, Subscription, SubscriptionId, SubscriptionState,
    },
    fanout::{Decoder, Known, Settings, named, read_policy},
    platforms::{Draft, prepare},
};
use serde_json::Value;

/// So long at the most for each target within `cargo test`.
const MOMENT: Duration = Duration::from_secs(2);

fn subscription(platform: Platform) -> Subscription {
    let endpoint = match platform {
        Platform::DingTalk | Platform::DingTalkInternal => "https://oapi.dingtalk.com/robot/send?access_token=TOKEN",
        Platform::Lark => "https://open.feishu.cn/open-apis/bot/v2/hook/TOKEN",
        Platform::WeCom => "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=KEY",
    };
    Subscription {
        id: SubscriptionId::from_bytes([1; 16]),
        topic: "ops".parse().unwrap(),
        platform,
        robot: RobotId::from_bytes([1; 16]),
        endpoint: Endpoint::new(endpoint.to_owned()),
        secret: Some(Secret::new("SECtest".to_owned())),
        keyword: Some("钥匙".to_owned()),
        name: None,
        mentions: Mentions { all: true, mobiles: vec!["13800000000".to_owned()], users: vec!["ann".to_owned()] },
        state: SubscriptionState::Active,
        options: Options::default(),
        created_at: Moment::from_unix_millis(0),
    }
}

/// What the platform would count of a body, and how much of it it takes.
fn counted(platform: Platform, body: &[u8]) -> (usize, usize) {
    if platform != Platform::WeCom {
        return (body.len(), 20_000);
    }
    let body: Value = serde_json::from_slice(body).unwrap();
    let kind = body["msgtype"].as_str().unwrap();
    (body[kind]["content"].as_str().map_or(0, str::len), if kind == "text" { 2_048 } else { 4_096 })
}

fn decode(
    topic: &str,
    content_type: Option<String>,
    headers: Vec<(String, HeaderValue)>,
    body: &[u8],
) -> Option<Event> {
    let minute = Duration::from_secs(60);
    let decoder = Decoder::new(Settings {
        size_max: 1024 * 1024,
        time_to_live: minute,
        time_to_live_max: minute,
        not_before_max: minute,
    });
    let known =
        Known { id: EventId::new("e"), received_at: Moment::from_unix_millis(0), expires_at: None, urgent: false };
    let published =
        Published { routing_key: topic.to_owned(), body: body.to_vec(), content_type, headers, ..Published::default() };
    decoder.decode(named(published), known).ok()
}

/// Every part of an event on every platform: within the limit, with the keyword, and there is an end of them.
fn everything_said(event: &Arc<Event>) {
    for platform in Platform::ALL {
        let subscription = subscription(platform);
        let mut delivery = Delivery::fresh(event, subscription.id, platform, subscription.robot);
        for at in 0.. {
            delivery.part = Part { at, ..delivery.part };
            let draft = Draft { delivery: &delivery, subscription: &subscription, now: Moment::from_unix_millis(1) };
            let Ok(prepared) = prepare(&draft) else { break };
            let (bytes, max) = counted(platform, &prepared.body);
            assert!(bytes <= max, "{platform}: {bytes}");
            assert!(String::from_utf8(prepared.body).unwrap().contains("钥匙"), "{platform}");
            assert!(prepared.part.at == at && at < roomcast::platforms::PARTS_MAX, "{:?}", prepared.part);
            delivery.part = prepared.part;
            if !prepared.part.is_followed() {
                break;
            }
        }
    }
}

fn saying(text: &str, format: Format) -> Arc<Event> {
    let content = Content { message: Some(text.into()), format, ..Content::default() };
    let event = Event {
        id: EventId::new("e"),
        topic: "ops".parse().unwrap(),
        content,
        urgent: false,
        received_at: Moment::from_unix_millis(0),
        expires_at: Moment::from_unix_millis(1),
        published: Published::default(),
    };
    Arc::new(event)
}

#[test]
fn decoding_an_event() {
    check!().with_test_time(MOMENT).for_each(|body: &[u8]| {
        if let Some(event) = decode("ops", None, Vec::new(), body) {
            everything_said(&Arc::new(event));
        }
    });
}

#[test]
fn decoding_a_cloudevent() {
    check!().with_test_time(MOMENT).for_each(|body: &[u8]| {
        let text = HeaderValue::text;
        let head = vec![
            ("cloudEvents:specversion".to_owned(), text("1.0")),
            ("cloudEvents:id".to_owned(), text("1")),
            ("cloudEvents:source".to_owned(), text("/s")),
            ("cloudEvents:type".to_owned(), text("t")),
        ];
        for (kind, headers) in [("application/cloudevents+json", Vec::new()), ("text/markdown", head)] {
            if let Some(event) = decode("ops", Some(kind.to_owned()), headers, body) {
                everything_said(&Arc::new(event));
            }
        }
    });
}

#[test]
fn splitting_text() {
    check!().with_test_time(MOMENT).with_type::<(String, u16)>().for_each(|(unit, times)| {
        everything_said(&saying(&format!("x{}", unit.repeat(usize::from(*times % 2_000))), Format::Text));
    });
}

#[test]
fn rendering_markdown() {
    check!().with_test_time(MOMENT).with_type::<(String, u16)>().for_each(|(unit, times)| {
        everything_said(&saying(&format!("x{}", unit.repeat(usize::from(*times % 300))), Format::Markdown));
    });
}

#[test]
fn reading_a_filter() {
    check!().with_test_time(MOMENT).for_each(|bytes: &[u8]| {
        if let Ok(json) = serde_json::from_slice(bytes) {
            let _ = read_policy(&json);
        }
    });
}
