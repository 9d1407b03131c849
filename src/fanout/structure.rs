//! `message_structure`: the content of an event for each platform. An entry is text, the platform's
//! own message, or SMN's form.
//!
//! Owns the reading of entries, and that there is one for at least one platform.
//!
//! Not here: the messages that a platform accepts (`platforms/native.rs`).

#[cfg(test)]
mod tests;

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
