//! What people and programs read: lines, tables, JSON. The only place that prints to standard output.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, presets};
use serde::Serialize;

/// Prints a line. A reader who has gone away (`| head`) is no reason to fail.
pub(super) fn print(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Prints one JSON object on a line of its own.
pub(super) fn print_json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => print(&text),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "an answer could not be written as JSON")
        }
    }
}

/// A table for people, as wide as the terminal.
pub(super) struct Table {
    table: comfy_table::Table,
    rows: usize,
}

impl Table {
    pub(super) fn new(columns: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(columns.iter().map(|column| column.to_uppercase()));
        Self { table, rows: 0 }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.table.add_row(cells);
        self.rows += 1;
    }

    pub(super) fn print(&self, if_empty: &str) {
        if self.rows == 0 {
            print(if_empty);
        } else {
            print(&self.table.trim_fmt());
        }
    }
}
