//! Draws the overview: rates, results, and the robots that take longest to drain.
//!
//! Owns which parts a small screen leaves out.
//!
//! Not here: the rates (`cli/top/live_data.rs`), and the table of robots (`robots.rs`).

use std::collections::BTreeMap;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    Theme, nothing, robots,
    table::{self, Column},
};
use crate::{
    admin::wire::Overview,
    cli::top::{
        format::{self, number},
        live_data::{Rates, reasons},
        state::TopState,
    },
    domain::VerdictKind,
};

/// Shown before there are two snapshots to compare.
const UNKNOWN: &str = "…";

/// A no-break space keeps a name and its number on one line.
const UNBROKEN: char = '\u{a0}';

pub(super) const PLATFORMS: [Column; 7] = [
    Column::of("PLATFORM", 17),
    Column::numbers("DELIVERED/s", 11),
    Column::numbers("PUT OFF/s", 9).from(50),
    Column::numbers("AGAIN/s", 7).from(58),
    Column::numbers("GIVEN UP/s", 10).from(69),
    Column::numbers("DELIVERED", 9).from(79),
    Column::numbers("GIVEN UP", 8),
];

/// The least number of rows for the slowest robots, with their heading.
const SLOWEST_MIN: u16 = 3;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    top: &TopState,
    chosen: Option<usize>,
    theme: Theme,
) -> usize {
    let Some(overview) = top.live.overview() else {
        nothing(frame, area, super::NOTHING_KNOWN, theme);
        return 0;
    };
    let rates = top.live.rates();
    let width = usize::from(area.width).saturating_sub(2);
    let (attempts, letters) = (attempts(rates.as_ref()), dead(overview, top.now));
    let (attempts, letters) = (format::lines(&attempts, width), format::lines(&letters, width));
    let height = |lines: &[String]| u16::try_from(lines.len()).unwrap_or(1);
    // A part is shown completely or not at all. The most important parts get their space first.
    let mut left = area.height.saturating_sub(1 + SLOWEST_MIN);
    let mut room = |wanted: u16| {
        let granted = if wanted <= left { wanted } else { 0 };
        left -= granted;
        Constraint::Length(granted)
    };
    let (flows, titled) = (room(6), room(2));
    let (letters_room, since, attempts_room) =
        (room(height(&letters)), room(2), room(height(&attempts)));
    let head = if since == Constraint::Length(2) { 3 } else { 1 };
    let parts = Layout::vertical([
        Constraint::Length(head),
        flows,
        attempts_room,
        letters_room,
        titled,
        Constraint::Min(2),
    ]);
    let [head, platforms, tries, dead_letters, title, slowest] = parts.areas(area);
    frame.render_widget(Paragraph::new(events(overview, rates.as_ref(), width, theme)), head);
    let flows = overview.platforms.iter().enumerate().map(|(at, flow)| {
        let per_second = rates.as_ref().and_then(|rates| rates.platforms.get(at));
        let mut row = vec![flow.platform.to_string()];
        row.extend((0..4).map(|column| {
            let rate = per_second.and_then(|of| of.get(column));
            rate.map_or_else(|| UNKNOWN.to_owned(), |rate| format::rate(*rate))
        }));
        row.extend([number(flow.done), number(flow.dead)]);
        row
    });
    let _ = table::draw(frame, platforms, &PLATFORMS, flows.collect(), None, theme);
    let lines = |lines: Vec<String>| {
        Paragraph::new(
            lines.into_iter().map(|line| Line::raw(format!(" {line}"))).collect::<Vec<_>>(),
        )
    };
    frame.render_widget(lines(attempts), tries);
    frame.render_widget(lines(letters), dead_letters);
    frame.render_widget(
        Paragraph::new(vec![Line::raw(""), Line::styled(" Slowest to drain", theme.heading())]),
        title,
    );
    if overview.robots.slowest.is_empty() {
        nothing(frame, slowest, "nothing waits", theme);
        return 0;
    }
    robots::rows(frame, slowest, &overview.robots.slowest.iter().collect::<Vec<_>>(), chosen, theme)
}

fn events(
    overview: &Overview,
    rates: Option<&Rates>,
    width: usize,
    theme: Theme,
) -> Vec<Line<'static>> {
    let of = |rate: fn(&Rates) -> f64| {
        rates.map_or_else(|| UNKNOWN.to_owned(), |rates| format::rate(rate(rates)))
    };
    let since = format::span(overview.at.saturating_sub(overview.since) / 1000);
    let all = format!("Events {}/s  ", of(|rates| rates.events));
    let others = [
        format!("urgent {}/s", of(|rates| rates.urgent)),
        format!("unheard {}/s", of(|rates| rates.unheard)),
        format!("unreadable {}/s", of(|rates| rates.undecodable)),
    ];
    let others = format::fitting(&others, "  ", 0, width.saturating_sub(all.len()));
    vec![
        Line::from(vec![Span::styled(format!(" {all}"), theme.strong()), Span::raw(others)]),
        Line::raw(format!(" {} since the daemon's start, {since} ago", number(overview.events))),
    ]
}

fn attempts(rates: Option<&Rates>) -> String {
    let Some(rates) = rates else {
        return format!("Attempts/s  {UNKNOWN}");
    };
    let verdicts = [
        VerdictKind::Delivered,
        VerdictKind::Throttled,
        VerdictKind::TryAgain,
        VerdictKind::Refused,
        VerdictKind::RobotGone,
        VerdictKind::Security,
        VerdictKind::BudgetSpent,
    ];
    let said = verdicts.iter().filter_map(|verdict| {
        let (_, rate) = rates.attempts.iter().find(|(name, _)| name == verdict)?;
        Some(format!("{}{UNBROKEN}{}", verdict.as_str(), format::rate(*rate)))
    });
    format!("Attempts/s  {}", said.collect::<Vec<_>>().join("  "))
}

/// The contents of the dead queues; before the first count, the dead letters since the start.
fn dead(overview: &Overview, now: u64) -> String {
    let Some(dead) = &overview.dead else {
        return given_up(overview);
    };
    let unknown: Vec<_> = dead
        .queues
        .iter()
        .filter(|one| one.letters.is_none())
        .map(|one| one.queue.as_str())
        .collect();
    let unknown = if unknown.is_empty() {
        String::new()
    } else {
        format!("; not counted: {}", unknown.join(", "))
    };
    if dead.letters == 0 {
        return format!("Dead letters: none{unknown}");
    }
    let mut reasons = BTreeMap::new();
    dead.rows.iter().for_each(|row| *reasons.entry(row.reason.as_str()).or_default() += row.count);
    let mut reasons: Vec<(_, u64)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let said: Vec<_> = reasons
        .iter()
        .map(|(reason, count)| format!("{reason}{UNBROKEN}{}", number(*count)))
        .collect();
    let oldest = dead
        .oldest
        .as_deref()
        .map(|oldest| format!(", the oldest {} old", format::ago(Some(oldest), now)));
    let oldest = oldest.unwrap_or_default();
    format!(
        "Dead letters: {}{oldest}: {}{unknown}; 5 lists them",
        number(dead.letters),
        said.join("  ")
    )
}

fn given_up(overview: &Overview) -> String {
    let mut reasons = reasons(overview);
    reasons.retain(|(_, count)| *count > 0);
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    if reasons.is_empty() {
        return "Given up since then: nothing".to_owned();
    }
    let said: Vec<_> = reasons
        .iter()
        .map(|(reason, count)| format!("{reason}{UNBROKEN}{}", number(*count)))
        .collect();
    format!("Given up since then: {}; 5 shows the letters of now", said.join("  "))
}
