//! The key ring: the master key that opens the store, or both keys during a rotation.
//!
//! The file has two sectors, each with a copy. One is overwritten and synced, then the other.
//! Layout of a copy, in bytes: magic 16 · sequence 8 · state 1 · key: id 8, check 16, robot key 104
//! · (during a rotation: the same of the new key · new key under the old 72 · old key under the new
//! 72) · zeros · CRC 4.
//!
//! Owns two rules: one copy is whole at any time, and an old state is gone from the disk once a new
//! one is valid. It is not in sled, because sled would keep the wrapped master keys of a past
//! rotation.
//!
//! Not here: the steps of a rotation (`rotate.rs`), the wrapping of keys (`crypto/`).

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{StoreError, lock::sync_folder};
use crate::crypto::{
    KeyCheck, KeyId, Keys, MasterKey, UnsealError, WRAPPED_BYTES, WRAPPED_MASTER_BYTES,
    WRAPPED_ROBOT_BYTES,
};

const MAGIC: &[u8; 16] = b"roomcast keys 02";
const COPY_BYTES: usize = 512;
const CHECKED_BYTES: usize = COPY_BYTES - 4;
const ENTRY_BYTES: usize = 8 + 16 + WRAPPED_ROBOT_BYTES;

/// The valid master keys, opened.
#[derive(Clone)]
pub(super) struct Ring {
    /// New records are sealed under this key.
    pub(super) current: Keys,
    /// During a rotation, the key that is replaced.
    pub(super) old: Option<Keys>,
}

impl Ring {
    /// The keys of that master key, if it is valid.
    pub(super) fn of(&self, id: KeyId) -> Option<&Keys> {
        [Some(&self.current), self.old.as_ref()].into_iter().flatten().find(|keys| keys.id() == id)
    }
}

/// The result of opening the key ring.
pub(super) struct OpenedKeyring {
    pub(super) file: Keyring,
    pub(super) ring: Ring,
    /// During a rotation, whether the new key opened the store. Then the new key is in its final
    /// place.
    pub(super) by_new: bool,
}

/// The open file.
pub(super) struct Keyring {
    file: File,
    dir: PathBuf,
    sequence: u64,
    /// The newest master key, which is wrapped under the next one.
    master: MasterKey,
}

impl Keyring {
    /// Whether the key ring exists.
    pub(super) fn exists(dir: &Path) -> bool {
        dir.join("keyring").exists()
    }

