//! Calendar months.
//!
//! Owns when a month begins in a time zone. Pure.
//!
//! Not here: the calls of a month (`monthly_quota.rs`).

use std::time::Duration;

use jiff::{Unit, Zoned, tz::TimeZone};

use crate::domain::Timestamp;

/// A calendar month, by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Month {
    /// When it begins.
    pub(super) began: Timestamp,
    /// When the next month begins.
    pub(super) ends: Timestamp,
}

impl Month {
    /// A month that ends when it begins.
    pub(super) const fn empty(at: Timestamp) -> Self {
        Self { began: at, ends: at }
    }

    /// The month that contains `now`.
    pub(super) fn of(now: Timestamp, zone: TimeZone) -> Self {
        let millis = i64::try_from(now.unix_millis()).unwrap_or(i64::MAX);
        let here = jiff::Timestamp::from_millisecond(millis)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .to_zoned(zone);
        let bounds = || {
            let began = here.first_of_month().ok()?.start_of_day().ok()?;
            let ends = here.last_of_month().ok()?.tomorrow().ok()?.start_of_day().ok()?;
            Some((began, ends))
        };
        // The calendar ends in the year 9999.
        let (began, ends) = bounds().unwrap_or_else(|| (here.clone(), here.clone()));
        let moment = |at: Zoned| {
            let whole = at.round(Unit::Second).unwrap_or(at);
            let millis = whole.timestamp().as_millisecond();
            Timestamp::from_unix_millis(u64::try_from(millis).unwrap_or(0))
        };
        let ends = moment(ends).max(now.after(Duration::from_millis(1)));
        Self { began: moment(began), ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let at: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_unix_millis(u64::try_from(at.as_millisecond()).unwrap())
    }

    #[test]
    fn a_month_begins_where_its_organisation_is() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let november =
            Month { began: at("2026-10-31T16:00:00Z"), ends: at("2026-11-30T16:00:00Z") };
        assert_eq!(Month::of(at("2026-11-30T15:59:59Z"), zone.clone()), november);
        assert_eq!(Month::of(at("2026-11-30T16:00:00Z"), zone).began, november.ends);
        let february = Month::of(at("2028-02-29T12:00:00Z"), TimeZone::UTC);
        assert_eq!(february.ends, at("2028-03-01T00:00:00Z"));
    }
}
