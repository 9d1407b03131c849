//! The written forms of values: how a text becomes a value, and what the reference says about it.
//!
//! Owns the forms that several rooms use; an error is a sentence with the expected form.
//!
//! Not here: forms of one room (beside its settings), and conditions between settings
//! (`config/cross_field.rs`).

use std::{
    fmt::{Debug, Display},
    hash::{DefaultHasher, Hash, Hasher},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{
    domain::{self, with_causes},
    private_file,
};

/// A value, or a sentence about the mistake. The sentence never repeats a credential.
pub type Parsed<T> = Result<T, String>;

/// How a text becomes a value.
type Parse<T> = Box<dyn Fn(&str) -> Parsed<T>>;

/// How the values of a setting are written.
pub struct Form<T> {
    /// What a value is, with its unit.
    pub kind: String,
    /// Which values are possible; empty if the kind says so.
    pub range: String,
    parse: Parse<T>,
    fingerprint: fn(&T) -> u64,
}

impl<T: Debug> Form<T> {
    /// A form of this kind and range.
    pub fn new(kind: &str, range: &str, parse: impl Fn(&str) -> Parsed<T> + 'static) -> Self {
        Self {
            kind: kind.to_owned(),
            range: range.to_owned(),
            parse: Box::new(parse),
            fingerprint: |value| hash_of(&format!("{value:?}")),
        }
    }
}

impl Form<SecretString> {
    /// A form of values that are never shown.
    pub fn secret(
        kind: &str,
        range: &str,
        parse: impl Fn(&str) -> Parsed<SecretString> + 'static,
    ) -> Self {
        Self {
            kind: kind.to_owned(),
            range: range.to_owned(),
            parse: Box::new(parse),
            fingerprint: |value| hash_of(value.expose_secret()),
        }
    }
}

impl<T> Form<T> {
    /// The same form, with other words for its range.
    #[must_use]
    pub fn with_range(self, range: &str) -> Self {
        Self { range: range.to_owned(), ..self }
    }

    /// The value that a text stands for.
    ///
    /// # Errors
    ///
    /// The text has another form, or the value is out of range.
    pub fn parse(&self, text: &str) -> Parsed<T> {
        (self.parse)(text)
    }

    /// A hash that equal values share. It may be of a secret: it is for comparisons only.
    pub fn fingerprint(&self, value: &T) -> u64 {
        (self.fingerprint)(value)
    }
}

fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The mistake in a setting that must be a host name.
#[must_use]
pub fn not_a_host_name(text: &str) -> String {
    format!("{text:?} is not a host name: write it without scheme and port")
}

/// An address of HTTP or HTTPS that passes a further check.
pub fn http_address(check: impl Fn(Url) -> Parsed<Url> + 'static) -> Form<Url> {
    const KIND: &str = "http:// or https:// address";
    Form::new(KIND, "", move |text| {
        let url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        check(url.ok_or_else(|| format!("it is not an {KIND}"))?)
    })
}

/// A span of time, zero included.
#[must_use]
pub fn duration() -> Form<Duration> {
    Form::new("span of time", "", domain::duration)
}

/// A span of time above zero.
#[must_use]
pub fn some_duration() -> Form<Duration> {
    Form::new("span of time", "above 0", |text| {
        let length = domain::duration(text)?;
        if length.is_zero() { Err("it must be longer than 0".to_owned()) } else { Ok(length) }
    })
}

/// A whole number within a range.
#[must_use]
pub fn number<T>(range: RangeInclusive<T>) -> Form<T>
where
    T: Debug + Display + FromStr + PartialOrd + 'static,
{
    number_of("", range)
}

/// A whole number of these units within a range.
#[must_use]
pub fn number_of<T>(unit: &str, range: RangeInclusive<T>) -> Form<T>
where
    T: Debug + Display + FromStr + PartialOrd + 'static,
{
    let kind = if unit.is_empty() { "whole number" } else { unit };
    let shown = format!("{} to {}", range.start(), range.end());
    Form::new(kind, &shown.clone(), move |text| match text.replace('_', "").parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("{text:?} is not a whole number from {shown}")),
    })
}

/// A share from 0 to 1.
#[must_use]
pub fn ratio() -> Form<f64> {
    Form::new("share", "0 to 1", |text| match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(format!("{text:?} is not a share from 0 to 1")),
    })
}

/// A path.
#[must_use]
pub fn path() -> Form<PathBuf> {
    Form::new("path", "", |text| {
        if text.is_empty() { Err("the path is empty".to_owned()) } else { Ok(text.into()) }
    })
}

/// A text that is not empty. `kind` says what it stands for.
#[must_use]
pub fn text(kind: &str) -> Form<String> {
    Form::new(kind, "", |text| {
        if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
    })
}

/// One of these words.
#[must_use]
pub fn one_of<T: Copy + Debug>(choices: &'static [(&'static str, T)]) -> Form<T> {
    let names = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    Form::new(&format!("one of {names}"), "", move |text| {
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        found.ok_or_else(|| format!("{text:?} is not possible: use {names}"))
    })
}

/// True or false.
#[must_use]
pub fn switch() -> Form<bool> {
    one_of(&[("true", true), ("false", false)])
}

/// A private file with a secret; the setting is its path, the value its content.
#[must_use]
pub fn secret_file(
    what: &'static str,
    parse: impl Fn(&str) -> Parsed<SecretString> + 'static,
) -> Form<SecretString> {
    Form::secret("path", "", move |path| {
        let text = private_file::read(what, Path::new(path));
        parse(text.map_err(|error| with_causes(&error))?.trim())
    })
}
