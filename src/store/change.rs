//! Adds, updates, removes subscriptions. Owns the order in which slot and row are written, so that a crash at any point leaves a
//! subscription whole or gone, and an update done or not.
//!
//! | | order | a crash in between |
//! | --- | --- | --- |
//! | add | slot, row | a slot that no row names is erased at the next start |
//! | update | new slot, row, old slot erased, old slot freed | the same |
//! | remove | slot erased, put on the list of what was removed, row removed, slot freed | a row without its key is removed at the next start |
//!
//! Each step is synced before the next begins, once for all subscriptions that are changed together.

use std::collections::HashMap;

use super::{
    Added, Change, NewSubscription, StoreError,
    engine::EPOCH_WORD,
    record::Record,
    row::{Row, Version},
    slot::Slot,
    subscriptions::{Open, Store, Writer},
};
use crate::{
    clock::Clock,
    crypto::{DataKey, SealedRecord},
    domain::{Options, Platform, RobotId, SubscriptionId, SubscriptionState, TopicName},
};

/// So many subscriptions are removed or sealed anew together.
pub(super) const TOGETHER: usize = 256;

/// No more subscriptions are added together: nobody else changes the store meanwhile.
pub(super) const TOGETHER_MAX: usize = 1024;

impl Store {
    /// Adds a subscription, durable when it returns. The same robot on the same topic again adds nothing. Blocks on the disk.
    pub fn add(&self, new: NewSubscription) -> Result<Added, StoreError> {
        let added = self.add_all(vec![new])?;
        added.into_iter().next().ok_or_else(|| self.0.db.damaged("an addition had no outcome"))
    }

    /// Adds subscriptions, each whole or not at all, durable when it returns; the outcomes are in the order of the subscriptions. Nobody else
    /// changes the store meanwhile, so no more than 1,024 go together; of more, those behind are added later. Blocks on the disk.
    pub fn add_all(&self, mut new: Vec<NewSubscription>) -> Result<Vec<Added>, StoreError> {
        let mut outcomes = Vec::new();
        while !new.is_empty() {
            let rest = new.split_off(new.len().min(TOGETHER_MAX));
            outcomes.extend(self.add_together(new)?);
            new = rest;
        }
        Ok(outcomes)
    }

