//! The database: the rows, and the indexes by id and by robot.
//!
//! | tree | key | value |
//! | --- | --- | --- |
//! | `rows` | topic, 0, id | the row; the rows of a topic are one range of keys |
//! | `ids` | id | the topic |
//! | `robots` | topic, 0, robot | the id |
//!
//! Owns two rules: a change is durable before it is reported, and the order of the writes to the
//! trees. An addition writes `ids`, `rows`, `robots`; a removal deletes in the opposite order.
//! There is no transaction, because sled blocks all readers during one. A crash leaves a prefix of
//! the writes, and the next start finishes it by the id.
//!
//! Not here: the meaning of a row (`row.rs`), opening sled and reopening it (`engine.rs`).

use std::{
    ops::{Bound, RangeBounds},
    path::Path,
};

use sled::{
    Transactional,
    transaction::{ConflictableTransactionError, TransactionError},
};

use super::{
    ListCursor, StoreError,
    engine::{SledEngine, Trees},
    row::{DamagedRow, SubscriptionRow},
};
use crate::domain::{RobotId, SubscriptionId, TopicName};

/// The number of rows that are changed before the free space of the disk is checked again.
const BATCH_SIZE: usize = 128;

/// A row, and the one that takes its place: of the same id and topic.
pub(super) struct RowChange {
    pub(super) old: SubscriptionRow,
    pub(super) new: SubscriptionRow,
}

/// The open database.
pub(super) struct Db {
    engine: SledEngine,
}

