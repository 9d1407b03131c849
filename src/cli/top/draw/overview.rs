//! The overview: what flows, what became of it, and whom it takes longest to reach.

use std::collections::BTreeMap;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    Look, nothing, robots,
    table::{self, Column},
};
use crate::{
    admin::wire::Overview,
    cli::top::{
        live::{Rates, reasons},
        state::Top,
        words::{self, number},
    },
};

/// Before there are two looks to compare.
const UNKNOWN: &str = "…";

/// A line never breaks between a name and its number.
const UNBROKEN: char = '\u{a0}';

const PLATFORMS: [Column; 7] = [
    Column::of("PLATFORM", 17),
    Column::numbers("DELIVERED/s", 11),
    Column::numbers("PUT OFF/s", 9),
    Column::numbers("AGAIN/s", 7),
    Column::numbers("GIVEN UP/s", 10),
    Column::numbers("DELIVERED", 9),
    Column::numbers("GIVEN UP", 8),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, top: &Top, chosen: Option<usize>, look: Look) -> usize {
    let Some(overview) = top.live.overview() else {
        nothing(frame, area, "nothing is known yet", look);
        return 0;
    };
    let rates = top.live.rates();
    let attempts = words::lines(&attempts(rates.as_ref()), usize::from(area.width).saturating_sub(2));
    let letters = words::lines(&dead(overview, top.now), usize::from(area.width).saturating_sub(2));
    let height = |lines: &[String]| Constraint::Length(u16::try_from(lines.len()).unwrap_or(1));
    let parts = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(6),
        height(&attempts),
        height(&letters),
        Constraint::Length(2),
        Constraint::Min(2),
    ]);
    let [head, platforms, tries, dead_letters, title, slowest] = parts.areas(area);
    frame.render_widget(Paragraph::new(events(overview, rates.as_ref(), look)), head);
    let flows = overview.platforms.iter().enumerate().map(|(at, flow)| {
        let per_second = rates.as_ref().and_then(|rates| rates.platforms.get(at));
        let mut row = vec![flow.platform.clone()];
        row.extend((0..4).map(|column| {
            let rate = per_second.and_then(|of| of.get(column));
            rate.map_or_else(|| UNKNOWN.to_owned(), |rate| words::rate(*rate))
        }));
        row.extend([number(flow.done), number(flow.dead)]);
        row
    });
    let _ = table::draw(frame, platforms, &PLATFORMS, flows.collect(), None, look);
    let lines = |lines: Vec<String>| {
        Paragraph::new(lines.into_iter().map(|line| Line::raw(format!(" {line}"))).collect::<Vec<_>>())
    };
    frame.render_widget(lines(attempts), tries);
    frame.render_widget(lines(letters), dead_letters);
    frame.render_widget(Paragraph::new(vec![Line::raw(""), Line::styled(" Slowest to drain", look.heading())]), title);
    if overview.robots.slowest.is_empty() {
        nothing(frame, slowest, "nothing waits", look);
        return 0;
    }
    robots::rows(frame, slowest, &overview.robots.slowest.iter().collect::<Vec<_>>(), chosen, look)
}

fn events(overview: &Overview, rates: Option<&Rates>, look: Look) -> Vec<Line<'static>> {
    let of = |rate: fn(&Rates) -> f64| rates.map_or_else(|| UNKNOWN.to_owned(), |rates| words::rate(rate(rates)));
    let since = words::span(overview.at.saturating_sub(overview.since) / 1000);
    let others = format!(
        "  urgent {}/s  unheard {}/s  unreadable {}/s",
        of(|rates| rates.urgent),
        of(|rates| rates.unheard),
        of(|rates| rates.undecodable)
    );
    vec![
        Line::from(vec![
            Span::styled(format!(" Events {}/s", of(|rates| rates.events)), look.strong()),
            Span::raw(others),
        ]),
        Line::raw(format!(" {} since the daemon's start, {since} ago", number(overview.events))),
    ]
}

fn attempts(rates: Option<&Rates>) -> String {
    let Some(rates) = rates else {
        return format!("Attempts/s  {UNKNOWN}");
    };
    let verdicts = ["delivered", "throttled", "try_again", "refused", "robot_gone", "security", "budget_spent"];
    let said = verdicts.iter().filter_map(|verdict| {
        let (_, rate) = rates.attempts.iter().find(|(name, _)| name == verdict)?;
        Some(format!("{verdict}{UNBROKEN}{}", words::rate(*rate)))
    });
    format!("Attempts/s  {}", said.collect::<Vec<_>>().join("  "))
}

/// What lies in the dead queues, or what was put there as long as that is not known.
fn dead(overview: &Overview, now: u64) -> String {
    let Some(dead) = &overview.dead else {
        return given_up(overview);
    };
    let unknown: Vec<_> =
        dead.queues.iter().filter(|one| one.letters.is_none()).map(|one| one.queue.as_str()).collect();
    let unknown = if unknown.is_empty() { String::new() } else { format!("; not counted: {}", unknown.join(", ")) };
    if dead.letters == 0 {
        return format!("Dead letters: none{unknown}");
    }
    let mut reasons = BTreeMap::new();
    dead.rows.iter().for_each(|row| *reasons.entry(row.reason.as_str()).or_default() += row.count);
    let mut reasons: Vec<(_, u64)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let said: Vec<_> = reasons.iter().map(|(reason, count)| format!("{reason}{UNBROKEN}{}", number(*count))).collect();
    let oldest = dead.oldest.as_deref().map(|oldest| format!(", the oldest {} old", words::ago(Some(oldest), now)));
    let oldest = oldest.unwrap_or_default();
    format!("Dead letters: {}{oldest}: {}{unknown}; 5 lists them", number(dead.letters), said.join("  "))
}

fn given_up(overview: &Overview) -> String {
    let mut reasons = reasons(overview);
    reasons.retain(|(_, count)| *count > 0);
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    if reasons.is_empty() {
        return "Given up since then: nothing".to_owned();
    }
    let said: Vec<_> = reasons.iter().map(|(reason, count)| format!("{reason}{UNBROKEN}{}", number(*count))).collect();
    format!("Given up since then: {}; 5 shows what lies there now", said.join("  "))
}
