//! The lock on the store's folder.
//!
//! Owns the rule that one process at most has the store open. The kernel releases the lock when the
//! process dies.
//!
//! Not here: the locks within the process (`subscriptions.rs`).

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use super::StoreError;
use crate::private_file::{self, PrivateFileError};

/// Held while the store is open.
pub(super) struct Lock {
    _file: File,
}

/// Locks the folder. Creates it with mode 0700 if it is missing.
pub(super) fn take(dir: &Path) -> Result<Lock, StoreError> {
    let failed = |source| StoreError::Disk { dir: dir.to_owned(), verb: "opened", source };
    if !dir.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    }
    private(dir)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join("lock"))
        .map_err(failed)?;
    locked(file, dir)
}

/// Locks the folder if its lock file exists, and creates nothing.
pub(super) fn take_if_there(dir: &Path) -> Result<Option<Lock>, StoreError> {
    private(dir)?;
    match OpenOptions::new().write(true).open(dir.join("lock")) {
        Ok(file) => locked(file, dir).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::Disk { dir: dir.to_owned(), verb: "opened", source }),
    }
}

/// Checks that only the owner has access. If this cannot be checked, opening the store fails.
fn private(dir: &Path) -> Result<(), StoreError> {
    match private_file::check_folder("the store", dir) {
        Err(PrivateFileError::Io { source, .. }) => {
            Err(StoreError::Disk { dir: dir.to_owned(), verb: "opened", source })
        }
        checked => Ok(checked?),
    }
}

fn locked(file: File, dir: &Path) -> Result<Lock, StoreError> {
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::Locked { dir: dir.to_owned() }),
        Err(fs::TryLockError::Error(source)) => {
            Err(StoreError::Disk { dir: dir.to_owned(), verb: "opened", source })
        }
    }
}

/// Makes a new or renamed file of this folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
