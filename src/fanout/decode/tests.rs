//! Tests of the decoder: which message is an event, and why another one is refused.
//!
//! Owns the table of events, and the code of each refusal.
//!
//! Not here: the body forms by themselves (`structure.rs`, `cloudevent.rs`).

mod shapes;

use super::*;
use crate::{
    domain::{Format, HeaderValue, NOT_BEFORE, PlatformContent, Template, TemplateEngine},
    fanout::Templates,
    settings::Section as _,
};

fn decode_from(topic: &str, body: &str) -> Result<Event, Undecodable> {
    decode_for(None, topic, body)
}

fn decoder() -> Decoder {
    let mut settings = DecoderSettings::by_default().unwrap();
    settings.size_max = 1000;
    settings.time_to_live = Duration::from_secs(60);
    settings.time_to_live_max = Duration::from_secs(600);
    settings.not_before_max = Duration::from_secs(3600);
    settings.timestamp_age_max = Duration::from_secs(300);
    let text = |name: &str, audience, engine, text: &str| Template {
        name: name.parse().unwrap(),
        audience,
        engine,
        format: (engine == TemplateEngine::Jinja).then_some(Format::Markdown),
        text: text.to_owned(),
        written_at: Timestamp::from_unix_millis(0),
    };
    let kept = [
        text("down", Audience::Everybody, TemplateEngine::Tags, "{host} is down"),
        text(
            "down",
            Audience::On(Platform::Lark),
            TemplateEngine::Jinja,
            "# {{ host }}\n{{ why }}",
        ),
        text("why", Audience::Everybody, TemplateEngine::Jinja, "{{ why }}"),
        text("ding", Audience::Everybody, TemplateEngine::Jinja, "{{ why }}"),
        text("ding", Audience::On(Platform::DingTalk), TemplateEngine::Tags, "ding {host}"),
    ];
    Decoder::new(settings, TemplateRegistry::new(Templates::kept(kept)))
}

fn known() -> DecodeContext {
    DecodeContext::new(EventId::new("e1"), Timestamp::from_unix_millis(1_000_000))
}

fn decode_for(platform: Option<Platform>, topic: &str, body: &str) -> Result<Event, Undecodable> {
    let published = PublishedMessage {
        routing_key: topic.into(),
        body: body.as_bytes().to_vec(),
        ..PublishedMessage::default()
    };
    decoder().decode(published, DecodeContext { platform, ..known() }).map_err(|refused| refused.1)
}

fn decode(body: &str) -> Result<Event, Undecodable> {
    decode_from("ops.db", body)
}

#[test]
fn an_event_with_every_field_is_read() {
    let event = decode(
        r#"{"subject":"db-1 is down","message":"**help**","format":"markdown","time_to_live":"120",
            "at":{"all":true,"mobiles":["138"],"users":["u1"]},"tags":{"a":"b"},"unknown":1}"#,
    )
    .unwrap();
    assert_eq!(event.topic.as_str(), "ops.db");
    assert_eq!(event.content.subject.as_deref(), Some("db-1 is down"));
    assert_eq!(event.content.format, Format::Markdown);
    assert_eq!(
        event.content.for_platform(Platform::WeCom),
        Ok(PlatformContent::Text(&"**help**".into()))
    );
    assert!(event.content.mentions.all);
    assert_eq!(event.expires_at.since(event.received_at), Duration::from_secs(120));
}

