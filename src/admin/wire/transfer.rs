//! Many subscriptions at a time: import, export, removal.

use serde::{Deserialize, Serialize};

use super::{AddRequest, ListQuery, credential};
use crate::domain::Secret;

/// `POST /v1/subscriptions/import`: up to some hundred at a time.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// What is to be added.
    pub subscriptions: Vec<AddRequest>,
}

/// What came of one subscription of an import: an id, or why it was refused.
#[derive(Debug, Deserialize, Serialize)]
pub struct Imported {
    /// The subscription's id.
    pub id: Option<String>,
    /// Whether the same robot was subscribed to the same topic already; then nothing was added.
    pub existed: bool,
    /// Why nothing was added.
    pub refused: Option<String>,
}

/// `POST /v1/subscriptions/export`: one page, each sealed for another machine.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// Which.
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
    /// Behind which place the next page begins; none if this is the last.
    pub next: Option<String>,
}

/// `DELETE /v1/topics/{topic}`: some of a topic's subscriptions at a time.
#[derive(Debug, Deserialize, Serialize)]
pub struct RemovedSome {
    /// How many were removed; none when there is none left.
    pub removed: usize,
}
