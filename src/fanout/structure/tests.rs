//! Tests of `message_structure`: which entry is content, and for which platform.
//!
//! Owns the forms of an entry, and the refusals.
//!
//! Not here: the other fields of an event (`decode/tests.rs`).

use serde_json::json;

use super::*;
use crate::domain::{Mentions, NoContent, PlatformContent};

fn read(structure: Value) -> Result<EventContent, String> {
    let mut content = EventContent::default();
    let structure = super::super::fields::object("message_structure", Some(structure))
        .map_err(|undecodable| undecodable.detail)?
        .unwrap_or_default();
    read_structure(structure, &mut content).map_err(|undecodable| undecodable.detail)?;
    Ok(content)
}

#[test]
fn a_structure_may_be_an_object_or_json_in_text_and_its_names_may_be_those_of_smn() {
    let ding = json!({"msgtype": "text", "text": {"content": "x"}});
    let structure = json!({"default": "d", "feishu": "f", "dingding": ding, "email": 7});
    let inside = json!({"default": "d", "feishu": "f", "dingding": ding.to_string(), "email": 7});
    for structure in [structure.clone(), json!(structure.to_string()), json!(inside.to_string())] {
        let content = read(structure).unwrap();
        assert_eq!(content.for_platform(Platform::WeCom), Ok(PlatformContent::Text(&"d".into())));
        assert_eq!(content.for_platform(Platform::Lark), Ok(PlatformContent::Text(&"f".into())));
        assert_eq!(
            content.for_platform(Platform::DingTalk),
            Ok(PlatformContent::Native(&ding.to_string()))
        );
    }
}

#[test]
fn an_entry_in_the_form_of_smn_says_its_own_format_title_mentions_and_colour() {
    let passage = TextBody {
        text: "**x**".into(),
        title: Some("t".into()),
        format: Some(Format::Markdown),
        mentions: Mentions { all: true, mobiles: vec!["138".into()], users: vec!["ann".into()] },
        color: Some("red".into()),
    };
    let at = json!({"isAtAll": true, "atMobiles": ["138"], "atUserIds": ["ann"]});
    for entry in [
        json!({
            "msgType": "markdown", "title": "t", "content": "**x**", "color": "red", "at": at
        }),
        json!({
            "msgType": "markdown", "markdown": {"title": "t", "text": "**x**"}, "color": "red",
            "at": at
        }),
        json!({
            "msgType": "markdown", "subject": "t", "markdown": "**x**", "color": "red", "at": at
        }),
    ] {
        let content = read(json!({"default": "d", "lark": entry})).unwrap();
        assert_eq!(
            content.for_platform(Platform::Lark),
            Ok(PlatformContent::Text(&passage)),
            "{entry}"
        );
    }
    let content = read(json!({"default": {"msgType": "text", "text": {"content": "d"}}})).unwrap();
    let plain = TextBody { text: "d".into(), format: Some(Format::Text), ..TextBody::default() };
    assert_eq!(content.for_platform(Platform::WeCom), Ok(PlatformContent::Text(&plain)));
}

#[test]
fn entries_for_some_platforms_are_enough() {
    for (name, with, without) in [
        ("lark", Platform::Lark, Platform::WeCom),
        ("dingtalk_internal", Platform::DingTalkInternal, Platform::DingTalk),
    ] {
        let content = read(json!({name: "l", "email": "e"})).unwrap();
        assert_eq!(content.for_platform(with), Ok(PlatformContent::Text(&"l".into())));
        assert_eq!(content.for_platform(without), Err(NoContent::NoEntry(without)));
    }
}

