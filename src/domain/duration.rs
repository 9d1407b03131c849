//! Durations in human-readable form.
//!
//! Owns the syntax of every duration in settings and options.
//!
//! Not here: the settings themselves (`config/`).

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Reads a duration such as `500ms`, `2s`, `1m 30s`, `24h`, `7d`. A negative duration is an error.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected =
        || format!("{text:?} is not a span of time: write it like 500ms, 2s, 5m, 24h or 7d");
    let span: Span = text.parse().map_err(|_| expected())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| expected())?;
    Duration::try_from(length).map_err(|_| expected())
}
