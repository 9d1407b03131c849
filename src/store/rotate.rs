//! Rotation of the master key and resealing under new data keys, while the store is in use.
//!
//! | step | after a crash behind it |
//! | --- | --- |
//! | the key ring accepts both keys | both open the store |
//! | every slot is wrapped under the new key, in batches | the same; the next start continues |
//! | the key of the history's texts is wrapped under it too | the same |
//! | the new key is confirmed to be in its final place | the same |
//! | the key ring no longer accepts the old key | the new key opens the store |
//!
//! Owns the rule when the old key is dropped: no slot needs it, and the new key is in its place.
//!
//! Not here: the file with the keys (`keyring.rs`), replacing a row and its key (`write.rs`).

use std::sync::{Arc, Weak, atomic::Ordering};

use super::{
    ListCursor, StoreError, StoreRefusal,
    key_slot::{KeySlot, KeySlotContent},
    key_slots::{FoundSlot, RUN},
    keyring::Ring,
    row::SubscriptionRow,
    subscriptions::{Store, StoreInner},
    write::{BATCH_SIZE, RowUpdate},
};
use crate::{admin::ports::KeyStatus, crypto::MasterKey};

impl Store {
    /// The state of the keys.
    #[must_use]
    pub fn key_status(&self) -> KeyStatus {
        let (open, ring) = (&self.0, self.0.ring.load());
        KeyStatus {
            current: ring.current.id(),
            old: ring.old.as_ref().map(crate::crypto::Keys::id),
            in_place: open.rotation.in_place.load(Ordering::Acquire),
            data_keys: open.table.keys(),
            wrapping: open.rotation.wrapping.get(),
            sealing: open.rotation.sealing.get(),
        }
    }

    /// Makes a new master key valid beside the old one; durable when it returns. Blocks on the
    /// disk.
    ///
    /// A second call with the same key succeeds.
    ///
    /// # Errors
    ///
    /// [`StoreRefusal::Rotation`] if a rotation to another key is in progress, or the key is the
    /// current one.
    pub fn begin_rotation(&self, new: &MasterKey) -> Result<(), StoreError> {
        let open = &self.0;
        let mut writer = open.writer();
        let ring = open.ring.load_full();
        let new_id = crate::crypto::Keys::derive(new).id();
        match &ring.old {
            Some(_) if ring.current.id() == new_id => return Ok(()),
            Some(_) => {
                let why =
                    "it is being rotated to another key; finish that first (`roomcast key status`)";
                return Err(StoreError::Refused(StoreRefusal::Rotation { why }));
            }
            None if ring.current.id() == new_id => {
                return Err(StoreError::Refused(StoreRefusal::Rotation {
                    why: "the store is sealed with that key already",
                }));
            }
            None => {}
        }
        let both = writer.keyring.begin_rotation(&ring, new)?;
        open.crash_points.reached();
        open.rotation.in_place.store(false, Ordering::Release);
        open.ring.store(Arc::new(both));
        Ok(())
    }

    /// Confirms that the new master key is in the place from which the daemon reads it. Blocks on
    /// the disk.
    ///
    /// The old key becomes invalid as soon as no slot needs it.
    pub fn replace_key_in_place(&self) -> Result<(), StoreError> {
        self.0.rotation.in_place.store(true, Ordering::Release);
        self.0.end_rotation_if_done()
    }

    /// Wraps every data key under the new master key, if a rotation is in progress. Blocks on the
    /// disk, for seconds to minutes.
    ///
    /// Reads and changes go on meanwhile. Returns at once if another thread does this already.
    pub fn rotate(&self) -> Result<(), StoreError> {
        if self.0.begins_wrapping() { rotate(&Arc::downgrade(&self.0)) } else { Ok(()) }
    }

    /// The same in a thread of its own, which ends when the store is closed. The status shows the
    /// work as soon as this returns.
    pub fn rotate_in_background(&self) {
        if self.0.begins_wrapping() {
            let store = Arc::downgrade(&self.0);
            background(move || rotate(&store));
        }
    }

    /// Seals every subscription under a new data key, and destroys the old keys. Blocks on the
    /// disk, for seconds to minutes.
    ///
    /// Reads and changes go on meanwhile. After a crash each subscription is under its old or its
    /// new key.
    pub fn reseal(&self) -> Result<(), StoreError> {
        if self.0.begins_sealing() { reseal(&Arc::downgrade(&self.0)) } else { Ok(()) }
    }

    /// The same in a thread of its own, which ends when the store is closed. The status shows the
    /// work as soon as this returns.
    pub fn reseal_in_background(&self) {
        if self.0.begins_sealing() {
            let store = Arc::downgrade(&self.0);
            background(move || reseal(&store));
        }
    }
}

fn background(work: impl FnOnce() -> Result<(), StoreError> + Send + 'static) {
    std::thread::spawn(|| {
        if let Err(error) = work() {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the change of keys stopped; the next start goes on"
            );
        }
    });
}

