//! The keys in the slot file, for readers: an index in memory, and the file.
//!
//! Owns the rule that every reader loses an erased key at once, even if the disk fails.
//!
//! Not here: which slots are free (`key_slots.rs`), the format of a slot (`key_slot.rs`).

use std::{
    fs::File,
    io::{self, IoSliceMut},
    os::unix::fs::FileExt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError},
};

use rustix::io::{Errno, ReadWriteFlags, preadv2};

use crate::{
    crypto::Binding,
    store::{
        key_slot::{KeySlot, KeySlotContent, SLOT_BYTES, decode},
        key_slots::FoundSlot,
    },
};

/// The size of the header, in bytes.
pub(super) const HEADER_BYTES: u64 = 512;
/// The number of slots that are read at a time.
pub(in crate::store) const RUN: usize = 1024;

/// The keys in the slot file. Every opening of a record reads its key here.
#[derive(Clone)]
pub(in crate::store) struct KeySlotTable(Arc<SlotTableInner>);

/// The generation of a damaged slot. The owner of its key is unknown, so the slot counts as used
/// and never opens.
pub(super) const UNKNOWN: u64 = u64::MAX;

struct SlotTableInner {
    file: File,
    /// The generation of the key in each slot: zero for a slot without a key, [`UNKNOWN`] for a
    /// damaged one. A key whose generation is missing here is not read from the file. Locked during
    /// each read and write of a slot.
    generations: RwLock<Vec<u64>>,
}

impl KeySlotTable {
    /// A table of `slots` slots in that file, without keys so far.
    pub(super) fn new(file: File, slots: usize) -> Self {
        Self(Arc::new(SlotTableInner { file, generations: RwLock::new(vec![0; slots]) }))
    }

    /// The slot with that key, or `None` if the key is erased. May wait for the disk.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Other`], which a disk never returns, if the slot is damaged or has another
    /// key.
    pub(in crate::store) fn find(&self, wanted: &Binding) -> io::Result<Option<KeySlot>> {
        let held = self.read_lock();
        Self::find_with(&held, wanted, |bytes, at| self.0.file.read_exact_at(bytes, at))
    }

    /// The same without a wait.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if the slot is not in the page cache, or is being written.
    pub(in crate::store) fn find_cached(&self, wanted: &Binding) -> io::Result<Option<KeySlot>> {
        let held = match self.0.generations.try_read() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
        };
        Self::find_with(&held, wanted, |bytes, at| {
            let mut parts = [IoSliceMut::new(bytes)];
            match preadv2(&self.0.file, &mut parts, at, ReadWriteFlags::NOWAIT) {
                Ok(SLOT_BYTES) => Ok(()),
                // A part is in the cache, or the file system does not tell.
                Ok(_) | Err(Errno::OPNOTSUPP) => Err(io::ErrorKind::WouldBlock.into()),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn find_with(
        held: &[u64],
        wanted: &Binding,
        read: impl FnOnce(&mut [u8], u64) -> io::Result<()>,
    ) -> io::Result<Option<KeySlot>> {
        if !holds(held, wanted) {
            return Ok(None);
        }
        let mut bytes = [0; SLOT_BYTES];
        read(&mut bytes, offset(wanted.slot))?;
        match decode(wanted.slot, &bytes).map_err(io::Error::other)? {
            KeySlotContent::Key(slot) if slot.binding == *wanted => Ok(Some(slot)),
            _ => Err(io::Error::other(format!(
                "slot {} in the file slots does not hold the key that was written",
                wanted.slot
            ))),
        }
    }

    /// Whether a slot has a key of that generation. Reads only the memory.
    pub(in crate::store) fn holds(&self, wanted: &Binding) -> bool {
        holds(&self.read_lock(), wanted)
    }

    /// The number of slots in the file, used or not.
    pub(in crate::store) fn len(&self) -> usize {
        self.read_lock().len()
    }

    /// The number of slots with a key.
    pub(in crate::store) fn keys(&self) -> usize {
        self.read_lock().iter().filter(|generation| **generation != 0).count()
    }

    /// The content of up to [`RUN`] slots, from slot `first` on.
    pub(in crate::store) fn run(&self, first: usize) -> io::Result<Vec<FoundSlot>> {
        let held = self.read_lock();
        let count = held.len().saturating_sub(first).min(RUN);
        let mut bytes = vec![0; count * SLOT_BYTES];
        self.0.file.read_exact_at(&mut bytes, offset(number(first)?))?;
        let numbered = (first..).zip(bytes.chunks_exact(SLOT_BYTES));
        numbered
            .map(|(at, slot)| {
                let at = number(at)?;
                let content = decode(at, slot).unwrap_or_else(KeySlotContent::Damaged);
                Ok(FoundSlot { at, content })
            })
            .collect()
    }

    /// The file, for the holder of the writer lock.
    pub(super) fn file(&self) -> &File {
        &self.0.file
    }

    /// Sets the number of slots after the file has grown.
    pub(super) fn resize(&self, slots: usize) {
        self.write_lock().resize(slots, 0);
    }

    /// Sets the generation of a slot in memory; zero if it has no key.
    pub(super) fn set(&self, at: u32, generation: u64) {
        let mut held = self.write_lock();
        if let Some(place) = usize::try_from(at).ok().and_then(|at| held.get_mut(at)) {
            *place = generation;
        }
    }

    /// Overwrites a slot. Durable after a sync of the file.
    pub(super) fn put(&self, at: u32, generation: u64, bytes: &[u8; SLOT_BYTES]) -> io::Result<()> {
        let mut held = self.write_lock();
        self.0.file.write_all_at(bytes, offset(at))?;
        if let Some(place) = usize::try_from(at).ok().and_then(|at| held.get_mut(at)) {
            *place = generation;
        }
        Ok(())
    }

    fn read_lock(&self) -> RwLockReadGuard<'_, Vec<u64>> {
        self.0.generations.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_lock(&self) -> RwLockWriteGuard<'_, Vec<u64>> {
        self.0.generations.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn holds(held: &[u64], wanted: &Binding) -> bool {
    let at = usize::try_from(wanted.slot).unwrap_or(usize::MAX);
    wanted.generation != 0
        && held.get(at).is_some_and(|held| *held == wanted.generation || *held == UNKNOWN)
}

pub(super) fn number(at: usize) -> io::Result<u32> {
    u32::try_from(at).map_err(io::Error::other)
}

pub(super) fn offset(at: u32) -> u64 {
    HEADER_BYTES + u64::from(at) * SLOT_BYTES as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_must_not_wait_is_told_so_while_a_slot_is_written() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(HEADER_BYTES + SLOT_BYTES as u64).unwrap();
        let table = KeySlotTable::new(file, 1);
        table.set(0, 7);
        let wanted = Binding { record: [1; 16], slot: 0, generation: 7 };
        let writing = table.write_lock();
        let refused = table.find_cached(&wanted).err().map(|error| error.kind());
        assert_eq!(refused, Some(io::ErrorKind::WouldBlock));
        drop(writing);
        table.set(0, 0);
        assert!(table.find_cached(&wanted).unwrap().is_none(), "an erased key needs no disk");
    }
}
