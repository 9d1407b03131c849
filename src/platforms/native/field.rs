//! A field of a body together with the way to it, so that a mistake names its place. Owns no rule of any platform.

use std::{fmt, ops::RangeInclusive};

use serde_json::Value;
use url::Url;

/// A body that its platform would refuse: which field, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeMistake {
    /// The way to the field, such as `card.elements[0].tag`; empty for the body itself.
    pub field: String,
    /// What is wrong, to be read after the field: `is missing`.
    pub why: String,
}

impl fmt::Display for NativeMistake {
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

pub(super) type Checked<T = ()> = Result<T, NativeMistake>;

impl<'a> Field<'a> {
    /// The whole body.
    pub(super) fn body(value: &'a Value) -> Self {
        Self { path: String::new(), value }
    }

    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    /// Something is wrong with this field.
    pub(super) fn wrong(&self, why: impl Into<String>) -> NativeMistake {
        NativeMistake { field: self.path.clone(), why: why.into() }
    }

    fn path_to(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A field inside this one; null is as good as absent.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Self { path: self.path_to(name), value })
    }

    /// A field that must be there.
    pub(super) fn need(&self, name: &str) -> Checked<Self> {
        self.get(name).ok_or_else(|| NativeMistake { field: self.path_to(name), why: "is missing".to_owned() })
    }

    /// An object that must be there.
    pub(super) fn object(&self, name: &str) -> Checked<Self> {
        self.need(name)?.into_object()
    }

    /// This, if it is an object.
    pub(super) fn into_object(self) -> Checked<Self> {
        if self.value.is_object() {
            Ok(self)
        } else {
            Err(self.wrong(format!("is {}: it must be an object", kind_of(self.value))))
        }
    }

    /// An object that may be there.
    pub(super) fn maybe_object(&self, name: &str) -> Checked<Option<Self>> {
        self.get(name).map(Self::into_object).transpose()
    }

    /// This, if it is text that says something.
    pub(super) fn as_text(&self) -> Checked<&'a str> {
        match self.value {
            Value::String(text) if text.is_empty() => Err(self.wrong("is empty")),
            Value::String(text) => Ok(text),
            _ => Err(self.wrong(format!("is {}: it must be text", kind_of(self.value)))),
        }
    }

    /// Text that must be there and say something.
    pub(super) fn text(&self, name: &str) -> Checked<&'a str> {
        self.need(name)?.as_text()
    }

    /// Text that may be absent or empty.
    pub(super) fn maybe_text(&self, name: &str) -> Checked<Option<&'a str>> {
        match self.get(name) {
            None => Ok(None),
            Some(field) if field.value == "" => Ok(None),
            Some(field) => field.as_text().map(Some),
        }
    }

    /// Text that must be there, in at most so many bytes.
    pub(super) fn text_within(&self, name: &str, bytes_max: usize) -> Checked<&'a str> {
        let text = self.text(name)?;
        if text.len() > bytes_max {
            return Err(self.need(name)?.wrong(format!("has {} bytes: at most {bytes_max} are taken", text.len())));
        }
        Ok(text)
    }

    /// Text that must be one of these.
    pub(super) fn one_of(&self, name: &str, known: &[&str]) -> Checked<&'a str> {
        let text = self.text(name)?;
        if known.contains(&text) {
            return Ok(text);
        }
        Err(self.need(name)?.wrong(format!("is {text:?}: use {}", known.join(", "))))
    }

    /// A whole number, which may be written as text, if it is there: one of these.
    pub(super) fn maybe_number(&self, name: &str, known: RangeInclusive<i64>) -> Checked<Option<i64>> {
        let Some(field) = self.get(name) else {
            return Ok(None);
        };
        let number = field.value.as_i64().or_else(|| field.value.as_str()?.parse().ok());
        match number.filter(|number| known.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(field.wrong(format!("is not a number from {} to {}", known.start(), known.end()))),
        }
    }

    /// An address that must be there; any scheme if none are given.
    pub(super) fn url(&self, name: &str, schemes: &[&str]) -> Checked {
        let text = self.text(name)?;
        let field = self.need(name)?;
        let url = Url::parse(text).map_err(|mistake| field.wrong(format!("is no address: {mistake}")))?;
        if schemes.is_empty() || schemes.contains(&url.scheme()) {
            return Ok(());
        }
        Err(field.wrong(format!("begins with {}: an address must begin with {}", url.scheme(), schemes.join(" or "))))
    }

    /// The members of a list.
    pub(super) fn members(&self) -> Checked<Vec<Self>> {
        let list = self.value.as_array();
        let list = list.ok_or_else(|| self.wrong(format!("is {}: it must be a list", kind_of(self.value))))?;
        let one = |(at, value)| Self { path: format!("{}[{at}]", self.path), value };
        Ok(list.iter().enumerate().map(one).collect())
    }

    /// A list that must be there with so many members.
    pub(super) fn list(&self, name: &str, count: RangeInclusive<usize>) -> Checked<Vec<Self>> {
        let field = self.need(name)?;
        let members = field.members()?;
        if members.len() < *count.start() {
            return Err(field.wrong("is empty"));
        }
        if members.len() > *count.end() {
            return Err(field.wrong(format!("has {} members: at most {} are taken", members.len(), count.end())));
        }
        Ok(members)
    }

    /// A list that may be there with at most so many members.
    pub(super) fn maybe_list(&self, name: &str, count_max: usize) -> Checked<Vec<Self>> {
        if self.get(name).is_none() { Ok(Vec::new()) } else { self.list(name, 0..=count_max) }
    }

    /// A list of texts that may be there.
    pub(super) fn maybe_texts(&self, name: &str) -> Checked<usize> {
        let members = self.maybe_list(name, usize::MAX)?;
        members.iter().try_for_each(|one| one.as_text().map(drop))?;
        Ok(members.len())
    }
}

/// What kind of JSON this is, to be read after "is".
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
