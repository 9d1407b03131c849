//! Draws tables: columns that depend on the width, and the selected row.
//!
//! Owns which columns are shown at a width.
//!
//! Not here: the cells (the other files of `draw/`).

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::Line,
    widgets::{Cell, Row, Table, TableState},
};

use super::Theme;

/// A column.
#[derive(Clone, Copy)]
pub(super) struct Column {
    name: &'static str,
    width: u16,
    numbers: bool,
    from: u16,
}

impl Column {
    /// Text in this many columns.
    pub(super) const fn of(name: &'static str, width: u16) -> Self {
        Self { name, width, numbers: false, from: 0 }
    }

    /// Numbers, aligned to the right.
    pub(super) const fn numbers(name: &'static str, width: u16) -> Self {
        Self { numbers: true, ..Self::of(name, width) }
    }

    /// A column that takes the remaining width.
    pub(super) const fn rest(name: &'static str) -> Self {
        Self::of(name, 0)
    }

    /// Shows the column only from this width on; on a narrower screen its heading would be cut.
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

/// Whether every visible column fits completely at this width.
#[cfg(test)]
pub(super) fn fits(columns: &[Column], width: u16) -> bool {
    let shown = columns.iter().filter(|column| width >= column.from);
    let needed = |column: &Column| usize::from(column.width).max(column.name.len()) + 1;
    // `needed` counts one gap more than there are, and the mark of a selected row is two wide.
    shown.map(needed).sum::<usize>() < usize::from(width)
}

/// Draws rows; returns how many rows are visible.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    columns: &[Column],
    rows: Vec<Vec<String>>,
    chosen: Option<usize>,
    theme: Theme,
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
    let widths = columns
        .iter()
        .zip(&shown)
        .filter(|(_, shown)| **shown)
        .map(|(column, _)| column.constraint());
    let table = Table::new(rows, widths)
        .header(Row::new(header).style(theme.heading()))
        .row_highlight_style(theme.chosen())
        .highlight_symbol("▸ ")
        .highlight_spacing(ratatui::widgets::HighlightSpacing::Always);
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(chosen));
    usize::from(area.height.saturating_sub(1))
}
