//! `message_structure`: the content of an event for each platform. An entry is text, the platform's
//! own message, or SMN's form.
//!
//! Owns the reading of entries, and that there is one for at least one platform.
//!
//! Not here: the messages that a platform accepts (`platforms/native.rs`).

use serde_json::{Map, Value};

use super::{
    undecodable::{Undecodable, mistake},
    wire::{AtWire, StructureWire},
};
use crate::{
    domain::{EventContent, Format, Mentions, Platform, PlatformOverride, TextBody},
    platforms::{check_native, header_colors, kind_of},
};

/// Reads the entries. The `default` entry replaces the event's `message`.
pub(super) fn read_structure(
    structure: StructureWire,
    content: &mut EventContent,
) -> Result<(), Undecodable> {
    for (name, entry) in structure.0 {
        let place = format!("message_structure.{name}");
        let platform = match name.parse::<Platform>() {
            _ if name == "default" => None,
            Ok(platform) => Some(platform),
            // Entries for SMN's other protocols (email, sms, …) are ignored, and are not a mistake.
            Err(_) => continue,
        };
        match (platform, entry_of(&place, platform, entry)?) {
            (None, PlatformOverride::Text(passage)) => content.message = Some(passage),
            (None, _) => {
                return Err(mistake(format!(
                    "{place} is an object: it must be text, or have a msgType"
                )));
            }
            (Some(platform), entry) => {
                if content.entries.iter().any(|(known, _)| *known == platform) {
                    return Err(mistake(format!("{place} is the second entry for {platform}")));
                }
                content.entries.push((platform, entry));
            }
        }
    }
    // Whether a platform without an entry is subscribed is decided for each delivery.
    if content.entries.is_empty() && content.message.is_none() {
        return Err(mistake(
            "message_structure has neither an entry for a platform nor a default, and there is no message: add one of them",
        ));
    }
    Ok(())
}

fn entry_of(
    place: &str,
    platform: Option<Platform>,
    entry: Value,
) -> Result<PlatformOverride, Undecodable> {
    match entry {
        Value::String(text) if text.is_empty() => Err(mistake(format!("{place} is empty"))),
        Value::String(text) => match message_in(&text) {
            Some(message) => message_of(place, platform, message),
            None => Ok(PlatformOverride::Text(TextBody::from(text.as_str()))),
        },
        Value::Object(message) => message_of(place, platform, message),
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) => Err(mistake(format!(
            "{place} is {}: use text, an object with the platform's own message, or one with a msgType",
            kind_of(&entry)
        ))),
    }
}

/// A message as JSON inside text. Publishers for SMN send this, because SMN's structure is itself
/// such text.
fn message_in(text: &str) -> Option<Map<String, Value>> {
    let message: Map<String, Value> = serde_json::from_str(text).ok()?;
    ["msgType", "msgtype", "msg_type"]
        .iter()
        .any(|name| message.contains_key(*name))
        .then_some(message)
}

fn message_of(
    place: &str,
    platform: Option<Platform>,
    message: Map<String, Value>,
) -> Result<PlatformOverride, Undecodable> {
    if message.contains_key("msgType") {
        return passage_of(place, &message).map(PlatformOverride::Text);
    }
    let message = Value::Object(message);
    if let Some(platform) = platform {
        check_native(platform, &message).map_err(|refused| {
            let separator = if refused.field.is_empty() { " " } else { "." };
            mistake(format!("{place}{separator}{refused}"))
        })?;
    }
    Ok(PlatformOverride::Native(message.to_string()))
}

