//! Draws the dialog over a view: a question, or the help.
//!
//! Owns the text of the help.
//!
//! Not here: the state of a dialog (`cli/top/dialog.rs`).

use ratatui::{
    Frame,
    layout::{Constraint, Flex, Layout, Rect},
    text::Line,
    widgets::{Block, Clear, Padding, Paragraph},
};

use super::Theme;
use crate::{
    admin::wire::{DeadOutcome, RobotView, SummaryRow},
    cli::top::{dialog::Dialog, format, navigation::kind_name, state::TopState},
};

/// How many kinds of letters a question before a redrive lists.
const KINDS: usize = 6;

/// In columns. Longer lines are hard to read.
const WIDTH: u16 = 74;

/// Keys and their meaning. An entry without keys takes the full width.
const HELP: [(&str, &str); 13] = [
    ("1-5, Tab", "overview, robots, holds, budgets, dead letters"),
    ("↑ ↓, k j", "choose; PageUp, PageDown, Home, End"),
    ("Enter, →", "open: a robot, a kind of dead letters, a letter"),
    ("Esc, ←", "back; no"),
    ("r", "look again through the dead queues"),
    ("q, Ctrl-C", "leave"),
    ("", ""),
    ("", "Capital letters change something, and ask first:"),
    ("R", "redrive the letter, or the kind of letters, chosen"),
    ("A", "redrive all letters that the view is about"),
    ("L", "release the robot that is chosen from its hold"),
    ("", ""),
    (
        "",
        "Delivered: taken by the platform. Put off: waits for its robot's quota, costs no attempt. \
         Again: failed, will be tried again. Given up: a dead letter. \
         Rates are those of the last ten seconds.",
    ),
];

/// The width of the keys, in columns.
const KEYS: usize = 14;

/// Draws the dialog; returns the last line with which the help can begin. The line with the
/// possible answers is always visible.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, top: &TopState, theme: Theme) -> usize {
    let Some(dialog) = &top.dialog else {
        return 0;
    };
    let width = WIDTH.min(area.width.saturating_sub(2));
    let inner = usize::from(width).saturating_sub(4);
    let (title, lines, keys) = match dialog {
        Dialog::Help(_) => ("Keys", help(inner), "any key goes back"),
        Dialog::Counting { what, .. } => (
            "Redrive",
            format::lines(&format!("counting what would be redriven: {what}…"), inner),
            "Esc no",
        ),
        Dialog::Redrive { what, would, .. } => {
            ("Redrive", format::lines(&question(what, would), inner), "y yes, redrive    n no")
        }
        Dialog::Release { robot } => {
            ("Release", format::lines(&release(robot), inner), "y yes, release    n no")
        }
    };
    let whole = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(4);
    let [area] = Layout::horizontal([Constraint::Length(width)]).flex(Flex::Center).areas(area);
    let [area] = Layout::vertical([Constraint::Max(whole)]).flex(Flex::Center).areas(area);
    let block = Block::bordered().title(format!(" {title} ")).padding(Padding::horizontal(1));
    let within = block.inner(area);
    let blank = u16::from(area.height >= whole);
    let [text, _, answers] =
        Layout::vertical([Constraint::Min(0), Constraint::Length(blank), Constraint::Length(1)])
            .areas(within);
    let last = lines.len().saturating_sub(usize::from(text.height));
    let from = if let Dialog::Help(from) = dialog { (*from).min(last) } else { 0 };
    let cut = from + usize::from(text.height) < lines.len();
    let keys = match dialog {
        Dialog::Help(_) if last > 0 => "↑↓ scroll; any other key goes back".to_owned(),
        _ if cut => format!("{keys}    …"),
        _ => keys.to_owned(),
    };
    let shown = lines
        .into_iter()
        .skip(from)
        .take(usize::from(text.height))
        .map(Line::raw)
        .collect::<Vec<_>>();
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    frame.render_widget(Paragraph::new(shown), text);
    frame.render_widget(Paragraph::new(Line::styled(keys, theme.strong())), answers);
    last
}

fn help(width: usize) -> Vec<String> {
    let described = |(keys, what): (&str, &str)| -> Vec<String> {
        let indent = if keys.is_empty() { 0 } else { KEYS };
        let lines = format::lines(what, width.saturating_sub(indent));
        let beside = |(at, line): (usize, String)| {
            format!("{:indent$}{line}", if at == 0 { keys } else { "" })
        };
        if what.is_empty() {
            vec![String::new()]
        } else {
            lines.into_iter().enumerate().map(beside).collect()
        }
    };
    HELP.into_iter().flat_map(described).collect()
}

fn question(what: &str, would: &DeadOutcome) -> String {
    let mut text = format!("Redrive {} ({what})?\n", format::letters(would.done));
    for row in would.rows.iter().take(KINDS) {
        text.push_str(&kind(row));
    }
    let rest: u64 = would.rows.iter().skip(KINDS).map(|row| row.count).sum();
    if rest > 0 {
        text.push_str(&format!("{:>9}  of other kinds\n", format::number(rest)));
    }
    let beyond = would.matched.saturating_sub(would.done);
    if beyond > 0 {
        text.push_str(&format!("{} more match: do it again for those.\n", format::number(beyond)));
    }
    if would.missed > 0 {
        text.push_str(&format!(
            "{} are held by another reader, and are left alone.\n",
            format::number(would.missed)
        ));
    }
    text.push_str("\nEach is sent again to its one robot, within the robot's quota.");
    text
}

fn kind(row: &SummaryRow) -> String {
    format!("{:>9}  {}\n", format::number(row.count), kind_name(row))
}

fn release(robot: &RobotView) -> String {
    format!(
        "End the hold of robot {}?\nIt is held: {}.\n\nWhat comes now is sent at once; \
         if the platform refuses it again, the robot is held again. What to do: {}",
        robot.robot,
        format::wait_label(robot).unwrap_or_default(),
        format::advice(robot)
    )
}
