//! Draws dead letters: the kinds, the letters of one kind, and one letter.
//!
//! Owns the columns of these lists.
//!
//! Not here: the text of one letter (`cli/dead/show.rs`), and the table (`table.rs`).

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::Line,
    widgets::Paragraph,
};

use super::{
    TALL, Theme, nothing,
    table::{self, Column},
    text,
};
use crate::{
    admin::{
        phrases,
        wire::{DeadLetterView, DeadPage, SummaryRow},
    },
    cli::{
        dead::told,
        top::{
            format::{self, ago, number},
            navigation::{ViewData, ViewState},
            state::TopState,
        },
    },
};

pub(super) fn kind_columns(width: u16) -> [Column; 6] {
    [
        Column::numbers("LETTERS", 9),
        Column::of("PLATFORM", if width < 41 { 16 } else { 17 }),
        Column::of("REASON", 11),
        Column::rest("CODE").from(52),
        Column::numbers("OLDEST", 12).from(65),
        Column::numbers("NEWEST", 12).from(78),
    ]
}

pub(super) const LETTERS: [Column; 7] = [
    Column::numbers("AGE", 11),
    Column::of("REASON", 11),
    Column::of("CODE", 10).from(52),
    Column::of("PLATFORM", 17).from(120),
    Column::of("TOPIC", 14).from(66),
    Column::numbers("TRIES", 5).from(100),
    Column::rest("SAYS"),
];

pub(super) fn kinds(
    frame: &mut Frame<'_>,
    area: Rect,
    top: &TopState,
    place: &ViewState,
    chosen: Option<usize>,
    theme: Theme,
) -> usize {
    let ViewData::Summary(summary) = &place.found else {
        waiting(frame, area, place, theme);
        return 0;
    };
    let head = 1 + u16::from(area.height >= TALL);
    let [head, list] = Layout::vertical([Constraint::Length(head), Constraint::Min(2)]).areas(area);
    let held = match summary.missed {
        0 => String::new(),
        missed => format!(", and {} that another reader holds", number(missed)),
    };
    let lie = format!("{} in the dead queues{held}", format::letters(summary.total));
    frame.render_widget(Paragraph::new(said(lie, looked(top, place), area.width)), head);
    if summary.rows.is_empty() {
        nothing(frame, list, phrases::NO_DEAD_LETTERS, theme);
        return 0;
    }
    let row = |row: &SummaryRow| {
        let value = |name| row.values.get(name).and_then(|value| value.as_str()).map(format::line);
        vec![
            number(row.count),
            value("platform").unwrap_or_else(|| "event".to_owned()),
            value("reason").unwrap_or_else(|| "-".to_owned()),
            value("code").unwrap_or_else(|| "-".to_owned()),
            ago(row.oldest.as_deref(), top.now),
            ago(row.newest.as_deref(), top.now),
        ]
    };
    table::draw(
        frame,
        list,
        &kind_columns(area.width),
        summary.rows.iter().map(row).collect(),
        chosen,
        theme,
    )
}

pub(super) fn list(
    frame: &mut Frame<'_>,
    area: Rect,
    top: &TopState,
    place: &ViewState,
    chosen: Option<usize>,
    theme: Theme,
) -> usize {
    let (ViewData::Letters(page) | ViewData::Robot { letters: page, .. }) = &place.found else {
        waiting(frame, area, place, theme);
        return 0;
    };
    // On a low screen there is no space for the advice; the view of the letter shows it.
    let advised = !page.letters.is_empty() && area.height >= TALL;
    let [head, list, _, below] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(2),
        Constraint::Length(u16::from(advised)),
        Constraint::Length(if advised { 5 } else { 0 }),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(said(counted(page), looked(top, place), area.width)), head);
    if page.letters.is_empty() {
        return 0;
    }
    let row = |letter: &DeadLetterView| {
        vec![
            ago(letter.dead_at.as_deref(), top.now),
            letter.reason.to_string(),
            format::line(&letter.code),
            letter.platform.map_or_else(|| "event".to_owned(), |platform| platform.to_string()),
            format::line(&letter.topic),
            number(letter.attempts),
            format::line(&letter.says),
        ]
    };
    let page_rows =
        table::draw(frame, list, &LETTERS, page.letters.iter().map(row).collect(), chosen, theme);
    if let Some(letter) = chosen.and_then(|at| page.letters.get(at)).filter(|_| advised) {
        text(frame, below, "What to do", &format!("{}\n{}", letter.advice, letter.detail), theme);
    }
    page_rows
}

fn counted(page: &DeadPage) -> String {
    let held = match page.missed {
        0 => String::new(),
        missed => format!(", and {} that another reader holds", number(missed)),
    };
    let shown = page.letters.len() as u64;
    match page.matched {
        0 => format!("{}{held}", phrases::NO_DEAD_LETTERS),
        matched if matched > shown => {
            format!("{}, the newest {} shown{held}", dead(matched), number(shown))
        }
        matched => format!("{}{held}", dead(matched)),
    }
}

fn dead(count: u64) -> String {
    if count == 1 {
        "1 dead letter".to_owned()
    } else {
        format!("{} dead letters, the newest first", number(count))
    }
}

/// Draws a letter; returns the last line with which it can begin.
pub(super) fn one(
    frame: &mut Frame<'_>,
    area: Rect,
    top: &TopState,
    place: &ViewState,
    theme: Theme,
) -> usize {
    let ViewData::Letter(letter) = &place.found else {
        waiting(frame, area, place, theme);
        return 0;
    };
    let now = i64::try_from(top.now)
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    let said = told(letter, None, now.unwrap_or(jiff::Timestamp::MAX));
    let width = usize::from(area.width).saturating_sub(2);
    let lines = format::lines(&said, width);
    let last = lines.len().saturating_sub(usize::from(area.height));
    let shown = lines.into_iter().skip(place.at.min(last)).take(usize::from(area.height));
    frame.render_widget(
        Paragraph::new(shown.map(|line| Line::raw(format!(" {line}"))).collect::<Vec<_>>()),
        area,
    );
    last
}

fn waiting(frame: &mut Frame<'_>, area: Rect, place: &ViewState, theme: Theme) {
    match &place.found {
        ViewData::Failed(why) if place.awaits.is_none() => {
            nothing(frame, area, &format!("{why}\nr asks again"), theme)
        }
        _ => nothing(frame, area, phrases::READING_DEAD_QUEUES, theme),
    }
}

fn looked(top: &TopState, place: &ViewState) -> Option<String> {
    if place.awaits.is_some() {
        return Some("looking again…".to_owned());
    }
    let seconds = top.now.saturating_sub(place.fetched_at) / 1000;
    (seconds >= 5).then(|| format!("as of {} ago, r looks again", format::span(seconds)))
}

/// The count, and its age if there is space for it.
fn said(count: String, looked: Option<String>, width: u16) -> String {
    let parts: Vec<_> = std::iter::once(count).chain(looked).collect();
    format!(" {}", format::fitting(&parts, "; ", 0, usize::from(width).saturating_sub(1)))
}
