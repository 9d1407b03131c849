//! What is kept on disk: subscriptions, the slots of their data keys, the ledger. The only room that names sled.
//!
//! | file | what it holds | how it is written |
//! | --- | --- | --- |
//! | `db/` | subscriptions, sealed (sled) | transaction, flush, `sync_data` |
//! | `slots` | wrapped data keys, 128 bytes each | in place, `sync_data` |
//! | `ledger/` | what is settled | appended, `sync_data`; old segments are deleted |
//! | `journal/` | what robots are sent, slots, holds, months | appended, `sync_data` with the ledger |
//! | `lock` | nothing; who has it locked owns the folder | |
//!
//! Success is reported after the bytes are synced, never before. sled blocks on the disk: calls that may do so say it.

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
mod mask;
mod note;
mod opening;
mod options;
mod record;
mod rotate;
mod row;
mod segment;
mod shapes;
mod slot;
mod slots;
mod subscriptions;

pub use entry::{Entry, LedgerKey};
pub use error::{LedgerError, StoreError};
pub use index::Adopted;
pub use journal::{Journal, JournalSettings, Recalled};
pub use ledger::{Ledger, LedgerSettings};
pub use rotate::KeyStatus;
pub use shapes::{Added, Change, ListFilter, NewSubscription, Page, Place, Settings, Summary, UnreadablePlace};
pub use subscriptions::Store;

#[cfg(test)]
mod tests;
