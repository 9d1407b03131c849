//! Adds, updates and removes subscriptions.
//!
//! - add: slot, row. After a crash the next start erases a slot that no row names.
//! - update: new slot, row, old slot erased, old slot freed. The same holds after a crash.
//! - remove: slot erased, id appended to `removed`, row removed, slot freed. After a crash the next
//!   start removes a row without a key.
//!
//! Owns the order of these writes. A crash leaves a subscription whole or gone, and an update done
//! or not done. Each step is synced before the next one begins, once for all subscriptions of a
//! batch.
//!
//! Not here: how rows become durable (`db.rs`), how a start finishes these steps (`open.rs`).

use std::collections::HashMap;

use super::{
    AddedSubscription, StoreError, StoreRefusal,
    db::RowChange,
    engine::EPOCH_WORD,
    key_slot::KeySlot,
    key_slots::NamedSlot,
    row::{RowVersion, SubscriptionRow},
    sealed_fields::SealedFields,
    subscriptions::{Store, StoreInner, StoreWriter},
};
use crate::{
    crypto::{DataKey, NOT_SEALED, SealedRecord},
    domain::{
        Platform, RobotId, SubscriptionId, SubscriptionPatch, SubscriptionSpec, SubscriptionState,
        Timestamp, TopicName,
    },
};

/// The number of subscriptions that are removed or resealed in one batch.
pub(super) const BATCH_SIZE: usize = 256;

/// The largest batch of additions. The writer lock is held for the whole batch.
pub(super) const BATCH_SIZE_MAX: usize = 1024;

impl Store {
    /// Adds a subscription; durable when it returns. Blocks on the disk.
    ///
    /// If the same robot is subscribed to the topic already, nothing is added.
    pub fn add(&self, new: SubscriptionSpec) -> Result<AddedSubscription, StoreError> {
        let added = self.add_all(vec![new])?;
        added
            .into_iter()
            .next()
            .ok_or_else(|| self.0.db.damaged("an added subscription has no row"))
    }

    /// Adds subscriptions, each whole or not at all; durable when it returns. Blocks on the disk.
    ///
    /// The results are in the order of the subscriptions. A batch has at most 1,024 subscriptions,
    /// because other changes wait for it; more of them are added in several batches.
    pub fn add_all(
        &self,
        mut new: Vec<SubscriptionSpec>,
    ) -> Result<Vec<AddedSubscription>, StoreError> {
        let mut outcomes = Vec::new();
        while !new.is_empty() {
            let rest = new.split_off(new.len().min(BATCH_SIZE_MAX));
            outcomes.extend(self.add_together(new)?);
            new = rest;
        }
        Ok(outcomes)
    }

    fn add_together(
        &self,
        new: Vec<SubscriptionSpec>,
    ) -> Result<Vec<AddedSubscription>, StoreError> {
        let open = &self.0;
        let mut writer = open.writer();
        let (mut rows, mut outcomes, mut first) = (Vec::new(), Vec::new(), HashMap::new());
        for one in new {
            let robot = open.ring.load().current.robot_id(&one.endpoint);
            let place = (one.topic.clone(), robot);
            let known = match first.get(&place) {
                Some(id) => Some(*id),
                None => open.subscribed(&mut writer, &one.topic, robot)?,
            };
            let id = known.unwrap_or_else(SubscriptionId::make);
            first.insert(place, id);
            outcomes.push(AddedSubscription { id, robot, duplicate: known.is_some() });
            if known.is_none() {
                rows.push(new_row(id, robot, one, open.clock.now()));
            }
        }
        open.add_rows(&mut writer, rows)?;
        Ok(outcomes)
    }

    /// Changes a subscription; durable when it returns, and then the key of the old version is
    /// destroyed. Blocks on the disk.
    ///
    /// A subscription with a damaged record needs a new webhook.
    pub fn update(&self, id: SubscriptionId, change: SubscriptionPatch) -> Result<(), StoreError> {
        let open = &self.0;
        let mut writer = open.writer();
        let missing = || StoreError::Refused(StoreRefusal::NoSuchSubscription { id });
        let old = open.db.get(id)?.ok_or_else(missing)?;
        let record = match (open.unseal(&old), &change.endpoint) {
            // The damaged record is written anew. The fields that the change does not name are
            // lost.
            (Err(StoreError::Refused(StoreRefusal::DamagedRecord { .. })), Some(endpoint)) => {
                SealedFields::of(endpoint.clone())
            }
            (found, _) => found?.ok_or_else(missing)?,
        };
        let ring = open.ring.load();
        let robot =
            change.endpoint.as_ref().map_or(old.robot, |endpoint| ring.current.robot_id(endpoint));
        if robot != old.robot
            && let Some(by) =
                open.subscribed(&mut writer, &old.topic, robot)?.filter(|by| *by != id)
        {
            return Err(StoreError::Refused(StoreRefusal::RobotTaken { topic: old.topic, by }));
        }
        let options = old.options.clone().patched(change.options);
        let record = SealedFields {
            endpoint: change.endpoint.unwrap_or(record.endpoint),
            secret: change.secret.unwrap_or(record.secret),
            private: record.private.patched(change.private),
        };
        let new = SubscriptionRow { robot, options, ..old.clone() };
        open.update_rows(&mut writer, vec![RowUpdate { old, new, record }])
    }

