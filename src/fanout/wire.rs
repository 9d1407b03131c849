//! The JSON shape of an event, with the field names of Huawei Cloud SMN.
//!
//! Owns the shape only.
//!
//! Not here: which shapes of JSON a field accepts (`fields.rs`), and the rules of the content
//! (`decode.rs`).

use serde_json::{Map, Value};

use super::{
    fields::{misshapen, object, seconds, text, texts, truth, wrong},
    undecodable::Undecodable,
};
use crate::domain::{Format, Mentions, Platform, PlatformUsers};

/// An event as its publisher wrote it.
#[derive(Default)]
pub(super) struct EventWire {
    pub(super) subject: Option<String>,
    pub(super) message: Option<String>,
    pub(super) format: Option<Format>,
    pub(super) message_structure: Option<Map<String, Value>>,
    pub(super) message_template_name: Option<String>,
    /// Read only if a template is named.
    pub(super) tags: Value,
    pub(super) time_to_live: Option<u64>,
    pub(super) at: AtWire,
    pub(super) message_attributes: Vec<AttributeWire>,
}

/// The fields that give an event its content.
const CONTENT_FIELDS: [&str; 3] = ["message", "message_structure", "message_template_name"];

impl EventWire {
    /// Reads the fields of an event. Unknown fields are ignored.
    pub(super) fn read(mut fields: Map<String, Value>) -> Result<Self, Undecodable> {
        let mut take = |name: &str| fields.remove(name);
        Ok(Self {
            subject: text("subject", take("subject"))?,
            message: text("message", take("message"))?,
            format: format("format", take("format"))?,
            message_structure: object("message_structure", take("message_structure"))?,
            message_template_name: text("message_template_name", take("message_template_name"))?,
            tags: take("tags").unwrap_or_default(),
            time_to_live: seconds("time_to_live", take("time_to_live"))?,
            at: AtWire::read("at", take("at"))?,
            message_attributes: attributes(take("message_attributes"))?,
        })
    }

    /// Whether an object has a field that gives an event its content.
    pub(super) fn has_content(fields: &Map<String, Value>) -> bool {
        CONTENT_FIELDS.iter().any(|name| fields.get(*name).is_some_and(|value| !value.is_null()))
    }

    /// An event with only a text.
    pub(super) fn of_text(format: Format, text: String) -> Self {
        Self { message: Some(text), format: Some(format), ..Self::default() }
    }

    /// An event with only the tags of a template.
    pub(super) fn of_template(name: String, tags: Map<String, Value>) -> Self {
        Self { message_template_name: Some(name), tags: Value::Object(tags), ..Self::default() }
    }
}

/// The format of a text: its name, or its media type.
fn format(place: &str, value: Option<Value>) -> Result<Option<Format>, Undecodable> {
    let Some(name) = text(place, value)? else { return Ok(None) };
    match name.trim().to_ascii_lowercase().as_str() {
        "" => Ok(None),
        "text" | "plain" | "text/plain" => Ok(Some(Format::Text)),
        "markdown" | "md" | "text/markdown" => Ok(Some(Format::Markdown)),
        other => {
            let shown: String = other.chars().take(20).collect();
            Err(wrong(place, &format!("is {shown:?}: use text or markdown")))
        }
    }
}

/// The members that an event mentions.
#[derive(Default)]
pub(super) struct AtWire {
    all: bool,
    mobiles: Vec<String>,
    users: Vec<String>,
    /// Users by their ids on single platforms.
    platform_users: PlatformUsers,
}

impl AtWire {
    /// Reads them. The names of SMN and DingTalk mean the same as ours.
    pub(super) fn read(place: &str, value: Option<Value>) -> Result<Self, Undecodable> {
        let Some(mut fields) = object(place, value)? else { return Ok(Self::default()) };
        let mut at = Self::default();
        for name in ["all", "isAtAll"] {
            at.all |= truth(&format!("{place}.{name}"), fields.remove(name))? == Some(true);
        }
        for name in ["mobiles", "atMobiles"] {
            at.mobiles.extend(texts(&format!("{place}.{name}"), fields.remove(name))?);
        }
        for name in ["users", "atUserIds"] {
            let place = format!("{place}.{name}");
            match fields.remove(name) {
                Some(Value::Object(platforms)) => at.read_platforms(&place, platforms)?,
                users => at.users.extend(texts(&place, users)?),
            }
        }
        Ok(at)
    }

    fn read_platforms(
        &mut self,
        place: &str,
        platforms: Map<String, Value>,
    ) -> Result<(), Undecodable> {
        for (name, users) in platforms {
            // As in a structure, names of other protocols are not a mistake.
            let Ok(platform) = name.parse::<Platform>() else { continue };
            self.platform_users.add(platform, texts(&format!("{place}.{name}"), Some(users))?);
        }
        Ok(())
    }

    /// The members to mention on any platform, and those on single ones.
    pub(super) fn into_parts(self) -> (Mentions, PlatformUsers) {
        let Self { all, mobiles, users, platform_users } = self;
        (Mentions { all, mobiles, users }, platform_users)
    }
}

/// An attribute in SMN's form.
pub(super) struct AttributeWire {
    pub(super) name: String,
    pub(super) kind: AttributeKind,
    pub(super) value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttributeKind {
    String,
    StringArray,
    Protocol,
}

/// Reads a list of attributes. One that is `null`, or whose value is, is absent.
pub(super) fn attributes(value: Option<Value>) -> Result<Vec<AttributeWire>, Undecodable> {
    const PLACE: &str = "message_attributes";
    const LIST: &str =
        r#"a list, such as [{"name": "severity", "type": "STRING", "value": "critical"}]"#;
    const OBJECT: &str =
        r#"an object, such as {"name": "severity", "type": "STRING", "value": "critical"}"#;
    let values = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(values)) => values,
        Some(other) => return Err(misshapen(PLACE, &other, LIST)),
    };
    let mut all = Vec::with_capacity(values.len());
    for (at, one) in values.into_iter().enumerate() {
        let place = format!("{PLACE}[{at}]");
        let mut fields = match one {
            Value::Null => continue,
            Value::Object(fields) => fields,
            other => return Err(misshapen(&place, &other, OBJECT)),
        };
        let name = text(&format!("{place}.name"), fields.remove("name"))?;
        let kind = text(&format!("{place}.type"), fields.remove("type"))?;
        let (name, value) = (name.unwrap_or_default(), fields.remove("value").unwrap_or_default());
        let kind = kind_of_attribute(&place, kind.as_deref(), &name, &value)?;
        if !value.is_null() {
            all.push(AttributeWire { name, kind, value });
        }
    }
    Ok(all)
}

/// The type of an attribute. Without one, SMN's name for the platforms tells it, and a list is a
/// list of texts.
fn kind_of_attribute(
    place: &str,
    kind: Option<&str>,
    name: &str,
    value: &Value,
) -> Result<AttributeKind, Undecodable> {
    match kind.unwrap_or_default().trim().to_ascii_uppercase().as_str() {
        "" if name == "smn_protocol" => Ok(AttributeKind::Protocol),
        "" if value.is_array() => Ok(AttributeKind::StringArray),
        "" | "STRING" => Ok(AttributeKind::String),
        "STRING_ARRAY" => Ok(AttributeKind::StringArray),
        "PROTOCOL" => Ok(AttributeKind::Protocol),
        other => {
            let shown: String = other.chars().take(20).collect();
            let says = format!("is {shown:?}: use STRING, STRING_ARRAY or PROTOCOL");
            Err(wrong(&format!("{place}.type"), &says))
        }
    }
}
