//! `roomcast dead redrive` and `discard`: a scan selects letters, then the
//! action is done on exactly those.
//!
//! Owns that letters which arrive after the scan are not touched.
//!
//! Not here: the guarantee that no letter is lost (`broker`), and signals (`interrupt.rs`).

use super::{DeadLetterReader, notes::LetterNotes};
use crate::{
    admin::{
        dead_letters::{DeadLetterSummary, counted},
        phrases,
    },
    broker::{ActionOptions, DeadLetter, DeadLetterAction, DeadLetterSelection},
    cli::{
        broker_failure,
        exit::Failure,
        output::{bar, confirm, print, print_status},
    },
};

/// The largest number of lines of a report.
const LINES: usize = 20;

/// The step before the action.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ConfirmMode {
    /// None.
    Never,
    /// A confirmation.
    BeforeActing,
    /// Only a report, without the action.
    DryRun,
}

impl ConfirmMode {
    pub(super) const fn just(dry_run: bool) -> Self {
        if dry_run { Self::DryRun } else { Self::Never }
    }
}

pub(super) async fn run(
    looking: DeadLetterReader,
    act: DeadLetterAction,
    limit: Option<u64>,
    per_second: Option<f64>,
    asking: ConfirmMode,
) -> Result<(), Failure> {
    let (mut selection, mut summary, limit) =
        (DeadLetterSelection::default(), DeadLetterSummary::usual(), limit.unwrap_or(u64::MAX));
    let choose = |letter: DeadLetter| {
        if selection.count() < limit {
            selection.choose(&letter);
            summary.add(&letter);
        }
    };
    let looked = looking.scan(choose).await?;
    let chosen = selection.count();
    if chosen == 0 {
        return Err(Failure::No(match looked.letters {
            0 => phrases::NO_DEAD_LETTERS.to_owned(),
            letters => format!("{}, of {letters}", phrases::NO_LETTER_MATCHES),
        }));
    }
    let (done, doing, would) = match act {
        DeadLetterAction::Redrive => ("redriven", "redriving", "would be redriven"),
        DeadLetterAction::Discard => ("deleted", "deleting", "would be deleted for good"),
    };
    match asking {
        ConfirmMode::DryRun => {
            report(would, summary);
            return Ok(());
        }
        ConfirmMode::BeforeActing => {
            report(would, summary);
            if !confirm("deleted letters are gone for good", "delete them?")? {
                return Err(Failure::No("nothing was deleted".to_owned()));
            }
        }
        ConfirmMode::Never => (),
    }
    let mut notes = LetterNotes::begin(&looking.socket, act).await;
    let (stop, mut acted) = (looking.interrupt.stop(), DeadLetterSummary::usual());
    looking.interrupt.holds(true);
    let bar = bar(doing, Some(chosen), false);
    let each = |letter: &DeadLetter| {
        bar.inc(1);
        acted.add(letter);
        notes.add(letter);
    };
    let outcome =
        looking.queues.act(&ActionOptions { act, per_second, stop }, selection, each).await;
    bar.finish_and_clear();
    notes.finish().await;
    let count = acted.count();
    let failure = match outcome {
        Ok(_) if count == chosen => None,
        Ok(_) if stop.is_cancelled() => Some(Failure::No(format!(
            "interrupted: {count} of {chosen} {done}, the others are as they were; \
             the same command goes on"
        ))),
        Ok(_) => {
            print_status(&format!(
                "{} are gone meanwhile, or another reader holds them",
                chosen - count
            ));
            (count == 0).then(|| Failure::No(format!("nothing was {done}")))
        }
        Err(error) => {
            print_status(&format!(
                "{count} of {chosen} {done} before it failed; the same command goes on"
            ));
            return Err(broker_failure(&error));
        }
    };
    if count > 0 {
        report(done, acted);
    }
    if failure.is_none() {
        // The acks must reach the broker before the process ends.
        looking.queues.close().await.map_err(|error| broker_failure(&error))?;
    }
    failure.map_or(Ok(()), Err)
}

fn report(what: &str, summary: DeadLetterSummary) {
    let count = summary.count();
    print(&format!("{count} {what}"));
    let (rows, rest) = summary.rows(LINES);
    rows.iter().for_each(|row| print(&counted(row)));
    if rest > 0 {
        print(&format!("{rest:>7}  of other kinds"));
    }
}

/// Letters a second, from `50/s`, `600/m`, `5/h`, or a number alone.
pub(super) fn rate(text: &str) -> Result<f64, Failure> {
    let (number, unit) = text.trim().split_once('/').unwrap_or((text.trim(), "s"));
    let seconds = match unit.trim() {
        "s" => Some(1.0),
        "m" | "min" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    };
    let number = number.trim().parse::<u32>().ok().filter(|number| *number > 0);
    let rate = number.zip(seconds).map(|(number, seconds)| f64::from(number) / seconds);
    rate.ok_or_else(|| {
        Failure::Usage(format!("--rate: {text:?} is not a rate: write it like 50/s, 600/m or 5/h"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_in_a_time() {
        for (text, per_second) in
            [("50/s", 50.0), ("600/m", 10.0), ("36/h", 0.01), ("7", 7.0), (" 5 / s ", 5.0)]
        {
            assert!((rate(text).unwrap() - per_second).abs() < 1e-9, "{text}");
        }
        for text in ["", "0/s", "-1/s", "5/day", "fast", "5/"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
