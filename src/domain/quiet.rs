//! Quiet hours: when a subscription receives only urgent events.
//!
//! Owns their text form, and the computation of their end.
//!
//! Not here: which events are urgent (`subscription.rs`), and where deliveries wait
//! (`pipeline/delivery.rs`).

use std::{fmt, str::FromStr};

use jiff::{
    ToSpan,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

use super::Timestamp;

/// The time zone if the text names none: the platforms are at home in China.
const DEFAULT_ZONE: &str = "Asia/Shanghai";
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES: u16 = 24 * 60;
const WEEK_MINUTES: usize = 7 * DAY_MINUTES as usize;
/// The most bytes of the text, so that it fits one field of a store row.
const BYTES_MAX: usize = 200;

/// Spans of the week in a time zone, such as `22:00-07:00`, `mon-fri 20:00-08:00, sat-sun
/// 00:00-24:00 Europe/Berlin`. A span whose end is not after its begin ends on the next day. The
/// spans never fill the whole week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietHours {
    spans: Vec<QuietSpan>,
    zone: TimeZone,
    zone_name: String,
}

/// One span: the days on which it begins, and its minutes of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct QuietSpan {
    first_day: usize,
    last_day: usize,
    from: u16,
    to: u16,
}

/// The text does not describe quiet hours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} does not describe quiet hours: {why}")]
pub struct InvalidQuietHours {
    text: String,
    why: String,
}

impl QuietHours {
    /// The end of the quiet hours that contain `now`; `None` if `now` is outside of them.
    ///
    /// At a change of clocks, a skipped time counts as the time after the gap. A time that occurs
    /// twice counts as its first occurrence.
    #[must_use]
    pub fn end_after(&self, now: Timestamp) -> Option<Timestamp> {
        let mut end = None;
        // Spans may touch or overlap. The loop ends because the spans leave a gap in each week.
        while let Some(next) = self.end_of_span(end.unwrap_or(now)) {
            end = Some(next);
        }
        end
    }

    fn end_of_span(&self, now: Timestamp) -> Option<Timestamp> {
        let millis = i64::try_from(now.unix_millis()).ok()?;
        let today =
            jiff::Timestamp::from_millisecond(millis).ok()?.to_zoned(self.zone.clone()).date();
        let begins = [today.yesterday().ok()?, today];
        let spans = begins.iter().flat_map(|date| self.spans.iter().map(move |span| (*date, span)));
        let found =
            spans.filter(|(date, span)| span.begins_on(*date)).filter_map(|(date, span)| {
                let end_date = if span.to <= span.from { date.tomorrow().ok()? } else { date };
                let (from, to) = (self.moment(date, span.from)?, self.moment(end_date, span.to)?);
                (from <= now && now < to).then_some(to)
            });
        found.max()
    }

    fn moment(&self, date: Date, minute: u16) -> Option<Timestamp> {
        let at = DateTime::from_parts(date, Time::midnight())
            .checked_add(i64::from(minute).minutes())
            .ok()?;
        let millis = self.zone.to_timestamp(at).ok()?.as_millisecond();
        Some(Timestamp::from_unix_millis(u64::try_from(millis).ok()?))
    }

    /// Whether the spans cover every minute of a week.
    fn fill_the_week(&self) -> bool {
        let mut quiet = vec![false; WEEK_MINUTES];
        for span in &self.spans {
            for day in (0..DAYS.len()).filter(|day| span.has_day(*day)) {
                let begin = day * usize::from(DAY_MINUTES) + usize::from(span.from);
                let over = if span.to <= span.from { DAY_MINUTES } else { 0 };
                let length = usize::from(span.to + over - span.from);
                for minute in begin..begin + length {
                    quiet
                        .get_mut(minute % WEEK_MINUTES)
                        .into_iter()
                        .for_each(|minute| *minute = true);
                }
            }
        }
        quiet.iter().all(|minute| *minute)
    }
}

