//! The output of all commands: lines, tables, JSON. No other file prints to standard output or
//! standard error.
//!
//! Owns that texts of publishers and platforms cannot control a terminal, even behind a pipe. JSON
//! escapes such characters, so a program still reads the exact text.
//!
//! Not here: the full-screen terminal (`top/screen.rs`), and large outputs (`spool.rs`).

use std::{
    io::{self, BufRead, IsTerminal, Write},
    sync::OnceLock,
};

use comfy_table::{ContentArrangement, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::exit::Failure;
use crate::domain::is_unprintable;

/// The first error while printing.
static LOST: OnceLock<String> = OnceLock::new();

/// Prints one line. A line break in the text is replaced, so it cannot start a line of its own.
pub(super) fn print(line: &str) {
    write(&one_line(line));
}

/// Prints a text of several lines.
pub(super) fn print_text(text: &str) {
    write(&escape_control(text));
}

/// A closed pipe (`| head`) is not an error. [`printed`] reports any other error at the end.
fn write(text: &str) {
    let mut out = io::stdout().lock();
    let done = writeln!(out, "{text}");
    if let Err(error) = done.and_then(|()| out.flush())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        let _ = LOST.set(error.to_string());
    }
}

/// Whether everything was printed: a reader must not take half a list for all of it.
pub(super) fn printed() -> Result<(), Failure> {
    LOST.get().map_or(Ok(()), |why| {
        Err(Failure::Unavailable(format!("not everything could be printed: {why}")))
    })
}

/// A foreign text without control characters; line breaks and tabs stay.
fn escape_control(text: &str) -> String {
    text.chars()
        .map(|letter| if matches!(letter, '\n' | '\t') { letter } else { shown(letter) })
        .collect()
}

/// A foreign text on one line.
fn one_line(text: &str) -> String {
    text.chars().map(shown).collect()
}

/// Replaces a character that could control a terminal, or change the direction of reading.
pub(super) fn shown(letter: char) -> char {
    if is_unprintable(letter) { '·' } else { letter }
}

/// A value as JSON on one line. Non-ASCII characters occur only in strings there, so an escape
/// stands for the same character.
pub(super) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string(value)?;
    // JSON escapes all ASCII control characters except DEL. Most texts need no more, and they may
    // be many or long.
    let is_safe = |text: &str| text.is_ascii() && !text.contains('\u{7f}');
    if is_safe(&text) {
        return Ok(text);
    }
    let mut safe = String::with_capacity(text.len() + 64);
    for part in text.split_inclusive('"') {
        if is_safe(part) {
            safe.push_str(part);
            continue;
        }
        for letter in part.chars() {
            if is_unprintable(letter) {
                safe.push_str(&format!("\\u{:04x}", u32::from(letter)));
            } else {
                safe.push(letter);
            }
        }
    }
    Ok(safe)
}

/// Prints a JSON object on one line.
pub(super) fn print_json(value: &impl Serialize) {
    match json(value) {
        Ok(text) => write(&text),
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "an answer could not be written as JSON"
            )
        }
    }
}

/// Asks for confirmation before data is destroyed or restored.
pub(super) fn confirm(what_it_means: &str, question: &str) -> Result<bool, Failure> {
    let failed =
        |error: io::Error| Failure::Usage(format!("the question could not be asked: {error}"));
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "{what_it_means}; this asks first: use --yes where no terminal can answer"
        )));
    }
    print_status(what_it_means);
    let mut out = io::stderr().lock();
    write!(out, "{} [y/N] ", one_line(question)).and_then(|()| out.flush()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A progress bar on standard error, hidden if that is not a terminal. Without a total it counts.
pub(super) fn bar(what: &'static str, total: Option<u64>, bytes: bool) -> ProgressBar {
    let amount = if bytes { "{bytes}/{total_bytes}" } else { "{human_pos}/{human_len}" };
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), format!("{{msg}} {{wide_bar}} {amount} {{eta}}")),
        None => (ProgressBar::new_spinner(), "{msg} {spinner} {human_pos}".to_owned()),
    };
    let styled =
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(styled).with_message(what)
}

/// Prints a note on standard error, on one line.
pub(super) fn print_status(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", one_line(line));
}

/// Prints where to look next, if a person reads the output.
pub(super) fn print_hint(line: &str) {
    if io::stdout().is_terminal() {
        print_status(line);
    }
}

/// Prints an error on standard error; it may have several lines.
pub(super) fn print_error(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", escape_control(text));
}

/// A table as text.
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
        self.cells(cells);
    }

    /// Adds a row with as many cells as there are columns.
    pub(super) fn cells(&mut self, cells: impl IntoIterator<Item = String>) {
        self.table.add_row(cells.into_iter().map(|cell| one_line(&cell)));
        self.rows += 1;
    }

    pub(super) fn print(&self, if_empty: &str) {
        if self.rows == 0 {
            print(if_empty);
        } else {
            print_text(&self.table.trim_fmt());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_written_commands_no_terminal() {
        let hostile = "a\tb\n\u{1b}[2J\u{7}\r\u{9b}c \u{202e}告警";
        assert_eq!(escape_control(hostile), "a\tb\n·[2J···c ·告警");
        assert_eq!(one_line(hostile), "a·b··[2J···c ·告警");
        let json = json(&hostile).unwrap();
        assert!(!json.chars().any(is_unprintable), "{json}");
        assert_eq!(
            serde_json::from_str::<String>(&json).unwrap(),
            hostile,
            "a program reads it as it is"
        );
    }
}
