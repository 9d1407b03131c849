//! The JSON shape of an event, with the field names of Huawei Cloud SMN.
//!
//! Owns the shape only.
//!
//! Not here: the rules of the content (`decode.rs`).

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use crate::domain::{Format, Mentions};

#[derive(Default, Deserialize)]
pub(super) struct EventWire {
    pub(super) subject: Option<String>,
    pub(super) message: Option<String>,
    pub(super) format: Option<FormatWire>,
    pub(super) message_structure: Option<StructureWire>,
    pub(super) message_template_name: Option<String>,
    /// Read only if a template is named.
    pub(super) tags: Option<Value>,
    #[serde(default, deserialize_with = "seconds")]
    pub(super) time_to_live: Option<u64>,
    pub(super) at: Option<AtWire>,
    #[serde(default)]
    pub(super) message_attributes: Vec<AttributeWire>,
}

impl EventWire {
    /// An event with only a text.
    pub(super) fn of_text(format: Format, text: String) -> Self {
        let format = match format {
            Format::Text => FormatWire::Text,
            Format::Markdown => FormatWire::Markdown,
        };
        Self { message: Some(text), format: Some(format), ..Self::default() }
    }
}

/// An attribute in SMN's form.
#[derive(Deserialize)]
pub(super) struct AttributeWire {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: AttributeKind,
    pub(super) value: Value,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
pub(super) enum AttributeKind {
    #[serde(rename = "STRING")]
    String,
    #[serde(rename = "STRING_ARRAY")]
    StringArray,
    #[serde(rename = "PROTOCOL")]
    Protocol,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FormatWire {
    #[default]
    Text,
    Markdown,
}

impl From<FormatWire> for Format {
    fn from(wire: FormatWire) -> Self {
        match wire {
            FormatWire::Text => Self::Text,
            FormatWire::Markdown => Self::Markdown,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AtWire {
    #[serde(alias = "isAtAll")]
    all: bool,
    #[serde(alias = "atMobiles")]
    mobiles: Vec<String>,
    #[serde(alias = "atUserIds")]
    users: Vec<String>,
}

impl From<AtWire> for Mentions {
    fn from(wire: AtWire) -> Self {
        Self { all: wire.all, mobiles: wire.mobiles, users: wire.users }
    }
}

/// SMN sends the structure as JSON inside text. An object is accepted as well.
pub(super) struct StructureWire(pub(super) Map<String, Value>);

impl<'de> Deserialize<'de> for StructureWire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Object(map) => Ok(Self(map)),
            Value::String(text) => serde_json::from_str(&text).map(Self).map_err(|mistake| {
                de::Error::custom(format!("the text is not a JSON object: {mistake}"))
            }),
            _ => Err(de::Error::custom("it is neither an object nor JSON in text")),
        }
    }
}

/// SMN sends the time to live as text. A number is accepted as well.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let refused = || de::Error::custom("it must be a whole number of seconds, 1 or more");
    let seconds = match Value::deserialize(deserializer)? {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    seconds.filter(|seconds| *seconds > 0).map(Some).ok_or_else(refused)
}
