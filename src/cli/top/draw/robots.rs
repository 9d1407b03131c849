//! Draws robots: the list, the held ones with advice, and one robot.
//!
//! Owns the columns of these lists.
//!
//! Not here: the advice (`cli/top/format.rs`), and the table (`table.rs`).

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    TALL, Theme, letters, nothing, short,
    table::{self, Column},
    text,
};
use crate::{
    admin::{
        phrases,
        wire::{RobotView, SubscriptionView},
    },
    cli::top::{
        format::{self, number, span},
        navigation::{ViewData, ViewState},
        state::TopState,
    },
    domain::{RobotId, SubscriptionState},
};

/// From this many columns on, ids are shown completely.
pub(super) const WIDE: u16 = 120;

pub(super) fn list(
    frame: &mut Frame<'_>,
    area: Rect,
    top: &TopState,
    chosen: Option<usize>,
    theme: Theme,
) -> usize {
    match top.live.robots() {
        None => nothing(frame, area, "asking for the robots…", theme),
        Some([]) => nothing(frame, area, phrases::NO_ROBOT, theme),
        Some(robots) => {
            return rows(frame, area, &robots.iter().collect::<Vec<_>>(), chosen, theme);
        }
    }
    0
}

/// A table of robots.
pub(super) fn rows(
    frame: &mut Frame<'_>,
    area: Rect,
    robots: &[&RobotView],
    chosen: Option<usize>,
    theme: Theme,
) -> usize {
    let row = |robot: &&RobotView| {
        vec![
            short(&robot.robot.to_string(), WIDE, area.width),
            robot.platform.to_string(),
            number(robot.waiting),
            drained_in(robot),
            number(robot.in_flight),
            used(robot),
            waits_for(robot),
        ]
    };
    table::draw(
        frame,
        area,
        &robot_columns(area.width),
        robots.iter().map(row).collect(),
        chosen,
        theme,
    )
}

pub(super) fn robot_columns(width: u16) -> [Column; 7] {
    [
        Column::of("ROBOT", if width < WIDE { 13 } else { 32 }),
        Column::of("PLATFORM", 17).from(56),
        Column::numbers("WAITING", 9),
        Column::numbers("DRAINED IN", 12),
        Column::numbers("IN AIR", 6).from(100),
        Column::numbers("QUOTA USED", 12).from(100),
        Column::rest("WAITS FOR").from(72),
    ]
}

pub(super) fn hold_columns(width: u16) -> [Column; 6] {
    [
        Column::of("ROBOT", if width < WIDE { 13 } else { 32 }),
        Column::of("PLATFORM", 17).from(73),
        Column::of("BECAUSE", 16),
        Column::numbers("NEXT TRY IN", 12).from(45),
        Column::numbers("WAITING", 9).from(55),
        Column::numbers("LAST WAIT", 12).from(100),
    ]
}

pub(super) fn holds(
    frame: &mut Frame<'_>,
    area: Rect,
    top: &TopState,
    chosen: Option<usize>,
    theme: Theme,
) -> usize {
    let Some(robots) = top.live.robots() else {
        nothing(frame, area, "asking for the robots…", theme);
        return 0;
    };
    let held: Vec<_> = robots.iter().filter(|robot| robot.cause.is_some()).collect();
    if held.is_empty() {
        nothing(frame, area, "no robot is held", theme);
        return 0;
    }
    let blank = u16::from(area.height >= TALL);
    let [list, _, below] =
        Layout::vertical([Constraint::Min(2), Constraint::Length(blank), Constraint::Length(5)])
            .areas(area);
    let row = |robot: &&RobotView| {
        vec![
            short(&robot.robot.to_string(), WIDE, area.width),
            robot.platform.to_string(),
            format::wait_label(robot).unwrap_or_default().to_owned(),
            span(robot.held_for_seconds.unwrap_or(0)),
            number(robot.waiting),
            robot.penalty_seconds.map_or_else(|| "-".to_owned(), span),
        ]
    };
    let page = table::draw(
        frame,
        list,
        &hold_columns(area.width),
        held.iter().map(row).collect(),
        chosen,
        theme,
    );
    if let Some(robot) = chosen.and_then(|at| held.get(at)) {
        text(frame, below, "What to do", &format::advice(robot), theme);
    }
    page
}

