//! Parses single values.
//!
//! Owns the accepted forms and ranges; an error is a sentence with the expected form.
//!
//! Not here: reading a key (`reader.rs`), and conditions between keys (`check.rs`).

use std::{num::NonZeroU32, ops::RangeInclusive, path::PathBuf, time::Duration};

use url::Url;

pub(super) use crate::domain::duration;
use crate::pace::WindowQuota;

pub(super) type Parsed<T> = Result<T, String>;

/// A span of time above zero.
pub(super) fn some_duration(text: &str) -> Parsed<Duration> {
    duration(text).and_then(|length| {
        if length.is_zero() { Err("it must be longer than 0".to_owned()) } else { Ok(length) }
    })
}

/// A whole number within a range.
pub(super) fn number<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Parsed<T>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    move |text| match text.replace('_', "").parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("{text:?} is no whole number from {} to {}", range.start(), range.end())),
    }
}

/// A time zone such as `Asia/Shanghai` or `UTC`.
pub(super) fn time_zone(text: &str) -> Parsed<jiff::tz::TimeZone> {
    jiff::tz::TimeZone::get(text)
        .map_err(|_| format!("{text:?} is no time zone: write it like Asia/Shanghai or UTC"))
}

/// A ratio from 0 to 1.
pub(super) fn ratio(text: &str) -> Parsed<f64> {
    match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(format!("{text:?} is no number from 0 to 1")),
    }
}

/// A path.
pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    if text.is_empty() { Err("the path is empty".to_owned()) } else { Ok(text.into()) }
}

/// A text that is not empty.
pub(super) fn text(text: &str) -> Parsed<String> {
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// A host name, without scheme and port.
pub(super) fn host_name(text: &str) -> Parsed<String> {
    match url::Host::parse(text) {
        Ok(url::Host::Domain(name)) => Ok(name),
        Ok(_) => {
            Err(format!("{text:?} is an address, and addresses are always allowed: leave it out"))
        }
        Err(_) => Err(format!("{text:?} is not a host name: write it without scheme and port")),
    }
}

/// The prefix of the broker's names: 1 to 64 characters of `A-Z a-z 0-9 - _ .`.
pub(super) fn prefix(text: &str) -> Parsed<String> {
    let good = (1..=64).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is no prefix: 1 to 64 of A-Z a-z 0-9 - _ ."))
    }
}

/// A window such as `20/60s`: at most 10,000 messages in a span.
pub(super) fn window(text: &str) -> Parsed<WindowQuota> {
    let expected = || {
        format!("{text:?} is no window: write it like 20/60s, which is 20 messages in 60 seconds")
    };
    let (max, span) = text.split_once('/').ok_or_else(expected)?;
    let max: NonZeroU32 = max.trim().parse().map_err(|_| expected())?;
    let span = some_duration(span.trim()).map_err(|_| expected())?;
    if max.get() > 10_000 {
        return Err(format!(
            "{text:?} allows more than 10000 messages in a window, which is no limit: leave the window out"
        ));
    }
    Ok(WindowQuota { max: max.get(), span })
}

/// The scheme, host and port of a gateway.
pub(super) fn origin(text: &str) -> Parsed<Url> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| "it is no http:// or https:// address".to_owned())?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return Err(
            "only scheme, host and port belong here: path and query are those of the webhook"
                .to_owned(),
        );
    }
    Ok(url)
}

/// The address of an OTLP receiver, without user and password.
pub(super) fn receiver(text: &str) -> Parsed<Url> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| "it is no http:// or https:// address".to_owned())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "no user or password belongs here: set OTEL_EXPORTER_OTLP_HEADERS in the environment"
                .to_owned(),
        );
    }
    Ok(url)
}

/// One of these words.
pub(super) fn one_of<T: Copy>(choices: &'static [(&'static str, T)]) -> impl Fn(&str) -> Parsed<T> {
    move |text| {
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            format!("{text:?} is not possible: use {}", names.join(", "))
        })
    }
}