impl Db {
    /// Opens the database of the store in `dir`, or creates it.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { engine: SledEngine::open(dir)? })
    }

    pub(super) const fn engine(&self) -> &SledEngine {
        &self.engine
    }

    /// Whether the database contains no subscription.
    pub(super) fn is_empty(&self) -> Result<bool, StoreError> {
        self.engine.read(|trees| Ok(trees.rows.is_empty() && trees.old_rows.is_empty()))
    }

    /// Adds rows; durable when it returns. After a crash [`Db::finish`] and [`Db::forget`] complete
    /// or undo each of them.
    pub(super) fn insert(&self, rows: &[SubscriptionRow]) -> Result<(), StoreError> {
        let put = rows.iter().map(size).sum();
        self.change(rows, put, |trees, rows| {
            for row in rows {
                trees.ids.insert(row.id.as_bytes(), row.topic.as_str().as_bytes())?;
            }
            for row in rows {
                trees.rows.insert(by_topic(&row.topic, row.id.as_bytes()), row.encode())?;
            }
            for row in rows {
                trees
                    .robots
                    .insert(by_topic(&row.topic, row.robot.as_bytes()), row.id.as_bytes())?;
            }
            Ok(())
        })
    }

    /// Replaces rows of the same id and topic, each whole or not at all; durable when it returns.
    pub(super) fn replace(&self, rows: &[RowChange]) -> Result<(), StoreError> {
        let put = rows.iter().map(|RowChange { old, new }| size(new) - size(old)).sum();
        self.change(rows, put, |trees, rows| {
            rows.iter().try_for_each(|RowChange { old, new }| {
                if old.robot != new.robot {
                    return exchange(trees, old, new);
                }
                trees.rows.insert(by_topic(&new.topic, new.id.as_bytes()), new.encode()).map(|_| ())
            })
        })
    }

    /// Removes rows; durable when it returns. After a crash the next start repeats it, or
    /// [`Db::forget`] completes it.
    pub(super) fn remove(&self, rows: &[SubscriptionRow]) -> Result<(), StoreError> {
        let taken: i64 = rows.iter().map(size).sum();
        self.change(rows, -taken, |trees, rows| {
            for row in rows {
                let robot = by_topic(&row.topic, row.robot.as_bytes());
                // The robot may belong to another subscription by now.
                if trees.robots.get(&robot)?.is_some_and(|found| found == row.id.as_bytes()) {
                    trees.robots.remove(robot)?;
                }
            }
            for row in rows {
                trees.rows.remove(by_topic(&row.topic, row.id.as_bytes()))?;
            }
            for row in rows {
                trees.ids.remove(row.id.as_bytes())?;
            }
            Ok(())
        })
    }

    /// Completes an addition whose row is written.
    pub(super) fn finish(&self, row: &SubscriptionRow) -> Result<(), StoreError> {
        let robot = by_topic(&row.topic, row.robot.as_bytes());
        let found = self.engine.read(|trees| trees.robots.get(&robot))?;
        if found.is_some_and(|found| found == row.id.as_bytes())
            || self.of_robot(&row.topic, row.robot)?.is_some()
        {
            return Ok(());
        }
        self.engine.write(|trees| trees.robots.insert(&robot, row.id.as_bytes()).map(|_| ()))
    }

    /// Removes the id of an interrupted addition or removal that has no row.
    pub(super) fn forget(&self, id: SubscriptionId) -> Result<(), StoreError> {
        if self.get(id)?.is_some()
            || !self.engine.read(|trees| trees.ids.contains_key(id.as_bytes()))?
        {
            return Ok(());
        }
        self.engine.write(|trees| trees.ids.remove(id.as_bytes()).map(|_| ()))
    }

    /// The row of that id; an error if the row is not readable.
    pub(super) fn get(&self, id: SubscriptionId) -> Result<Option<SubscriptionRow>, StoreError> {
        self.look_up(id)?.transpose().map_err(|damaged| self.unreadable(damaged.id))
    }

    /// The row of that id, readable or not.
    pub(super) fn look_up(
        &self,
        id: SubscriptionId,
    ) -> Result<Option<Result<SubscriptionRow, DamagedRow>>, StoreError> {
        let found = self.engine.read(|trees| {
            let Some(topic) = trees.ids.get(id.as_bytes())? else { return Ok(None) };
            let row = trees.rows.get([&topic, &[0][..], id.as_bytes()].concat())?;
            Ok(row.map(|row| (topic, row)))
        })?;
        found.map(|(topic, row)| self.decode(&topic, id, &row)).transpose()
    }

    /// The subscription of that robot to that topic.
    pub(super) fn of_robot(
        &self,
        topic: &TopicName,
        robot: RobotId,
    ) -> Result<Option<SubscriptionRow>, StoreError> {
        let found =
            self.engine.read(|trees| trees.robots.get(by_topic(topic, robot.as_bytes())))?;
        match found.and_then(|id| <[u8; 16]>::try_from(&*id).ok()) {
            Some(id) => self.get(SubscriptionId::from_bytes(id)),
            None => Ok(None),
        }
    }

    /// Up to `limit` readable rows of a topic in the order of their ids, starting after `after`. An
    /// unreadable row is an error.
    pub(super) fn of_topic(
        &self,
        topic: &TopicName,
        after: Option<SubscriptionId>,
        limit: usize,
    ) -> Result<Vec<SubscriptionRow>, StoreError> {
        self.readable(self.each_of_topic(topic, after, limit)?)
    }

    /// The same, but unreadable rows are part of the result.
    pub(super) fn each_of_topic(
        &self,
        topic: &TopicName,
        after: Option<SubscriptionId>,
        limit: usize,
    ) -> Result<Vec<Result<SubscriptionRow, DamagedRow>>, StoreError> {
        let from = after.map_or_else(
            || Bound::Included(by_topic(topic, &[])),
            |id| Bound::Excluded(by_topic(topic, id.as_bytes())),
        );
        // All keys of the topic have a zero byte here, so they sort before this one.
        let end = [topic.as_str().as_bytes(), &[1]].concat();
        self.stretch((from, Bound::Excluded(end)), limit)
    }

    /// Up to `limit` rows of all topics in the order of topic and id, starting after `after`. An
    /// unreadable row is an error.
    pub(super) fn all(
        &self,
        after: Option<&ListCursor>,
        limit: usize,
    ) -> Result<Vec<SubscriptionRow>, StoreError> {
        self.readable(self.each(after, limit)?)
    }

    /// The same, but unreadable rows are part of the result.
    pub(super) fn each(
        &self,
        after: Option<&ListCursor>,
        limit: usize,
    ) -> Result<Vec<Result<SubscriptionRow, DamagedRow>>, StoreError> {
        let from = after.map_or(Bound::Unbounded, |place| {
            Bound::Excluded(by_topic(&place.topic, place.id.as_bytes()))
        });
        self.stretch((from, Bound::Unbounded), limit)
    }

    /// Counts the entries of `ids` and `robots`, and collects the entries that lead to no row. Such
    /// an entry may belong to a change that is in progress.
    pub(super) fn check_indexes(&self) -> Result<IndexCheck, StoreError> {
        self.engine.read(|trees| {
            let mut check = IndexCheck::default();
            for entry in &trees.ids {
                let id = entry?.0;
                check.ids += 1;
                if id_is_lost(trees, &id)? {
                    check.lost_ids.push(id.to_vec());
                }
            }
            for entry in &trees.robots {
                let key = entry?.0;
                check.robots += 1;
                if robot_is_lost(trees, &key)? {
                    check.lost_robots.push(key.to_vec());
                }
            }
            Ok(check)
        })
    }

    /// The number of the collected entries that still lead to no row.
    pub(super) fn lost(&self, check: &IndexCheck) -> Result<usize, StoreError> {
        self.engine.read(|trees| {
            let mut lost = 0;
            for id in &check.lost_ids {
                lost += usize::from(id_is_lost(trees, id)?);
            }
            for key in &check.lost_robots {
                lost += usize::from(robot_is_lost(trees, key)?);
            }
            Ok(lost)
        })
    }

    fn stretch(
        &self,
        range: impl RangeBounds<Vec<u8>> + Clone,
        limit: usize,
    ) -> Result<Vec<Result<SubscriptionRow, DamagedRow>>, StoreError> {
        let found: Vec<_> = self
            .engine
            .read(|trees| trees.rows.range(range.clone()).take(limit).collect::<Result<_, _>>())?;
        let rows = found.into_iter().map(|(key, bytes)| {
            let (topic, id) =
                key.split_last_chunk::<16>().ok_or_else(|| self.damaged("a row has no id"))?;
            self.decode(
                topic.strip_suffix(&[0]).unwrap_or(topic),
                SubscriptionId::from_bytes(*id),
                &bytes,
            )
        });
        rows.collect()
    }

    fn readable(
        &self,
        rows: Vec<Result<SubscriptionRow, DamagedRow>>,
    ) -> Result<Vec<SubscriptionRow>, StoreError> {
        rows.into_iter().collect::<Result<_, _>>().map_err(|damaged| self.unreadable(damaged.id))
    }

    /// Converts up to `limit` rows of store format 1; returns their number.
    pub(super) fn migrate(&self, limit: usize) -> Result<usize, StoreError> {
        let found: Vec<_> = self
            .engine
            .read(|trees| trees.old_rows.iter().take(limit).collect::<Result<_, _>>())?;
        let mut rows = Vec::new();
        for (id, bytes) in &found {
            let id = <[u8; 16]>::try_from(&**id).map_err(|_| self.damaged("a row has no id"))?;
            let id = SubscriptionId::from_bytes(id);
            rows.push(SubscriptionRow::decode(id, bytes).ok_or_else(|| self.unreadable(id))?);
        }
        self.insert(&rows)?;
        self.engine.write(|trees| {
            for row in &rows {
                trees.old_topics.remove(by_topic(&row.topic, row.id.as_bytes()))?;
                trees.old_rows.remove(row.id.as_bytes())?;
            }
            Ok(())
        })?;
        Ok(rows.len())
    }

    /// A row, readable or not. An error if not even the topic in its key is readable.
    fn decode(
        &self,
        topic: &[u8],
        id: SubscriptionId,
        bytes: &[u8],
    ) -> Result<Result<SubscriptionRow, DamagedRow>, StoreError> {
        if let Some(row) = SubscriptionRow::decode(id, bytes) {
            return Ok(Ok(row));
        }
        let topic = std::str::from_utf8(topic).ok().and_then(|topic| topic.parse().ok());
        let topic = topic.ok_or_else(|| self.unreadable(id))?;
        Ok(Err(DamagedRow::of(topic, id, bytes)))
    }

    fn unreadable(&self, id: SubscriptionId) -> StoreError {
        self.damaged(&format!("the row of subscription {id} cannot be read by this version"))
    }

    /// Changes rows in groups of [`BATCH_SIZE`]. `put` is the growth of the content in bytes.
    fn change<T>(
        &self,
        all: &[T],
        put: i64,
        act: impl Fn(&Trees, &[T]) -> Result<(), sled::Error>,
    ) -> Result<(), StoreError> {
        let opening = self.engine.opening();
        for some in all.chunks(BATCH_SIZE) {
            self.engine.begin(|trees| act(trees, some))?;
        }
        self.engine.sweep(all.len(), put)?;
        self.engine.sync(opening)
    }

    /// The error for content that differs from the last write.
    pub(super) fn damaged(&self, what: &str) -> StoreError {
        self.engine.damaged(what)
    }
}

