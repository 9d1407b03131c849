//! The rule that no line of a Rust file is wider than a page.
//!
//! Owns the width of a line of code, text or comment.
//!
//! Not here: the lines of the documents (`tests/prose.rs`).

use super::{Source, fail, files};

/// The widest line, in characters, indentation included: `max_width` of `.rustfmt.toml`. `rustfmt`
/// leaves a wide text, and often all of the expression around it, as it is.
const WIDTH_MAX: usize = 100;

/// One line of a report for each line that is too wide.
fn wide_lines(source: &Source) -> Vec<String> {
    let widths = source.text.lines().map(|line| line.chars().count()).enumerate();
    widths
        .filter(|(_, width)| *width > WIDTH_MAX)
        .map(|(at, width)| format!("{}:{} is {width} columns wide", source.path, at + 1))
        .collect()
}

#[test]
fn no_line_of_a_rust_file_is_wider_than_a_page() {
    let sources = files(&["src", "tests", "benches"]);
    assert!(sources.len() > 500, "the sources were found: {}", sources.len());
    fail(&sources.iter().flat_map(wide_lines).collect::<Vec<_>>());
}

#[test]
fn the_width_of_a_line_is_counted_in_characters() {
    let text = format!("{}\n{}\n", "告".repeat(WIDTH_MAX), "x".repeat(WIDTH_MAX + 1));
    let source = Source { path: "src/a.rs".to_owned(), text };
    assert_eq!(wide_lines(&source), ["src/a.rs:2 is 101 columns wide"]);
}
