//! The settings of the store: `[store]`.
//!
//! Owns which folders and times the parts of the store get.
//!
//! Not here: what is in the folders (`store/mod.rs`).

use std::{path::PathBuf, time::Duration};

use super::{FileHistorySettings, JournalSettings, LedgerSettings};
use crate::{
    history::HistorySettings,
    settings::{path, section, some_duration},
};

section! {
    /// The store: subscriptions (sealed), their keys, the ledger.
    pub struct StoreSettings in "store" {
        /// Its folder. On a local disk, not on a network or copy-on-write file system.
        dir: PathBuf = one(path(), "/var/lib/roomcast"), AtStart;
        /// How long the daemon remembers which messages are settled.
        ledger_window: Duration = one(some_duration(), "10m"), AtStart;
    }
}

impl StoreSettings {
    /// The store in this folder, for uses without a ledger.
    #[must_use]
    pub const fn at(dir: PathBuf) -> Self {
        Self { dir, ledger_window: Duration::ZERO }
    }

    /// The ledger in the store's folder.
    #[must_use]
    pub fn ledger(&self) -> LedgerSettings {
        LedgerSettings { dir: self.dir.join("ledger"), window: self.ledger_window }
    }

    /// The history in the store's folder, without the key of its texts.
    #[must_use]
    pub fn history(&self, bounds: &HistorySettings) -> FileHistorySettings {
        let HistorySettings { retention, bytes_max, text: _ } = *bounds;
        FileHistorySettings { dir: self.dir.join("history"), retention, bytes_max, text_key: None }
    }

    /// The journal in the store's folder. It must remember a sent message for `window`.
    #[must_use]
    pub fn journal(&self, window: Duration) -> JournalSettings {
        JournalSettings { dir: self.dir.join("journal"), window }
    }
}
