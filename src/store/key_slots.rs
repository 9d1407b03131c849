//! The slot file: one wrapped data key for each subscription, in slots of a fixed size.
//!
//! It is not in sled, because sled is a log whose files keep deleted values. Slots are overwritten
//! in place, so erasing a slot makes a deletion real. The header has one sector: magic 16 bytes,
//! number of slots 4. A slot has 128 bytes and never straddles a sector, so a crash leaves it
//! whole.
//!
//! Owns which slots are free, the epochs, and how many damaged slots a store may have.
//!
//! Not here: the format of a slot (`key_slot.rs`), reading keys (`key_slots/table.rs`), when slots
//! are written and erased (`write.rs`).

mod table;
#[cfg(test)]
mod tests;

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use self::table::{HEADER_BYTES, UNKNOWN, number, offset};
pub(super) use self::table::{KeySlotTable, RUN};
use super::{
    StoreError,
    key_slot::{KeySlot, KeySlotContent, SLOT_BYTES, encode},
    lock::sync_folder,
    row::SubscriptionRow,
};

/// The damage of a file that lost slots.
pub(super) const TOO_SHORT: &str = "the file slots is shorter than its subscriptions need";

/// The version whose slots have no epoch, and the current version.
const MAGICS: [&[u8; 16]; 2] = [b"roomcast slots 1", b"roomcast slots 2"];
/// The file grows by an eighth, within these bounds, in slots. The new slots are written as zeros,
/// so that overwriting a slot never needs free space.
const GROWTH_MIN: usize = 512;
const GROWTH_MAX: usize = 16_384;
/// The number of changes after which a new epoch begins. It bounds the rows that a start checks.
const CHANGES_IN_EPOCH: usize = 4096;
/// The number of failed reads that count as damage while a daemon may be writing the slot.
const CHECKS: usize = 5;

/// The maximum number of damaged slots. Each one costs its own subscription. With more of them, the
/// file counts as damaged and the store does not open.
const DAMAGED_MAX: usize = 16;

/// The open slot file, for the holder of the writer lock.
pub(super) struct KeySlots {
    table: KeySlotTable,
    free: Vec<u32>,
    epoch: u32,
    changes: usize,
    /// A change failed, so the state on the disk is unknown. The epoch does not end, and the next
    /// start checks all of it.
    unsettled: bool,
}

/// A slot, and the record whose key it contains.
#[derive(Clone, Copy)]
pub(super) struct NamedSlot {
    /// Its number.
    pub(super) at: u32,
    /// The id of the record.
    pub(super) record: [u8; 16],
}

impl NamedSlot {
    /// The slot that a row names.
    pub(super) fn of(row: &SubscriptionRow) -> Self {
        Self { at: row.slot, record: *row.id.as_bytes() }
    }
}

/// A slot with its content.
pub(super) struct FoundSlot {
    /// Its number.
    pub(super) at: u32,
    /// Its content.
    pub(super) content: KeySlotContent,
}

/// The slot file after opening.
pub(super) struct OpenedKeySlots {
    pub(super) slots: KeySlots,
    /// The slots of the last epoch, whose changes a crash may have interrupted.
    pub(super) recent: Vec<FoundSlot>,
    /// The number of slots with a wrong check sum.
    pub(super) damaged: usize,
    /// Whether the slots of the file have no epoch.
    pub(super) first_version: bool,
}

impl KeySlots {
    /// Opens the file. `must_exist` means that rows name its slots, so that a missing file is
    /// damage.
    pub(super) fn open(dir: &Path, must_exist: bool) -> Result<OpenedKeySlots, StoreError> {
        let path = dir.join("slots");
        let damaged = |what: String| StoreError::Damaged { dir: dir.to_owned(), what };
        let failed = |source| StoreError::Disk { dir: dir.to_owned(), verb: "opened", source };
        if must_exist && !path.exists() {
            return Err(Self::missing(dir));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        if length < HEADER_BYTES {
            if must_exist {
                return Err(damaged("the file slots is cut short".to_owned()));
            }
            begin(&file).and_then(|()| sync_folder(dir)).map_err(failed)?;
        }
        Self::read(dir, file)
    }

    pub(super) fn missing(dir: &Path) -> StoreError {
        let what =
            "the file slots, which holds the keys of its subscriptions, is missing".to_owned();
        StoreError::Damaged { dir: dir.to_owned(), what }
    }

    /// Whether the file exists with its header; an error if it is not readable. Changes nothing.
    pub(super) fn inspect(dir: &Path) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Disk { dir: dir.to_owned(), verb: "opened", source };
        let file = match OpenOptions::new().read(true).write(true).open(dir.join("slots")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened.map_err(failed)?,
        };
        let is_begun = file.metadata().map_err(failed)?.len() >= HEADER_BYTES;
        if is_begun { Self::read(dir, file).map(|_| true) } else { Ok(false) }
    }

