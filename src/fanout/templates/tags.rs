//! The tags of an event: the values for its template.
//!
//! Owns the form of a name in a placeholder, which is SMN's: at most 21 letters, digits and `-` `_`
//! `.`. A tag with another name is only for Jinja. Beyond SMN, a value may be a number or a
//! boolean, and for Jinja a list or an object. A text may be as long as an event.
//!
//! Not here: how the engines use them (`placeholders.rs`, `jinja.rs`).

use serde_json::{Map, Value};

use crate::fanout::json;

/// SMN's limit for the name of a tag, in bytes.
pub(super) const NAME_MAX: usize = 21;

/// The tags of one event.
#[derive(Debug, Default)]
pub struct Tags(Map<String, Value>);

/// The tags are invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTag {
    /// The tags are not an object.
    #[error("{0}")]
    NoObject(String),
}

impl Tags {
    /// Reads the tags of an event: an object, or one as JSON in text.
    ///
    /// # Errors
    ///
    /// They are not an object.
    pub fn read(tags: Value) -> Result<Self, InvalidTag> {
        match tags {
            Value::Null => Ok(Self::default()),
            Value::String(text) if text.trim().is_empty() => Ok(Self::default()),
            tags => json::object("tags", tags).map(Self).map_err(InvalidTag::NoObject),
        }
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
