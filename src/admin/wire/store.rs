//! The store and its keys.

use serde::{Deserialize, Serialize};

use super::credential;
use crate::domain::Secret;

/// `GET /v1/key`.
#[derive(Debug, Deserialize, Serialize)]
pub struct KeyView {
    /// The id of the master key under which everything new is sealed.
    pub current: String,
    /// The id of the one that is rotated away from.
    pub old: Option<String>,
    /// Whether the new one is known to be where the daemon will look for it.
    pub in_place: bool,
    /// How many data keys there are.
    pub data_keys: usize,
    /// How far the wrapping of data keys under the new master key has come.
    pub wrapping: Option<Progress>,
    /// How far the sealing under new data keys has come.
    pub sealing: Option<Progress>,
}

/// How far something has come.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Progress {
    /// So many are done.
    pub done: usize,
    /// Of so many.
    pub total: usize,
}

/// `POST /v1/key/rotation`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RotateRequest {
    /// The new master key's 64 hexadecimal digits.
    #[serde(with = "credential::required")]
    pub new_key: Secret,
}

/// `POST /v1/store/backup`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// A folder that does not exist yet, as an absolute path on the daemon's machine.
    pub dir: std::path::PathBuf,
}

/// What a backup holds.
#[derive(Debug, Deserialize, Serialize)]
pub struct BackupView {
    /// How many subscriptions.
    pub subscriptions: usize,
    /// How many texts of templates.
    pub templates: usize,
    /// The id of the master key that opens it.
    pub key: String,
}

/// What a look at everything found: `POST /v1/store/verify`.
#[derive(Debug, Deserialize, Serialize)]
pub struct VerifyView {
    /// Whether all is as it should be.
    pub ok: bool,
    /// How many subscriptions open with their keys.
    pub sound: usize,
    /// Which do not, up to a hundred of them.
    pub broken: Vec<String>,
    /// How many subscriptions have no key.
    pub without_key: usize,
    /// How many keys no subscription names.
    pub keys_without_subscription: usize,
    /// How many entries of the indexes lead nowhere.
    pub lost_entries: usize,
    /// How many subscriptions an index does not find.
    pub unindexed: usize,
    /// How many texts of templates are whole.
    pub templates: usize,
    /// Which are not.
    pub broken_templates: Vec<String>,
}
