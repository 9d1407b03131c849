//! Which key each slot holds, in memory, and the file. Owns that an erased key is gone at once for everybody who reads.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{
    crypto::Binding,
    store::slot::{Content, SLOT_BYTES, Slot, decode},
};

/// Before the slots.
pub(super) const HEADER_BYTES: u64 = 512;
/// So many slots are read at a time.
pub(in crate::store) const RUN: usize = 1024;

/// Which key each slot holds, in memory, and the file: whoever opens a record asks here.
#[derive(Clone)]
pub(in crate::store) struct SlotTable(Arc<Shared>);

/// The generation of a key in a slot that does not pass its check sum: whose it was is not known,
/// so it counts as held, and never opens.
pub(super) const UNKNOWN: u64 = u64::MAX;

struct Shared {
    file: File,
    /// The generation of the key that each slot holds; zero for a slot without a key, [`UNKNOWN`]
    /// for one that is damaged. What is not here is not read from the file,
    /// so an erased key is gone at once, whatever becomes of the disk. Held while a slot is read or written.
    generations: RwLock<Vec<u64>>,
}

impl SlotTable {
    /// A table of so many slots of that file, none of which holds a key as far as is known.
    pub(super) fn new(file: File, slots: usize) -> Self {
        Self(Arc::new(Shared { file, generations: RwLock::new(vec![0; slots]) }))
    }

    /// What a slot holds, if it is that record's key of that generation. A slot that should hold it
    /// and does not is damaged: an error of the kind [`io::ErrorKind::Other`], which no disk gives.
    pub(in crate::store) fn find(&self, wanted: &Binding) -> io::Result<Option<Slot>> {
        let held = self.read_lock();
        if !holds(&held, wanted) {
            return Ok(None);
        }
        let mut bytes = [0; SLOT_BYTES];
        self.0.file.read_exact_at(&mut bytes, offset(wanted.slot))?;
        match decode(wanted.slot, &bytes).map_err(io::Error::other)? {
            Content::Key(slot) if slot.binding == *wanted => Ok(Some(slot)),
            _ => Err(io::Error::other(format!(
                "slot {} in the file slots does not hold the key that was written",
                wanted.slot
            ))),
        }
    }

    /// Whether a slot holds a key of that generation; asks only the memory.
    pub(in crate::store) fn holds(&self, wanted: &Binding) -> bool {
        holds(&self.read_lock(), wanted)
    }

    /// How many slots the file has, erased or not.
    pub(in crate::store) fn len(&self) -> usize {
        self.read_lock().len()
    }

    /// How many of them hold a key.
    pub(in crate::store) fn keys(&self) -> usize {
        self.read_lock().iter().filter(|generation| **generation != 0).count()
    }

    /// What up to [`RUN`] slots hold, beginning with that one.
    pub(in crate::store) fn run(&self, first: usize) -> io::Result<Vec<(u32, Content)>> {
        let held = self.read_lock();
        let count = held.len().saturating_sub(first).min(RUN);
        let mut bytes = vec![0; count * SLOT_BYTES];
        self.0.file.read_exact_at(&mut bytes, offset(number(first)?))?;
        let numbered = (first..).zip(bytes.chunks_exact(SLOT_BYTES));
        numbered
            .map(|(at, slot)| {
                let at = number(at)?;
                Ok((at, decode(at, slot).unwrap_or_else(Content::Damaged)))
            })
            .collect()
    }

    /// The file, for the one who changes it.
    pub(super) fn file(&self) -> &File {
        &self.0.file
    }

    /// The file has so many slots now.
    pub(super) fn resize(&self, slots: usize) {
        self.write_lock().resize(slots, 0);
    }

    /// A slot holds a key of that generation, or none.
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
    wanted.generation != 0 && held.get(at).is_some_and(|held| *held == wanted.generation || *held == UNKNOWN)
}

pub(super) fn number(at: usize) -> io::Result<u32> {
    u32::try_from(at).map_err(io::Error::other)
}

pub(super) fn offset(at: u32) -> u64 {
    HEADER_BYTES + u64::from(at) * SLOT_BYTES as u64
}
