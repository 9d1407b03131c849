//! The slot file: one wrapped data key for each subscription, in slots of fixed size that are overwritten in place.
//!
//! It lies beside sled because sled is a log: what is deleted from that stays readable in its files. Erasing a slot is what makes a deletion
//! real. The file begins with a header of one sector; slots are 128 bytes, so none straddles a sector and each is written whole or not at all.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
};

use super::{StoreError, lock::sync_folder};
use crate::crypto::{Binding, KeyId, WRAPPED_BYTES, WrappedKey};

const MAGIC: &[u8; 16] = b"roomcast slots 1";
const HEADER_BYTES: u64 = 512;
const SLOT_BYTES: usize = 128;
/// The file grows by this many slots at a time, written out as zeros, so that overwriting one never has to find room.
const GROWTH: usize = 512;

/// What a slot holds.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    /// Whose key it is, and which.
    pub(super) binding: Binding,
    /// Under which master key it is wrapped.
    pub(super) key: KeyId,
    /// The key.
    pub(super) wrapped: WrappedKey,
}

/// What the slots hold, in memory: whoever opens a record looks here and never waits for the disk.
#[derive(Clone, Default)]
pub(super) struct SlotTable(Arc<RwLock<Vec<Option<Slot>>>>);

impl SlotTable {
    /// What a slot holds, if it is that record's key of that generation.
    pub(super) fn find(&self, wanted: &Binding) -> Option<Slot> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let slot = (*held.get(usize::try_from(wanted.slot).ok()?)?)?;
        let same = slot.binding.record == wanted.record && slot.binding.generation == wanted.generation;
        same.then_some(slot)
    }

    /// Whether a slot of this number exists in the file, erased or not.
    pub(super) fn reaches(&self, at: u32) -> bool {
        usize::try_from(at).is_ok_and(|at| at < self.held().len())
    }

    /// To whom the held keys belong.
    pub(super) fn bindings(&self) -> Vec<Binding> {
        self.held().iter().flatten().map(|slot| slot.binding).collect()
    }

    fn set(&self, at: u32, slot: Option<Slot>) {
        let mut held = self.held();
        if let Some(place) = usize::try_from(at).ok().and_then(|at| held.get_mut(at)) {
            *place = slot;
        }
    }

    fn held(&self) -> RwLockWriteGuard<'_, Vec<Option<Slot>>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The open slot file.
pub(super) struct Slots {
    file: File,
    table: SlotTable,
    free: Vec<u32>,
}

impl Slots {
    /// Opens the file. `must_exist` says that records name slots in it, so that a missing file is damage and not a beginning.
    pub(super) fn open(dir: &Path, must_exist: bool) -> Result<Self, StoreError> {
        let path = dir.join("slots");
        let damaged = |what: String| StoreError::Damaged { dir: dir.to_owned(), what };
        let failed = |source| StoreError::Disk { dir: dir.to_owned(), verb: "opened", source };
        if must_exist && !path.exists() {
            return Err(damaged("the file slots, which holds the keys of its subscriptions, is missing".to_owned()));
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        if length < HEADER_BYTES {
            if must_exist {
                return Err(damaged("the file slots is cut short".to_owned()));
            }
            begin(&file, dir).map_err(failed)?;
        }
        let mut magic = [0; MAGIC.len()];
        file.read_exact_at(&mut magic, 0).map_err(failed)?;
        if &magic != MAGIC {
            return Err(damaged("the file slots does not begin as one of this version does".to_owned()));
        }
        let mut slots = Self { file, table: SlotTable::default(), free: Vec::new() };
        slots.read_all(length.max(HEADER_BYTES)).map_err(failed)?.map_err(damaged)?;
        Ok(slots)
    }

    fn read_all(&mut self, length: u64) -> io::Result<Result<(), String>> {
        let count = usize::try_from((length - HEADER_BYTES) / SLOT_BYTES as u64).unwrap_or(usize::MAX);
        let mut bytes = vec![0; count.saturating_mul(SLOT_BYTES)];
        self.file.read_exact_at(&mut bytes, HEADER_BYTES)?;
        let mut held = self.table.held();
        for (at, slot) in bytes.chunks_exact(SLOT_BYTES).enumerate() {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            match decode(at, slot) {
                Ok(slot) => held.push(slot),
                Err(what) => return Ok(Err(what)),
            }
        }
        // The lowest are taken first.
        self.free = (0..).zip(held.iter()).filter(|(_, slot)| slot.is_none()).map(|(at, _)| at).collect();
        self.free.reverse();
        Ok(Ok(()))
    }

    /// Takes a free slot out of the free ones; it is given back by [`Slots::release`].
    pub(super) fn take(&mut self) -> io::Result<u32> {
        if self.free.is_empty() {
            self.grow()?;
        }
        self.free.pop().ok_or_else(|| io::Error::other("the slot file is full"))
    }

    /// Writes a slot; durable when it returns.
    pub(super) fn write(&mut self, slot: &Slot) -> io::Result<()> {
        self.overwrite(slot.binding.slot, &encode(slot))?;
        self.table.set(slot.binding.slot, Some(*slot));
        Ok(())
    }

    /// Overwrites a slot with zeros; durable when it returns. It is not used again before [`Slots::release`].
    pub(super) fn erase(&self, at: u32) -> io::Result<()> {
        // In memory the key is gone at once: whatever becomes of the disk, nothing more is sent with it.
        self.table.set(at, None);
        self.overwrite(at, &[0; SLOT_BYTES])
    }

    /// Frees an erased slot that no record on the disk names any more.
    pub(super) fn release(&mut self, at: u32) {
        self.free.push(at);
    }

    /// What the slots hold.
    pub(super) fn table(&self) -> SlotTable {
        self.table.clone()
    }

    fn grow(&mut self) -> io::Result<()> {
        let first = self.table.held().len();
        let zeros = vec![0; GROWTH * SLOT_BYTES];
        self.file.write_all_at(&zeros, offset(u32::try_from(first).map_err(io::Error::other)?))?;
        self.file.sync_all()?;
        self.table.held().resize(first + GROWTH, None);
        let new = first..first + GROWTH;
        self.free.extend(new.rev().filter_map(|at| u32::try_from(at).ok()));
        Ok(())
    }

    fn overwrite(&self, at: u32, bytes: &[u8; SLOT_BYTES]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset(at))?;
        self.file.sync_data()
    }
}