    fn add_together(&self, new: Vec<NewSubscription>) -> Result<Vec<Added>, StoreError> {
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
            outcomes.push(Added { id, robot, duplicate: known.is_some() });
            if known.is_none() {
                rows.push(new_row(id, robot, one));
            }
        }
        open.add_rows(&mut writer, rows)?;
        Ok(outcomes)
    }

    /// Changes a subscription, durable when it returns: then the key of its old version is
    /// destroyed. One whose record is damaged needs a new webhook. Blocks on the disk.
    pub fn update(&self, id: SubscriptionId, change: Change) -> Result<(), StoreError> {
        let open = &self.0;
        let mut writer = open.writer();
        let missing = || StoreError::NoSuchSubscription { id };
        let old = open.db.get(id)?.ok_or_else(missing)?;
        let record = match (open.unseal(&old), &change.endpoint) {
            // A record that cannot be read is written anew: what the change does not name of it is
            // gone.
            (Err(StoreError::DamagedRecord { .. }), Some(endpoint)) => Record::of(endpoint.clone()),
            (found, _) => found?.ok_or_else(missing)?,
        };
        let ring = open.ring.load();
        let robot = change.endpoint.as_ref().map_or(old.robot, |endpoint| ring.current.robot_id(endpoint));
        if robot != old.robot
            && let Some(by) = open.subscribed(&mut writer, &old.topic, robot)?.filter(|by| *by != id)
        {
            return Err(StoreError::RobotTaken { topic: old.topic, by });
        }
        let options = Options {
            overflow: change.overflow.unwrap_or(old.options.overflow),
            group: change.group.unwrap_or_else(|| old.options.group.clone()),
            filter: change.filter.unwrap_or_else(|| old.options.filter.clone()),
            quiet: change.quiet.unwrap_or_else(|| old.options.quiet.clone()),
            too_long: change.too_long.unwrap_or(old.options.too_long),
        };
        let record = Record {
            endpoint: change.endpoint.unwrap_or(record.endpoint),
            secret: change.secret.unwrap_or(record.secret),
            keyword: change.keyword.unwrap_or(record.keyword),
            name: change.name.unwrap_or(record.name),
            mentions: change.mentions.unwrap_or(record.mentions),
        };
        let new = Row { robot, options, ..old.clone() };
        open.update_rows(&mut writer, vec![(old, new, record)])
    }

    /// On which platform the robot of a subscription is, whether its record opens or not. Blocks on
    /// the disk.
    pub fn platform_of(&self, id: SubscriptionId) -> Result<Platform, StoreError> {
        Ok(self.0.db.get(id)?.ok_or(StoreError::NoSuchSubscription { id })?.platform)
    }

    /// Removes a subscription. When it returns, no key that opens its endpoint exists any more. Blocks on the disk.
    pub fn remove(&self, id: SubscriptionId) -> Result<(), StoreError> {
        let open = &self.0;
        let mut writer = open.writer();
        let row = open.db.get(id)?.ok_or(StoreError::NoSuchSubscription { id })?;
        open.remove_rows(&mut writer, &[row])
    }

    /// Removes up to some hundred subscriptions of a topic; says how many, none when the topic has no subscription left. What is removed is removed
    /// like [`Store::remove`] does it. Blocks on the disk.
    pub fn remove_some_of(&self, topic: &TopicName) -> Result<usize, StoreError> {
        let open = &self.0;
        let mut writer = open.writer();
        let rows = open.db.of_topic(topic, None, TOGETHER)?;
        open.remove_rows(&mut writer, &rows)?;
        Ok(rows.len())
    }

    /// Lets a subscription hear its topic, or not. Blocks on the disk.
    pub fn set_state(&self, id: SubscriptionId, state: SubscriptionState) -> Result<(), StoreError> {
        let open = &self.0;
        let _one_at_a_time = open.writer();
        let row = open.db.get(id)?.ok_or(StoreError::NoSuchSubscription { id })?;
        if row.state != state {
            let topic = row.topic.clone();
            let replaced = open.db.replace(&[(row.clone(), Row { state, ..row })]);
            open.cache.forget(&topic);
            replaced?;
        }
        Ok(())
    }
}

fn new_row(id: SubscriptionId, robot: RobotId, new: NewSubscription) -> (Row, Record) {
    let NewSubscription { topic, platform, endpoint, secret, keyword, name, mentions, options, state } = new;
    let row = Row {
        version: Version::V2,
        id,
        topic,
        platform,
        robot,
        state,
        slot: 0,
        generation: 0,
        created_at: Clock::System.now(),
        options,
        sealed: SealedRecord(Vec::new()),
    };
    (row, Record { endpoint, secret, keyword, name, mentions })
}

impl Open {
    /// The subscription of that robot to that topic.
    fn subscribed(
        &self,
        writer: &mut Writer,
        topic: &TopicName,
        robot: RobotId,
    ) -> Result<Option<SubscriptionId>, StoreError> {
        let Some(row) = self.db.of_robot(topic, robot)? else { return Ok(None) };
        if self.table.holds(&row.binding()) {
            return Ok(Some(row.id));
        }
        // Its removal was interrupted by a full disk.
        self.remove_rows(writer, &[row])?;
        Ok(None)
    }

    fn add_rows(&self, writer: &mut Writer, rows: Vec<(Row, Record)>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let taken = writer.slots.take(rows.len()).map_err(|source| self.unwritten(source))?;
        let sealed = taken.iter().zip(&rows).map(|(at, (row, record))| self.seal(row, *at, None, record));
        let (rows, slots): (Vec<_>, Vec<_>) = sealed.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let written = writer.slots.write(&slots).map_err(|source| self.unwritten(source));
        let added = written.and_then(|()| self.db.insert(&rows));
        rows.iter().for_each(|row| self.cache.forget(&row.topic));
        if added.is_err() {
            // Whether the rows are on the disk is not known. Without their keys they are nothing, and the next start removes them.
            writer.slots.unsettled();
            if let Err(error) = writer.slots.erase(&named(&rows)) {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the keys of a failed addition could not be erased; the next start does");
            }
            return added;
        }
        self.settled(writer, rows.len())
    }