    /// The platform of a subscription, whether or not its record opens. Blocks on the disk.
    pub fn platform_of(&self, id: SubscriptionId) -> Result<Platform, StoreError> {
        Ok(self
            .0
            .db
            .get(id)?
            .ok_or(StoreError::Refused(StoreRefusal::NoSuchSubscription { id }))?
            .platform)
    }

    /// Removes a subscription. Blocks on the disk.
    ///
    /// When it returns, no key exists that opens the endpoint.
    pub fn remove(&self, id: SubscriptionId) -> Result<(), StoreError> {
        let open = &self.0;
        let mut writer = open.writer();
        let row =
            open.db.get(id)?.ok_or(StoreError::Refused(StoreRefusal::NoSuchSubscription { id }))?;
        open.remove_rows(&mut writer, &[row])
    }

    /// Removes up to 256 subscriptions of a topic, each like [`Store::remove`]. Blocks on the disk.
    ///
    /// Returns their number, which is 0 when the topic has no subscription left.
    pub fn remove_batch(&self, topic: &TopicName) -> Result<usize, StoreError> {
        let open = &self.0;
        let mut writer = open.writer();
        let rows = open.db.of_topic(topic, None, BATCH_SIZE)?;
        open.remove_rows(&mut writer, &rows)?;
        Ok(rows.len())
    }

    /// Pauses or resumes a subscription. Blocks on the disk.
    pub fn set_state(
        &self,
        id: SubscriptionId,
        state: SubscriptionState,
    ) -> Result<(), StoreError> {
        let open = &self.0;
        let _one_at_a_time = open.writer();
        let row =
            open.db.get(id)?.ok_or(StoreError::Refused(StoreRefusal::NoSuchSubscription { id }))?;
        if row.state != state {
            let topic = row.topic.clone();
            let replaced = open
                .db
                .replace(&[RowChange { old: row.clone(), new: SubscriptionRow { state, ..row } }]);
            open.cache.forget(&topic);
            replaced?;
        }
        Ok(())
    }
}

/// A row to be added, with the fields to be sealed into it.
struct NewRow {
    row: SubscriptionRow,
    record: SealedFields,
}

/// A row to be replaced, with the fields to be sealed into the new one.
pub(super) struct RowUpdate {
    pub(super) old: SubscriptionRow,
    pub(super) new: SubscriptionRow,
    pub(super) record: SealedFields,
}

fn new_row(
    id: SubscriptionId,
    robot: RobotId,
    new: SubscriptionSpec,
    created_at: Timestamp,
) -> NewRow {
    let SubscriptionSpec { topic, platform, endpoint, secret, private, options, state } = new;
    let row = SubscriptionRow {
        version: RowVersion::V2,
        id,
        topic,
        platform,
        robot,
        state,
        slot: 0,
        generation: 0,
        created_at,
        options,
        sealed: SealedRecord(Vec::new()),
    };
    NewRow { row, record: SealedFields { endpoint, secret, private } }
}

impl StoreInner {
    /// The subscription of that robot to that topic.
    fn subscribed(
        &self,
        writer: &mut StoreWriter,
        topic: &TopicName,
        robot: RobotId,
    ) -> Result<Option<SubscriptionId>, StoreError> {
        let Some(row) = self.db.of_robot(topic, robot)? else { return Ok(None) };
        if self.table.holds(&row.binding()) {
            return Ok(Some(row.id));
        }
        // A full disk interrupted the removal of this row, so its key is gone already.
        self.remove_rows(writer, &[row])?;
        Ok(None)
    }

    fn add_rows(&self, writer: &mut StoreWriter, rows: Vec<NewRow>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let taken = writer.slots.take(rows.len()).map_err(|source| self.unwritten(source))?;
        let sealed =
            taken.iter().zip(&rows).map(|(at, new)| self.seal(&new.row, *at, None, &new.record));
        let (rows, slots): (Vec<_>, Vec<_>) =
            sealed.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let written = writer.slots.write(&slots).map_err(|source| self.unwritten(source));
        self.crash_points.reached();
        let added = written.and_then(|()| self.db.insert(&rows));
        self.crash_points.reached();
        rows.iter().for_each(|row| self.cache.forget(&row.topic));
        if added.is_err() {
            // It is unknown whether the rows are on the disk. Without their keys they are
            // worthless, and the next start removes them.
            writer.slots.mark_uncertain();
            if let Err(error) = writer.slots.erase(&named(&rows)) {
                let error = &error as &dyn std::error::Error;
                tracing::error!(
                    error,
                    "the keys of a failed addition could not be erased; the next start does"
                );
            }
            return added;
        }
        self.settled(writer, rows.len())
    }