fn begin(file: &File, dir: &Path) -> io::Result<()> {
    let mut header = [0; HEADER_BYTES as usize];
    header.iter_mut().zip(MAGIC).for_each(|(to, from)| *to = *from);
    file.write_all_at(&header, 0)?;
    file.sync_all()?;
    sync_folder(dir)
}

fn offset(at: u32) -> u64 {
    HEADER_BYTES + u64::from(at) * SLOT_BYTES as u64
}

/// generation 8 · record 16 · master key id 8 · wrapped key 72 · CRC 4 · zeros.
fn encode(slot: &Slot) -> [u8; SLOT_BYTES] {
    let parts: [&[u8]; 4] =
        [&slot.binding.generation.to_be_bytes(), &slot.binding.record, &slot.key.0, &slot.wrapped.0];
    let content = parts.concat();
    let check = crc32fast::hash(&content).to_be_bytes();
    let mut bytes = [0; SLOT_BYTES];
    bytes.iter_mut().zip(content.iter().chain(&check)).for_each(|(to, from)| *to = *from);
    bytes
}

fn decode(at: u32, bytes: &[u8]) -> Result<Option<Slot>, String> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let read = || {
        let (generation, rest) = bytes.split_first_chunk::<8>()?;
        let (record, rest) = rest.split_first_chunk::<16>()?;
        let (key, rest) = rest.split_first_chunk::<8>()?;
        let (wrapped, rest) = rest.split_first_chunk::<WRAPPED_BYTES>()?;
        let (check, _) = rest.split_first_chunk::<4>()?;
        let content = bytes.get(..8 + 16 + 8 + WRAPPED_BYTES)?;
        (crc32fast::hash(content) == u32::from_be_bytes(*check)).then_some(Slot {
            binding: Binding { record: *record, slot: at, generation: u64::from_be_bytes(*generation) },
            key: KeyId(*key),
            wrapped: WrappedKey(*wrapped),
        })
    };
    read().map(Some).ok_or_else(|| format!("slot {at} in the file slots does not pass its check sum"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(at: u32, byte: u8) -> Slot {
        Slot {
            binding: Binding { record: [byte; 16], slot: at, generation: u64::from(byte) },
            key: KeyId([1; 8]),
            wrapped: WrappedKey([byte; WRAPPED_BYTES]),
        }
    }

    #[test]
    fn what_was_written_is_there_after_reopening_and_what_was_erased_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut slots = Slots::open(dir.path(), false).unwrap();
        let (a, b) = (slots.take().unwrap(), slots.take().unwrap());
        slots.write(&slot(a, 0xaa)).unwrap();
        slots.write(&slot(b, 0xbb)).unwrap();
        slots.erase(a).unwrap();
        slots.release(a);
        drop(slots);
        let bytes = std::fs::read(dir.path().join("slots")).unwrap();
        assert!(!bytes.windows(8).any(|window| window == [0xaa; 8]));
        let mut slots = Slots::open(dir.path(), true).unwrap();
        assert!(slots.table().find(&slot(a, 0xaa).binding).is_none());
        assert!(slots.table().find(&slot(b, 0xbb).binding).is_some());
        assert!(slots.table().find(&slot(b, 0xba).binding).is_none());
        assert_eq!(slots.take().unwrap(), a, "an erased slot is used again");
    }

    #[test]
    fn the_file_grows_when_it_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let mut slots = Slots::open(dir.path(), false).unwrap();
        let taken: std::collections::HashSet<_> = (0..GROWTH * 2 + 1).map(|_| slots.take().unwrap()).collect();
        assert_eq!(taken.len(), GROWTH * 2 + 1);
        assert!(slots.table().reaches(u32::try_from(GROWTH * 3 - 1).unwrap()));
        assert!(!slots.table().reaches(u32::try_from(GROWTH * 3).unwrap()));
    }

    #[test]
    fn a_changed_byte_and_a_missing_or_foreign_file_are_damage() {
        let dir = tempfile::tempdir().unwrap();
        let mut slots = Slots::open(dir.path(), false).unwrap();
        let at = slots.take().unwrap();
        slots.write(&slot(at, 0xaa)).unwrap();
        drop(slots);
        let path = dir.path().join("slots");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[usize::try_from(offset(at)).unwrap() + 40] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(Slots::open(dir.path(), true), Err(StoreError::Damaged { .. })));
        std::fs::write(&path, [7; 1024]).unwrap();
        assert!(matches!(Slots::open(dir.path(), true), Err(StoreError::Damaged { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(Slots::open(dir.path(), true), Err(StoreError::Damaged { .. })));
    }
}
