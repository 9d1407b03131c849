//! The operators' list of log lines (`docs/EVENTS.md`), compared with the code: every line of
//! ERROR, WARN and INFO, and its fields.
//!
//! Owns that comparison.
//!
//! Not here: the same for metrics and spans (tests in `src/telemetry/`).
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a rule that is broken fails by panicking"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A log line, from the code or the list. In the list, `…` stands for omitted text.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    level: String,
    message: String,
    fields: BTreeSet<String>,
}

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(fs::read_to_string(&path).unwrap());
        }
    }
}

/// A text as the compiler reads it: a line that ends in `\` goes on at the next one's first word.
fn unbroken(text: &str) -> String {
    let mut lines = text.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + line.trim_start())
}

/// The arguments of a call whose text begins here, separated.
fn arguments(text: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut depth, mut quoted, mut escaped) =
        (Vec::new(), 0, 0, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => (),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => {
                parts.push(text[begin..at].trim());
                return parts;
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[begin..at].trim());
                begin = at + 1;
            }
            _ => (),
        }
    }
    panic!("the call does not end: {text:.80}");
}

fn logged() -> BTreeSet<Line> {
    let (mut files, mut lines) = (Vec::new(), BTreeSet::new());
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    for text in files {
        for level in ["error", "warn", "info"] {
            let call = format!("tracing::{level}!(");
            for (at, _) in text.match_indices(&call) {
                let parts = arguments(&text[at + call.len()..]);
                let said = parts.iter().position(|part| part.starts_with('"')).unwrap();
                // Values that are formatted into the message are omitted.
                let message = unbroken(parts[said].trim_matches('"'));
                let message = message.split('{').next().unwrap().to_owned();
                let name = |part: &&str| {
                    part.split('=').next().unwrap().trim().trim_start_matches(['%', '?']).to_owned()
                };
                let fields = parts[..said].iter().map(name).collect();
                lines.insert(Line { level: level.to_uppercase(), message, fields });
            }
        }
    }
    lines
}

fn listed() -> BTreeSet<Line> {
    let list = include_str!("../docs/EVENTS.md")
        .split("\n## ")
        .filter(|part| part.starts_with("Log lines"));
    let rows = list.flat_map(str::lines).filter_map(|row| {
        let cells: Vec<_> = row.strip_prefix('|')?.split('|').map(str::trim).collect();
        let [level @ ("ERROR" | "WARN" | "INFO"), message, fields, ..] = cells[..] else {
            return None;
        };
        let quoted =
            |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        let message = quoted(message).first()?.trim_end_matches('…').to_owned();
        Some(Line {
            level: level.to_owned(),
            message,
            fields: quoted(fields).into_iter().collect(),
        })
    });
    rows.collect()
}

#[test]
fn every_line_that_is_logged_is_in_the_operators_list_with_its_fields_and_no_other_is() {
    let (logged, listed) = (logged(), listed());
    assert!(logged.len() > 30, "the lines were found");
    let fits = |code: &Line, list: &Line| {
        code.level == list.level
            && code.fields == list.fields
            && code.message.starts_with(&list.message)
    };
    let missing: Vec<_> =
        logged.iter().filter(|code| !listed.iter().any(|list| fits(code, list))).collect();
    let stale: Vec<_> =
        listed.iter().filter(|list| !logged.iter().any(|code| fits(code, list))).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "not listed: {missing:#?}\nlisted, but not logged so: {stale:#?}"
    );
}
