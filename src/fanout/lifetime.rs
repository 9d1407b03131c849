//! The start of an event's life: its publisher's timestamp, as far as it is plausible.
//!
//! Owns when a timestamp is believed.
//!
//! Not here: the length of the life (`decode.rs`), and a time before which an event waits
//! (`not_before.rs`).

use std::time::Duration;

use crate::domain::Timestamp;

/// An AMQP timestamp has a resolution of one second. It counts as the end of that second, so that
/// rounding shortens no life.
const PRECISION: Duration = Duration::from_secs(1);

/// When the life of an event received at `received_at` began. `timestamp` is the publisher's, in
/// seconds since 1970. It does not count if it is later, or earlier by more than `age_max`. Then
/// the publisher's clock is wrong, and a wrong clock must not cost an alert.
pub(super) fn alive_since(
    timestamp: Option<u64>,
    received_at: Timestamp,
    age_max: Duration,
) -> Timestamp {
    let Some(seconds) = timestamp else { return received_at };
    let published = Timestamp::from_unix_millis(seconds.saturating_mul(1000));
    if received_at.since(published) > age_max {
        return received_at;
    }
    published.after(PRECISION).min(received_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_counts_unless_its_clock_is_wrong() {
        const NOW: u64 = 1_700_000_000;
        let now = Timestamp::from_unix_millis(NOW * 1000 + 400);
        let hour = Duration::from_secs(3600);
        for (timestamp, age_max, alive_for) in [
            (None, hour, 0),
            (Some(NOW - 10), hour, 9_400),
            (Some(NOW - 3599), hour, 3_598_400),
            // Within the second.
            (Some(NOW), hour, 0),
            // In the future, or in milliseconds.
            (Some(NOW + 50_000), hour, 0),
            (Some(NOW * 1000), hour, 0),
            (Some(u64::MAX), hour, 0),
            // Too old.
            (Some(NOW - 3600), hour, 0),
            (Some(NOW - 86_400), hour, 0),
            (Some(0), hour, 0),
            // Switched off.
            (Some(NOW - 10), Duration::ZERO, 0),
        ] {
            let since = alive_since(timestamp, now, age_max);
            assert_eq!(
                now.since(since),
                Duration::from_millis(alive_for),
                "{timestamp:?} {age_max:?}"
            );
        }
    }
}
