//! The files in `store.dir`: subscriptions, the slots of their data keys, templates, ledger,
//! journal.
//!
//! | file | content | how it is written |
//! | --- | --- | --- |
//! | `db/` | sealed subscriptions, templates (sled) | in a fixed order, flush, `sync_data` |
//! | `slots` | wrapped data keys, 128 bytes each | in place, `sync_data` |
//! | `keyring` | the master key, or both during a rotation | in place, two copies, `sync_all` |
//! | `removed` | ids of removed subscriptions | appended, `sync_data` |
//! | `ledger/` | settled deliveries | appended, `sync_data`; old segments deleted |
//! | `journal/` | sent messages, slots, holds, months | appended, `sync_all` with the ledger |
//! | `lock` | empty; its lock marks the folder as in use | |
//!
//! Owns the rule that success is reported only after the sync. It is the only module that names
//! sled. Calls that may block on the disk say so.
//!
//! Not here: the sealing of records (`crypto/`), the lookups that fan-out needs (`fanout/`).

mod backup;
mod cache;
mod change;
mod db;
mod engine;
mod entry;
mod error;
mod index;
mod journal;
mod keyring;
mod ledger;
mod listing;
mod lock;
mod look;
mod mask;
mod note;
mod opening;
mod options;
mod prove;
mod readings;
mod record;
mod removed;
mod rotate;
mod row;
mod segment;
mod shapes;
mod slot;
mod slots;
mod subscriptions;
mod sweep;
mod templates;
mod verify;

pub use backup::{BackupError, Manifest, Restored, restorable, restore};
pub use entry::{Entry, LedgerKey, LedgerMark};
pub use error::{LedgerError, StoreError};
pub use index::Adopted;
pub use journal::{Journal, JournalSettings, Recalled};
pub use ledger::{Ledger, LedgerSettings};
pub use look::{Looked, look};
pub use prove::{Proof, Record, Trace, Traces, traces};
pub use rotate::KeyStatus;
pub use shapes::{Added, Change, ListFilter, NewSubscription, Page, Place, Settings, Summary, UnreadablePlace};
pub use subscriptions::Store;
pub use verify::Verified;

#[cfg(test)]
mod erasure_tests;
#[cfg(test)]
mod interrupted_tests;
#[cfg(test)]
mod journal_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod template_tests;
#[cfg(test)]
mod tests;