    /// Creates the key ring of a new store.
    pub(super) fn create(dir: &Path, master: &MasterKey) -> Result<OpenedKeyring, StoreError> {
        let path = dir.join("keyring");
        let new = dir.join("keyring.new");
        let failed = |source| StoreError::Disk { dir: dir.to_owned(), verb: "written", source };
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new);
        let keys = Keys::derive(master);
        let mut ring = Self {
            file: made.map_err(failed)?,
            dir: dir.to_owned(),
            sequence: 0,
            master: master.clone(),
        };
        ring.write(&entry(&keys).map_err(|_| ring.damaged())?, &[])?;
        std::fs::rename(&new, &path).and_then(|()| sync_folder(dir)).map_err(failed)?;
        Ok(OpenedKeyring { file: ring, ring: Ring { current: keys, old: None }, by_new: false })
    }

    /// Opens the key ring with a valid master key, and repairs a copy that a crash left incomplete.
    pub(super) fn open(dir: &Path, master: &MasterKey) -> Result<OpenedKeyring, StoreError> {
        let (opened, torn) = Self::read_open(dir, master)?;
        if let Some(whole) = torn {
            opened.file.write_copies(&whole)?;
        }
        Ok(opened)
    }

    /// Checks that the key ring exists and that one copy is whole. Needs no master key, follows no
    /// link, changes nothing.
    pub(super) fn is_whole(dir: &Path) -> Result<(), StoreError> {
        let failed = |source| StoreError::Disk { dir: dir.to_owned(), verb: "opened", source };
        let file = super::raw_file::open(&dir.join("keyring")).map_err(failed)?;
        let whole = [0, 1]
            .into_iter()
            .any(|at| copy(&file, at).is_some_and(|(_, copy)| KeyringEntries::of(&copy).is_some()));
        if whole { Ok(()) } else { Err(damaged(dir)) }
    }

    /// Checks that a master key is valid. Changes nothing.
    pub(super) fn inspect(dir: &Path, master: &MasterKey) -> Result<(), StoreError> {
        Self::read_open(dir, master).map(|_| ())
    }

    /// The open key ring, and its newer copy if the two copies differ.
    fn read_open(
        dir: &Path,
        master: &MasterKey,
    ) -> Result<(OpenedKeyring, Option<[u8; COPY_BYTES]>), StoreError> {
        let failed = |source| StoreError::Disk { dir: dir.to_owned(), verb: "opened", source };
        let file =
            OpenOptions::new().read(true).write(true).open(dir.join("keyring")).map_err(failed)?;
        let mut ring = Self { file, dir: dir.to_owned(), sequence: 0, master: master.clone() };
        let mut whole: Vec<_> = [0, 1].into_iter().filter_map(|at| copy(&ring.file, at)).collect();
        whole.sort_by_key(|(sequence, _)| *sequence);
        let (sequence, copy) = whole.pop().ok_or_else(|| ring.damaged())?;
        // A crash may have come between the two writes.
        let torn = whole.first().is_none_or(|(other, _)| *other != sequence).then_some(copy);
        ring.sequence = sequence;
        let keys = Keys::derive(master);
        let parts = KeyringEntries::of(&copy).ok_or_else(|| ring.damaged())?;
        let wrong = || StoreError::WrongKey { dir: dir.to_owned() };
        let opened = match parts.other {
            None if matches(parts.first, &keys) => {
                named(&keys, parts.first).map(|keys| (keys, None, false))
            }
            Some((second, new_under_old, _)) if matches(parts.first, &keys) => {
                open_both(&keys, new_under_old).and_then(|new| {
                    Ok((named(&new, second)?, Some(named(&keys, parts.first)?), false))
                })
            }
            Some((second, _, old_under_new)) if matches(second, &keys) => {
                open_both(&keys, old_under_new).and_then(|old| {
                    Ok((named(&keys, second)?, Some(named(&old, parts.first)?), true))
                })
            }
            _ => return Err(wrong()),
        };
        let (current, old, by_new) = opened.map_err(|_| ring.damaged())?;
        if old.is_some() && !by_new {
            // The newest key is the one wrapped under this key.
            let wrapped = parts.other.map(|(_, new_under_old, _)| new_under_old);
            let new = wrapped
                .and_then(|wrapped| keys.unwrap_master(wrapped).ok())
                .ok_or_else(|| ring.damaged())?;
            ring.master = new;
        }
        Ok((OpenedKeyring { file: ring, ring: Ring { current, old }, by_new }, torn))
    }

    /// Adds a second valid key; durable when it returns.
    pub(super) fn begin_rotation(
        &mut self,
        ring: &Ring,
        new: &MasterKey,
    ) -> Result<Ring, StoreError> {
        let old_keys = ring.current.clone();
        let new_keys = Keys::derive(new).with_robot_key(old_keys.robot_key());
        let both = || {
            let wrapped =
                [old_keys.wrap_master(new)?, new_keys.wrap_master(&self.master)?].concat();
            Ok::<_, UnsealError>((entry(&old_keys)?, [entry(&new_keys)?, wrapped].concat()))
        };
        let (first, more) = both().map_err(|_| self.damaged())?;
        self.write(&first, &more)?;
        self.master = new.clone();
        Ok(Ring { current: new_keys, old: Some(old_keys) })
    }

    /// Removes the old key; durable when it returns.
    pub(super) fn end_rotation(&mut self, ring: &Ring) -> Result<Ring, StoreError> {
        let first = entry(&ring.current).map_err(|_| self.damaged())?;
        self.write(&first, &[])?;
        Ok(Ring { current: ring.current.clone(), old: None })
    }

    fn write(&mut self, first: &[u8], more: &[u8]) -> Result<(), StoreError> {
        self.sequence += 1;
        let state = u8::from(!more.is_empty());
        let content =
            [MAGIC.as_slice(), &self.sequence.to_be_bytes(), &[state], first, more].concat();
        let mut bytes = [0; COPY_BYTES];
        bytes.iter_mut().take(CHECKED_BYTES).zip(&content).for_each(|(to, from)| *to = *from);
        let check =
            bytes.first_chunk::<CHECKED_BYTES>().map_or(0, |content| crc32fast::hash(content));
        bytes
            .iter_mut()
            .skip(CHECKED_BYTES)
            .zip(check.to_be_bytes())
            .for_each(|(to, from)| *to = from);
        self.write_copies(&bytes)
    }

    fn write_copies(&self, bytes: &[u8; COPY_BYTES]) -> Result<(), StoreError> {
        let failed = |source| StoreError::Disk { dir: self.dir.clone(), verb: "written", source };
        for copy in [0, 1] {
            self.file
                .write_all_at(bytes, copy * COPY_BYTES as u64)
                .and_then(|()| self.file.sync_all())
                .map_err(failed)?;
        }
        Ok(())
    }

    fn damaged(&self) -> StoreError {
        damaged(&self.dir)
    }
}

/// The copy at index `at` (0 or 1) with its sequence, if it is whole.
fn copy(file: &File, at: u64) -> Option<(u64, [u8; COPY_BYTES])> {
    let mut bytes = [0; COPY_BYTES];
    file.read_exact_at(&mut bytes, at * COPY_BYTES as u64).ok()?;
    let (content, check) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(content) != u32::from_be_bytes(*check) {
        return None;
    }
    let (sequence, _) = content.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*sequence), bytes))
}

