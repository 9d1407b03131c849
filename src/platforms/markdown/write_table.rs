//! The tables of a message, as the platform shows them.
//!
//! Owns the shape of rows and cells, and which tables become code or lines.
//!
//! Not here: the other blocks (`write.rs`), and the reading of a table (`parse.rs`).

use super::{
    dialect::FurtherTables,
    literal::MarkCounts,
    tree::{Inline, Side, Table, any_strong, plain_with_addresses},
    write::MarkdownWriter,
};
use crate::platforms::text::Fence;

impl MarkdownWriter<'_> {
    pub(super) fn table(&mut self, table: &Table) {
        self.tables += 1;
        match self.dialect.further_tables {
            _ if self.tables <= self.dialect.tables_max => self.shown_table(table),
            FurtherTables::Code => {
                let rows = table.rows.iter().map(|row| {
                    row.iter()
                        .map(|cell| plain_with_addresses(cell))
                        .collect::<Vec<_>>()
                        .join(" | ")
                });
                self.code("", &rows.collect::<Vec<_>>().join("\n"));
            }
            FurtherTables::Lines => {
                for (at, row) in table.rows.iter().enumerate() {
                    if self.is_full() {
                        return;
                    }
                    if at > 0 {
                        self.broken_line();
                    }
                    self.row_as_line(row, at == 0);
                }
            }
        }
    }

    fn shown_table(&mut self, table: &Table) {
        let (begin, mut below) = (self.flow.text.len(), None);
        for (at, row) in table.rows.iter().enumerate() {
            if self.is_full() {
                break;
            }
            if at > 0 {
                self.line();
            }
            self.row(row, table.sides.len());
            if at == 0 {
                self.line();
                let rules = table.sides.iter().map(|side| match side {
                    Side::Unset => "---",
                    Side::Left => ":---",
                    Side::Middle => ":---:",
                    Side::Right => "---:",
                });
                self.add(&format!("| {} |", rules.collect::<Vec<_>>().join(" | ")));
                below = Some(self.flow.text.len());
            }
        }
        if let Some(below) = below {
            let end = self.flow.text.len();
            let head = self.flow.text.get(begin..below).unwrap_or_default();
            let opening = format!("{}{head}", self.prefix);
            self.flow.fences.push(Fence {
                all: begin..end,
                inner: below..end,
                opening,
                closing: String::new(),
            });
        }
    }

    /// A row is one uncuttable part.
    fn row(&mut self, row: &[Vec<Inline>], columns: usize) {
        self.count_row(row);
        self.in_cell = true;
        self.solid(|own| {
            own.add("|");
            for at in 0..columns.max(1) {
                if own.is_full() {
                    break;
                }
                own.add(" ");
                own.inlines(row.get(at).map_or(&[][..], Vec::as_slice), ' ');
                own.add(" |");
            }
        });
        self.in_cell = false;
    }

    fn count_row(&mut self, row: &[Vec<Inline>]) {
        self.counts = MarkCounts::default();
        row.iter().for_each(|cell| self.counts.add(cell));
    }

    fn row_as_line(&mut self, row: &[Vec<Inline>], head: bool) {
        self.count_row(row);
        for (at, cell) in row.iter().enumerate() {
            if self.is_full() {
                return;
            }
            if at > 0 {
                self.add(" | ");
            }
            match head && !cell.is_empty() && !any_strong(cell) {
                true => self.marked("**", cell, "**"),
                false => self.inlines(cell, ' '),
            }
        }
    }
}
