//! Opens a store: converts an older format and completes the changes that a crash interrupted.
//!
//! - format 1: rows by id, slots without epochs, the key's check value in the database. Step to 2:
//!   rows move to their topics, every row and slot is checked, a key ring is created.
//! - format 2: rows by topic, slots with epochs, a key ring. There is no step to 3.
//! - format 3: templates.
//!
//! Owns the decision whether a store is whole, damaged or too new. The next start repeats an
//! interrupted step. An unknown format is refused.
//!
//! Not here: the versions of rows and records (`row.rs`, `sealed_fields.rs`), which stay until they
//! are resealed.

use std::{fs, path::Path, sync::Arc};

use arc_swap::ArcSwap;

use super::{
    ListCursor, StoreError, StoreSettings,
    cache::PageCache,
    crash_points::CrashPoints,
    db::Db,
    engine::{EPOCH_WORD, FORMAT_WORD},
    key_slot::KeySlotContent,
    key_slots::{self, FoundSlot, KeySlots, NamedSlot},
    keyring::{self, Keyring, Ring},
    lock::{self, Lock},
    row::SubscriptionRow,
    subscriptions::{Store, StoreInner, StoreWriter},
    templates,
    tombstones::Tombstones,
    write::BATCH_SIZE_MAX,
};
use crate::{
    clock::Clock,
    crypto::{Keys, MasterKey},
    domain::SubscriptionId,
};

/// The format that is written.
pub(super) const FORMAT: u8 = 3;
/// The first format with epochs in the slots and with a key ring.
const EPOCHS: u8 = 2;
/// The maximum number of keys without a row after one crash: one batch, and the keys that it
/// replaces.
pub(super) const UNNAMED_MAX: usize = 2 * BATCH_SIZE_MAX;
/// The name of a marker file of a restored store. If it exists, a start checks every row and slot.
pub(super) const UNVERIFIED: &str = "unverified";

impl Store {
    /// Opens the store, or creates it in an empty or missing folder. Blocks on the disk.
    ///
    /// Completes the changes that a crash interrupted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`], [`StoreError::WrongKey`], [`StoreError::Newer`],
    /// [`StoreError::Damaged`] or [`StoreError::Disk`] if the store cannot be used as it is.
    pub fn open(
        settings: &StoreSettings,
        master: &MasterKey,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let dir = &settings.dir;
        let lock = lock::take(dir)?;
        let db = Db::open(dir)?;
        let format =
            db.engine().word(FORMAT_WORD)?.map(|word| word.first().copied().unwrap_or_default());
        if let Some(found) = format.filter(|found| *found > FORMAT) {
            return Err(StoreError::Newer { dir: dir.clone(), found, known: FORMAT });
        }
        let ring = open_ring(dir, &db, format, master)?;
        let found = KeySlots::open(dir, !db.is_empty()?)?;
        if found.damaged > 0 {
            let damaged = found.damaged;
            tracing::error!(
                damaged,
                "keys of the store are damaged; \
                 what is for their subscriptions becomes dead letters"
            );
        }
        let epoch = db
            .engine()
            .word(EPOCH_WORD)?
            .and_then(|word| word.try_into().ok())
            .map_or(0, u32::from_be_bytes);
        let keys = found.slots.table().keys();
        if found.slots.epoch() > epoch || (format.is_none() && keys > 0) {
            // If sled cannot read its last writes, it opens as if they had never happened.
            return Err(db.damaged("its database has lost its last writes"));
        }
        let thorough = found.first_version
            || format.is_none_or(|found| found < EPOCHS)
            || dir.join(UNVERIFIED).exists();
        let removed = Tombstones::open(&dir.join("removed"));
        let removed = removed.map_err(|source| StoreError::Disk {
            dir: dir.clone(),
            verb: "opened",
            source,
        })?;
        let open = assemble(
            dir,
            clock,
            db,
            ring.ring,
            StoreWriter { slots: found.slots, keyring: ring.file, removed },
            ring.by_new,
            lock,
        )?;
        if format == Some(1) {
            tracing::info!("bringing the store from format 1 to format {FORMAT}");
            while open.db.migrate(1024)? > 0 {}
        }
        if thorough {
            open.look_at_everything()?;
        } else {
            open.look_at(found.recent)?;
        }
        open.begin_epoch(&mut open.writer(), epoch + 1)?;
        if format != Some(FORMAT) {
            open.db.engine().set_word(FORMAT_WORD, &[FORMAT])?;
        }
        if thorough {
            remove_if_there(&dir.join(UNVERIFIED)).map_err(|source| open.unwritten(source))?;
        }
        Ok(Self(Arc::new(open)))
    }
}

fn open_ring(
    dir: &Path,
    db: &Db,
    format: Option<u8>,
    master: &MasterKey,
) -> Result<keyring::OpenedKeyring, StoreError> {
    if Keyring::exists(dir) {
        return Keyring::open(dir, master);
    }
    if format.is_some_and(|found| found >= EPOCHS) {
        return Err(db.damaged("the file keyring is missing"));
    }
    let check = db.engine().word("key check")?;
    if check.is_some_and(|check| check != Keys::derive(master).check().0) {
        return Err(StoreError::WrongKey { dir: dir.to_owned() });
    }
    Keyring::create(dir, master)
}

