//! What is asked before something is changed, and what is said afterwards. Pure.

use super::words;
use crate::admin::wire::{DeadOutcome, DeadQuery, DeadRequest};

/// A request to redrive takes no more than this; what is beyond waits for the next.
const REDRIVE_MAX: u64 = 10_000;

/// What lies over a view until it is answered.
pub(super) enum Dialog {
    /// The keys; from which line on.
    Help(usize),
    /// What would be redriven is being counted.
    Counting { number: u64, what: String, request: DeadRequest },
    /// Shall this be redriven?
    Redrive { what: String, request: DeadRequest, would: DeadOutcome },
    /// Shall this robot's hold end?
    Release { robot: String, cause: String },
}

/// What is being done, until the daemon says that it is.
pub(super) struct Acting {
    pub(super) number: u64,
    pub(super) doing: String,
    /// Whether somebody wanted to leave meanwhile.
    pub(super) warned: bool,
}

/// What counts how many letters would be redriven.
pub(super) fn dry_run(which: DeadQuery, ids: Vec<String>) -> DeadRequest {
    DeadRequest { which, ids, limit: Some(REDRIVE_MAX), dry_run: true, ..DeadRequest::default() }
}

/// What redrives as many as were counted: what has come since is not meant.
pub(super) fn in_earnest(request: DeadRequest, would: &DeadOutcome) -> DeadRequest {
    DeadRequest { dry_run: false, limit: Some(would.done), ..request }
}

/// What a count found, if there is nothing to ask.
pub(super) fn nothing_to_redrive(would: &DeadOutcome) -> Option<String> {
    match (would.done, would.missed) {
        (0, 0) => Some("nothing to redrive: no dead letter matches any more".to_owned()),
        (0, missed) => {
            Some(format!("nothing to redrive now: somebody else holds {missed} dead letters at this moment; try again"))
        }
        _ => None,
    }
}

/// What became of letters.
pub(super) fn redriven(outcome: &DeadOutcome) -> String {
    let missed = match outcome.missed {
        0 => String::new(),
        missed => format!("; {missed} were left alone, as somebody else held them"),
    };
    let left = match outcome.matched.saturating_sub(outcome.done) {
        0 => String::new(),
        left => format!("; {left} more match"),
    };
    format!(
        "redriven: {}{left}{missed}. What is redriven goes through its robot's quota like anything else",
        words::letters(outcome.done)
    )
}
