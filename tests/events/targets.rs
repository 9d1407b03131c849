//! Fuzz targets: input from publishers, and the requests made of it.
//!
//! `cargo test` runs each target on random inputs for a moment. `tests/fuzz.sh` runs them guided by
//! coverage, without a time limit.
//!
//! Owns the promise that no input panics or exceeds a limit.
//!
//! Not here: mostly valid events (`properties.rs`), and frames (`frames.rs`).

use std::{sync::Arc, time::Duration};

use bolero::check;
use roomcast::{
    domain::{
        Audience, Delivery, Event, EventContent, EventId, Format, HeaderValue, Part, Platform,
        PublishedMessage, Template, TemplateEngine, Timestamp,
    },
    fanout::{Tags, Templates, read_policy},
    platforms::{PARTS_MAX, RenderInput, prepare},
};

use crate::{counted, decoder, known, says_the_keyword, subscription, work::grows_with_its_length};

/// The longest run of one target within `cargo test`.
pub(super) const MOMENT: Duration = Duration::from_secs(2);

fn decode(
    content_type: Option<String>,
    headers: Vec<(String, HeaderValue)>,
    body: &[u8],
) -> Option<Event> {
    let published = PublishedMessage {
        routing_key: "ops".to_owned(),
        body: body.to_vec(),
        content_type,
        headers,
        ..PublishedMessage::default()
    };
    let decoder = decoder();
    decoder.decode(decoder.ensure_message_id(published), known()).ok()
}

/// Every part of an event on every platform is within the limit and contains the keyword, and the
/// number of parts is finite.
fn everything_said(event: &Arc<Event>) {
    for platform in Platform::ALL {
        let subscription = subscription(platform);
        let mut delivery = Delivery::fresh(event, subscription.id, platform, subscription.robot);
        for at in 0.. {
            delivery.part = Part { index: at, ..delivery.part };
            let draft = RenderInput {
                delivery: &delivery,
                subscription: &subscription,
                now: Timestamp::from_unix_millis(1),
            };
            let Ok(prepared) = prepare(&draft) else { break };
            let (bytes, max) = counted(platform, &prepared.body);
            assert!(bytes <= max, "{platform}: {bytes}");
            assert!(says_the_keyword(event, platform, &prepared.body), "{platform}");
            assert!(prepared.part.index == at && at < PARTS_MAX, "{:?}", prepared.part);
            delivery.part = prepared.part;
            if !prepared.part.has_next() {
                break;
            }
        }
    }
}

pub(crate) fn saying(text: &str, format: Format) -> Arc<Event> {
    let content = EventContent { message: Some(text.into()), format, ..EventContent::default() };
    let event = Event {
        id: EventId::new("e"),
        topic: "ops".parse().unwrap(),
        content,
        urgent: false,
        received_at: Timestamp::from_unix_millis(0),
        expires_at: Timestamp::from_unix_millis(1),
        published: PublishedMessage::default(),
    };
    Arc::new(event)
}

#[test]
fn decoding_an_event() {
    check!().with_test_time(MOMENT).for_each(|body: &[u8]| {
        if let Some(event) = decode(None, Vec::new(), body) {
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
        for (kind, headers) in
            [("application/cloudevents+json", Vec::new()), ("text/markdown", head)]
        {
            if let Some(event) = decode(Some(kind.to_owned()), headers, body) {
                everything_said(&Arc::new(event));
            }
        }
    });
}

#[test]
fn splitting_text() {
    check!().with_test_time(MOMENT).with_type::<(String, u16)>().for_each(|(unit, times)| {
        everything_said(&saying(
            &format!("x{}", unit.repeat(usize::from(*times % 2_000))),
            Format::Text,
        ));
    });
}

#[test]
fn rendering_markdown() {
    check!().with_test_time(MOMENT).with_type::<(String, u16)>().for_each(|(unit, times)| {
        everything_said(&saying(
            &format!("x{}", unit.repeat(usize::from(*times % 300))),
            Format::Markdown,
        ));
    });
}

#[test]
fn markdown_in_proportion_to_its_length() {
    check!().with_test_time(MOMENT).with_type::<(String, String)>().for_each(|(head, unit)| {
        let text = |bytes: usize| format!("{head}{}", unit.repeat(bytes / unit.len().max(1)));
        grows_with_its_length(unit, text, 2 * 1024);
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

#[test]
fn writing_by_a_template() {
    check!().with_test_time(MOMENT).with_type::<(String, bool, Vec<(String, String)>)>().for_each(
        |(text, jinja, tags)| {
            let template = Template {
                name: "t".parse().unwrap(),
                audience: Audience::Everybody,
                engine: if *jinja { TemplateEngine::Jinja } else { TemplateEngine::Tags },
                format: None,
                text: text.clone(),
                written_at: Timestamp::from_unix_millis(0),
            };
            let tags = tags.iter().map(|(name, value)| (name.clone(), value.clone().into()));
            let tags = Tags::read(serde_json::Value::Object(tags.collect()));
            if let (Ok(Some(templates)), Ok(tags)) =
                (Templates::default().with_text(template, false), tags)
                && let Ok(said) = templates.write("t", &tags)
            {
                assert!(
                    said.iter().flat_map(|one| &one.text).all(|text| text.text.len() <= 256 * 1024)
                );
            }
        },
    );
}
