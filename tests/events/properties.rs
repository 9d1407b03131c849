//! Properties of the whole pure path from bytes to request, with mostly valid events.
//!
//! Owns the generators of such events.
//!
//! Not here: arbitrary bytes (`targets.rs`).

use std::sync::Arc;

use proptest::prelude::*;
use roomcast::{
    domain::{Delivery, HeaderValue, Platform, PublishedMessage, Timestamp},
    platforms::{RenderInput, RenderTarget, prepare, preview},
};
use serde_json::{Map, Value, json};

use crate::{counted, decoder, known, says_the_keyword, subscription};

/// Texts of all kinds: short, long, with markup, with broken markup.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        any::<String>(),
        "[a-z @<>_*`#|\n-]{0,80}",
        ("[告警\"\\\\\u{1}a😀]{1,6}", 1_usize..6000).prop_map(|(unit, times)| unit.repeat(times)),
        (
            "(# |> |- |```\n|\\*\\*|\\| a \\| b \\|\n\
             |---|\\[x\\]\\(https://x\\)|<font color=red>|</font>){1,6}",
            1_usize..800
        )
            .prop_map(|(unit, times)| unit.repeat(times)),
    ]
}

fn any_list() -> impl Strategy<Value = Value> {
    prop::collection::vec(any_text(), 0..60).prop_map(Value::from)
}

fn any_entry() -> impl Strategy<Value = Value> {
    let native = prop_oneof![
        any_text().prop_map(|text| json!({"msgtype": "text", "text": {"content": text}})),
        any_text().prop_map(|text| json!({
            "msgtype": "markdown", "markdown": {"title": "t", "text": text, "content": text}
        })),
        any_text().prop_map(|text| json!({"msg_type": "text", "content": {"text": text}})),
        any_text().prop_map(|text| json!({
            "msg_type": "interactive", "card": {"elements": [{"tag": "markdown", "content": text}]}
        })),
        any_text().prop_map(|text| json!({
            "msgType": "markdown", "content": text, "color": "red", "at": {"isAtAll": true}
        })),
    ];
    prop_oneof![any_text().prop_map(Value::from), native]
}

/// Events, most of them valid.
fn any_event() -> impl Strategy<Value = Value> {
    let fields = (
        prop::option::of(any_text()),
        prop::option::of(any_text()),
        prop::option::of(prop_oneof![Just("text"), Just("markdown")]),
        prop::option::of((any::<bool>(), any_list(), any_list())),
        prop::collection::vec(
            (
                prop_oneof![Just("default"), Just("dingding"), Just("lark"), Just("wecom")],
                any_entry(),
            ),
            0..4,
        ),
    );
    fields.prop_map(|(subject, message, format, at, entries)| {
        let mut event = json!({"subject": subject, "message": message, "format": format});
        if let Some((all, mobiles, users)) = at {
            event["at"] = json!({"all": all, "mobiles": mobiles, "users": users});
        }
        if !entries.is_empty() {
            event["message_structure"] = entries
                .into_iter()
                .map(|(name, entry)| (name.to_owned(), entry))
                .collect::<Map<_, _>>()
                .into();
        }
        event
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn each_message_of_an_event_is_within_the_limit_and_has_the_keyword(event in any_event()) {
        let published = PublishedMessage {
            routing_key: "ops".into(),
            body: event.to_string().into_bytes(),
            ..PublishedMessage::default()
        };
        let Ok(event) = decoder().decode(published, known()) else { return Ok(()) };
        let event = Arc::new(event);
        for platform in Platform::ALL {
            let subscription = subscription(platform);
            let delivery = Delivery::fresh(&event, subscription.id, platform, subscription.robot);
            let now = Timestamp::from_unix_millis(1);
            let draft = RenderInput { delivery: &delivery, subscription: &subscription, now };
            match prepare(&draft) {
                Ok(prepared) => {
                    let (bytes, max) = counted(platform, &prepared.body);
                    prop_assert!(bytes <= max, "{platform}: {bytes}");
                    prop_assert!(says_the_keyword(&event, platform, &prepared.body), "{platform}");
                    // A preview has no credential. Lark's signature stands in the body.
                    let shown = preview(&delivery, &RenderTarget::of(&subscription));
                    let shown = shown.expect("what can be sent can be shown");
                    prop_assert_eq!(shown.part, prepared.part);
                    prop_assert!(platform == Platform::Lark || shown.body == prepared.body);
                }
                Err(unsendable) => {
                    let expected = ["too_large", "no_keyword", "no_content"];
                    prop_assert!(expected.contains(&unsendable.code), "{unsendable:?}");
                }
            }
        }
    }

    #[test]
    fn no_message_makes_the_decoder_panic(
        body: Vec<u8>,
        key in any::<String>(),
        kind in prop::option::of("(application/(cloudevents\\+)?json|text/markdown|[a-z/]{0,9})"),
        headers in prop::collection::vec(
            ("(cloudEvents:(id|source|type|specversion)|x-[a-z]{1,4})", "(1\\.0|[a-z]{0,6})"),
            0..8,
        ),
    ) {
        let headers = headers.into_iter();
        let published = PublishedMessage {
            routing_key: key,
            body,
            content_type: kind,
            headers: headers.map(|(name, value)| (name, HeaderValue::text(value))).collect(),
            ..PublishedMessage::default()
        };
        let _ = decoder().decode(published, known());
    }
}
