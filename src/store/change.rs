//! Adds, updates, removes subscriptions. Owns the order in which slot and row are written, so that a crash at any point leaves a
//! subscription whole or gone, and an update done or not.
//!
//! | | order | a crash in between |
//! | --- | --- | --- |
//! | add | slot, row | a slot that no row names is erased at the next start |
//! | update | new slot, row, old slot erased, old slot freed | the same |
//! | remove | slot erased, row removed, slot freed | a row without its key is removed at the next start |

use super::{
    Added, Change, NewSubscription, StoreError,
    record::Record,
    row::{Row, Version},
    slots::{Slot, Slots},
    subscriptions::{Open, Store},
};
use crate::{
    clock::Clock,
    crypto::{DataKey, SealedRecord},
    domain::{Options, RobotId, SubscriptionId, SubscriptionState},
};

impl Store {
    /// Adds a subscription, durable when it returns. The same robot on the same topic again adds nothing. Blocks on the disk.
    pub fn add(&self, new: NewSubscription) -> Result<Added, StoreError> {
        let open = &self.0;
        let mut slots = open.slots();
        let robot = open.keys.robot_id(&new.endpoint);
        if let Some(row) = open.db.of_robot(&new.topic, robot)? {
            if open.table.find(&row.binding()).is_some() {
                return Ok(Added { id: row.id, robot, duplicate: true });
            }
            // Its removal was interrupted by a full disk.
            open.remove_row(&mut slots, &row)?;
        }
        let row = open.add_row(&mut slots, robot, new)?;
        open.cache.forget();
        Ok(Added { id: row.id, robot, duplicate: false })
    }

    /// Changes a subscription, durable when it returns: then the key of its old version is destroyed. Blocks on the disk.
    pub fn update(&self, id: SubscriptionId, change: Change) -> Result<(), StoreError> {
        let open = &self.0;
        let mut slots = open.slots();
        let missing = || StoreError::NoSuchSubscription { id };
        let old = open.db.get(id)?.ok_or_else(missing)?;
        let record = open.unseal(&old)?.ok_or_else(missing)?;
        let robot = change.endpoint.as_ref().map_or(old.robot, |endpoint| open.keys.robot_id(endpoint));
        if robot != old.robot
            && let Some(other) = open.db.of_robot(&old.topic, robot)?
            && open.table.find(&other.binding()).is_some()
        {
            return Err(StoreError::RobotTaken { topic: old.topic, by: other.id });
        }
        let options = Options {
            overflow: change.overflow.unwrap_or(old.options.overflow),
            group: change.group.unwrap_or_else(|| old.options.group.clone()),
        };
        let record = Record {
            endpoint: change.endpoint.unwrap_or(record.endpoint),
            secret: change.secret.unwrap_or(record.secret),
            keyword: change.keyword.unwrap_or(record.keyword),
            name: change.name.unwrap_or(record.name),
            mentions: change.mentions.unwrap_or(record.mentions),
        };
        let updated = open.update_row(&mut slots, &old, &Row { robot, options, ..old.clone() }, &record);
        open.cache.forget();
        updated
    }

    /// Removes a subscription. When it returns, no key that opens its endpoint exists any more. Blocks on the disk.
    pub fn remove(&self, id: SubscriptionId) -> Result<(), StoreError> {
        let open = &self.0;
        let mut slots = open.slots();
        let row = open.db.get(id)?.ok_or(StoreError::NoSuchSubscription { id })?;
        let removed = open.remove_row(&mut slots, &row);
        open.cache.forget();
        removed
    }

    /// Lets a subscription hear its topic, or not. Blocks on the disk.
    pub fn set_state(&self, id: SubscriptionId, state: SubscriptionState) -> Result<(), StoreError> {
        let open = &self.0;
        let _one_at_a_time = open.slots();
        let row = open.db.get(id)?.ok_or(StoreError::NoSuchSubscription { id })?;
        if row.state != state {
            open.db.replace(&row, &Row { state, ..row.clone() })?;
            open.cache.forget();
        }
        Ok(())
    }
}

impl Open {
    fn add_row(&self, slots: &mut Slots, robot: RobotId, new: NewSubscription) -> Result<Row, StoreError> {
        let NewSubscription { topic, platform, endpoint, secret, keyword, name, mentions, options } = new;
        let row = Row {
            version: Version::V2,
            id: SubscriptionId::make(),
            topic,
            platform,
            robot,
            state: SubscriptionState::Active,
            slot: 0,
            generation: 0,
            created_at: Clock::System.now(),
            options,
            sealed: SealedRecord(Vec::new()),
        };
        let record = Record { endpoint, secret, keyword, name, mentions };
        let (row, written) = self.put(slots, row, &record, |row| self.db.insert(row))?;
        written.inspect_err(|_| {
            // Whether the row is on the disk is not known. Without its key it is nothing, and the next start removes it.
            let _ = self.db.remove(&row);
            if let Err(error) = slots.erase(row.slot) {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a slot could not be erased; the next start does"
                );
            }
        })?;
        Ok(row)
    }

    fn update_row(&self, slots: &mut Slots, old: &Row, new: &Row, record: &Record) -> Result<(), StoreError> {
        let (new, written) = self.put(slots, new.clone(), record, |row| self.db.replace(old, row))?;
        written.inspect_err(|_| {
            // Which of the two rows is on the disk is not known, so both keep their keys; the next start erases the one that is not named.
            let _ = self.db.replace(&new, old);
        })?;
        slots.erase(old.slot).map_err(|source| self.unwritten(source))?;
        slots.release(old.slot);
        Ok(())
    }

    /// Seals a row under a new key in a fresh slot, writes the slot, then has the row written: the second answer says how that went.
    fn put(
        &self,
        slots: &mut Slots,
        row: Row,
        record: &Record,
        write: impl FnOnce(&Row) -> Result<(), StoreError>,
    ) -> Result<(Row, Result<(), StoreError>), StoreError> {
        let at = slots.take().map_err(|source| self.unwritten(source))?;
        let (row, slot) = self.seal(row, at, record)?;
        slots.write(&slot).map_err(|source| self.unwritten(source))?;
        let written = write(&row);
        Ok((row, written))
    }

    /// Seals a record under a new key, for that slot.
    fn seal(&self, row: Row, at: u32, record: &Record) -> Result<(Row, Slot), StoreError> {
        let sealing = |_| self.db.damaged("a subscription could not be sealed");
        let plain = record.encode().map_err(|_| self.db.damaged("a subscription could not be written as JSON"))?;
        let mut row = Row { version: Version::V2, slot: at, generation: rand::random(), ..row };
        let (binding, key) = (row.binding(), DataKey::generate());
        row.sealed = key.seal(&binding, &row.head(), &plain).map_err(sealing)?;
        let wrapped = self.keys.wrap(&binding, &key).map_err(sealing)?;
        Ok((row, Slot { binding, key: self.keys.id(), wrapped }))
    }

    pub(super) fn remove_row(&self, slots: &mut Slots, row: &Row) -> Result<(), StoreError> {
        // The slot may be another's by now, if this row's removal was interrupted once before.
        let held = self.table.find(&row.binding()).is_some();
        if held {
            slots.erase(row.slot).map_err(|source| self.unwritten(source))?;
        }
        self.db.remove(row)?;
        if held {
            slots.release(row.slot);
        }
        Ok(())
    }
}
