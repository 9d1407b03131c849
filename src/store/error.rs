//! The errors of the store and of the ledger.
//!
//! Owns the classification: two failures are two variants only if a caller reacts differently to
//! them.
//!
//! Not here: the errors of backups (`backup.rs`).

use std::{io, path::PathBuf};

use crate::{
    domain::{SubscriptionId, TopicName},
    fanout::TemplateError,
    private_file::PrivateFileError,
};

/// Why a call of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The subscription does not exist.
    #[error("there is no subscription {id}")]
    NoSuchSubscription {
        /// The requested id.
        id: SubscriptionId,
    },
    /// The templates reject the change.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The robot of the new webhook is subscribed to the topic already.
    #[error(
        "the robot of that webhook is subscribed to {topic} already, as {by}: update or remove that one"
    )]
    RobotTaken {
        /// The topic.
        topic: TopicName,
        /// The other subscription.
        by: SubscriptionId,
    },
    /// The store was sealed with another master key.
    #[error(
        "the store {dir} was sealed with another master key: set key.file to the one it was made with"
    )]
    WrongKey {
        /// The store.
        dir: PathBuf,
    },
    /// The folder of the store is not private.
    #[error(transparent)]
    Exposed(#[from] PrivateFileError),
    /// Another process has the store open.
    #[error(
        "the store {dir} is in use by another process: stop it, or talk to it through its admin socket (admin.socket)"
    )]
    Locked {
        /// The store.
        dir: PathBuf,
    },
    /// A newer version of roomcast wrote the store.
    #[error(
        "the store {dir} is of format {found}, and this roomcast knows formats up to {known}: use the newer one that wrote it; nothing was changed"
    )]
    Newer {
        /// The store.
        dir: PathBuf,
        /// The format of the store.
        found: u8,
        /// The newest format that this version knows.
        known: u8,
    },
    /// A rotation to another master key is in progress, or the key is the current one already.
    #[error("the master key cannot be rotated: {why}")]
    Rotation {
        /// The reason.
        why: &'static str,
    },
    /// The disk does not have enough free space for a change.
    #[error("the disk of the store {dir} is full: make room and try again")]
    Full {
        /// The store.
        dir: PathBuf,
    },
    /// The files of the store are damaged.
    #[error("the store {dir} is damaged: {what}; restore it from a backup")]
    Damaged {
        /// The store.
        dir: PathBuf,
        /// The damage.
        what: String,
    },
    /// One record is damaged; the others are intact.
    #[error(
        "subscription {id} is damaged: {what}; give it its webhook again (`roomcast subscription update {id} --endpoint-file -`), or restore the store from a backup"
    )]
    DamagedRecord {
        /// The subscription.
        id: SubscriptionId,
        /// The damage.
        what: String,
    },
    /// The disk returned an error.
    #[error("the store {dir} cannot be {verb}")]
    Disk {
        /// The store.
        dir: PathBuf,
        /// `opened`, `read` or `written`.
        verb: &'static str,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// Whether the operator has to fix the disk: it is full or read-only, or a permission is
    /// missing.
    #[must_use]
    pub fn is_refused_by_disk(&self) -> bool {
        use io::ErrorKind::{
            FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
        };
        match self {
            Self::Full { .. } => true,
            Self::Disk { source, .. } => {
                matches!(
                    source.kind(),
                    FileTooLarge
                        | PermissionDenied
                        | QuotaExceeded
                        | ReadOnlyFilesystem
                        | StorageFull
                )
            }
            _ => false,
        }
    }
}

/// Why a call of the ledger failed.
#[derive(Debug, thiserror::Error)]
#[error("the ledger {path} cannot be {verb}")]
pub struct LedgerError {
    /// The file or folder.
    pub path: PathBuf,
    /// `opened` or `written`.
    pub verb: &'static str,
    /// The error of the operating system.
    #[source]
    pub source: io::Error,
}
