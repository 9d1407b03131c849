//! Spans of time as people write them.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// A span of time such as `500ms`, `2s`, `1m 30s`, `24h`, `7d`; never negative.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("{text:?} is no span of time: write it like 500ms, 2s, 5m, 24h or 7d");
    let span: Span = text.parse().map_err(|_| expected())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| expected())?;
    Duration::try_from(length).map_err(|_| expected())
}
