//! The header with the time before which an event must not be sent.
//!
//! Owns its accepted forms.
//!
//! Not here: the wait for that time (`pipeline/delivery.rs`).

use std::time::Duration;

use super::undecodable::Undecodable;
use crate::domain::{HeaderValue, Headers, NOT_BEFORE, Timestamp};

/// Reads the header, if there is one: RFC 3339 as text, an AMQP timestamp, or a number of seconds
/// since 1970, also as text. A void header is absent.
///
/// # Errors
///
/// It is not a time, or more than `max` after `received_at`.
pub(super) fn not_before(
    headers: &Headers,
    received_at: Timestamp,
    max: Duration,
) -> Result<Option<Timestamp>, Undecodable> {
    let header = headers.iter().find(|(name, _)| name == NOT_BEFORE);
    let Some((_, value)) = header.filter(|(_, value)| *value != HeaderValue::Void) else {
        return Ok(None);
    };
    let Some(at) = moment(value) else {
        return Err(mistake(
            "is not a time: write it like 2026-03-01T08:00:00+08:00 (RFC 3339), \
             or as a timestamp or whole number of seconds since 1970",
        ));
    };
    if at.since(received_at) > max {
        return Err(mistake(&format!(
            "is more than {} s ahead (event.not_before_max)",
            max.as_secs()
        )));
    }
    Ok(Some(at))
}

fn moment(value: &HeaderValue) -> Option<Timestamp> {
    let seconds = match value {
        HeaderValue::Timestamp(seconds) => *seconds,
        HeaderValue::Int(seconds) => u64::try_from(*seconds).ok()?,
        HeaderValue::Float(seconds) => return of_seconds(*seconds),
        text => {
            let text = text.as_text()?.trim();
            if let Ok(seconds) = text.parse() {
                return of_seconds(seconds);
            }
            let at: jiff::Timestamp = text.parse().ok()?;
            return Some(Timestamp::from_unix_millis(at.as_millisecond().try_into().ok()?));
        }
    };
    Some(Timestamp::from_unix_millis(seconds.saturating_mul(1000)))
}

/// The time with a fraction of a second, as some languages give it.
fn of_seconds(seconds: f64) -> Option<Timestamp> {
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    Some(Timestamp::from_unix_millis(u64::try_from(since.as_millis()).ok()?))
}

fn mistake(what: &str) -> Undecodable {
    Undecodable { code: "not_before", detail: format!("header {NOT_BEFORE} {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

    fn read(value: HeaderValue) -> Result<Option<u64>, String> {
        let headers = vec![("a".to_owned(), HeaderValue::Void), (NOT_BEFORE.to_owned(), value)];
        let at = not_before(&headers, NOW, Duration::from_secs(3600))
            .map_err(|undecodable| undecodable.detail)?;
        Ok(at.map(Timestamp::unix_millis))
    }

    #[test]
    fn a_time_is_read_in_each_of_its_forms() {
        for (value, millis) in [
            (HeaderValue::text("2023-11-14T22:13:21.5Z"), 1_700_000_001_500),
            (HeaderValue::text(" 2023-11-15T06:13:20+08:00 "), 1_700_000_000_000),
            (HeaderValue::text("1999-01-01T00:00:00Z"), 915_148_800_000),
            (HeaderValue::Timestamp(1_700_003_600), 1_700_003_600_000),
            (HeaderValue::Int(1_700_000_007), 1_700_000_007_000),
            (HeaderValue::Float(1_700_000_007.25), 1_700_000_007_250),
            (HeaderValue::text("1700000007"), 1_700_000_007_000),
            (HeaderValue::text("1700000007.25"), 1_700_000_007_250),
        ] {
            assert_eq!(read(value.clone()), Ok(Some(millis)), "{value:?}");
        }
        assert_eq!(not_before(&Headers::new(), NOW, Duration::ZERO), Ok(None));
        assert_eq!(read(HeaderValue::Void), Ok(None));
    }

    #[test]
    fn a_wrong_time_or_one_too_far_ahead_is_refused_with_the_reason() {
        for (value, says) in [
            (HeaderValue::text("tomorrow"), "is not a time"),
            (HeaderValue::text("2023-11-14T22:13:21"), "is not a time"),
            (HeaderValue::Int(-1), "is not a time"),
            (HeaderValue::Bool(true), "is not a time"),
            (HeaderValue::Float(-1.0), "is not a time"),
            (HeaderValue::Float(f64::NAN), "is not a time"),
            (HeaderValue::text("inf"), "is not a time"),
            (HeaderValue::text(""), "is not a time"),
            (
                HeaderValue::Timestamp(1_700_003_601),
                "is more than 3600 s ahead (event.not_before_max)",
            ),
            (HeaderValue::Int(i64::MAX), "is more than 3600 s ahead"),
        ] {
            let mistake = read(value.clone()).unwrap_err();
            assert!(mistake.starts_with(NOT_BEFORE) || mistake.contains(NOT_BEFORE), "{mistake}");
            assert!(mistake.contains(says), "{value:?}: {mistake}");
        }
    }
}
