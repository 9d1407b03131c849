//! The shapes of the store and its keys.
//!
//! Owns their names and forms.
//!
//! Not here: the commands (`admin/subscriptions.rs`).

use serde::{Deserialize, Serialize};

use crate::domain::{Secret, required_credential};

/// `GET /v1/key`.
#[derive(Debug, Deserialize, Serialize)]
pub struct KeyView {
    /// The id of the master key that seals everything new.
    pub current: String,
    /// The id of the old master key during a rotation.
    pub old: Option<String>,
    /// Whether the new master key is known to be where the daemon looks for it at its start.
    pub in_place: bool,
    /// How many data keys there are.
    pub data_keys: usize,
    /// How many data keys are wrapped under the new master key.
    pub wrapping: Option<ProgressView>,
    /// How many subscriptions are sealed under new data keys.
    pub sealing: Option<ProgressView>,
}

/// The progress of a background task.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct ProgressView {
    /// How many are done.
    pub done: usize,
    /// How many there are.
    pub total: usize,
}

/// `POST /v1/key/rotation`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RotateRequest {
    /// The new master key's 64 hexadecimal digits.
    #[serde(with = "required_credential")]
    pub new_key: Secret,
}

/// `POST /v1/store/backup`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// A folder that does not exist yet, as an absolute path on the daemon's machine.
    pub dir: std::path::PathBuf,
}

/// The contents of a backup.
#[derive(Debug, Deserialize, Serialize)]
pub struct BackupView {
    /// How many subscriptions.
    pub subscriptions: usize,
    /// How many texts of templates.
    pub templates: usize,
    /// The id of the master key that opens it.
    pub key: String,
}

/// `POST /v1/store/verify`: the result of a check of every record.
#[derive(Debug, Deserialize, Serialize)]
pub struct VerifyView {
    /// Whether the store has no errors.
    pub ok: bool,
    /// How many subscriptions open with their keys.
    pub sound: usize,
    /// The subscriptions that do not open, up to 100 of them.
    pub broken: Vec<String>,
    /// How many subscriptions have no key.
    pub without_key: usize,
    /// How many keys belong to no subscription.
    pub keys_without_subscription: usize,
    /// How many index entries point to no record.
    pub lost_entries: usize,
    /// How many subscriptions are missing in an index.
    pub unindexed: usize,
    /// How many texts of templates are intact.
    pub templates: usize,
    /// The texts that are not.
    pub broken_templates: Vec<String>,
}
