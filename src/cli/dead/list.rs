//! `roomcast dead list`: a table of the newest letters, their counts, or all of them as JSON.
//!
//! Owns the columns, and that all forms have the same order.
//!
//! Not here: counting and sorting (`admin/dead_letters/summary.rs`).

use std::time::Duration;

use serde::Serialize;

use super::DeadLetterReader;
use crate::{
    admin::{
        dead_letters::{
            DeadLetterSummary, GroupBy, NewestDeadLetters, common_values, newest_first, view,
        },
        phrases,
        wire::{DeadLetterView, SummaryRow},
    },
    broker::{DeadLetter, ScanReport},
    cli::{
        backend,
        exit::Failure,
        output::{Table, print_json, print_status},
        spool::Spool,
    },
};

/// The default number of rows of a table.
const ROWS: u64 = 50;

/// How many characters of a detail a table shows.
const DETAIL: usize = 60;

pub(super) async fn table(looking: DeadLetterReader, limit: Option<u64>) -> Result<(), Failure> {
    let mut newest = NewestDeadLetters::new(rows(limit), None).map_err(backend::failure)?;
    let looked = looking.scan(|letter| newest.add(&letter)).await?;
    let matched = newest.matched();
    let mut table = Table::new(&[
        "id", "platform", "reason", "code", "topic", "attempts", "gen", "age", "says", "detail",
    ]);
    let (letters, _) = newest.page();
    let shown = letters.len() as u64;
    letters.into_iter().for_each(|letter| table.row(row(letter)));
    table.print(&nothing(looked));
    if shown < matched {
        print_status(&format!(
            "{shown} of {matched} shown, the newest first; \
             a filter, --by reason,robot or --limit shows more"
        ));
    }
    Ok(())
}

pub(super) async fn counted(
    looking: DeadLetterReader,
    by: &str,
    limit: Option<u64>,
    json: bool,
) -> Result<(), Failure> {
    let mut summary = DeadLetterSummary::new(GroupBy::list(by).map_err(backend::failure)?);
    let looked = looking.scan(|letter| summary.add(&letter)).await?;
    let (by, count) = (summary.by(), summary.count());
    let (rows, rest) = summary
        .rows(limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)));
    if json {
        rows.iter().for_each(print_json);
    } else {
        let names: Vec<_> =
            by.iter().map(String::as_str).chain(["count", "oldest", "newest"]).collect();
        let (mut table, shown) = (Table::new(&names), rows.len());
        rows.into_iter().for_each(|row| table.cells(cells(row)));
        table.print(&nothing(looked));
        if shown > 1 && rest == 0 {
            print_status(&format!("{count} dead letters"));
        }
    }
    if rest > 0 {
        print_status(&format!("{rest} of {count} dead letters are in none of these rows"));
    }
    Ok(())
}

/// Prints JSON in the order of the table. Letters arrive in the order of the queues, so all are
/// collected before the first is printed.
pub(super) async fn stream(looking: DeadLetterReader, limit: Option<u64>) -> Result<(), Failure> {
    let (mut spool, mut written) = (Spool::new(), Vec::new());
    let each = |letter: DeadLetter| {
        let line = DeadLetterLine {
            letter: view(&letter),
            body: &String::from_utf8_lossy(&letter.published.body),
        };
        written.push((newest_first(&letter), spool.json(&line)));
    };
    looking.scan(each).await?;
    written.sort_by(|(one, _), (other, _)| one.cmp(other));
    written
        .truncate(limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)));
    match spool.show_lines(written.into_iter().map(|(_, line)| line)) {
        // A closed pipe (`| head`) is not an error.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Unavailable(format!("the list is not complete: {error}")))
        }
        _ => Ok(()),
    }
}

/// A letter and its event as text; bytes that are not UTF-8 are replaced. `export` keeps them.
#[derive(Serialize)]
struct DeadLetterLine<'a> {
    #[serde(flatten)]
    letter: DeadLetterView,
    body: &'a str,
}

fn nothing(looked: ScanReport) -> String {
    match looked.letters {
        0 => phrases::NO_DEAD_LETTERS.to_owned(),
        1 => "the one dead letter there is does not match".to_owned(),
        letters => format!("none of the {letters} dead letters matches"),
    }
}

fn rows(limit: Option<u64>) -> usize {
    usize::try_from(limit.unwrap_or(ROWS)).unwrap_or(usize::MAX)
}

fn row(letter: DeadLetterView) -> [String; 10] {
    [
        letter.id,
        letter.platform.map_or_else(|| "event".to_owned(), |platform| platform.to_string()),
        letter.reason.to_string(),
        letter.code,
        letter.topic,
        letter.attempts.to_string(),
        letter.generation.to_string(),
        age(letter.dead_at.as_deref(), jiff::Timestamp::now()),
        cut(&letter.says, DETAIL / 2),
        cut(&letter.detail, DETAIL),
    ]
}

fn cells(row: SummaryRow) -> Vec<String> {
    let mut cells: Vec<_> = common_values(&row).into_iter().map(str::to_owned).collect();
    let age = |at: Option<String>| age(at.as_deref(), jiff::Timestamp::now());
    cells.extend([row.count.to_string(), age(row.oldest), age(row.newest)]);
    cells
}

fn cut(text: &str, characters: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= characters {
        line
    } else {
        line.chars().take(characters - 1).chain(['…']).collect()
    }
}

/// The age as a number and a unit.
pub(in crate::cli) fn age(at: Option<&str>, now: jiff::Timestamp) -> String {
    let Some(at) = at.and_then(|at| at.parse::<jiff::Timestamp>().ok()) else {
        return "-".to_owned();
    };
    span(Duration::try_from(now.duration_since(at)).unwrap_or_default())
}

fn span(length: Duration) -> String {
    match length.as_secs() {
        seconds if seconds < 120 => format!("{seconds}s"),
        seconds if seconds < 7200 => format!("{}m", seconds / 60),
        seconds if seconds < 172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_said_in_two_digits_or_so() {
        for (seconds, said) in
            [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172_800, "2d")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), said);
        }
        assert_eq!(age(None, jiff::Timestamp::now()), "-");
    }

    #[test]
    fn a_cut_text_says_so() {
        assert_eq!(cut("one  two\nthree", 20), "one two three");
        assert_eq!(cut("长长长长长", 3), "长长…");
    }
}
