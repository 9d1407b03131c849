//! The dialogs of `roomcast top`: the help, and the questions before a change. Pure.
//!
//! Owns that a redrive covers no more letters than the question counted.
//!
//! Not here: drawing a dialog (`draw/overlay.rs`), and the keys that answer it (`act.rs`).

use super::format;
use crate::admin::wire::{DeadOutcome, DeadQuery, DeadRequest, RobotView};

/// The largest number of letters in one redrive, which is the daemon's limit.
const REDRIVE_MAX: u64 = 10_000;

/// The dialog over a view, until it is answered.
pub(super) enum Dialog {
    /// The help, and its first visible line.
    Help(usize),
    /// The letters of a redrive are being counted.
    Counting { number: u64, what: String, request: DeadRequest },
    /// The question before a redrive.
    Redrive { what: String, request: DeadRequest, would: DeadOutcome },
    /// The question before a release.
    Release { robot: Box<RobotView> },
}

/// A change that is running, until the daemon answers.
pub(super) struct RunningAction {
    pub(super) number: u64,
    pub(super) doing: String,
    /// Whether the user has pressed `q` meanwhile and was warned.
    pub(super) warned: bool,
}

/// The request that counts the letters of a redrive.
pub(super) fn dry_run(which: DeadQuery, ids: Vec<String>) -> DeadRequest {
    DeadRequest { which, ids, limit: Some(REDRIVE_MAX), dry_run: true, ..DeadRequest::default() }
}

/// The request that redrives at most as many letters as were counted.
pub(super) fn confirmed(request: DeadRequest, would: &DeadOutcome) -> DeadRequest {
    DeadRequest { dry_run: false, limit: Some(would.done), ..request }
}

/// The message instead of a question, if no letter can be redriven.
pub(super) fn nothing_to_redrive(would: &DeadOutcome) -> Option<String> {
    match (would.done, would.missed) {
        (0, 0) => Some("nothing to redrive: no dead letter matches any more".to_owned()),
        (0, missed) => Some(format!(
            "nothing to redrive now: \
             another reader holds {missed} dead letters at this moment; try again"
        )),
        _ => None,
    }
}

/// The result of a redrive as text.
pub(super) fn redriven(outcome: &DeadOutcome) -> String {
    let missed = match outcome.missed {
        0 => String::new(),
        missed => format!("; {missed} were left alone, as another reader held them"),
    };
    let left = match outcome.matched.saturating_sub(outcome.done) {
        0 => String::new(),
        left => format!("; {left} more match"),
    };
    format!(
        "redriven: {}{left}{missed}. \
         Redriven deliveries pass the quota of their robot, like all others",
        format::letters(outcome.done)
    )
}
