//! The files in `store.dir`: subscriptions, the slots of their data keys, templates, ledger,
//! journal, history.
//!
//! | file | content | how it is written |
//! | --- | --- | --- |
//! | `db/` | sealed subscriptions, templates (sled) | in a fixed order, flush, `sync_data` |
//! | `slots` | wrapped data keys, 128 bytes each | in place, `sync_data` |
//! | `keyring` | the master key, or both during a rotation | in place, two copies, `sync_all` |
//! | `removed` | ids of removed subscriptions | appended, `sync_data` |
//! | `ledger/` | settled deliveries | appended, `sync_data`; old segments deleted |
//! | `journal/` | sent messages, slots, holds, health, months | appended, synced with the ledger |
//! | `history/` | what became of each delivery | appended, `sync_all`; old segments deleted |
//! | `history.key` | the wrapped key of the texts in it | replaced as a whole, `sync_all` |
//! | `lock` | empty; its lock marks the folder as in use | |
//!
//! Owns the rule that success is reported only after the sync. It is the only module that names
//! sled. Calls that may block on the disk say so.
//!
//! Not here: the sealing of records (`crypto/`), the lookups that fan-out needs (`fanout/`).

mod backup;
mod backup_file;
mod cache;
mod clock_readings;
mod compaction;
mod crash_points;
mod db;
mod engine;
mod erasure_audit;
mod error;
mod free_space;
mod history;
mod history_index;
mod history_lookup;
mod history_row;
mod history_scan;
mod history_text_key;
mod index;
mod inspect;
mod journal;
mod journal_segments;
mod key_slot;
mod key_slots;
mod keyring;
mod ledger;
mod ledger_entry;
mod listing;
mod lock;
mod open;
mod options;
mod pace_record_codec;
mod ports;
mod raw_file;
mod redact;
mod robot_health_codec;
mod rotate;
mod rotation_progress;
mod row;
mod sealed_fields;
mod segment;
mod settings;
mod subscriptions;
mod templates;
mod tombstones;
mod topics;
mod verify;
mod write;

pub use backup::{BackupError, Manifest, Restored, restorable, restore};
pub use erasure_audit::{Proof, RecordState, Residue, ResidueLocation, traces};
pub use error::{HistoryError, LedgerError, StoreError};
pub use history::{FileHistory, FileHistorySettings};
pub use history_text_key::HistoryTextKey;
pub use inspect::{Inspection, inspect};
pub use journal::{Journal, JournalSettings};
pub use ledger::{FileLedger, LedgerSettings};
pub use settings::StoreSettings;
pub use subscriptions::Store;

use crate::{
    admin::ports::StoreRefusal,
    domain::{AddedSubscription, ListCursor, ListFilter, SubscriptionPage},
};

#[cfg(test)]
mod attack;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod erasure_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod history_crash_tests;
#[cfg(test)]
mod history_samples;
#[cfg(test)]
mod history_tests;
#[cfg(test)]
mod interrupted_tests;
#[cfg(test)]
mod journal_tests;
#[cfg(test)]
mod ledger_tests;
#[cfg(test)]
mod sled_harness;
#[cfg(test)]
mod template_tests;
#[cfg(test)]
mod tests;