    /// Checks that the file exists and that every slot has its right check sum. Needs no lock,
    /// follows no link, changes nothing.
    pub(super) fn check(dir: &Path) -> Result<(), StoreError> {
        let path = dir.join("slots");
        let read = || {
            let failed = |source| StoreError::Disk { dir: dir.to_owned(), verb: "opened", source };
            let file = super::raw_file::open(&path).map_err(failed)?;
            if file.metadata().map_err(failed)?.len() < HEADER_BYTES {
                let what = "the file slots is cut short".to_owned();
                return Err(StoreError::Damaged { dir: dir.to_owned(), what });
            }
            match Self::read(dir, file)?.damaged {
                0 => Ok(()),
                // The owner of the key in such a slot is unknown.
                count => {
                    let what = format!(
                        "{count} slots in the file slots do not pass their check sums, \
                         and each may hold any key"
                    );
                    Err(StoreError::Damaged { dir: dir.to_owned(), what })
                }
            }
        };
        let mut checked = read();
        for _ in 1..CHECKS {
            // A running daemon may have been writing a slot. It is done at the next read.
            if matches!(checked, Err(StoreError::Damaged { .. })) {
                checked = read();
            }
        }
        checked
    }

    fn read(dir: &Path, file: File) -> Result<OpenedKeySlots, StoreError> {
        let damaged = |what: String| StoreError::Damaged { dir: dir.to_owned(), what };
        let failed = |source| StoreError::Disk { dir: dir.to_owned(), verb: "opened", source };
        let length = file.metadata().map_err(failed)?.len();
        let mut magic = [0; 16];
        file.read_exact_at(&mut magic, 0).map_err(failed)?;
        let Some(version) = MAGICS.iter().position(|one| **one == magic) else {
            return Err(damaged(
                "the file slots does not begin as one of this version does".to_owned(),
            ));
        };
        let count = (length.max(HEADER_BYTES) - HEADER_BYTES) / SLOT_BYTES as u64;
        let mut named = [0; 4];
        file.read_exact_at(&mut named, magic.len() as u64).map_err(failed)?;
        if count < u64::from(u32::from_be_bytes(named)) {
            return Err(damaged(TOO_SHORT.to_owned()));
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let table = KeySlotTable::new(file, count);
        let mut slots = Self { table, free: Vec::new(), epoch: 0, changes: 0, unsettled: false };
        let mut damages = Vec::new();
        let recent = slots.read_all(count, &mut damages).map_err(failed)?;
        if let Some(first) = damages.first().filter(|_| damages.len() > DAMAGED_MAX) {
            return Err(damaged(format!(
                "{first}, and {} others do not either",
                damages.len() - 1
            )));
        }
        Ok(OpenedKeySlots { slots, recent, damaged: damages.len(), first_version: version == 0 })
    }

    /// Reads every slot and returns those of the last epoch. Appends a text to `damages` for each
    /// damaged one.
    fn read_all(&mut self, count: usize, damages: &mut Vec<String>) -> io::Result<Vec<FoundSlot>> {
        let mut recent = Vec::new();
        for first in (0..count).step_by(RUN) {
            for FoundSlot { at, content } in self.table.run(first)? {
                let (generation, epoch) = match &content {
                    KeySlotContent::Empty => (0, None),
                    KeySlotContent::Erased { epoch, .. } => (0, Some(*epoch)),
                    KeySlotContent::Key(slot) => (slot.binding.generation, Some(slot.epoch)),
                    KeySlotContent::Damaged(what) => {
                        damages.push(what.clone());
                        (UNKNOWN, None)
                    }
                };
                if generation == 0 {
                    self.free.push(at);
                }
                self.table.set(at, generation);
                if epoch.is_some_and(|epoch| epoch > self.epoch) {
                    self.epoch = epoch.unwrap_or_default();
                    recent.clear();
                }
                if epoch.is_some_and(|epoch| epoch == self.epoch && epoch > 0) {
                    recent.push(FoundSlot { at, content });
                }
            }
        }
        // The lowest numbers are taken first.
        self.free.reverse();
        Ok(recent)
    }

    /// The epoch that is being written, or the newest one in the file after opening.
    pub(super) const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Begins an epoch. The changes of all earlier epochs are whole on the disk.
    pub(super) fn begin_epoch(&mut self, epoch: u32) -> io::Result<()> {
        (self.epoch, self.changes) = (epoch, 0);
        self.write_header()
    }

    /// Writes the version and the minimum number of slots, by which a truncated file is detected.
    fn write_header(&self) -> io::Result<()> {
        let header = [MAGICS[1].as_slice(), &number(self.table.len())?.to_be_bytes()].concat();
        self.table.file().write_all_at(&header, 0)?;
        self.table.file().sync_data()
    }

    /// Takes free slots. [`KeySlots::release`] returns them.
    pub(super) fn take(&mut self, count: usize) -> io::Result<Vec<u32>> {
        while self.free.len() < count {
            self.grow()?;
        }
        let mut taken = self.free.split_off(self.free.len() - count);
        taken.reverse();
        Ok(taken)
    }

    /// Writes slots in the current epoch; durable when it returns.
    pub(super) fn write(&mut self, slots: &[KeySlot]) -> io::Result<()> {
        for slot in slots {
            let slot = KeySlot { epoch: self.epoch, ..*slot };
            self.table.put(slot.binding.slot, slot.binding.generation, &encode(&slot))?;
        }
        self.sync()
    }

    /// Overwrites slots with the same keys, wrapped differently; durable when it returns. Their
    /// epochs stay.
    pub(super) fn rewrite(&mut self, slots: &[KeySlot]) -> io::Result<()> {
        for slot in slots {
            self.table.put(slot.binding.slot, slot.binding.generation, &encode(slot))?;
        }
        self.sync()
    }

    /// Writes slots from a backup at their old numbers, and grows the file as needed; durable when
    /// it returns.
    pub(super) fn put_back(&mut self, slots: &[KeySlot]) -> io::Result<()> {
        let last = slots.iter().map(|slot| slot.binding.slot).max().unwrap_or_default();
        while number(self.table.len())? <= last {
            self.grow()?;
        }
        self.rewrite(slots)
    }

    /// Overwrites slots, which destroys their keys; durable when it returns. [`KeySlots::release`]
    /// frees them.
    pub(super) fn erase(&mut self, slots: &[NamedSlot]) -> io::Result<()> {
        // In memory they are gone first. So even if the disk fails, no message is sent with these
        // keys.
        slots.iter().for_each(|slot| self.table.set(slot.at, 0));
        for NamedSlot { at, record } in slots {
            self.table.put(*at, 0, &super::key_slot::erased(*record, self.epoch))?;
        }
        self.sync()
    }

    /// Frees erased slots that no row on the disk names any more.
    pub(super) fn release(&mut self, slots: impl IntoIterator<Item = u32>) {
        self.free.extend(slots);
    }

    /// Counts changes that are whole on the disk. Returns whether a new epoch is due.
    pub(super) fn settled(&mut self, changes: usize) -> bool {
        self.changes += changes;
        self.changes >= CHANGES_IN_EPOCH && !self.unsettled
    }

    /// Records that a change failed midway, so that the next start checks its slots.
    pub(super) fn mark_uncertain(&mut self) {
        self.unsettled = true;
    }

    /// The table for readers.
    pub(super) fn table(&self) -> KeySlotTable {
        self.table.clone()
    }

    fn grow(&mut self) -> io::Result<()> {
        let first = self.table.len();
        let growth = (first / 8).clamp(GROWTH_MIN, GROWTH_MAX);
        let new = number(first)?..number(first + growth)?;
        self.table.file().write_all_at(&vec![0; growth * SLOT_BYTES], offset(new.start))?;
        self.table.file().sync_all()?;
        self.table.resize(first + growth);
        self.write_header()?;
        // Before the other free slots, so that the new ones are taken last.
        self.free.splice(0..0, new.rev());
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.table.file().sync_data()
    }
}

fn begin(file: &File) -> io::Result<()> {
    let mut header = [0; HEADER_BYTES as usize];
    header.iter_mut().zip(MAGICS[1]).for_each(|(to, from)| *to = *from);
    file.write_all_at(&header, 0)?;
    file.sync_all()
}
