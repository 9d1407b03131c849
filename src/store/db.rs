//! The database: rows, where each id is found, where each robot is found. Owns that a change is durable before it is reported.
//!
//! | tree | key | value |
//! | --- | --- | --- |
//! | `rows` | topic, 0, id | the row; a topic's page is one stretch of it |
//! | `ids` | id | the topic |
//! | `robots` | topic, 0, robot | the id |
//!
//! A row is added from the id to the robot and removed from the robot to the id, without a transaction: sled lets nobody read during one, and a crash
//! leaves its beginning, which the next start finishes by the id. What a row means is `row.rs`; how sled is opened, and opened again after it
//! failed, is `engine.rs`.

use std::{ops::Bound, path::Path};

use sled::{
    Transactional,
    transaction::{ConflictableTransactionError, TransactionError},
};

use super::{
    Place, StoreError,
    engine::{Engine, Trees},
    row::{DamagedRow, Row},
};
use crate::domain::{RobotId, SubscriptionId, TopicName};

/// So many rows are changed before the room on the disk is looked at again.
const TOGETHER: usize = 128;

/// The open database.
pub(super) struct Db {
    engine: Engine,
}

impl Db {
    /// Opens the database of the store in `dir`, or begins one.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { engine: Engine::open(dir)? })
    }

    pub(super) const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether no subscription was ever added, or all were removed.
    pub(super) fn is_empty(&self) -> Result<bool, StoreError> {
        self.engine.read(|trees| Ok(trees.rows.is_empty() && trees.old_rows.is_empty()))
    }

    /// Adds rows; durable when it returns. After a crash [`Db::finish`] and [`Db::forget`] make each of them whole or nothing.
    pub(super) fn insert(&self, rows: &[Row]) -> Result<(), StoreError> {
        let put = rows.iter().map(size).sum();
        self.change(rows, put, |trees, rows| {
            for row in rows {
                trees.ids.insert(row.id.as_bytes(), row.topic.as_str().as_bytes())?;
            }
            for row in rows {
                trees.rows.insert(by_topic(&row.topic, row.id.as_bytes()), row.encode())?;
            }
            for row in rows {
                trees.robots.insert(by_topic(&row.topic, row.robot.as_bytes()), row.id.as_bytes())?;
            }
            Ok(())
        })
    }

    /// Puts rows in place of those of the same id and topic, each whole or not at all; durable when it returns.
    pub(super) fn replace(&self, rows: &[(Row, Row)]) -> Result<(), StoreError> {
        let put = rows.iter().map(|(old, new)| size(new) - size(old)).sum();
        self.change(rows, put, |trees, rows| {
            rows.iter().try_for_each(|(old, new)| {
                if old.robot != new.robot {
                    return exchange(trees, old, new);
                }
                trees.rows.insert(by_topic(&new.topic, new.id.as_bytes()), new.encode()).map(|_| ())
            })
        })
    }

    /// Removes rows; durable when it returns. After a crash it is done again, or [`Db::forget`] ends it.
    pub(super) fn remove(&self, rows: &[Row]) -> Result<(), StoreError> {
        let taken: i64 = rows.iter().map(size).sum();
        self.change(rows, -taken, |trees, rows| {
            for row in rows {
                let robot = by_topic(&row.topic, row.robot.as_bytes());
                // The robot may be another's by now.
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

    /// Ends an addition of which the row is there.
    pub(super) fn finish(&self, row: &Row) -> Result<(), StoreError> {
        let robot = by_topic(&row.topic, row.robot.as_bytes());
        let found = self.engine.read(|trees| trees.robots.get(&robot))?;
        if found.is_some_and(|found| found == row.id.as_bytes()) || self.of_robot(&row.topic, row.robot)?.is_some() {
            return Ok(());
        }
        self.engine.write(|trees| trees.robots.insert(&robot, row.id.as_bytes()).map(|_| ()))
    }

    /// Ends an addition or a removal of which the id is there, and no row.
    pub(super) fn forget(&self, id: SubscriptionId) -> Result<(), StoreError> {
        if self.get(id)?.is_some() || !self.engine.read(|trees| trees.ids.contains_key(id.as_bytes()))? {
            return Ok(());
        }
        self.engine.write(|trees| trees.ids.remove(id.as_bytes()).map(|_| ()))
    }

    /// The row of that id.
    pub(super) fn get(&self, id: SubscriptionId) -> Result<Option<Row>, StoreError> {
        self.look_up(id)?.transpose().map_err(|damaged| self.unreadable(damaged.id))
    }

    /// The row of that id, readable or not.
    pub(super) fn look_up(&self, id: SubscriptionId) -> Result<Option<Result<Row, DamagedRow>>, StoreError> {
        let found = self.engine.read(|trees| {
            let Some(topic) = trees.ids.get(id.as_bytes())? else { return Ok(None) };
            let row = trees.rows.get([&topic, &[0][..], id.as_bytes()].concat())?;
            Ok(row.map(|row| (topic, row)))
        })?;
        found.map(|(topic, row)| self.decode(&topic, id, &row)).transpose()
    }

    /// The subscription of that robot on that topic.
    pub(super) fn of_robot(&self, topic: &TopicName, robot: RobotId) -> Result<Option<Row>, StoreError> {
        let found = self.engine.read(|trees| trees.robots.get(by_topic(topic, robot.as_bytes())))?;
        match found.and_then(|id| <[u8; 16]>::try_from(&*id).ok()) {
            Some(id) => self.get(SubscriptionId::from_bytes(id)),
            None => Ok(None),
        }
    }

    /// Up to `limit` rows of a topic, in the order of their ids, beginning with the one after `after`.
    pub(super) fn of_topic(
        &self,
        topic: &TopicName,
        after: Option<SubscriptionId>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.readable(self.each_of_topic(topic, after, limit)?)
    }

    /// The same, readable or not.
    pub(super) fn each_of_topic(
        &self,
        topic: &TopicName,
        after: Option<SubscriptionId>,
        limit: usize,
    ) -> Result<Vec<Result<Row, DamagedRow>>, StoreError> {
        let from = after.map_or_else(
            || Bound::Included(by_topic(topic, &[])),
            |id| Bound::Excluded(by_topic(topic, id.as_bytes())),
        );
        // Whatever follows the zero byte is below one.
        let end = [topic.as_str().as_bytes(), &[1]].concat();
        self.stretch((from, Bound::Excluded(end)), limit)
    }

    /// Up to `limit` rows of any topic, by topic and id, beginning with the one after `after`.
    pub(super) fn all(&self, after: Option<&Place>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.readable(self.each(after, limit)?)
    }

    /// The same, readable or not.
    pub(super) fn each(&self, after: Option<&Place>, limit: usize) -> Result<Vec<Result<Row, DamagedRow>>, StoreError> {
        let from = after.map_or(Bound::Unbounded, |place| Bound::Excluded(by_topic(&place.topic, place.id.as_bytes())));
        self.stretch((from, Bound::Unbounded), limit)
    }

    /// How many entries `ids` and `robots` have, and those of them that lead to no row. An entry may be on its way to its row or from it.
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

    /// How many of those entries lead to no row still.
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
        range: (Bound<Vec<u8>>, Bound<Vec<u8>>),
        limit: usize,
    ) -> Result<Vec<Result<Row, DamagedRow>>, StoreError> {
        let found: Vec<_> =
            self.engine.read(|trees| trees.rows.range(range.clone()).take(limit).collect::<Result<_, _>>())?;
        let rows = found.into_iter().map(|(key, bytes)| {
            let (topic, id) = key.split_last_chunk::<16>().ok_or_else(|| self.damaged("a row has no id"))?;
            self.decode(topic.strip_suffix(&[0]).unwrap_or(topic), SubscriptionId::from_bytes(*id), &bytes)
        });
        rows.collect()
    }

    fn readable(&self, rows: Vec<Result<Row, DamagedRow>>) -> Result<Vec<Row>, StoreError> {
        rows.into_iter().collect::<Result<_, _>>().map_err(|damaged| self.unreadable(damaged.id))
    }

    /// Brings up to `limit` rows of format 1 into this form; says how many.
    pub(super) fn migrate(&self, limit: usize) -> Result<usize, StoreError> {
        let found: Vec<_> = self.engine.read(|trees| trees.old_rows.iter().take(limit).collect::<Result<_, _>>())?;
        let mut rows = Vec::new();
        for (id, bytes) in &found {
            let id = <[u8; 16]>::try_from(&**id).map_err(|_| self.damaged("a row has no id"))?;
            let id = SubscriptionId::from_bytes(id);
            rows.push(Row::decode(id, bytes).ok_or_else(|| self.unreadable(id))?);
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

    /// A row as it can be read; an error only if not even its place can be.
    fn decode(&self, topic: &[u8], id: SubscriptionId, bytes: &[u8]) -> Result<Result<Row, DamagedRow>, StoreError> {
        if let Some(row) = Row::decode(id, bytes) {
            return Ok(Ok(row));
        }
        let topic = std::str::from_utf8(topic).ok().and_then(|topic| topic.parse().ok());
        let topic = topic.ok_or_else(|| self.unreadable(id))?;
        Ok(Err(DamagedRow::of(topic, id, bytes)))
    }

    fn unreadable(&self, id: SubscriptionId) -> StoreError {
        self.damaged(&format!("the row of subscription {id} cannot be read by this version"))
    }

    /// Changes rows, some at a time. `put` is by how many bytes that lets the content grow.
    fn change<T>(
        &self,
        all: &[T],
        put: i64,
        act: impl Fn(&Trees, &[T]) -> Result<(), sled::Error>,
    ) -> Result<(), StoreError> {
        let opening = self.engine.opening();
        for some in all.chunks(TOGETHER) {
            self.engine.begin(|trees| act(trees, some))?;
        }
        self.engine.sweep(all.len(), put)?;
        self.engine.sync(opening)
    }

    /// Something in the content is not as it was written.
    pub(super) fn damaged(&self, what: &str) -> StoreError {
        self.engine.damaged(what)
    }
}

/// What a look at the indexes found.
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

/// Puts a row in place of one whose robot is another. Here alone what a crash leaves could not be told from what is meant, so it is one
/// transaction, of a single row.
fn exchange(trees: &Trees, old: &Row, new: &Row) -> Result<(), sled::Error> {
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

/// How many bytes a row and its entries in the indexes have.
fn size(row: &Row) -> i64 {
    let topic = row.topic.as_str().len();
    let bytes = row.encode().len() + (topic + 17) + (16 + topic) + (topic + 17 + 16);
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A topic holds no zero byte, so no topic's keys lie among another's.
fn by_topic(topic: &TopicName, rest: &[u8]) -> Vec<u8> {
    [topic.as_str().as_bytes(), &[0], rest].concat()
}