pub(super) fn one(
    frame: &mut Frame<'_>,
    area: Rect,
    top: &TopState,
    place: &ViewState,
    id: RobotId,
    chosen: Option<usize>,
    theme: Theme,
) -> usize {
    let width = usize::from(area.width).saturating_sub(2);
    let tall = area.height >= TALL;
    // On a low screen the path above names the robot already, and the list needs the space.
    let mut facts = if tall { vec![Line::raw(format!(" robot {id}"))] } else { Vec::new() };
    match top.live.robot(id) {
        None => facts.push(Line::raw(" neither busy nor held: nothing waits for it")),
        Some(robot) => facts.extend(known(robot, width, tall, theme)),
    }
    if let (true, ViewData::Robot { subscriptions, .. }) = (tall, &place.found) {
        facts.extend(subscriptions.iter().take(4).map(|one| Line::raw(subscribed(one))));
        match subscriptions.len() {
            0 => facts.push(Line::raw(" no subscription: redriven deliveries for it are dropped")),
            few if few > 4 => {
                facts.push(Line::raw(format!(" and more: roomcast subscription list --robot {id}")))
            }
            _ => (),
        }
    }
    let height = u16::try_from(facts.len()).unwrap_or(1) + u16::from(tall);
    let [head, below] =
        Layout::vertical([Constraint::Length(height), Constraint::Min(3)]).areas(area);
    frame.render_widget(Paragraph::new(facts), head);
    letters::list(frame, below, top, place, chosen, theme)
}

fn known(robot: &RobotView, width: usize, tall: bool, theme: Theme) -> Vec<Line<'static>> {
    let facts = [
        robot.platform.to_string(),
        format!("{} waiting, drained in {}", number(robot.waiting), drained_in(robot)),
        format!("{} in flight", number(robot.in_flight)),
        format!("quota used {}", used(robot)),
    ];
    let mut lines = vec![Line::raw(format!(" {}", format::fitting(&facts, "  ", 0, width)))];
    if robot.cause.is_none() {
        let waits = robot.wait.as_ref().map(|wait| format!(": {}", format::line(&wait.sentence)));
        let state = format!("not held{}", waits.unwrap_or_default());
        lines.extend(
            format::lines(&state, width).into_iter().map(|line| Line::raw(format!(" {line}"))),
        );
        return lines;
    }
    let since = robot.held_since.iter().map(|since| format!("since {}", format::line(since)));
    let held: Vec<_> =
        std::iter::once(format!("HELD: {}", waits_for(robot))).chain(since).collect();
    let held = format::fitting(&held, ", ", 0, width);
    lines.push(Line::styled(format!(" {held}"), theme.warning()));
    if !tall {
        return lines;
    }
    if let Some(failure) = format::failure(robot) {
        let failure = format::lines(&failure, width);
        lines.extend(failure.into_iter().map(|line| Line::raw(format!(" {line}"))));
    }
    let advice = format::lines(&format!("what to do: {}", format::advice(robot)), width);
    lines.extend(advice.into_iter().map(|line| Line::from(Span::raw(format!(" {line}")))));
    lines
}

fn subscribed(one: &SubscriptionView) -> String {
    let name = one
        .private
        .name
        .as_deref()
        .map_or_else(String::new, |name| format!(" ({})", format::line(name)));
    let paused = match one.state {
        SubscriptionState::Active => String::new(),
        SubscriptionState::Paused => format!(", {}", one.state),
    };
    format!(" topic {}{name}{paused}  subscription {}", format::line(one.topic.as_str()), one.id)
}

fn drained_in(robot: &RobotView) -> String {
    match robot.drained_in_seconds {
        _ if robot.waiting == 0 => "-".to_owned(),
        Some(seconds) => span(seconds),
        None => phrases::UNKNOWN.to_owned(),
    }
}

fn used(robot: &RobotView) -> String {
    let of = robot.allowed.map_or_else(String::new, |allowed| format!(" of {}", number(allowed)));
    format!("{}{of}", number(robot.used))
}

/// Why a robot gets nothing. After its wait, a robot stays held until a message gets through.
fn waits_for(robot: &RobotView) -> String {
    let Some(label) = format::wait_label(robot) else {
        return "-".to_owned();
    };
    match robot.held_for_seconds {
        _ if robot.cause.is_none() => label.to_owned(),
        Some(seconds) if seconds > 0 => format!("{label}, {}", span(seconds)),
        _ => format!("{label}, next tries"),
    }
}
