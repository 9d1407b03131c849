//! The catalogue of the console's page: every name that the daemon hands out, with its label.
//!
//! Owns no text: it collects them from the places that declare them. A page in another language is
//! another catalogue with the same keys.
//!
//! Not here: the file that the page loads (`console/assets.rs`).

use serde_json::{Value, json};

use super::{explained_outcome::ExplainedOutcome, phrases};
use crate::{
    domain::{DeadReason, Platform, every},
    history::HistoryOutcome,
    platforms,
};

/// The name of the dead queue for messages that were not a readable event.
const EVENT: &str = "event";

/// All labels, by the kind of their names. A kind is a list of pairs, because the order is that of
/// choices in forms.
pub(super) fn catalogue() -> Value {
    let platforms = Platform::ALL.map(|one| json!([one.as_str(), platforms::label(one)]));
    let queues: Vec<_> =
        platforms.iter().cloned().chain([json!([EVENT, phrases::NO_EVENT])]).collect();
    let reasons: Vec<_> =
        every::<DeadReason>().map(|reason| json!([reason.as_str(), reason.label()])).collect();
    let outcomes: Vec<_> =
        every::<ExplainedOutcome>().map(|one| json!([one.as_str(), one.label()])).collect();
    let history: Vec<_> =
        every::<HistoryOutcome>().map(|one| json!([one.as_str(), one.label()])).collect();
    json!({
        "PLATFORMS": platforms,
        "QUEUES": queues,
        "REASONS": reasons,
        "OUTCOMES": outcomes,
        "HISTORY": history,
        "TEXTS": phrases::ALL,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_there_once_and_has_a_label() {
        for (kind, pairs) in catalogue().as_object().unwrap() {
            let pairs = pairs.as_array().unwrap();
            let names: BTreeSet<_> = pairs.iter().map(|pair| pair[0].as_str().unwrap()).collect();
            assert_eq!(names.len(), pairs.len(), "{kind}");
            assert!(pairs.iter().all(|pair| pair[1].as_str().unwrap().len() > 2), "{kind}");
        }
    }
}
