//! Draws the monthly quotas of organisations.
//!
//! Owns the words for a quota's state.
//!
//! Not here: the forecast (`pace`), and the table (`table.rs`).

use ratatui::{Frame, layout::Rect};

use super::{
    Theme, nothing,
    table::{self, Column},
};
use crate::{
    admin::{phrases, wire::GroupView},
    cli::top::{
        format::{self, number},
        state::TopState,
    },
};

pub(super) const COLUMNS: [Column; 7] = [
    Column::rest("GROUP"),
    Column::numbers("USED", 12).from(53),
    Column::numbers("OF", 12).from(66),
    Column::numbers("%", 5),
    Column::numbers("FORECAST", 12).from(79),
    Column::of("MONTH ENDS", 10).from(100),
    Column::of("STATE", 19),
];

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    top: &TopState,
    chosen: Option<usize>,
    theme: Theme,
) -> usize {
    match top.live.groups() {
        None => nothing(frame, area, "asking for the budgets…", theme),
        Some([]) => nothing(frame, area, phrases::NO_GROUP, theme),
        Some(groups) => {
            return table::draw(
                frame,
                area,
                &COLUMNS,
                groups.iter().map(row).collect(),
                chosen,
                theme,
            );
        }
    }
    0
}

fn row(group: &GroupView) -> Vec<String> {
    let none = || "-".to_owned();
    let percent = group
        .monthly
        .filter(|monthly| *monthly > 0)
        .map(|monthly| group.used.saturating_mul(100) / monthly);
    vec![
        format::line(group.group.as_str()),
        number(group.used),
        group.monthly.map_or_else(none, number),
        percent.map_or_else(none, |percent| percent.to_string()),
        number(group.forecast),
        group.month_ends.chars().take(10).collect(),
        state(group),
    ]
}

fn state(group: &GroupView) -> String {
    match (&group.spent_until, group.monthly) {
        // Month and day.
        (Some(until), _) => {
            format!("USED UP to {}", until.chars().skip(5).take(5).collect::<String>())
        }
        (None, Some(monthly)) if group.forecast > monthly => "will not last".to_owned(),
        (None, Some(_)) => "lasts".to_owned(),
        (None, None) => "no limit configured".to_owned(),
    }
}
