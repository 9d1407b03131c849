//! The port that backs a store up and verifies it.
//!
//! Owns the result of a verification.
//!
//! Not here: restorations, and searches for removed subscriptions. They work on the files of a
//! store that is not open (`cli/store.rs`).

use std::path::Path;

use async_trait::async_trait;

use super::StoreFailure;
use crate::domain::SubscriptionId;

/// The content of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSummary {
    /// The number of subscriptions in it.
    pub subscriptions: usize,
    /// The number of template texts in it.
    pub templates: usize,
    /// The id of the master key that opens it.
    pub key: String,
}

/// The result of a verification.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The number of subscriptions whose records open.
    pub sound: usize,
    /// Subscriptions whose records do not open, up to 100.
    pub broken: Vec<SubscriptionId>,
    /// The number of rows without a key, from interrupted removals or from parts of different
    /// backups.
    pub without_key: usize,
    /// The number of keys that no row names.
    pub without_subscription: usize,
    /// The number of index entries that lead to no row.
    pub lost_entries: usize,
    /// The number of rows missing in an index.
    pub unindexed: usize,
    /// The number of whole template texts.
    pub templates: usize,
    /// Template texts that are unreadable, or that differ between disk and memory.
    pub broken_templates: Vec<String>,
}

impl Verified {
    /// Whether no damage was found.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        *self == Self { sound: self.sound, templates: self.templates, ..Self::default() }
    }
}

/// Long work on a whole store, while it is in use. It takes seconds to minutes.
#[async_trait]
pub trait StoreMaintenance: Send + Sync {
    /// Writes a backup into a new folder of this machine; durable when it returns.
    async fn backup(&self, to: &Path) -> Result<BackupSummary, StoreFailure>;

    /// Opens every record and counts the references that lead nowhere.
    async fn verify(&self) -> Result<Verified, StoreFailure>;
}
