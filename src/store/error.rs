//! Why the store does not do as asked. A variant is what a caller would do differently.

use std::{io, path::PathBuf};

use crate::{
    domain::{SubscriptionId, TopicName},
    fanout::TemplateRefused,
    private_file::PrivateFileError,
};

/// Why a call on the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such subscription.
    #[error("there is no subscription {id}")]
    NoSuchSubscription {
        /// The id that was asked for.
        id: SubscriptionId,
    },
    /// Templates are not changed as asked.
    #[error(transparent)]
    Template(#[from] TemplateRefused),
    /// The new webhook is subscribed to the topic already.
    #[error("the robot of that webhook is subscribed to {topic} already, as {by}: update or remove that one")]
    RobotTaken {
        /// The topic.
        topic: TopicName,
        /// The other subscription.
        by: SubscriptionId,
    },
    /// The store was made with another master key.
    #[error("the store {dir} was sealed with another master key: set key.file to the one it was made with")]
    WrongKey {
        /// The store.
        dir: PathBuf,
    },
    /// Its folder is not private.
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
    /// Another version of roomcast has written the store.
    #[error(
        "the store {dir} is of format {found}, and this roomcast knows formats up to {known}: use the newer one that wrote it; nothing was changed"
    )]
    Newer {
        /// The store.
        dir: PathBuf,
        /// Its format.
        found: u8,
        /// The newest format that is known here.
        known: u8,
    },
    /// The master key is being changed to another than the one that was named, or is that one already.
    #[error("the master key cannot be rotated: {why}")]
    Rotation {
        /// Why not.
        why: &'static str,
    },
    /// There is no room for a change.
    #[error("the disk of the store {dir} is full: nothing was changed; make room and try again")]
    Full {
        /// The store.
        dir: PathBuf,
    },
    /// What is on the disk is not what was written.
    #[error("the store {dir} is damaged: {what}; restore it from a backup, nothing was changed")]
    Damaged {
        /// The store.
        dir: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// One record is not what was written. The others are not concerned.
    #[error(
        "subscription {id} is damaged: {what}; give it its webhook again (`roomcast subscription update {id} --endpoint-file -`), or restore the store from a backup"
    )]
    DamagedRecord {
        /// The subscription.
        id: SubscriptionId,
        /// What is wrong.
        what: String,
    },
    /// The disk does not do as asked.
    #[error("the store {dir} cannot be {verb}")]
    Disk {
        /// The store.
        dir: PathBuf,
        /// `opened`, `read` or `written`.
        verb: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// Whether it is the disk or its owner that has to be asked: there is no room, or we may not.
    #[must_use]
    pub fn is_refused_by_disk(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match self {
            Self::Full { .. } => true,
            Self::Disk { source, .. } => {
                matches!(
                    source.kind(),
                    FileTooLarge | PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull
                )
            }
            _ => false,
        }
    }
}

/// Why the ledger does not do as asked.
#[derive(Debug, thiserror::Error)]
#[error("the ledger {path} cannot be {verb}")]
pub struct LedgerError {
    /// The file or folder.
    pub path: PathBuf,
    /// `opened` or `written`.
    pub verb: &'static str,
    /// Why.
    #[source]
    pub source: io::Error,
}
