//! The ports through which operators change and read a store.
//!
//! Owns the list of ports that the API and the command line need, and with them what a store must
//! promise to operators. Each promise has a test in `store/conformance/`.
//!
//! Not here: the ports of the delivery path (`fanout/subscriptions.rs`, `settle/ledger.rs`,
//! `pace/pace_log.rs`), and the implementation (`store/ports.rs`).

mod failure;
mod keys;
mod maintenance;
mod subscriptions;
mod templates;
mod test_message;

pub use failure::{StoreFailure, StoreRefusal};
pub use keys::{KeyStatus, KeyStore};
pub use maintenance::{BackupSummary, StoreMaintenance, Verified};
pub use subscriptions::{DecryptedPage, SubscriptionStore};
pub use templates::TemplateStore;
pub use test_message::{SubscriptionTest, TestFailure, TestOutcome};

/// A store with everything that operators need.
pub trait AdminStore: SubscriptionStore + TemplateStore + KeyStore + StoreMaintenance {}

impl<S: SubscriptionStore + TemplateStore + KeyStore + StoreMaintenance> AdminStore for S {}