impl QuietSpan {
    fn has_day(self, day: usize) -> bool {
        if self.first_day <= self.last_day {
            (self.first_day..=self.last_day).contains(&day)
        } else {
            day >= self.first_day || day <= self.last_day
        }
    }

    fn begins_on(self, date: Date) -> bool {
        usize::try_from(date.weekday().to_monday_zero_offset()).is_ok_and(|day| self.has_day(day))
    }
}

impl FromStr for QuietHours {
    type Err = InvalidQuietHours;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).map_err(|why| InvalidQuietHours { text: text.to_owned(), why })
    }
}

fn read(text: &str) -> Result<QuietHours, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("it is longer than {BYTES_MAX} bytes"));
    }
    let (spans, zone_name) = match text.trim().rsplit_once(char::is_whitespace) {
        Some((spans, zone)) if !zone.contains(':') => (spans, zone),
        _ => (text, DEFAULT_ZONE),
    };
    let zone = TimeZone::get(zone_name)
        .map_err(|_| format!("{zone_name} is not a time zone: write it like {DEFAULT_ZONE}"))?;
    let spans: Vec<_> = spans.split(',').map(|one| span(one.trim())).collect::<Result<_, _>>()?;
    let quiet = QuietHours { spans, zone, zone_name: zone_name.to_owned() };
    if quiet.fill_the_week() {
        return Err(
            "they leave no time in which anything could be sent; pause the subscription instead"
                .to_owned(),
        );
    }
    Ok(quiet)
}

fn span(text: &str) -> Result<QuietSpan, String> {
    let expected =
        || format!("{text:?} is not a span: write it like 22:00-07:00 or mon-fri 20:00-08:00");
    let (days, times) = text.rsplit_once(char::is_whitespace).unwrap_or(("mon-sun", text));
    let (first, last) = days.trim().split_once('-').unwrap_or((days.trim(), days.trim()));
    let day = |name: &str| {
        DAYS.iter().position(|day| day.eq_ignore_ascii_case(name)).ok_or_else(expected)
    };
    let (from, to) = times.split_once('-').ok_or_else(expected)?;
    let (from, to) = (minute(from).ok_or_else(expected)?, minute(to).ok_or_else(expected)?);
    if from == to || from == DAY_MINUTES {
        return Err(expected());
    }
    Ok(QuietSpan { first_day: day(first)?, last_day: day(last)?, from, to })
}

