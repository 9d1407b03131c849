//! A field of a body together with its path, so that an error names its place.
//!
//! Owns the wording of such errors.
//!
//! Not here: the rules of the platforms (`native.rs` of each platform).

use std::{fmt, ops::RangeInclusive};

use serde_json::Value;
use url::Url;

/// A body that its platform would refuse: the field and its mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidNativeMessage {
    /// The path of the field, such as `card.elements[0].tag`; empty for the body itself.
    pub field: String,
    /// The mistake, to be read after the path: `is missing`.
    pub why: String,
}

impl fmt::Display for InvalidNativeMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.why),
            field => write!(f, "{field} {}", self.why),
        }
    }
}

/// One field.
pub(super) struct Field<'a> {
    path: String,
    value: &'a Value,
}

pub(super) type Checked<T = ()> = Result<T, InvalidNativeMessage>;

impl<'a> Field<'a> {
    /// The whole body.
    pub(super) fn body(value: &'a Value) -> Self {
        Self { path: String::new(), value }
    }

    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    /// An error about this field.
    pub(super) fn wrong(&self, why: impl Into<String>) -> InvalidNativeMessage {
        InvalidNativeMessage { field: self.path.clone(), why: why.into() }
    }

    /// The error of a field that is longer than the platform takes.
    pub(super) fn oversized(&self, bytes: usize, bytes_max: usize) -> InvalidNativeMessage {
        self.wrong(format!("has {bytes} bytes: at most {bytes_max} are taken"))
    }

    fn path_to(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A field inside this one. `null` counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Self { path: self.path_to(name), value })
    }

    /// A required field.
    pub(super) fn need(&self, name: &str) -> Checked<Self> {
        self.get(name).ok_or_else(|| InvalidNativeMessage {
            field: self.path_to(name),
            why: "is missing".to_owned(),
        })
    }

    /// A required object.
    pub(super) fn object(&self, name: &str) -> Checked<Self> {
        self.need(name)?.into_object()
    }

    /// This field, if it is an object.
    pub(super) fn into_object(self) -> Checked<Self> {
        if self.value.is_object() {
            Ok(self)
        } else {
            Err(self.wrong(format!("is {}: it must be an object", kind_of(self.value))))
        }
    }

    /// An optional object.
    pub(super) fn maybe_object(&self, name: &str) -> Checked<Option<Self>> {
        self.get(name).map(Self::into_object).transpose()
    }

    /// This field, if it is a text that is not blank.
    pub(super) fn as_text(&self) -> Checked<&'a str> {
        match self.value {
            Value::String(text) if text.is_empty() => Err(self.wrong("is empty")),
            Value::String(text) => Ok(text),
            _ => Err(self.wrong(format!("is {}: it must be text", kind_of(self.value)))),
        }
    }

    /// A required text that is not blank.
    pub(super) fn text(&self, name: &str) -> Checked<&'a str> {
        self.need(name)?.as_text()
    }

    /// An optional text, which may be empty.
    pub(super) fn maybe_text(&self, name: &str) -> Checked<Option<&'a str>> {
        match self.get(name) {
            None => Ok(None),
            Some(field) if field.value == "" => Ok(None),
            Some(field) => field.as_text().map(Some),
        }
    }

    /// A required text of at most `bytes_max` bytes.
    pub(super) fn text_within(&self, name: &str, bytes_max: usize) -> Checked<&'a str> {
        let text = self.text(name)?;
        if text.len() > bytes_max {
            return Err(self.need(name)?.oversized(text.len(), bytes_max));
        }
        Ok(text)
    }

    /// A required text from a list.
    pub(super) fn one_of(&self, name: &str, known: &[&str]) -> Checked<&'a str> {
        let text = self.text(name)?;
        if known.contains(&text) {
            return Ok(text);
        }
        Err(self.need(name)?.wrong(format!("is {text:?}: use {}", known.join(", "))))
    }

    /// An optional whole number from a range. It may be written as text.
    pub(super) fn maybe_number(
        &self,
        name: &str,
        known: RangeInclusive<i64>,
    ) -> Checked<Option<i64>> {
        let Some(field) = self.get(name) else {
            return Ok(None);
        };
        let number = field.value.as_i64().or_else(|| field.value.as_str()?.parse().ok());
        match number.filter(|number| known.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(field.wrong(format!(
                "is not a number from {} to {}",
                known.start(),
                known.end()
            ))),
        }
    }

    /// A required URL. An empty list of schemes permits any scheme.
    pub(super) fn url(&self, name: &str, schemes: &[&str]) -> Checked {
        let text = self.text(name)?;
        let field = self.need(name)?;
        let url = Url::parse(text)
            .map_err(|mistake| field.wrong(format!("is not an address: {mistake}")))?;
        if schemes.is_empty() || schemes.contains(&url.scheme()) {
            return Ok(());
        }
        Err(field.wrong(format!(
            "begins with {}: an address must begin with {}",
            url.scheme(),
            schemes.join(" or ")
        )))
    }

    /// The items of a list.
    pub(super) fn members(&self) -> Checked<Vec<Self>> {
        let list = self.value.as_array();
        let list = list
            .ok_or_else(|| self.wrong(format!("is {}: it must be a list", kind_of(self.value))))?;
        let one = |(at, value)| Self { path: format!("{}[{at}]", self.path), value };
        Ok(list.iter().enumerate().map(one).collect())
    }

    /// A required list whose length is in a range.
    pub(super) fn list(&self, name: &str, count: RangeInclusive<usize>) -> Checked<Vec<Self>> {
        let field = self.need(name)?;
        let members = field.members()?;
        if members.len() < *count.start() {
            return Err(field.wrong("is empty"));
        }
        if members.len() > *count.end() {
            return Err(field.wrong(format!(
                "has {} members: at most {} are taken",
                members.len(),
                count.end()
            )));
        }
        Ok(members)
    }

    /// An optional list of at most `count_max` items.
    pub(super) fn maybe_list(&self, name: &str, count_max: usize) -> Checked<Vec<Self>> {
        if self.get(name).is_none() { Ok(Vec::new()) } else { self.list(name, 0..=count_max) }
    }

    /// An optional list of texts; returns their number.
    pub(super) fn maybe_texts(&self, name: &str) -> Checked<usize> {
        let members = self.maybe_list(name, usize::MAX)?;
        members.iter().try_for_each(|one| one.as_text().map(drop))?;
        Ok(members.len())
    }
}

/// The kind of JSON, to be read after "is".
#[must_use]
pub const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
