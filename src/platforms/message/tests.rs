//! Tests of rendered messages: parts, plainer forms, digests, flows.
//!
//! Owns that a plainer form says what the message said.
//!
//! Not here: the markup of each platform (`markdown/tests.rs`).

use serde_json::json;

use super::*;

/// The readable text of all messages of this part without these features.
fn plainer_text(
    content: &EventContent,
    target: &RenderTarget,
    part: Part,
    omitted: FeatureSet,
) -> String {
    let (mut said, mut plain_part) = (String::new(), Part::default());
    loop {
        let variant = Variant { target: target.clone(), part, omitted, plain_part };
        let UnsignedBody { body, part: of, plain_part: sent } = write(content, &variant).unwrap();
        assert_eq!(of.index, part.index, "the part stays the same");
        said.push_str(&words_of(&body));
        said.push('\n');
        match sent.filter(|sent| sent.has_next()) {
            Some(sent) => plain_part = Part { index: sent.index + 1, ..sent },
            None => return said,
        }
    }
}

#[test]
fn each_part_of_a_text_without_its_markup_says_what_it_said_with_it() {
    let text: String =
        (0..2_000).map(|line| format!("**line {line:04}** of the report\n\n")).collect();
    let content = EventContent {
        subject: Some("nightly".to_owned()),
        message: Some(text.as_str().into()),
        format: crate::domain::Format::Markdown,
        mentions: Mentions { all: true, mobiles: vec!["1380".into()], users: vec!["ou_1".into()] },
        ..EventContent::default()
    };
    for platform in Platform::ALL {
        let target = RenderTarget::plain(platform);
        let mut part = Part::default();
        loop {
            let variant = Variant {
                target: target.clone(),
                part,
                omitted: FeatureSet::EMPTY,
                plain_part: Part::default(),
            };
            let UnsignedBody { body, part: sent, .. } = write(&content, &variant).unwrap();
            let whole = words_of(&body);
            let lines: Vec<_> = (0..2_000).map(|line| format!("line {line:04}")).collect();
            for omitted in ["markup", "mention_all", "mention_all,mentions,tables", "title"] {
                let plainer = plainer_text(&content, &target, sent, FeatureSet::named(omitted));
                for line in &lines {
                    let (is_in, stays) = (whole.contains(line), plainer.contains(line));
                    assert_eq!(is_in, stays, "{platform} {sent:?} without {omitted}: {line}");
                }
            }
            if !sent.has_next() {
                break;
            }
            part = Part { index: sent.index + 1, total: sent.total };
        }
        assert!(part.index > 0, "{platform} needs several parts");
    }
}

#[test]
fn a_flow_gets_the_body_of_a_plain_text_without_mentions() {
    let content = EventContent {
        message: Some("**disk** full".into()),
        format: crate::domain::Format::Markdown,
        mentions: Mentions { all: true, users: vec!["ou_1".into()], ..Mentions::default() },
        ..EventContent::default()
    };
    let target = RenderTarget { is_flow: true, ..RenderTarget::plain(Platform::Lark) };
    let variant =
        Variant { target, part: ONE_PART, omitted: FeatureSet::EMPTY, plain_part: Part::default() };
    let UnsignedBody { body, .. } = write(&content, &variant).unwrap();
    let expected = json!({"msg_type": "text", "content": {"text": "**disk** full"}});
    assert_eq!(Value::Object(body), expected);
}

#[test]
fn a_message_in_a_platforms_own_form_becomes_the_events_own_text_or_else_its_words() {
    let card = json!({"msg_type": "interactive", "card": {"schema": "2.0", "body": {"elements": [
        {"tag": "markdown", "content": "**down** <at id=all></at>"}]}}});
    let mut content = EventContent {
        message: Some("in plain words".into()),
        entries: vec![(Platform::Lark, crate::domain::PlatformOverride::Native(card.to_string()))],
        ..EventContent::default()
    };
    let target = RenderTarget::plain(Platform::Lark);
    let said = |content: &EventContent, omitted: &str| {
        plainer_text(content, &target, ONE_PART, FeatureSet::named(omitted))
    };
    let found = |content: &EventContent, omitted: &str| {
        let omitted = FeatureSet::named(omitted);
        let variant = Variant {
            target: target.clone(),
            part: ONE_PART,
            omitted,
            plain_part: Part::default(),
        };
        features(content, &variant).without(omitted).to_string()
    };
    assert_eq!(found(&content, ""), "mention_all,markup");
    assert!(said(&content, "mention_all").starts_with("down @all"), "the card stays");
    assert_eq!(found(&content, "mention_all"), "markup");
    assert!(said(&content, "mention_all,markup").starts_with("in plain words"));
    assert_eq!(found(&content, "mention_all,markup"), "");
    content.message = None;
    assert!(said(&content, "markup").starts_with("down @all"));
}

#[test]
fn of_a_message_in_its_own_form_a_platform_counts_what_members_read() {
    let post =
        |node| json!({"msg_type": "post", "content": {"post": {"zh_cn": {"content": [[node]]}}}});
    let card = |text: &str| {
        json!({
            "msg_type": "interactive", "card": {"elements": [{"tag": "markdown", "content": text}]}
        })
    };
    for (platform, body, lacks) in [
        (Platform::Lark, post(json!({"tag": "a", "text": "it", "href": "https://ops.test"})), true),
        (Platform::Lark, post(json!({"tag": "a", "text": "ops", "href": "https://x.test"})), false),
        (Platform::Lark, card("see [it](https://ops.test)"), true),
        (Platform::Lark, card("see [ops](https://x.test)"), false),
        (Platform::Lark, json!({"msg_type": "text", "content": {"text": "x"}, "ops": 1}), true),
        (
            Platform::DingTalk,
            json!({"msgtype": "link", "link": {"title": "t", "messageUrl": "https://ops.test"}}),
            false,
        ),
        (Platform::DingTalk, json!({"msgtype": "link", "link": {"title": "t"}, "ops": 1}), true),
        (
            Platform::DingTalk,
            json!({"msgtype": "link", "link": {"title": "ops", "messageUrl": "https://x.test"}}),
            false,
        ),
        (
            Platform::Lark,
            json!({
                "msg_type": "interactive",
                "card": {"type": "template", "data": {"template_id": "AAqk1"}}
            }),
            false,
        ),
        (Platform::WeCom, json!({"msgtype": "text", "text": {"content": "x"}}), false),
    ] {
        assert_eq!(
            profile(platform).lacks_keyword(body.as_object().unwrap(), "ops"),
            lacks,
            "{body}"
        );
    }
}
