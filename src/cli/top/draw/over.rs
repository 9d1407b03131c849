//! What lies over a view until it is answered: questions, and the help.

use ratatui::{
    Frame,
    layout::{Constraint, Flex, Layout, Rect},
    text::Line,
    widgets::{Block, Clear, Padding, Paragraph},
};

use super::Look;
use crate::{
    admin::wire::{DeadOutcome, SummaryRow},
    cli::top::{dialog::Dialog, place::kind_name, state::Top, words},
};

/// So many kinds of letters are told apart before a redrive.
const KINDS: usize = 6;

/// No wider than reads well.
const WIDTH: u16 = 74;

const HELP: &str = "\
1-5, Tab      overview, robots, holds, budgets, dead letters
↑ ↓, k j      choose; PageUp, PageDown, Home, End
Enter, →      open: a robot, a kind of dead letters, a letter
Esc, ←        back; no
r             look again through the dead queues
q, Ctrl-C     leave

Capital letters change something, and ask first:
R             redrive the letter, or the kind of letters, chosen
A             redrive all letters that the view is about
L             release the robot that is chosen from its hold

Delivered: taken by the platform. Put off: waits for its robot's
quota, costs no attempt. Again: failed, will be tried again. Given
up: a dead letter. Rates are those of the last ten seconds.";

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, top: &Top, look: Look) {
    let Some(dialog) = &top.dialog else {
        return;
    };
    let (title, text, keys) = match dialog {
        Dialog::Help => ("Keys", HELP.to_owned(), "any key goes back"),
        Dialog::Counting { what, .. } => ("Redrive", format!("counting what would be redriven: {what}…"), "Esc no"),
        Dialog::Redrive { what, would, .. } => ("Redrive", question(what, would), "y yes, redrive    n no"),
        Dialog::Release { robot, cause } => ("Release", release(robot, cause), "y yes, release    n no"),
    };
    let width = WIDTH.min(area.width.saturating_sub(2));
    let mut lines: Vec<_> =
        words::lines(&text, usize::from(width).saturating_sub(4)).into_iter().map(Line::raw).collect();
    lines.extend([Line::raw(""), Line::styled(keys, look.strong())]);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let [area] = Layout::horizontal([Constraint::Length(width)]).flex(Flex::Center).areas(area);
    let [area] = Layout::vertical([Constraint::Max(height)]).flex(Flex::Center).areas(area);
    let block = Block::bordered().title(format!(" {title} ")).padding(Padding::horizontal(1));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn question(what: &str, would: &DeadOutcome) -> String {
    let mut text = format!("Redrive {} ({what})?\n", words::letters(would.done));
    for row in would.rows.iter().take(KINDS) {
        text.push_str(&kind(row));
    }
    let rest: u64 = would.rows.iter().skip(KINDS).map(|row| row.count).sum();
    if rest > 0 {
        text.push_str(&format!("{:>9}  of other kinds\n", words::number(rest)));
    }
    let beyond = would.matched.saturating_sub(would.done);
    if beyond > 0 {
        text.push_str(&format!("{} more match: do it again for those.\n", words::number(beyond)));
    }
    if would.missed > 0 {
        text.push_str(&format!("{} are held by somebody else, and are left alone.\n", words::number(would.missed)));
    }
    text.push_str("\nEach is sent again to its one robot, within the robot's quota.");
    text
}

fn kind(row: &SummaryRow) -> String {
    format!("{:>9}  {}\n", words::number(row.count), kind_name(row))
}

fn release(robot: &str, cause: &str) -> String {
    format!(
        "End the hold of robot {robot}?\nIt is held: {}.\n\nWhat comes now is sent at once; if the platform refuses it again, the robot is held again. What to do: {}",
        words::cause(cause),
        words::advice(cause)
    )
}