#[test]
fn a_mistake_is_named_with_its_place() {
    for (body, code, says) in [
        ("{", "json", "line 1 column 1: the JSON ends too early"),
        ("[]", "json", "the body is a list: publish each event as a message of its own"),
        (r#"{"message":"x"} x"#, "json", "line 1 column 17: more text follows the JSON"),
        (r#"{"message":[7]}"#, "content", "message is a list: it must be text"),
        (
            r#"{"message":"x","at":{"mobiles":[{}]}}"#,
            "content",
            "at.mobiles[0] is an object: it must be text",
        ),
        (
            r#"{"message":"x","format":"html"}"#,
            "content",
            "format is \"html\": use text or markdown",
        ),
        (r#"{"message":"x","time_to_live":-1}"#, "content", "time_to_live must be a whole number"),
        (r#"{"message":"x","time_to_live":"soon"}"#, "content", "time_to_live must be"),
        ("{}", "content", "neither message nor message_structure nor a template"),
        (r#"{"message":" \u3000\n\u200b"}"#, "blank", "the message has only blanks"),
        (r#"{"message":"","message_template_name":""}"#, "blank", "the message has only blanks"),
        (r#"{"message":"","message_structure":{"lark":""}}"#, "blank", "message_structure.lark"),
        (r#"{"message":"m","message_template_name":"t"}"#, "template", "there is no template t"),
        (r#"{"message_template_name":"a b"}"#, "template", "\"a b\" is not a name of a template"),
        (
            r#"{"message_template_name":"why","tags":{"host":7}}"#,
            "template",
            "template why for default: line 1: undefined value: `why`",
        ),
        (r#"{"message_template_name":"down","tags":[]}"#, "template", "tags is a list"),
        (
            r#"{"message_structure":{"lark":[7],"default":"d"}}"#,
            "content",
            "message_structure.lark is a list",
        ),
        (
            r#"{"message_structure":"nonsense"}"#,
            "content",
            "message_structure is text that is not JSON: line 1 column 2: a word is",
        ),
    ] {
        let undecodable = decode(body).unwrap_err();
        assert_eq!(undecodable.code, code, "{body}: {undecodable:?}");
        assert!(undecodable.detail.contains(says), "{body}: {undecodable:?}");
    }
    assert_eq!(
        decode(&format!(r#"{{"message":"{}"}}"#, "x".repeat(1000))).unwrap_err().code,
        "size"
    );
    assert_eq!(decode_from("", r#"{"message":"x"}"#).unwrap_err().code, "topic");
}

/// A field, what is shown of an event that was read, and the outcome for each shape.
type FieldRow = (&'static str, fn(&Event) -> String, [String; 9]);

#[test]
fn the_names_of_smn_and_dingtalk_mean_the_same_and_users_may_be_named_by_platform() {
    let on = |at: &str, platform| {
        let event = decode(&format!(r#"{{"message":"m","at":{at}}}"#)).unwrap();
        let mentions = event.content.mentions_on(platform);
        format!("{} {:?} {:?}", mentions.all, mentions.mobiles, mentions.users)
    };
    for (at, platform, expected) in [
        (
            r#"{"isAtAll":"True","atMobiles":13800000000}"#,
            Platform::WeCom,
            "true [\"13800000000\"] []",
        ),
        (r#"{"all":false,"isAtAll":true}"#, Platform::WeCom, "true [] []"),
        (r#"{"users":["a"],"atUserIds":["b"]}"#, Platform::Lark, "false [] [\"a\", \"b\"]"),
        (
            r#"{"users":{"feishu":["ou_1"],"wecom":"w","sms":[{}]}}"#,
            Platform::Lark,
            "false [] [\"ou_1\"]",
        ),
        (r#"{"users":{"dingtalk":["d"]}}"#, Platform::DingTalkInternal, "false [] [\"d\"]"),
        (
            r#"{"users":{"dingtalk":["d"],"dingtalk_internal":["i"]}}"#,
            Platform::DingTalkInternal,
            "false [] [\"i\"]",
        ),
        (r#"{"users":{"dingtalk":["d"]}}"#, Platform::WeCom, "false [] []"),
        (r#""{\"all\": true}""#, Platform::WeCom, "true [] []"),
    ] {
        assert_eq!(on(at, platform), expected, "{at}");
    }
    assert_eq!(
        decode(r#"{"message":"m","at":{"users":{"lark":[true]}}}"#).unwrap_err().detail,
        "at.users.lark[0] is a boolean: it must be text"
    );
}

#[test]
fn a_field_that_is_there_twice_counts_as_the_last_as_other_readers_have_it() {
    let event = decode(r#"{"message":"first","message":"last"}"#).unwrap();
    assert_eq!(event.content.message, Some("last".into()));
}

#[test]
fn a_long_text_in_a_tag_is_written() {
    let mut decoder = decoder();
    decoder.settings.size_max = 1_000_000;
    let long = "x".repeat(300_000);
    for (name, tag, expected) in [("why", "why", 256 * 1024), ("down", "host", 256 * 1024)] {
        let body = format!(
            "{{\"message_template_name\":\"{name}\",\
             \"tags\":{{\"{tag}\":\"{long}\",\"a name that is longer than 21\":7}}}}"
        );
        let published = PublishedMessage {
            routing_key: "ops".into(),
            body: body.into_bytes(),
            ..PublishedMessage::default()
        };
        let context = DecodeContext { platform: Some(Platform::WeCom), ..known() };
        let event = decoder.decode(published, context).unwrap();
        assert_eq!(event.content.message.unwrap().text.len(), expected, "{name}");
    }
}

#[test]
fn a_template_wins_over_the_message_and_a_structure_over_both() {
    let said = |event: &Event, platform| match event.content.for_platform(platform).unwrap() {
        PlatformContent::Text(passage) => (passage.text.clone(), passage.format),
        PlatformContent::Native(_) => panic!("no text"),
    };
    let templated = concat!(
        r#""message":"m","message_template_name":"down","#,
        r#""tags":{"host":"db-1","why":"w","unused":"x"}"#
    );
    let event = decode(&format!("{{{templated}}}")).unwrap();
    assert_eq!(said(&event, Platform::WeCom), ("db-1 is down".to_owned(), None));
    assert_eq!(said(&event, Platform::Lark), ("# db-1\nw".to_owned(), Some(Format::Markdown)));
    let event =
        decode(&format!(r#"{{{templated},"message_structure":{{"default":"d"}}}}"#)).unwrap();
    assert_eq!(said(&event, Platform::Lark), ("d".to_owned(), None));
    // Tags without a template are not read.
    assert!(decode(r#"{"message":"m","tags":7}"#).is_ok());
}

#[test]
fn a_life_begins_when_the_event_was_published_or_may_be_sent_and_anew_when_it_is_redriven() {
    let received_at = Timestamp::from_unix_millis(1_000_000_000);
    let left = |timestamp, not_before: Option<i64>, redriven| {
        let headers = not_before
            .map(|at| (NOT_BEFORE.to_owned(), HeaderValue::Int(at)))
            .into_iter()
            .collect();
        let body = br#"{"message":"m","time_to_live":2}"#.to_vec();
        let published = PublishedMessage {
            routing_key: "t".into(),
            body,
            headers,
            timestamp,
            ..PublishedMessage::default()
        };
        let event = decoder()
            .decode(published, DecodeContext { received_at, redriven, ..known() })
            .unwrap();
        let signed = |at: Timestamp| i64::try_from(at.unix_millis()).unwrap() - 1_000_000_000;
        (signed(event.received_at), signed(event.expires_at))
    };
    assert_eq!(left(None, None, false), (0, 2_000));
    assert_eq!(left(Some(999_992), None, false), (0, -5_000), "published eight seconds ago");
    assert_eq!(left(Some(999_992), None, true), (0, 2_000));
    assert_eq!(left(Some(999_992), Some(1_000_060), false), (60_000, 62_000));
    assert_eq!(left(Some(999_992), Some(999_996), false), (0, -2_000));
    assert_eq!(left(None, Some(999_996), false), (0, 2_000));
}

#[test]
fn a_template_that_fails_for_one_platform_is_content_for_the_others() {
    let tags = r#""message":"m","tags":{"host":"db-1"}"#;
    for (template, good, bad, says, why) in [
        (
            "down",
            &[Platform::WeCom, Platform::DingTalk, Platform::DingTalkInternal][..],
            &[Platform::Lark][..],
            "db-1 is down",
            "template down for lark: line 2: undefined value: `why` is undefined",
        ),
        // The text for all platforms fails. The event's own message does not replace it.
        (
            "ding",
            &[Platform::DingTalk, Platform::DingTalkInternal],
            &[Platform::Lark, Platform::WeCom],
            "ding db-1",
            "template ding for default: line 1: undefined value: `why` is undefined",
        ),
    ] {
        let event = decode(&format!(r#"{{{tags},"message_template_name":"{template}"}}"#)).unwrap();
        for platform in good {
            assert_eq!(
                event.content.for_platform(*platform),
                Ok(PlatformContent::Text(&says.into())),
                "{template} for {platform}"
            );
        }
        for platform in bad {
            assert_eq!(
                event.content.for_platform(*platform),
                Err(NoContent::Unrendered(why)),
                "{template} for {platform}"
            );
        }
    }
}

#[test]
fn an_event_that_is_read_for_one_platform_does_not_fail_for_another() {
    let body = r#"{"message_template_name":"down","tags":{"host":"db-1"}}"#;
    let event = decode_for(Some(Platform::WeCom), "ops", body).unwrap();
    assert_eq!(
        event.content.for_platform(Platform::WeCom),
        Ok(PlatformContent::Text(&"db-1 is down".into()))
    );
    assert!(decode_for(Some(Platform::Lark), "ops", body).is_err());
    let whole = r#"{"message_template_name":"down","tags":{"host":"db-1","why":"w"}}"#;
    let event = decode_for(Some(Platform::Lark), "ops", whole).unwrap();
    let said = TextBody { format: Some(Format::Markdown), ..TextBody::from("# db-1\nw") };
    assert_eq!(event.content.for_platform(Platform::Lark), Ok(PlatformContent::Text(&said)));
}

#[test]
fn a_time_to_live_is_bounded_and_has_a_default() {
    let life = |body| {
        let event = decode(body).unwrap();
        event.expires_at.since(event.received_at).as_secs()
    };
    assert_eq!(life(r#"{"message":"x"}"#), 60);
    assert_eq!(life(r#"{"message":"x","time_to_live":99999}"#), 600);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(body: Vec<u8>) {
        let published =
            PublishedMessage { routing_key: "ops".into(), body, ..PublishedMessage::default() };
        if let Err(refused) = decoder().decode(published, known()) {
            assert_ne!(refused.1.code, "panic", "{:?}", refused.1);
        }
    }

    /// No type of the program, no crate and no text of a parser is in a refusal.
    #[test]
    fn a_refusal_is_in_the_publishers_words(
        field in proptest::sample::select(vec![
            "subject", "message", "format", "at", "tags", "message_structure",
            "message_attributes", "message_template_name", "time_to_live",
        ]),
        value in proptest::sample::select(vec![
            "null", "true", "7", "\"x\"", "[]", "[1", "{}", "{\"all\": []}", "\"\\d\"",
            "\"\\ud800", "1e999", "nan", "[{\"name\": 1}]", "{\"lark\": []}", "\"[1]\"",
        ]),
    ) {
        if let Err(refused) = decode(&format!(r#"{{"{field}": {value}}}"#)) {
            let says = refused.detail.replace("message_structure", "");
            for foreign in [
                "struct", "serde", "EOF", "ident", "Wire", "expected", "invalid type", "variant",
            ] {
                assert!(!says.contains(foreign), "{says}");
            }
        }
    }
}
