//! Huawei Cloud SMN's engine: `{tag}` is replaced by the tag's value, and nothing else has a
//! meaning.
//!
//! SMN defines placeholders, but not the meaning of other braces. Here they stay as text: `{}`, `{
//! tag }`, `{a b}`, and a name of more than 21 characters. `{{tag}}` is the value within braces. As
//! in SMN, a placeholder cannot be escaped.
//!
//! Owns the syntax of placeholders and their limits.
//!
//! Not here: the names and values of tags (`tags.rs`).

use std::{collections::HashSet, ops::Range};

use serde_json::Value;

use super::{
    invalid_template::InvalidTemplate,
    tags::{NAME_MAX, Tags, is_name},
};
use crate::platforms::kind_of;

/// SMN's limits.
const PLACES_MAX: usize = 256;
const DISTINCT_MAX: usize = 90;

/// The positions of the placeholders in a template's text.
pub(super) struct Placeholders(Vec<Range<usize>>);

impl Placeholders {
    /// Finds the placeholders.
    pub(super) fn of(text: &str) -> Result<Self, InvalidTemplate> {
        let places: Vec<_> =
            text.match_indices('{').filter_map(|(at, _)| place(text, at)).collect();
        if places.len() > PLACES_MAX {
            return Err(InvalidTemplate::Placeholders { found: places.len(), max: PLACES_MAX });
        }
        let distinct: HashSet<_> = places.iter().map(|place| name(text, place)).collect();
        if distinct.len() > DISTINCT_MAX {
            return Err(InvalidTemplate::Tags { found: distinct.len(), max: DISTINCT_MAX });
        }
        Ok(Self(places))
    }

    /// Replaces the placeholders. A tag that the event does not have is replaced by nothing.
    pub(super) fn fill(&self, text: &str, tags: &Tags) -> Result<String, String> {
        let (mut written, mut from) = (String::with_capacity(text.len()), 0);
        for place in &self.0 {
            written.push_str(text.get(from..place.start).unwrap_or_default());
            let tag = name(text, place);
            match tags.get(tag) {
                None | Some(Value::Null) => {}
                Some(Value::String(value)) => written.push_str(value),
                Some(value @ (Value::Bool(_) | Value::Number(_))) => {
                    written.push_str(&value.to_string())
                }
                Some(other @ (Value::Array(_) | Value::Object(_))) => {
                    return Err(format!(
                        "tag {tag} is {}: only templates of the engine jinja take that",
                        kind_of(other)
                    ));
                }
            }
            from = place.end;
        }
        written.push_str(text.get(from..).unwrap_or_default());
        Ok(written)
    }
}

/// The placeholder that begins with the brace at `at`, if there is one.
fn place(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = text.as_bytes().get(at + 1..)?;
    let length = rest.iter().take(NAME_MAX + 1).position(|byte| *byte == b'}')?;
    let place = at..at + length + 2;
    text.get(at + 1..at + 1 + length).filter(|name| is_name(name)).map(|_| place)
}

fn name<'a>(text: &'a str, place: &Range<usize>) -> &'a str {
    text.get(place.start + 1..place.end - 1).unwrap_or_default()
}
