//! What is kept on disk: subscriptions, the slots of their data keys, templates, the ledger. The only room that names sled.
//!
//! | file | what it holds | how it is written |
//! | --- | --- | --- |
//! | `db/` | subscriptions, sealed; templates (sled) | in an order that a crash may cut anywhere, flush, `sync_data` |
//! | `slots` | wrapped data keys, 128 bytes each | in place, `sync_data` |
//! | `keyring` | which master key opens the store, during a rotation which two | in place, in two copies, `sync_all` |
//! | `removed` | ids of what was removed, for restorations | appended, `sync_data` |
//! | `ledger/` | what is settled | appended, `sync_data`; old segments are deleted |
//! | `journal/` | what robots are sent, slots, holds, months | appended, `sync_data` with the ledger |
//! | `lock` | nothing; who has it locked owns the folder | |
//!
//! Success is reported after the bytes are synced, never before. sled blocks on the disk: calls that may do so say it.

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