    /// Puts new rows in place of old ones, sealed under new keys, and erases the old keys.
    pub(super) fn update_rows(&self, writer: &mut Writer, changes: Vec<(Row, Row, Record)>) -> Result<(), StoreError> {
        let taken = writer.slots.take(changes.len()).map_err(|source| self.unwritten(source))?;
        let (mut rows, mut slots, mut old_keys) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (old, new, record)) in taken.into_iter().zip(changes) {
            let (new, slot) = self.seal(&new, at, Some(old.slot), &record)?;
            old_keys.push((old.slot, *old.id.as_bytes()));
            slots.push(slot);
            rows.push((old, new));
        }
        let written = writer.slots.write(&slots).map_err(|source| self.unwritten(source));
        let replaced = written.and_then(|()| self.db.replace(&rows));
        rows.iter().for_each(|(old, _)| self.cache.forget(&old.topic));
        // If it failed, it is not known which rows are on the disk, so all keep their keys; the next start erases those that are not named.
        let erased = replaced.and_then(|()| writer.slots.erase(&old_keys).map_err(|source| self.unwritten(source)));
        match erased {
            Ok(()) => {
                writer.slots.release(old_keys.iter().map(|(at, _)| *at));
                self.settled(writer, rows.len())
            }
            Err(error) => {
                writer.slots.unsettled();
                Err(error)
            }
        }
    }

    pub(super) fn remove_rows(&self, writer: &mut Writer, rows: &[Row]) -> Result<(), StoreError> {
        // A slot may be another's by now, if its row's removal was interrupted once before.
        let held: Vec<_> = rows.iter().filter(|row| self.table.holds(&row.binding())).cloned().collect();
        let erased = writer.slots.erase(&named(&held)).map_err(|source| self.unwritten(source));
        let now = Clock::System.now();
        let listed = erased.and_then(|()| {
            writer.removed.append(rows.iter().map(|row| row.id), now).map_err(|source| self.unwritten(source))
        });
        let removed = listed.and_then(|()| self.db.remove(rows));
        rows.iter().for_each(|row| self.cache.forget(&row.topic));
        match removed {
            Ok(()) => {
                writer.slots.release(held.iter().map(|row| row.slot));
                self.settled(writer, rows.len())
            }
            Err(error) => {
                writer.slots.unsettled();
                Err(error)
            }
        }
    }

    fn settled(&self, writer: &mut Writer, changes: usize) -> Result<(), StoreError> {
        if writer.slots.settled(changes) {
            let epoch = writer.slots.epoch() + 1;
            self.begin_epoch(writer, epoch)?;
        }
        Ok(())
    }

    /// The database knows of an epoch before any slot does: one that knows less than the slots has lost what was written last.
    pub(super) fn begin_epoch(&self, writer: &mut Writer, epoch: u32) -> Result<(), StoreError> {
        self.db.engine().set_word(EPOCH_WORD, &epoch.to_be_bytes())?;
        writer.slots.begin_epoch(epoch).map_err(|source| self.unwritten(source))
    }

    /// Seals a record under a new key, for that slot.
    fn seal(&self, row: &Row, at: u32, replaced: Option<u32>, record: &Record) -> Result<(Row, Slot), StoreError> {
        let sealing = |_| self.db.damaged("a subscription could not be sealed");
        let plain = record.encode().map_err(|_| self.db.damaged("a subscription could not be written as JSON"))?;
        let generation = rand::random::<u64>().max(1);
        let mut row = Row { version: Version::V2, slot: at, generation, ..row.clone() };
        let (binding, key) = (row.binding(), DataKey::generate());
        row.sealed = key.seal(&binding, &row.head(), &plain).map_err(sealing)?;
        let keys = &self.ring.load().current;
        let wrapped = keys.wrap(&binding, &key).map_err(sealing)?;
        Ok((row, Slot { binding, key: keys.id(), wrapped, epoch: 0, replaced }))
    }
}

fn named(rows: &[Row]) -> Vec<(u32, [u8; 16])> {
    rows.iter().map(|row| (row.slot, *row.id.as_bytes())).collect()
}
