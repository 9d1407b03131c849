//! The shapes of commands on many subscriptions: import, export, removal.
//!
//! Owns their names and forms.
//!
//! Not here: one subscription (`subscription.rs`), and the files that the command line reads and
//! writes (`cli/import.rs`, `cli/export.rs`).

use serde::{Deserialize, Serialize};

use super::{AddRequest, ListQuery, credential};
use crate::domain::Secret;

/// `POST /v1/subscriptions/import`: up to some hundred at a time.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// The subscriptions to add.
    pub subscriptions: Vec<AddRequest>,
}

/// The result for one subscription of an import: an id, or the reason of its refusal.
#[derive(Debug, Deserialize, Serialize)]
pub struct ImportResult {
    /// The subscription's id.
    pub id: Option<String>,
    /// Whether the same robot was already subscribed to the same topic; then nothing was added.
    pub existed: bool,
    /// Why it was refused.
    pub refused: Option<String>,
}

/// `POST /v1/subscriptions/export`: one page, each sealed for another machine.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// The filter.
    #[serde(default)]
    pub query: ListQuery,
    /// The key file's 64 hexadecimal digits.
    #[serde(with = "credential::required")]
    pub key: Secret,
}

/// One page of an export.
#[derive(Debug, Deserialize, Serialize)]
pub struct ExportPage {
    /// Each subscription, sealed, in base 64.
    pub sealed: Vec<String>,
    /// The cursor of the next page; `null` on the last.
    pub next: Option<String>,
}

/// `DELETE /v1/topics/{topic}`: some of a topic's subscriptions at a time.
#[derive(Debug, Deserialize, Serialize)]
pub struct BatchRemoved {
    /// How many were removed; 0 when none is left.
    pub removed: usize,
}
