//! The free space of a disk.
//!
//! Owns the number of free bytes below which the store is not changed.
//!
//! Not here: what a caller does then (`engine.rs`, `history.rs`).

use std::path::Path;

/// The free space below which nothing is changed, in bytes: sled cannot undo an incomplete write.
pub(super) const FREE_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// The free bytes of the disk with this folder; `None` if the system does not say.
pub(super) fn free_bytes(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}
