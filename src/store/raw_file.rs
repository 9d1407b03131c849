//! Opens a file of a store to read its raw bytes, while another process may use the store.
//!
//! Owns that no link is followed and no pipe blocks.
//!
//! Not here: what the bytes mean (`key_slots.rs`, `keyring.rs`, `erasure_audit.rs`).

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::OFlags;

/// Opens a file without following a link and without blocking on a pipe.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags).map_err(io::Error::other)?)
        .open(path)
}