    /// Replaces rows, sealed under new keys, and erases the old keys.
    pub(super) fn update_rows(
        &self,
        writer: &mut StoreWriter,
        changes: Vec<RowUpdate>,
    ) -> Result<(), StoreError> {
        let taken = writer.slots.take(changes.len()).map_err(|source| self.unwritten(source))?;
        let (mut rows, mut slots, mut old_keys) = (Vec::new(), Vec::new(), Vec::new());
        for (at, RowUpdate { old, new, record }) in taken.into_iter().zip(changes) {
            let (new, slot) = self.seal(&new, at, Some(old.slot), &record)?;
            old_keys.push(NamedSlot::of(&old));
            slots.push(slot);
            rows.push(RowChange { old, new });
        }
        let written = writer.slots.write(&slots).map_err(|source| self.unwritten(source));
        self.crash_points.reached();
        let replaced = written.and_then(|()| self.db.replace(&rows));
        self.crash_points.reached();
        rows.iter().for_each(|change| self.cache.forget(&change.old.topic));
        // After a failure it is unknown which rows are on the disk, so both versions keep their
        // keys. The next start erases the keys that no row names.
        let erased = replaced
            .and_then(|()| writer.slots.erase(&old_keys).map_err(|source| self.unwritten(source)));
        self.crash_points.reached();
        match erased {
            Ok(()) => {
                writer.slots.release(old_keys.iter().map(|slot| slot.at));
                self.settled(writer, rows.len())
            }
            Err(error) => {
                writer.slots.mark_uncertain();
                Err(error)
            }
        }
    }

    pub(super) fn remove_rows(
        &self,
        writer: &mut StoreWriter,
        rows: &[SubscriptionRow],
    ) -> Result<(), StoreError> {
        // If the removal of a row was interrupted earlier, its slot may hold the key of another row
        // now.
        let held: Vec<_> =
            rows.iter().filter(|row| self.table.holds(&row.binding())).cloned().collect();
        let erased = writer.slots.erase(&named(&held)).map_err(|source| self.unwritten(source));
        self.crash_points.reached();
        let now = self.clock.now();
        let listed = erased.and_then(|()| {
            writer
                .removed
                .append(rows.iter().map(|row| row.id), now)
                .map_err(|source| self.unwritten(source))
        });
        self.crash_points.reached();
        let removed = listed.and_then(|()| self.db.remove(rows));
        self.crash_points.reached();
        rows.iter().for_each(|row| self.cache.forget(&row.topic));
        match removed {
            Ok(()) => {
                writer.slots.release(held.iter().map(|row| row.slot));
                self.settled(writer, rows.len())
            }
            Err(error) => {
                writer.slots.mark_uncertain();
                Err(error)
            }
        }
    }

    fn settled(&self, writer: &mut StoreWriter, changes: usize) -> Result<(), StoreError> {
        if writer.slots.settled(changes) {
            let epoch = writer.slots.epoch() + 1;
            self.begin_epoch(writer, epoch)?;
        }
        Ok(())
    }

    /// Begins an epoch, in the database before any slot. So a database with a smaller epoch than
    /// the slots has lost its last writes.
    pub(super) fn begin_epoch(
        &self,
        writer: &mut StoreWriter,
        epoch: u32,
    ) -> Result<(), StoreError> {
        self.db.engine().set_word(EPOCH_WORD, &epoch.to_be_bytes())?;
        writer.slots.begin_epoch(epoch).map_err(|source| self.unwritten(source))
    }

    /// Seals a record under a new key for the slot `at`.
    fn seal(
        &self,
        row: &SubscriptionRow,
        at: u32,
        replaced: Option<u32>,
        record: &SealedFields,
    ) -> Result<(SubscriptionRow, KeySlot), StoreError> {
        let sealing = |_| self.db.damaged(NOT_SEALED);
        let plain = record
            .encode()
            .map_err(|_| self.db.damaged("a subscription could not be written as JSON"))?;
        let generation = rand::random::<u64>().max(1);
        let mut row =
            SubscriptionRow { version: RowVersion::V2, slot: at, generation, ..row.clone() };
        let (binding, key) = (row.binding(), DataKey::generate());
        row.sealed = key.seal(&binding, &row.head(), &plain).map_err(sealing)?;
        let keys = &self.ring.load().current;
        let wrapped = keys.wrap(&binding, &key).map_err(sealing)?;
        Ok((row, KeySlot { binding, key: keys.id(), wrapped, epoch: 0, replaced }))
    }
}

fn named(rows: &[SubscriptionRow]) -> Vec<NamedSlot> {
    rows.iter().map(NamedSlot::of).collect()
}
