//! `message_structure`: the content of an event for each platform. An entry is text, the platform's
//! own message, or SMN's form.
//!
//! Owns the reading of entries, and that there is one for at least one platform.
//!
//! Not here: the messages that a platform accepts (`platforms/native.rs`).

use serde_json::{Map, Value};

use super::{
    fields::{digits, misshapen},
    json,
    undecodable::{Undecodable, blank, mistake},
    wire::AtWire,
};
use crate::{
    domain::{EventContent, Format, Platform, PlatformOverride, PlatformUsers, TextBody, is_blank},
    platforms::{check_native, header_colors},
};

/// The content of an entry, and the members that it mentions on single platforms.
struct Entry {
    content: PlatformOverride,
    platform_users: PlatformUsers,
}

impl From<PlatformOverride> for Entry {
    fn from(content: PlatformOverride) -> Self {
        Self { content, platform_users: PlatformUsers::default() }
    }
}

/// Reads the entries. The `default` entry replaces the event's `message`. An entry that is `null`
/// or blank is absent.
pub(super) fn read_structure(
    structure: Map<String, Value>,
    content: &mut EventContent,
) -> Result<(), Undecodable> {
    let (mut blanks, mut default_users) = (Vec::new(), PlatformUsers::default());
    for (name, entry) in structure {
        let place = format!("message_structure.{name}");
        let platform = match name.parse::<Platform>() {
            _ if name == "default" => None,
            Ok(platform) => Some(platform),
            // Entries for SMN's other protocols (email, sms, …) are ignored, and are not a
            // mistake.
            Err(_) => continue,
        };
        let Some(Entry { content: entry, platform_users }) = entry_of(&place, platform, entry)?
        else {
            blanks.push(place);
            continue;
        };
        match (platform, entry) {
            (None, PlatformOverride::Text(passage)) => {
                content.message = Some(passage);
                default_users = platform_users;
            }
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
    let has_entry =
        |platform: Platform| content.entries.iter().any(|(known, _)| *known == platform);
    content.platform_users.add_all(default_users, |platform| !has_entry(platform));
    // Whether a platform without an entry is subscribed is decided for each delivery.
    match (content.entries.is_empty() && content.message.is_none(), blanks.first()) {
        (false, _) => Ok(()),
        (true, Some(place)) => {
            Err(blank(format!("{place} shows nothing, and there is no other text")))
        }
        (true, None) => Err(mistake(
            "message_structure has neither an entry for a platform nor a default, \
             and there is no message: add one of them",
        )),
    }
}

/// Reads an entry; `None` if it is absent or blank.
fn entry_of(
    place: &str,
    platform: Option<Platform>,
    entry: Value,
) -> Result<Option<Entry>, Undecodable> {
    let text = match entry {
        Value::Null => return Ok(None),
        Value::Object(message) => return message_of(place, platform, message),
        Value::String(text) => match message_in(&text) {
            Some(message) => return message_of(place, platform, message),
            None => text,
        },
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => digits(place, &number)?,
        Value::Array(_) => {
            let needed = "text, an object with the platform's own message, or one with a msgType";
            return Err(misshapen(place, &entry, needed));
        }
    };
    let passage = (!is_blank(&text)).then(|| TextBody::from(text.as_str()));
    Ok(passage.map(PlatformOverride::Text).map(Entry::from))
}

/// A message as JSON inside text. Publishers for SMN send this, because SMN's structure is itself
/// such text.
fn message_in(text: &str) -> Option<Map<String, Value>> {
    // Most texts are not JSON, and need no parser to say so.
    let text = json::trimmed(text).trim();
    if !text.starts_with('{') {
        return None;
    }
    let Ok(Value::Object(message)) = json::parse(text) else { return None };
    ["msgType", "msgtype", "msg_type"]
        .iter()
        .any(|name| message.contains_key(*name))
        .then_some(message)
}

fn message_of(
    place: &str,
    platform: Option<Platform>,
    message: Map<String, Value>,
) -> Result<Option<Entry>, Undecodable> {
    if message.contains_key("msgType") {
        return passage_of(place, platform, &message);
    }
    let message = Value::Object(message);
    if let Some(platform) = platform {
        check_native(platform, &message).map_err(|refused| {
            let separator = if refused.field.is_empty() { " " } else { "." };
            mistake(format!("{place}{separator}{refused}"))
        })?;
    }
    Ok(Some(PlatformOverride::Native(message.to_string()).into()))
}

/// Reads SMN's form: `msgType` is text or markdown, `at` is as in DingTalk, `color` is the colour
/// of a card's header. SMN does not document the names of title and text. So the names that
/// platforms and publishers use are accepted, beside `msgType` or in an object of that name.
fn passage_of(
    place: &str,
    platform: Option<Platform>,
    message: &Map<String, Value>,
) -> Result<Option<Entry>, Undecodable> {
    let wrong = |field: &str, why: &str| mistake(format!("{place}.{field} {why}"));
    let kind = message.get("msgType").and_then(Value::as_str).unwrap_or_default();
    let (kind, format) = match kind.trim().to_ascii_lowercase().as_str() {
        "text" => ("text", Format::Text),
        "markdown" => ("markdown", Format::Markdown),
        _ => return Err(wrong("msgType", "must be text or markdown")),
    };
    let inner = message.get(kind).and_then(Value::as_object).unwrap_or(message);
    let said = |names: &[&str]| {
        let found = names.iter().find_map(|name| match inner.get(*name)? {
            Value::String(text) => Some(text.clone()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        found.filter(|text| !text.is_empty())
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
    let at = AtWire::read(&format!("{place}.at"), message.get("at").cloned())?;
    let (mut mentions, mut platform_users) = at.into_parts();
    if let Some(platform) = platform {
        mentions.users.extend_from_slice(platform_users.on(platform));
        platform_users = PlatformUsers::default();
    }
    let text = text.ok_or_else(|| wrong("content", "is missing"))?;
    if is_blank(&text) {
        return Ok(None);
    }
    let title = said(&["title", "subject"]).filter(|title| !is_blank(title));
    let content = PlatformOverride::Text(TextBody {
        text,
        title,
        format: Some(format),
        mentions,
        color: color.transpose()?,
    });
    Ok(Some(Entry { content, platform_users }))
}

#[cfg(test)]
mod tests {
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
        let color = read(
            json!({"default": "d", "lark": {"msgType": "text", "text": "x", "color": "pink"}}),
        )
        .unwrap_err();
        assert!(
            color.starts_with("message_structure.lark.color is \"pink\": use blue, "),
            "{color}"
        );
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
}
