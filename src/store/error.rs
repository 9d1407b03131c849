//! The errors of the store, of the ledger and of the history.
//!
//! Owns the classification: two failures are two variants only if a caller reacts differently to
//! them.
//!
//! Not here: the errors of backups (`backup.rs`), and what operators learn of an error
//! (`admin/ports/failure.rs`).

use std::{io, path::PathBuf};

use crate::{admin::ports::StoreRefusal, fanout::TemplateError, private_file::PrivateFileError};

/// Why a call of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The request does not fit the content of the store.
    #[error(transparent)]
    Refused(#[from] StoreRefusal),
    /// The store was sealed with another master key.
    #[error(
        "the store {dir} was sealed with another master key: \
         set key.file to the one it was made with"
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
        "the store {dir} is in use by another process: \
         stop it, or talk to it through its admin socket (admin.socket)"
    )]
    Locked {
        /// The store.
        dir: PathBuf,
    },
    /// A newer version of roomcast wrote the store.
    #[error(
        "the store {dir} is of format {found}, and this roomcast knows formats up to {known}: \
         use the newer one that wrote it; nothing was changed"
    )]
    Newer {
        /// The store.
        dir: PathBuf,
        /// The format of the store.
        found: u8,
        /// The newest format that this version knows.
        known: u8,
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

impl From<TemplateError> for StoreError {
    fn from(error: TemplateError) -> Self {
        Self::Refused(error.into())
    }
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

/// Why a call of the history failed.
#[derive(Debug, thiserror::Error)]
#[error("the history {path} cannot be {verb}")]
pub struct HistoryError {
    /// The folder.
    pub path: PathBuf,
    /// `opened`, `read`, `written` or `deleted`.
    pub verb: &'static str,
    /// The error of the operating system.
    #[source]
    pub source: io::Error,
}