fn rotate(store: &Weak<StoreInner>) -> Result<(), StoreError> {
    let mut first = 0;
    let outcome = loop {
        // Released between batches, so that the store can be closed.
        let Some(open) = store.upgrade() else { return Ok(()) };
        match open.rewrap(first) {
            Ok(0) => break Ok(open),
            Ok(count) => first += count,
            Err(error) => break Err((open, error)),
        }
    };
    match outcome {
        Ok(open) => {
            open.rotation.wrapping.end();
            open.end_rotation_if_done()
        }
        Err((open, error)) => {
            open.rotation.wrapping.end();
            Err(error)
        }
    }
}

fn reseal(store: &Weak<StoreInner>) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let Some(open) = store.upgrade() else { return Ok(()) };
        match open.reseal_batch(after.as_ref()) {
            Ok(Some(place)) => after = Some(place),
            other => {
                open.rotation.sealing.end();
                return other.map(|_| ());
            }
        }
    }
}

impl StoreInner {
    /// Begins to wrap the data keys anew, if a rotation is in progress and no other thread does it.
    fn begins_wrapping(&self) -> bool {
        self.ring.load().old.is_some() && self.rotation.wrapping.begin(self.table.len())
    }

    /// Begins to seal all subscriptions anew, if no other thread does it.
    fn begins_sealing(&self) -> bool {
        self.rotation.sealing.begin(self.table.keys())
    }

    /// Wraps the keys of up to [`RUN`] slots under the newest master key; returns the number of
    /// slots read.
    fn rewrap(&self, first: usize) -> Result<usize, StoreError> {
        if first >= self.table.len() {
            return Ok(0);
        }
        let mut writer = self.writer();
        let ring = self.ring.load();
        let run = self.table.run(first).map_err(|source| self.unread(source))?;
        let count = run.len();
        let mut slots = Vec::new();
        for FoundSlot { at, content } in run {
            if let KeySlotContent::Key(slot) = content
                && slot.key != ring.current.id()
            {
                let damaged = || self.db.damaged(&format!("the key in slot {at} does not open"));
                slots.push(rewrapped(&ring, &slot).ok_or_else(damaged)?);
            }
        }
        writer.slots.rewrite(&slots).map_err(|source| self.unwritten(source))?;
        self.crash_points.reached();
        self.rotation.wrapping.advance(count);
        Ok(count)
    }

    fn end_rotation_if_done(&self) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let ring = self.ring.load_full();
        let in_place = self.rotation.in_place.load(Ordering::Acquire);
        if ring.old.is_none()
            || !in_place
            || self.rotation.wrapping.get().is_some()
            || self.has_unsealed(&ring)?
        {
            return Ok(());
        }
        self.rewrap_text_key(&ring)?;
        self.crash_points.reached();
        let one = writer.keyring.end_rotation(&ring)?;
        self.crash_points.reached();
        self.ring.store(Arc::new(one));
        tracing::info!("the master key is rotated; the old one opens the store no more");
        Ok(())
    }

    fn has_unsealed(&self, ring: &Ring) -> Result<bool, StoreError> {
        let current = ring.current.id();
        let old = |content: &KeySlotContent| {
            let KeySlotContent::Key(slot) = content else { return false };
            slot.key != current
        };
        for first in (0..self.table.len()).step_by(RUN) {
            let run = self.table.run(first).map_err(|source| self.unread(source))?;
            if run.iter().any(|found| old(&found.content)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reseals up to [`BATCH_SIZE`] subscriptions; returns the place after which the next batch
    /// begins.
    fn reseal_batch(&self, after: Option<&ListCursor>) -> Result<Option<ListCursor>, StoreError> {
        let mut writer = self.writer();
        let rows = self.db.all(after, BATCH_SIZE)?;
        let next = rows.last().map(ListCursor::of);
        let count = rows.len();
        let open = |row: SubscriptionRow| match self.unseal(&row) {
            // It stays as it is until an operator repairs it.
            Err(StoreError::Refused(StoreRefusal::DamagedRecord { id, what })) => {
                tracing::warn!(subscription.id = %id, what, "a damaged record was not sealed anew");
                Ok(None)
            }
            record => Ok(record?.map(|record| RowUpdate { old: row.clone(), new: row, record })),
        };
        let changes: Vec<_> = rows
            .into_iter()
            .filter_map(|row| open(row).transpose())
            .collect::<Result<_, StoreError>>()?;
        self.update_rows(&mut writer, changes)?;
        self.rotation.sealing.advance(count);
        Ok(next)
    }
}

fn rewrapped(ring: &Ring, slot: &KeySlot) -> Option<KeySlot> {
    let key = ring.of(slot.key)?.unwrap_key(&slot.binding, &slot.wrapped).ok()?;
    let wrapped = ring.current.wrap(&slot.binding, &key).ok()?;
    Some(KeySlot { key: ring.current.id(), wrapped, ..*slot })
}