fn damaged(dir: &Path) -> StoreError {
    StoreError::Damaged {
        dir: dir.to_owned(),
        what: "the file keyring cannot be read by this version".to_owned(),
    }
}

/// The part of a copy that describes one master key.
type KeyringEntry = [u8; ENTRY_BYTES];

struct KeyringEntries<'a> {
    first: &'a KeyringEntry,
    other:
        Option<(&'a KeyringEntry, &'a [u8; WRAPPED_MASTER_BYTES], &'a [u8; WRAPPED_MASTER_BYTES])>,
}

impl<'a> KeyringEntries<'a> {
    fn of(copy: &'a [u8; COPY_BYTES]) -> Option<Self> {
        let content = copy.get(MAGIC.len() + 8..)?;
        let (&state, rest) = content.split_first()?;
        let (first, rest) = rest.split_first_chunk()?;
        let other = match state {
            0 => None,
            1 => {
                let (second, rest) = rest.split_first_chunk()?;
                let (new_under_old, rest) = rest.split_first_chunk()?;
                Some((second, new_under_old, rest.first_chunk()?))
            }
            _ => return None,
        };
        Some(Self { first, other })
    }
}

fn entry(keys: &Keys) -> Result<Vec<u8>, UnsealError> {
    let parts: [&[u8]; 3] = [&keys.id().0, &keys.check().0, &keys.wrap_robot_key()?];
    Ok(parts.concat())
}

fn matches(entry: &KeyringEntry, keys: &Keys) -> bool {
    let found = entry.get(8..24).and_then(|check| check.try_into().ok()).map(KeyCheck);
    found == Some(keys.check())
}

fn named(keys: &Keys, entry: &KeyringEntry) -> Result<Keys, UnsealError> {
    let wrapped = entry.last_chunk::<WRAPPED_ROBOT_BYTES>().ok_or(UnsealError)?;
    let robots = keys.unwrap_robot_key(wrapped)?;
    Ok(keys.clone().with_robot_key(robots))
}

fn open_both(keys: &Keys, other: &[u8; WRAPPED_MASTER_BYTES]) -> Result<Keys, UnsealError> {
    keys.unwrap_master(other).map(|other| Keys::derive(&other))
}

/// Both keys fit into one sector.
const _: () = assert!(16 + 8 + 1 + 2 * ENTRY_BYTES + 2 * WRAPPED_MASTER_BYTES <= CHECKED_BYTES);
/// A wrapped data key and a wrapped master key have the same size. Their labels tell them apart.
const _: () = assert!(WRAPPED_BYTES == WRAPPED_MASTER_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    fn master(byte: u8) -> MasterKey {
        MasterKey::from_bytes([byte; 32])
    }

    fn tries(dir: &Path) -> [bool; 3] {
        [1, 2, 3].map(|byte| Keyring::open(dir, &master(byte)).is_ok())
    }

    #[test]
    fn before_a_rotation_the_old_key_opens_during_it_both_and_after_it_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut opened = Keyring::create(dir.path(), &master(1)).unwrap();
        assert_eq!(tries(dir.path()), [true, false, false]);
        let ring = opened.file.begin_rotation(&opened.ring, &master(2)).unwrap();
        assert_eq!(tries(dir.path()), [true, true, false]);
        let by_old = Keyring::open(dir.path(), &master(1)).unwrap();
        let by_new = Keyring::open(dir.path(), &master(2)).unwrap();
        assert!(!by_old.by_new && by_new.by_new);
        assert_eq!(by_old.ring.current.id(), by_new.ring.current.id());
        let endpoint = crate::domain::Endpoint::new("https://a/1".to_owned());
        let robot = Keys::derive(&master(1)).robot_id(&endpoint);
        assert_eq!(by_new.ring.current.robot_id(&endpoint), robot, "a robot keeps its name");
        opened.file.end_rotation(&ring).unwrap();
        assert_eq!(tries(dir.path()), [false, true, false]);
        let after = Keyring::open(dir.path(), &master(2)).unwrap();
        assert_eq!(after.ring.current.robot_id(&endpoint), robot);
        assert_eq!(
            std::fs::metadata(dir.path().join("keyring")).unwrap().len(),
            2 * COPY_BYTES as u64
        );
    }

    #[test]
    fn one_broken_copy_does_no_harm_and_two_are_damage() {
        let dir = tempfile::tempdir().unwrap();
        Keyring::create(dir.path(), &master(1)).unwrap();
        let path = dir.path().join("keyring");
        let good = std::fs::read(&path).unwrap();
        for broken in [0..COPY_BYTES, COPY_BYTES..2 * COPY_BYTES] {
            let mut bytes = good.clone();
            bytes[broken].fill(7);
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(tries(dir.path()), [true, false, false]);
        }
        std::fs::write(&path, [7; 1024]).unwrap();
        assert!(matches!(Keyring::open(dir.path(), &master(1)), Err(StoreError::Damaged { .. })));
    }
}
