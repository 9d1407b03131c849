//! The formats of numbers, spans, waits and foreign texts on the screen. Pure.
//!
//! Owns that every text of another program is shown without control characters.
//!
//! Not here: the text of a letter (`cli/dead/show.rs`), the wording of a wait
//! (`domain/wait_reason.rs`).

use crate::{
    admin::wire::{FailureView, RobotView},
    cli::output::shown,
};

/// A number with separators for thousands.
pub(super) fn number(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut said = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            said.push(',');
        }
        said.push(digit);
    }
    said
}

/// A number of letters.
pub(super) fn letters(count: u64) -> String {
    if count == 1 { "1 letter".to_owned() } else { format!("{} letters", number(count)) }
}

/// A rate for one second.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        rate if rate <= 0.0 => "0".to_owned(),
        rate if rate < 0.05 => "<0.1".to_owned(),
        rate if rate < 10.0 => format!("{rate:.1}"),
        rate => number(rate.round() as u64),
    }
}

/// A span of time.
pub(super) fn span(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0 => "now".to_owned(),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{minutes} min"),
        7200..172_800 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

/// The few words for why a robot gets nothing. A daemon of an earlier version sends a hold's cause
/// alone.
pub(super) fn wait_label(robot: &RobotView) -> Option<&str> {
    robot.wait.as_ref().map(|wait| wait.label.as_str()).or(robot.cause.as_deref())
}

/// What an operator can do about a hold, as the daemon says it.
pub(super) fn advice(robot: &RobotView) -> String {
    match &robot.wait {
        Some(wait) => wait.advice.as_ref().unwrap_or(&wait.sentence).clone(),
        None => {
            "the daemon is of another version: its own documentation says what to do".to_owned()
        }
    }
}

/// The last failure of a robot whose attempts fail.
pub(super) fn failure(robot: &RobotView) -> Option<String> {
    let health = robot.health.as_ref().filter(|health| health.failures_in_a_row > 0)?;
    let FailureView { code, detail, .. } = health.last_failure.as_ref()?;
    let since = health.failing_since.as_deref().unwrap_or("-");
    let count = health.failures_in_a_row;
    Some(line(&format!("fails since {since}, {count} in a row; the last: {code} {detail}")))
}

/// A foreign text on one line, without control characters.
pub(super) fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().map(shown).collect()
}

/// A foreign text, wrapped at this width and without control characters.
pub(super) fn lines(text: &str, width: usize) -> Vec<String> {
    let options = textwrap::Options::new(width.max(1));
    text.lines()
        .flat_map(|line| {
            let line: String = line.replace('\t', "    ").chars().map(shown).collect();
            textwrap::wrap(&line, &options)
                .into_iter()
                .map(std::borrow::Cow::into_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The parts that fit on a line completely, in their order. The last `kept` parts always stay.
pub(super) fn fitting(parts: &[String], between: &str, kept: usize, width: usize) -> String {
    let wide = |text: &str| textwrap::core::display_width(text);
    let (others, always) = parts.split_at(parts.len().saturating_sub(kept));
    let needs = |part: &String| wide(part) + wide(between);
    let mut left = (width + wide(between)).saturating_sub(always.iter().map(needs).sum());
    let mut shown: Vec<_> = others
        .iter()
        .map_while(|part| {
            left = left.checked_sub(needs(part))?;
            Some(part.as_str())
        })
        .collect();
    shown.extend(always.iter().map(String::as_str));
    shown.join(between)
}

/// The age of a time in RFC 3339.
pub(super) fn ago(at: Option<&str>, now: u64) -> String {
    let then = at.and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let seconds = then
        .map(|then| now.saturating_sub(u64::try_from(then.as_millisecond()).unwrap_or(0)) / 1000);
    seconds.map_or_else(
        || "-".to_owned(),
        |seconds| if seconds == 0 { "0 s".to_owned() } else { span(seconds) },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admin::wire::HealthView, cli::top::fixtures};

    #[test]
    fn numbers_are_read_at_a_glance() {
        for (value, said) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(value as u64), said);
        }
        for (value, said) in [(0.0, "0"), (0.04, "<0.1"), (3.21, "3.2"), (1234.5, "1,235")] {
            assert_eq!(rate(value), said);
        }
    }

    #[test]
    fn a_span_says_what_matters() {
        for (seconds, said) in [
            (0, "now"),
            (119, "119 s"),
            (120, "2 min"),
            (7199, "119 min"),
            (7200, "2 h 00 min"),
            (172_799, "47 h 59 min"),
            (180_000, "2 d 2 h"),
        ] {
            assert_eq!(span(seconds), said);
        }
        assert_eq!(ago(Some("1970-01-01T00:01:00Z"), 150_000), "90 s");
        assert_eq!((ago(None, 0), ago(Some("soon"), 0)), ("-".to_owned(), "-".to_owned()));
    }

    #[test]
    fn a_line_shows_whole_parts_that_fit_and_always_its_last_part() {
        let parts = ["one", "磁盘", "three", "quit"].map(str::to_owned);
        for (width, line) in [
            (30, "one  磁盘  three  quit"),
            (22, "one  磁盘  three  quit"),
            (21, "one  磁盘  quit"),
            (14, "one  quit"),
            (3, "quit"),
        ] {
            assert_eq!(fitting(&parts, "  ", 1, width), line, "{width}");
        }
        assert_eq!(fitting(&[], "  ", 1, 10), "");
    }

    #[test]
    fn no_text_of_others_commands_the_terminal() {
        assert_eq!(line("a\u{1b}[2Jb\n c\u{202e}d"), "a·[2Jb c·d");
        assert_eq!(
            lines("one two three\n\u{1b}]0;x\u{7}\n  four", 8),
            ["one two", "three", "·]0;x·", "  four"]
        );
    }

    #[test]
    fn a_robot_that_fails_says_since_when_and_with_what_and_a_healthy_one_nothing() {
        let health = |failures_in_a_row| HealthView {
            last_success: None,
            last_failure: Some(FailureView {
                at: "2026-11-30T02:00:30Z".to_owned(),
                verdict: "try_again".to_owned(),
                code: "http_502".to_owned(),
                detail: "bad\ngateway".to_owned(),
            }),
            failing_since: Some("2026-11-30T02:00:00Z".to_owned()),
            failures_in_a_row,
            success_share_last_hour: Some(0.0),
        };
        let robot = fixtures::robots().swap_remove(1);
        let failing = RobotView { health: Some(health(3)), ..robot.clone() };
        assert_eq!(
            failure(&failing).as_deref(),
            Some("fails since 2026-11-30T02:00:00Z, 3 in a row; the last: http_502 bad gateway")
        );
        assert_eq!(failure(&RobotView { health: Some(health(0)), ..robot.clone() }), None);
        assert_eq!(failure(&robot), None);
    }

    #[test]
    fn a_wait_is_said_in_the_words_of_the_daemon_and_an_older_daemon_names_the_cause() {
        let held = fixtures::robots().swap_remove(1);
        assert_eq!(wait_label(&held), Some("security setting"));
        assert!(advice(&held).contains("correct the robot's setting"), "{}", advice(&held));
        let older = RobotView { wait: None, ..held };
        assert_eq!(wait_label(&older), Some("security"));
        assert!(advice(&older).contains("another version"));
    }
}
