//! The key of the texts in the history.
//!
//! The file `history.key` has it wrapped under the master key. Layout in bytes: magic 16 · id of
//! the master key 8 · wrapped key 72 · CRC 4.
//!
//! Owns that no text opens after the key was destroyed, and that a rotation of the master key keeps
//! the texts readable: the file is rewritten before the old master key is dropped.
//!
//! Not here: the texts (`history_row.rs`), and the steps of a rotation (`rotate.rs`).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{
    StoreError,
    keyring::Ring,
    lock::sync_folder,
    subscriptions::{Store, StoreInner},
};
use crate::crypto::{
    Binding, DataKey, KeyId, Keys, SealedRecord, UnsealError, WRAPPED_BYTES, WrappedKey,
};

const MAGIC: &[u8; 16] = b"roomcast texts 1";
const CHECKED_BYTES: usize = MAGIC.len() + 8 + WRAPPED_BYTES;
const FILE_BYTES: usize = CHECKED_BYTES + 4;
/// The place to which the key and the texts are bound.
const PLACE: Binding = Binding { record: *b"roomcast history", slot: 0, generation: 0 };

/// Seals and opens the texts of the history.
pub struct HistoryTextKey(DataKey);

impl HistoryTextKey {
    #[cfg(test)]
    pub(super) fn generate() -> Self {
        Self(DataKey::generate())
    }

    /// Seals the text of an event. The text opens for this event alone.
    pub(super) fn seal(&self, event: &str, text: &str) -> Option<Vec<u8>> {
        let sealed = self.0.seal(&PLACE, event.as_bytes(), text.as_bytes());
        sealed.ok().map(|SealedRecord(bytes)| bytes)
    }

    /// Opens the text of an event; `None` with another key.
    pub(super) fn open(&self, event: &str, sealed: Vec<u8>) -> Option<String> {
        let plain = self.0.open(&PLACE, event.as_bytes(), &SealedRecord(sealed)).ok()?;
        String::from_utf8(plain.to_vec()).ok()
    }
}

impl Store {
    /// The key of the texts in the history. It is made if there is none, or if it does not open:
    /// earlier texts are then erased. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// The disk returned an error.
    pub fn history_text_key(&self) -> Result<HistoryTextKey, StoreError> {
        let open = &self.0;
        // A rotation holds this lock while it rewrites the file.
        let _writer = open.writer();
        let (ring, path) = (open.ring.load_full(), path(&open.dir));
        match read(&path, &ring).map_err(|source| open.text_key_failed("read", source))? {
            Some((_, key)) => Ok(HistoryTextKey(key)),
            None => {
                let key = DataKey::generate();
                open.write_text_key(&ring.current, &key)?;
                Ok(HistoryTextKey(key))
            }
        }
    }

    /// Destroys that key, if there is one: no text in the history opens any more. Durable when it
    /// returns. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// The disk returned an error.
    pub fn destroy_history_text_key(&self) -> Result<(), StoreError> {
        let _writer = self.0.writer();
        let destroyed = destroy(&path(&self.0.dir)).and_then(|()| sync_folder(&self.0.dir));
        destroyed.map_err(|source| self.0.text_key_failed("written", source))
    }
}

impl StoreInner {
    /// Wraps the key under the current master key, if it is wrapped under the old one; durable when
    /// it returns. The caller holds the writer's lock.
    pub(super) fn rewrap_text_key(&self, ring: &Ring) -> Result<(), StoreError> {
        let found = read(&path(&self.dir), ring);
        match found.map_err(|source| self.text_key_failed("read", source))? {
            Some((id, key)) if id != ring.current.id() => self.write_text_key(&ring.current, &key),
            _ => Ok(()),
        }
    }

    fn write_text_key(&self, keys: &Keys, key: &DataKey) -> Result<(), StoreError> {
        let written = encoded(keys, key)
            .map_err(io::Error::other)
            .and_then(|bytes| replace(&self.dir, &bytes));
        written.map_err(|source| self.text_key_failed("written", source))
    }

    fn text_key_failed(&self, verb: &'static str, source: io::Error) -> StoreError {
        StoreError::Disk { dir: self.dir.clone(), verb, source }
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("history.key")
}

fn encoded(keys: &Keys, key: &DataKey) -> Result<Vec<u8>, UnsealError> {
    let (KeyId(id), WrappedKey(wrapped)) = (keys.id(), keys.wrap(&PLACE, key)?);
    let mut bytes = [MAGIC.as_slice(), &id, &wrapped].concat();
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    Ok(bytes)
}

/// The key, and the id of the master key that opens it; `None` if there is no whole file, or if no
/// valid master key opens it.
fn read(path: &Path, ring: &Ring) -> io::Result<Option<(KeyId, DataKey)>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let opened = decoded(&bytes).and_then(|(id, wrapped)| {
        let key = ring.of(id)?.unwrap_key(&PLACE, &wrapped).ok()?;
        Some((id, key))
    });
    if opened.is_none() {
        tracing::warn!(
            path = %path.display(),
            "the key of the history's texts does not open; earlier texts cannot be read any more"
        );
    }
    Ok(opened)
}

