//! The list of removed subscriptions, so that an older backup does not restore them.
//!
//! Magic 16 bytes · for each removal: id 16 · time in milliseconds 8. An id tells nothing about its
//! subscription.
//!
//! Owns the format. A partial entry at the end was never acknowledged and is dropped.
//!
//! Not here: when an id is appended (`write.rs`), how a restoration uses the list (`backup.rs`).

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::domain::{SubscriptionId, Timestamp};

const MAGIC: &[u8; 16] = b"roomcast removed";
const ENTRY_BYTES: usize = 24;

/// The open list.
pub(super) struct Tombstones {
    file: File,
}

impl Tombstones {
    /// Opens the list, or creates it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let length = file.metadata()?.len();
        let whole =
            length.saturating_sub(MAGIC.len() as u64) / ENTRY_BYTES as u64 * ENTRY_BYTES as u64;
        if length < MAGIC.len() as u64 {
            file.set_len(0)?;
            file.write_all(MAGIC)?;
            file.sync_all()?;
        } else {
            file.set_len(MAGIC.len() as u64 + whole)?;
        }
        Ok(Self { file })
    }

    /// Appends ids; durable when it returns.
    pub(super) fn append(
        &mut self,
        ids: impl Iterator<Item = SubscriptionId>,
        at: Timestamp,
    ) -> io::Result<()> {
        let at = at.unix_millis().to_be_bytes();
        let bytes: Vec<u8> = ids.flat_map(|id| [id.as_bytes().as_slice(), &at].concat()).collect();
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // An entry behind a partial entry would be unreadable.
            let _ = self.file.set_len(before);
        }
        written
    }
}

/// The ids on a list.
pub(super) fn read(path: &Path) -> io::Result<HashSet<SubscriptionId>> {
    let bytes = fs::read(path)?;
    let entries = bytes.strip_prefix(MAGIC).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "it is not a list of removed subscriptions, such as the one in store.dir",
        )
    })?;
    let ids = entries.chunks_exact(ENTRY_BYTES).filter_map(|entry| entry.first_chunk::<16>());
    Ok(ids.map(|id| SubscriptionId::from_bytes(*id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_back_and_half_an_entry_at_its_end_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("removed");
        let ids = [1, 2, 3].map(|byte| SubscriptionId::from_bytes([byte; 16]));
        Tombstones::open(&path)
            .unwrap()
            .append(ids[..2].iter().copied(), Timestamp::from_unix_millis(1))
            .unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, [bytes.as_slice(), &[9; 10]].concat()).unwrap();
        assert_eq!(read(&path).unwrap().len(), 2);
        Tombstones::open(&path)
            .unwrap()
            .append(ids[2..].iter().copied(), Timestamp::from_unix_millis(2))
            .unwrap();
        assert_eq!(read(&path).unwrap(), ids.into_iter().collect());
        fs::write(&path, b"something else").unwrap();
        assert!(read(&path).is_err());
    }
}
