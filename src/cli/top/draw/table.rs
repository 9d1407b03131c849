//! Tables: columns that are there when there is room for them, and the row that is chosen.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::Line,
    widgets::{Cell, Row, Table, TableState},
};

use super::Look;

/// A column.
#[derive(Clone, Copy)]
pub(super) struct Column {
    name: &'static str,
    width: u16,
    numbers: bool,
    from: u16,
}

impl Column {
    /// Words, in so many places.
    pub(super) const fn of(name: &'static str, width: u16) -> Self {
        Self { name, width, numbers: false, from: 0 }
    }

    /// Numbers, which stand to the right.
    pub(super) const fn numbers(name: &'static str, width: u16) -> Self {
        Self { numbers: true, ..Self::of(name, width) }
    }

    /// What is left over.
    pub(super) const fn rest(name: &'static str) -> Self {
        Self::of(name, 0)
    }

    /// Only where there is at least so much room: below, the head of a column would be cut.
    pub(super) const fn from(self, from: u16) -> Self {
        Self { from, ..self }
    }

    const fn constraint(self) -> Constraint {
        if self.width == 0 { Constraint::Fill(1) } else { Constraint::Length(self.width) }
    }

    fn cell(self, text: String) -> Cell<'static> {
        let line = Line::from(text);
        Cell::from(if self.numbers { line.right_aligned() } else { line })
    }
}

/// Whether every column that is there at this width is there whole.
#[cfg(test)]
pub(super) fn fits(columns: &[Column], width: u16) -> bool {
    let shown = columns.iter().filter(|column| width >= column.from);
    let needed = |column: &Column| usize::from(column.width).max(column.name.len()) + 1;
    // The mark of the row that is chosen has one place more than there are gaps.
    shown.map(needed).sum::<usize>() < usize::from(width)
}

/// Draws rows of as many cells as there are columns; says for how many rows there is room.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    columns: &[Column],
    rows: Vec<Vec<String>>,
    chosen: Option<usize>,
    look: Look,
) -> usize {
    let shown: Vec<_> = columns.iter().map(|column| area.width >= column.from).collect();
    let seen = |cells: Vec<Cell<'static>>| -> Vec<Cell<'static>> {
        cells.into_iter().zip(&shown).filter(|(_, shown)| **shown).map(|(cell, _)| cell).collect()
    };
    let header = seen(columns.iter().map(|column| column.cell(column.name.to_owned())).collect());
    let rows = rows.into_iter().map(|row| {
        let cells = columns.iter().zip(row).map(|(column, text)| column.cell(text));
        Row::new(seen(cells.collect()))
    });
    let widths = columns.iter().zip(&shown).filter(|(_, shown)| **shown).map(|(column, _)| column.constraint());
    let table = Table::new(rows, widths)
        .header(Row::new(header).style(look.heading()))
        .row_highlight_style(look.chosen())
        .highlight_symbol("▸ ")
        .highlight_spacing(ratatui::widgets::HighlightSpacing::Always);
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(chosen));
    usize::from(area.height.saturating_sub(1))
}