/// Reads SMN's form: `msgType` is text or markdown, `at` is as in DingTalk, `color` is the colour
/// of a card's header. SMN does not document the names of title and text. So the names that
/// platforms and publishers use are accepted, beside `msgType` or in an object of that name.
fn passage_of(place: &str, message: &Map<String, Value>) -> Result<TextBody, Undecodable> {
    let wrong = |field: &str, why: &str| mistake(format!("{place}.{field} {why}"));
    let (kind, format) = match message.get("msgType").and_then(Value::as_str) {
        Some("text") => ("text", Format::Text),
        Some("markdown") => ("markdown", Format::Markdown),
        _ => return Err(wrong("msgType", "must be text or markdown")),
    };
    let inner = message.get(kind).and_then(Value::as_object).unwrap_or(message);
    let said = |names: &[&str]| {
        let found = names.iter().find_map(|name| inner.get(*name)?.as_str());
        found.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let text = said(&["content", "text", "markdown", "message"]);
    let color = message.get("color").or_else(|| inner.get("color"));
    let color = color.filter(|color| !color.is_null()).map(|color| match color.as_str() {
        Some(known) if header_colors().any(|color| color == known) => Ok(known.to_owned()),
        _ => {
            let colors: Vec<_> = header_colors().collect();
            Err(wrong("color", &format!("is {color}: use {}", colors.join(", "))))
        }
    });
    let at = message.get("at").cloned().map(serde_json::from_value::<AtWire>).transpose();
    let at = at.map_err(|refused| wrong("at", &format!("cannot be read: {refused}")))?;
    Ok(TextBody {
        text: text.ok_or_else(|| wrong("content", "is missing"))?,
        title: said(&["title", "subject"]),
        format: Some(format),
        mentions: at.map(Mentions::from).unwrap_or_default(),
        color: color.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{NoContent, PlatformContent};

    fn read(structure: Value) -> Result<EventContent, String> {
        let mut content = EventContent::default();
        let structure = serde_json::from_value(structure).map_err(|mistake| mistake.to_string())?;
        read_structure(structure, &mut content).map_err(|undecodable| undecodable.detail)?;
        Ok(content)
    }

    #[test]
    fn a_structure_may_be_an_object_or_json_in_text_and_its_names_may_be_those_of_smn() {
        let ding = json!({"msgtype": "text", "text": {"content": "x"}});
        let structure = json!({"default": "d", "feishu": "f", "dingding": ding, "email": 7});
        let inside =
            json!({"default": "d", "feishu": "f", "dingding": ding.to_string(), "email": 7});
        for structure in
            [structure.clone(), json!(structure.to_string()), json!(inside.to_string())]
        {
            let content = read(structure).unwrap();
            assert_eq!(
                content.for_platform(Platform::WeCom),
                Ok(PlatformContent::Text(&"d".into()))
            );
            assert_eq!(
                content.for_platform(Platform::Lark),
                Ok(PlatformContent::Text(&"f".into()))
            );
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
            mentions: Mentions {
                all: true,
                mobiles: vec!["138".into()],
                users: vec!["ann".into()],
            },
            color: Some("red".into()),
        };
        let at = json!({"isAtAll": true, "atMobiles": ["138"], "atUserIds": ["ann"]});
        for entry in [
            json!({"msgType": "markdown", "title": "t", "content": "**x**", "color": "red", "at": at}),
            json!({"msgType": "markdown", "markdown": {"title": "t", "text": "**x**"}, "color": "red", "at": at}),
            json!({"msgType": "markdown", "subject": "t", "markdown": "**x**", "color": "red", "at": at}),
        ] {
            let content = read(json!({"default": "d", "lark": entry})).unwrap();
            assert_eq!(
                content.for_platform(Platform::Lark),
                Ok(PlatformContent::Text(&passage)),
                "{entry}"
            );
        }
        let content =
            read(json!({"default": {"msgType": "text", "text": {"content": "d"}}})).unwrap();
        let plain =
            TextBody { text: "d".into(), format: Some(Format::Text), ..TextBody::default() };
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
                "message_structure has neither an entry for a platform nor a default, and there is no message: add one of them",
            ),
            (json!({"default": ""}), "message_structure.default is empty"),
            (
                json!({"default": {}}),
                "message_structure.default is an object: it must be text, or have a msgType",
            ),
            (
                json!({"default": "d", "wecom": "a", "wechat": "b"}),
                "message_structure.wechat is the second entry for wecom",
            ),
            (
                json!({"default": "d", "lark": {"msg_type": "interactive", "card": {"elements": [{}]}}}),
                "message_structure.lark.card.elements[0].tag is missing",
            ),
            (
                json!({"default": "d", "feishu": {"text": "x"}}),
                "message_structure.feishu.msg_type is missing",
            ),
            (
                json!({"default": "d", "dingtalk_internal": {"msgtype": "link", "link": {"title": "t", "text": "x"}}}),
                "message_structure.dingtalk_internal.link.messageUrl is missing",
            ),
            (
                json!({"default": "d", "wecom": "{\"msgtype\": \"news\", \"news\": {\"articles\": []}}"}),
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
        let color = read(
            json!({"default": "d", "lark": {"msgType": "text", "text": "x", "color": "pink"}}),
        )
        .unwrap_err();
        assert!(
            color.starts_with("message_structure.lark.color is \"pink\": use blue, "),
            "{color}"
        );
        let at = read(json!({"default": "d", "lark": {"msgType": "text", "text": "x", "at": {"atMobiles": 7}}}))
            .unwrap_err();
        assert!(
            at.starts_with("message_structure.lark.at cannot be read: invalid type: integer `7`"),
            "{at}"
        );
    }

    #[test]
    fn text_that_looks_like_json_and_is_no_message_stays_text() {
        let content = read(json!({"default": "{\"a\": 1}"})).unwrap();
        assert_eq!(
            content.for_platform(Platform::Lark),
            Ok(PlatformContent::Text(&"{\"a\": 1}".into()))
        );
    }
}