/// The minute of the day; 24:00 is the end of the day.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse().ok())
    };
    let (hour, minute): (u16, u16) = (digits(hour)??, digits(minute)??);
    let at = hour * 60 + minute;
    (minute < 60 && at <= DAY_MINUTES).then_some(at)
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |day: usize| DAYS.get(day).copied().unwrap_or_default();
        for (place, QuietSpan { first_day, last_day, from, to }) in self.spans.iter().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            match (*first_day, *last_day) {
                (0, 6) => (),
                (first, last) if first == last => write!(f, "{} ", name(first))?,
                (first, last) => write!(f, "{}-{} ", name(first), name(last))?,
            }
            write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)?;
        }
        write!(f, " {}", self.zone_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let at: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_unix_millis(at.as_millisecond().try_into().unwrap())
    }

    #[test]
    fn quiet_hours_end_when_their_zone_says_so() {
        for (quiet, now, end) in [
            // Without a zone UTC+8 applies: 22:00 there is 14:00Z.
            ("22:00-07:00", "2026-03-02T13:59:59.999Z", None),
            ("22:00-07:00", "2026-03-02T14:00:00Z", Some("2026-03-02T23:00:00Z")),
            ("22:00-07:00", "2026-03-02T22:59:59.999Z", Some("2026-03-02T23:00:00Z")),
            ("22:00-07:00", "2026-03-02T23:00:00Z", None),
            ("12:00-14:00 UTC", "2026-03-02T13:00:00Z", Some("2026-03-02T14:00:00Z")),
            // 2026-03-06 is a Friday. A night belongs to the day on which it begins.
            ("mon-fri 20:00-08:00 UTC", "2026-03-07T07:00:00Z", Some("2026-03-07T08:00:00Z")),
            ("mon-fri 20:00-08:00 UTC", "2026-03-07T21:00:00Z", None),
            ("fri-mon 20:00-21:00 UTC", "2026-03-08T20:30:00Z", Some("2026-03-08T21:00:00Z")),
            ("fri-mon 20:00-21:00 UTC", "2026-03-04T20:30:00Z", None),
            // Adjacent spans count as one.
            (
                "mon-fri 20:00-08:00, sat-sun 00:00-24:00 UTC",
                "2026-03-06T20:30:00Z",
                Some("2026-03-09T00:00:00Z"),
            ),
            // Clocks in Berlin go forward on 2026-03-29 at 01:00Z, from 02:00 to 03:00: the night
            // is an hour shorter.
            ("22:00-07:00 Europe/Berlin", "2026-03-28T21:00:00Z", Some("2026-03-29T05:00:00Z")),
            // The end is skipped: it counts as the time after the gap.
            ("01:00-02:30 Europe/Berlin", "2026-03-29T00:30:00Z", Some("2026-03-29T01:30:00Z")),
            // Clocks go back on 2026-10-25 at 01:00Z, from 03:00 to 02:00: the night is an hour
            // longer.
            ("22:00-07:00 Europe/Berlin", "2026-10-24T20:00:00Z", Some("2026-10-25T06:00:00Z")),
            // The end occurs twice: the first occurrence counts.
            ("01:00-02:30 Europe/Berlin", "2026-10-25T00:15:00Z", Some("2026-10-25T00:30:00Z")),
            ("01:00-02:30 Europe/Berlin", "2026-10-25T01:15:00Z", None),
        ] {
            let quiet: QuietHours = quiet.parse().unwrap();
            assert_eq!(quiet.end_after(at(now)), end.map(at), "{quiet} at {now}");
        }
    }

    #[test]
    fn quiet_hours_are_read_back_as_they_are_written() {
        for (text, written) in [
            ("22:00-07:00", "22:00-07:00 Asia/Shanghai"),
            (
                " Mon-Fri 20:00-08:00,SAT 00:00-24:00  UTC ",
                "mon-fri 20:00-08:00, sat 00:00-24:00 UTC",
            ),
            ("sun-mon 09:30-10:00 America/New_York", "sun-mon 09:30-10:00 America/New_York"),
        ] {
            let quiet: QuietHours = text.parse().unwrap();
            assert_eq!(quiet.to_string(), written);
            assert_eq!(written.parse(), Ok(quiet));
        }
    }

    #[test]
    fn wrong_quiet_hours_are_refused_with_the_reason() {
        for (text, says) in [
            ("", "is not a span"),
            ("22-7", "is not a span"),
            ("22:00-7:00", "is not a span"),
            ("22:60-07:00", "is not a span"),
            ("24:00-07:00", "is not a span"),
            ("24:01-07:00", "is not a span"),
            ("22:00-22:00", "is not a span"),
            ("montag 22:00-07:00", "is not a span"),
            ("22:00-07:00,", "is not a span"),
            ("22:00-07:00 Mars/Olympus", "Mars/Olympus is not a time zone"),
            ("00:00-24:00", "leave no time"),
            ("mon-sun 06:00-20:00, 20:00-06:00", "leave no time"),
            (&"x".repeat(201), "longer than 200 bytes"),
        ] {
            let mistake = text.parse::<QuietHours>().unwrap_err().to_string();
            assert!(mistake.contains(says), "{text}: {mistake}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic_and_quiet_hours_always_end(
            text in "[a-z0-9:, -]{0,40}|.*",
            now in 0u64..4_000_000_000_000,
        ) {
            if let Ok(quiet) = text.parse::<QuietHours>() {
                let now = Timestamp::from_unix_millis(now);
                if let Some(end) = quiet.end_after(now) {
                    proptest::prop_assert!(end > now && quiet.end_after(end).is_none());
                }
            }
        }
    }
}