fn assemble(
    dir: &Path,
    clock: Clock,
    db: Db,
    ring: Ring,
    writer: StoreWriter,
    by_new: bool,
    lock: Lock,
) -> Result<StoreInner, StoreError> {
    let table = writer.slots.table();
    Ok(StoreInner {
        dir: dir.to_owned(),
        clock,
        rotation: super::rotation_progress::Rotation::new(by_new),
        registry: templates::registry(&db)?,
        ring: ArcSwap::from_pointee(ring),
        db,
        writer: std::sync::Mutex::new(writer),
        table,
        cache: PageCache::default(),
        crash_points: CrashPoints::default(),
        _lock: lock,
    })
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl StoreInner {
    /// Completes the interrupted changes of the last epoch.
    fn look_at(&self, recent: Vec<FoundSlot>) -> Result<(), StoreError> {
        let (mut writer, mut unnamed, mut without_row) = (self.writer(), Vec::new(), Vec::new());
        for FoundSlot { at, content } in recent {
            let (KeySlotContent::Erased { record, .. }
            | KeySlotContent::Key(super::key_slot::KeySlot {
                binding: crate::crypto::Binding { record, .. },
                ..
            })) = &content
            else {
                continue;
            };
            let id = SubscriptionId::from_bytes(*record);
            let row = match self.db.look_up(id)? {
                // It is unknown which key this row names, so none is erased.
                Some(Err(_)) => continue,
                Some(Ok(row)) => Some(row),
                None => None,
            };
            match (&content, row) {
                (KeySlotContent::Key(slot), Some(row)) if row.binding() == slot.binding => {
                    self.db.finish(&row)?;
                    unnamed.extend(self.replaced(slot.replaced, *record)?);
                }
                (KeySlotContent::Key(_), Some(_)) => {
                    unnamed.push(NamedSlot { at, record: *record })
                }
                (KeySlotContent::Key(_), None) => {
                    unnamed.push(NamedSlot { at, record: *record });
                    without_row.push(id);
                }
                (_, Some(row)) => self.remove_without_key(&mut writer, Some(row))?,
                (_, None) => without_row.push(id),
            }
        }
        self.erase_unnamed(&mut writer, &unnamed)?;
        without_row.into_iter().try_for_each(|id| self.db.forget(id))
    }

    /// Completes the interrupted changes of all epochs.
    fn look_at_everything(&self) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let (mut named, mut unnamed) = (vec![false; self.table.len()], Vec::new());
        let mut after: Option<ListCursor> = None;
        loop {
            let rows = self.db.all(after.as_ref(), key_slots::RUN)?;
            let Some(last) = rows.last() else { break };
            after = Some(ListCursor::of(last));
            for row in rows {
                match named.get_mut(usize::try_from(row.slot).unwrap_or(usize::MAX)) {
                    None => {
                        return Err(self.db.damaged(key_slots::TOO_SHORT));
                    }
                    Some(place) if self.table.holds(&row.binding()) => *place = true,
                    Some(_) => self.remove_without_key(&mut writer, Some(row))?,
                }
            }
        }
        for first in (0..named.len()).step_by(key_slots::RUN) {
            for FoundSlot { at, content } in
                self.table.run(first).map_err(|source| self.unread(source))?
            {
                let is_named = named
                    .get(usize::try_from(at).unwrap_or(usize::MAX))
                    .copied()
                    .unwrap_or_default();
                if let KeySlotContent::Key(slot) = content
                    && !is_named
                {
                    unnamed.push(NamedSlot { at, record: slot.binding.record });
                }
            }
        }
        self.erase_unnamed(&mut writer, &unnamed)
    }

    fn remove_without_key(
        &self,
        writer: &mut StoreWriter,
        row: Option<SubscriptionRow>,
    ) -> Result<(), StoreError> {
        let Some(row) = row.filter(|row| !self.table.holds(&row.binding())) else { return Ok(()) };
        tracing::info!(subscription = %row.id, "finishing a removal that was interrupted");
        self.remove_rows(writer, &[row])
    }

    /// The slot of the record's previous key, if it still contains that key.
    fn replaced(&self, at: Option<u32>, record: [u8; 16]) -> Result<Option<NamedSlot>, StoreError> {
        let Some(at) = at else { return Ok(None) };
        let found = self
            .table
            .run(usize::try_from(at).unwrap_or(usize::MAX))
            .map_err(|source| self.unread(source))?;
        Ok(match found.into_iter().next() {
            Some(FoundSlot { content: KeySlotContent::Key(old), .. })
                if old.binding.record == record =>
            {
                Some(NamedSlot { at, record })
            }
            _ => None,
        })
    }

    fn erase_unnamed(
        &self,
        writer: &mut StoreWriter,
        unnamed: &[NamedSlot],
    ) -> Result<(), StoreError> {
        if unnamed.len() > UNNAMED_MAX {
            // An erased key cannot be restored, and one crash cannot leave this many.
            return Err(self
                .db
                .damaged("its database has lost subscriptions whose keys are still there"));
        }
        if !unnamed.is_empty() {
            tracing::info!(count = unnamed.len(), "erasing keys that no subscription names");
            writer.slots.erase(unnamed).map_err(|source| self.unwritten(source))?;
            writer.slots.release(unnamed.iter().map(|slot| slot.at));
        }
        Ok(())
    }
}
