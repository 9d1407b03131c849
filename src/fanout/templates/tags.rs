//! The tags of an event: the values for its template.
//!
//! Owns their rules, which are SMN's: a name has at most 21 letters, digits and `-` `_` `.`, a text
//! at most 1,024 bytes. Beyond SMN, a value may be a number or a boolean, and for Jinja a list or
//! an object.
//!
//! Not here: how the engines use them (`placeholders.rs`, `jinja.rs`).

use serde_json::{Map, Value};

/// SMN's limit for the name of a tag, in bytes.
pub(super) const NAME_MAX: usize = 21;
/// SMN's limit for a value, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// The tags of one event.
#[derive(Debug, Default)]
pub struct Tags(Map<String, Value>);

/// A tag is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTag {
    /// The tags are not an object.
    #[error("tags is {0}: it must be an object, as in {{\"host\": \"db-1\"}}")]
    NoObject(&'static str),
    /// The name is invalid.
    #[error(
        "tag {0:?} has no possible name: use 1 to {NAME_MAX} letters, digits, - _ ., beginning with a letter or digit"
    )]
    Name(String),
    /// A text is too long.
    #[error("tag {0} has a text of {1} bytes: at most {TEXT_BYTES_MAX} are possible")]
    TooLong(String, usize),
}

impl Tags {
    /// Reads the tags of an event.
    ///
    /// # Errors
    ///
    /// They are not an object, or one of them is invalid.
    pub fn read(tags: Value) -> Result<Self, InvalidTag> {
        let tags = match tags {
            Value::Null => Map::new(),
            Value::Object(tags) => tags,
            other => return Err(InvalidTag::NoObject(crate::platforms::kind_of(&other))),
        };
        for (name, value) in &tags {
            if !is_name(name) {
                return Err(InvalidTag::Name(name.chars().take(NAME_MAX + 1).collect()));
            }
            if let Some(bytes) = longest(value).filter(|bytes| *bytes > TEXT_BYTES_MAX) {
                return Err(InvalidTag::TooLong(name.clone(), bytes));
            }
        }
        Ok(Self(tags))
    }

    /// The value of a tag, if the event has it.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn all(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// Whether this is a valid name of a tag.
pub(super) fn is_name(name: &str) -> bool {
    let possible =
        name.chars().all(|one| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.'));
    possible
        && name.len() <= NAME_MAX
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

/// The length of the longest text in a value, in bytes. The recursion is safe, because parsed JSON
/// is not deeply nested.
fn longest(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.len()),
        Value::Array(list) => list.iter().filter_map(longest).max(),
        Value::Object(fields) => {
            fields.iter().filter_map(|(name, value)| longest(value).max(Some(name.len()))).max()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}