fn decoded(bytes: &[u8]) -> Option<(KeyId, WrappedKey)> {
    let whole: &[u8; FILE_BYTES] = bytes.try_into().ok()?;
    let (checked, check) = whole.split_first_chunk::<CHECKED_BYTES>()?;
    if crc32fast::hash(checked).to_be_bytes() != check {
        return None;
    }
    let (id, wrapped) = checked.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
    Some((KeyId(*id), WrappedKey(wrapped.try_into().ok()?)))
}

/// Replaces the file. A crash leaves the earlier or the new one; the earlier is then overwritten.
fn replace(dir: &Path, bytes: &[u8]) -> io::Result<()> {
    let (path, new) = (path(dir), dir.join("history.key.new"));
    let mut file =
        OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let earlier = OpenOptions::new().write(true).open(&path).ok();
    fs::rename(&new, &path)?;
    sync_folder(dir)?;
    earlier.map_or(Ok(()), |earlier| overwrite(&earlier))
}

fn destroy(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => overwrite(&file?)?,
    }
    fs::remove_file(path)
}

fn overwrite(file: &File) -> io::Result<()> {
    file.write_all_at(&[0; FILE_BYTES], 0)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Clock, crypto::MasterKey, store::StoreSettings};

    fn master(byte: u8) -> MasterKey {
        MasterKey::from_bytes([byte; 32])
    }

    fn store(dir: &Path, key: &MasterKey) -> Store {
        Store::open(&StoreSettings::at(dir.to_owned()), key, Clock::System).unwrap()
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        (folder, dir)
    }

    #[test]
    fn a_text_opens_for_its_event_alone_and_is_nowhere_in_plain() {
        let key = HistoryTextKey::generate();
        let sealed = key.seal("event-1", "TEXTMARKER").unwrap();
        assert!(!sealed.windows(10).any(|window| window == b"TEXTMARKER"));
        assert_eq!(key.open("event-1", sealed.clone()).as_deref(), Some("TEXTMARKER"));
        assert_eq!(key.open("event-2", sealed.clone()), None);
        assert_eq!(HistoryTextKey::generate().open("event-1", sealed), None);
    }

    #[test]
    fn the_next_process_opens_the_texts_and_no_process_does_after_the_key_was_destroyed() {
        let (_folder, dir) = folder();
        let sealed = store(&dir, &master(1)).history_text_key().unwrap().seal("e", "text");
        let sealed = sealed.unwrap();
        let again = store(&dir, &master(1));
        let key = again.history_text_key().unwrap();
        assert_eq!(key.open("e", sealed.clone()).as_deref(), Some("text"));
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(path(&dir)).unwrap());
        assert_eq!(mode & 0o777, 0o600);
        again.destroy_history_text_key().unwrap();
        assert!(!path(&dir).exists());
        again.destroy_history_text_key().unwrap();
        assert_eq!(again.history_text_key().unwrap().open("e", sealed), None);
    }

    #[test]
    fn a_rotation_of_the_master_key_keeps_the_texts_and_the_old_key_opens_none() {
        let (_folder, dir) = folder();
        let (old, new) = (master(1), master(2));
        let opened = store(&dir, &old);
        let sealed = opened.history_text_key().unwrap().seal("e", "text").unwrap();
        opened.begin_rotation(&new).unwrap();
        opened.rotate().unwrap();
        opened.replace_key_in_place().unwrap();
        assert_eq!(opened.key_status().old, None, "the rotation is done");
        let file = fs::read(path(&dir)).unwrap();
        let KeyId(id) = Keys::derive(&new).id();
        assert!(file.windows(8).any(|window| window == id), "it is wrapped under the new key");
        drop(opened);
        let key = store(&dir, &new).history_text_key().unwrap();
        assert_eq!(key.open("e", sealed).as_deref(), Some("text"));
    }

    #[test]
    fn a_damaged_file_costs_the_texts_and_not_the_history() {
        let (_folder, dir) = folder();
        let opened = store(&dir, &master(1));
        let sealed = opened.history_text_key().unwrap().seal("e", "text").unwrap();
        let whole = fs::read(path(&dir)).unwrap();
        for wrong in [&whole[..whole.len() - 1], &[], &[7; FILE_BYTES]] {
            fs::write(path(&dir), wrong).unwrap();
            let key = opened.history_text_key().unwrap();
            assert_eq!(key.open("e", sealed.clone()), None);
            assert_eq!(fs::read(path(&dir)).unwrap().len(), FILE_BYTES, "it is made anew");
        }
    }
}