#[test]
fn a_mistake_names_the_way_to_its_field() {
    for (structure, says) in [
        (
            json!({"email": "e", "sms": "s"}),
            "message_structure has neither an entry for a platform nor a default, \
             and there is no message: add one of them",
        ),
        (
            json!({"default": ""}),
            "message_structure.default shows nothing, and there is no other text",
        ),
        (
            json!({"default": null, "lark": "\u{3000}\u{200b}"}),
            "message_structure.default shows nothing, and there is no other text",
        ),
        (
            json!({"default": ["x"]}),
            "message_structure.default is a list: \
             it must be text, an object with the platform's own message, or one with a msgType",
        ),
        (
            json!({"default": {}}),
            "message_structure.default is an object: it must be text, or have a msgType",
        ),
        (
            json!({"default": "d", "wecom": "a", "wechat": "b"}),
            "message_structure.wechat is the second entry for wecom",
        ),
        (
            json!({
                "default": "d", "lark": {"msg_type": "interactive", "card": {"elements": [{}]}}
            }),
            "message_structure.lark.card.elements[0].tag is missing",
        ),
        (
            json!({"default": "d", "feishu": {"text": "x"}}),
            "message_structure.feishu.msg_type is missing",
        ),
        (
            json!({
                "default": "d",
                "dingtalk_internal": {"msgtype": "link", "link": {"title": "t", "text": "x"}}
            }),
            "message_structure.dingtalk_internal.link.messageUrl is missing",
        ),
        (
            json!({
                "default": "d", "wecom": "{\"msgtype\": \"news\", \"news\": {\"articles\": []}}"
            }),
            "message_structure.wecom.news.articles is empty",
        ),
        (
            json!({"default": "d", "lark": {"msgType": "card"}}),
            "message_structure.lark.msgType must be text or markdown",
        ),
        (
            json!({"default": "d", "lark": {"msgType": "text"}}),
            "message_structure.lark.content is missing",
        ),
    ] {
        assert_eq!(read(structure.clone()).unwrap_err(), says, "{structure}");
    }
    let color =
        read(json!({"default": "d", "lark": {"msgType": "text", "text": "x", "color": "pink"}}))
            .unwrap_err();
    assert!(color.starts_with("message_structure.lark.color is \"pink\": use blue, "), "{color}");
    let at = |at: Value| {
        read(json!({"default": "d", "lark": {"msgType": "text", "text": "x", "at": at}}))
    };
    assert_eq!(
        at(json!({"atMobiles": {}})).unwrap_err(),
        "message_structure.lark.at.atMobiles is an object: it must be a list of texts"
    );
    assert_eq!(
        at(json!([true, [], []])).unwrap_err(),
        "message_structure.lark.at is a list: it must be an object, or one as JSON in text"
    );
}

#[test]
fn an_entry_of_blanks_is_absent_and_numbers_and_booleans_are_text() {
    let structure = json!({"default": 7, "lark": " ", "wecom": true, "dingtalk": null,
                           "dingtalk_internal": {"msgType": "Text", "content": "\u{200b}"}});
    let content = read(structure).unwrap();
    for (platform, says) in [
        (Platform::Lark, "7"),
        (Platform::WeCom, "true"),
        (Platform::DingTalk, "7"),
        (Platform::DingTalkInternal, "7"),
    ] {
        assert_eq!(content.for_platform(platform), Ok(PlatformContent::Text(&says.into())));
    }
}

#[test]
fn the_members_of_an_entry_are_those_of_its_platform() {
    let at = json!({"users": {"lark": ["ou_1"], "dingtalk": 7, "email": ["x"]}});
    let entry = json!({"msgType": "text", "content": "x", "at": at});
    let content = read(json!({"default": entry, "wecom": "w"})).unwrap();
    let on = |content: &EventContent, platform| content.mentions_on(platform).users;
    assert_eq!(on(&content, Platform::Lark), ["ou_1"]);
    assert_eq!(on(&content, Platform::DingTalkInternal), ["7"]);
    assert!(on(&content, Platform::WeCom).is_empty());
    let content = read(json!({"default": "d", "dingtalk": entry})).unwrap();
    assert_eq!(on(&content, Platform::DingTalk), ["7"]);
    assert!(on(&content, Platform::Lark).is_empty());
    // The entry replaces the default, and so do its members.
    let content = read(json!({"default": entry, "lark": "l"})).unwrap();
    assert!(on(&content, Platform::Lark).is_empty());
}

#[test]
fn text_that_looks_like_json_and_is_not_a_message_stays_text() {
    let content = read(json!({"default": "{\"a\": 1}"})).unwrap();
    assert_eq!(
        content.for_platform(Platform::Lark),
        Ok(PlatformContent::Text(&"{\"a\": 1}".into()))
    );
}