/// The result of checking the indexes.
#[derive(Default)]
pub(super) struct IndexCheck {
    pub(super) ids: usize,
    pub(super) robots: usize,
    lost_ids: Vec<Vec<u8>>,
    lost_robots: Vec<Vec<u8>>,
}

fn id_is_lost(trees: &Trees, id: &[u8]) -> Result<bool, sled::Error> {
    let Some(topic) = trees.ids.get(id)? else { return Ok(false) };
    Ok(!trees.rows.contains_key([&topic, &[0][..], id].concat())?)
}

fn robot_is_lost(trees: &Trees, key: &[u8]) -> Result<bool, sled::Error> {
    let Some(id) = trees.robots.get(key)? else { return Ok(false) };
    let topic = key.get(..key.len().saturating_sub(17)).unwrap_or_default();
    Ok(!trees.rows.contains_key([topic, &[0], &id].concat())?)
}

/// Replaces a row by one with another robot. This is the only change in a transaction, and of one
/// row only: after a crash in the middle, a start could not tell which robot is the right one.
fn exchange(
    trees: &Trees,
    old: &SubscriptionRow,
    new: &SubscriptionRow,
) -> Result<(), sled::Error> {
    let changed = (&trees.rows, &trees.robots).transaction(|(rows, robots)| {
        robots.remove(by_topic(&old.topic, old.robot.as_bytes()))?;
        robots.insert(by_topic(&new.topic, new.robot.as_bytes()), new.id.as_bytes())?;
        rows.insert(by_topic(&new.topic, new.id.as_bytes()), new.encode())?;
        Ok::<_, ConflictableTransactionError<sled::Error>>(())
    });
    changed.map_err(|error| match error {
        TransactionError::Abort(error) | TransactionError::Storage(error) => error,
    })
}

/// The size of a row and of its index entries, in bytes.
fn size(row: &SubscriptionRow) -> i64 {
    let topic = row.topic.as_str().len();
    let bytes = row.encode().len() + (topic + 17) + (16 + topic) + (topic + 17 + 16);
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A topic contains no zero byte, so the keys of two topics never mix.
fn by_topic(topic: &TopicName, rest: &[u8]) -> Vec<u8> {
    [topic.as_str().as_bytes(), &[0], rest].concat()
}
