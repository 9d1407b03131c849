//! The database: rows, where each id is found, where each robot is found. Owns that a change is durable before it is reported.
//!
//! | tree | key | value |
//! | --- | --- | --- |
//! | `rows` | topic, 0, id | the row; a topic's page is one stretch of it |
//! | `ids` | id | the topic |
//! | `robots` | topic, 0, robot | the id |
//!
//! What a row means is `row.rs`; how sled is opened, and opened again after it failed, is `engine.rs`.

use std::{ops::Bound, path::Path};

use sled::transaction::{ConflictableTransactionResult, TransactionalTree};

use super::{Place, StoreError, engine::Engine, row::Row};
use crate::domain::{RobotId, SubscriptionId, TopicName};

/// So many rows are changed in one transaction.
const IN_TRANSACTION: usize = 32;

/// The open database.
pub(super) struct Db {
    engine: Engine,
}

/// The trees in a transaction.
struct Change<'a> {
    rows: &'a TransactionalTree,
    ids: &'a TransactionalTree,
    robots: &'a TransactionalTree,
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

    /// Adds rows, each whole or not at all; durable when it returns.
    pub(super) fn insert(&self, rows: &[Row]) -> Result<(), StoreError> {
        self.change(rows, |change, rows| rows.iter().try_for_each(|row| change.insert(row)))
    }

    /// Puts rows in place of those of the same id and topic, each whole or not at all; durable when it returns.
    pub(super) fn replace(&self, rows: &[(Row, Row)]) -> Result<(), StoreError> {
        self.change(rows, |change, rows| {
            rows.iter().try_for_each(|(old, new)| {
                if old.robot != new.robot {
                    change.robots.remove(by_topic(&old.topic, old.robot.as_bytes()))?;
                }
                change.insert(new)
            })
        })
    }

    /// Removes rows, each whole or not at all; durable when it returns.
    pub(super) fn remove(&self, rows: &[Row]) -> Result<(), StoreError> {
        self.change(rows, |change, rows| {
            rows.iter().try_for_each(|row| {
                let id = row.id.as_bytes();
                change.rows.remove(by_topic(&row.topic, id))?;
                change.ids.remove(id)?;
                let robot = by_topic(&row.topic, row.robot.as_bytes());
                // The robot may be another's by now.
                if change.robots.get(&robot)?.is_some_and(|found| found == id) {
                    change.robots.remove(robot)?;
                }
                Ok(())
            })
        })
    }

    /// The row of that id.
    pub(super) fn get(&self, id: SubscriptionId) -> Result<Option<Row>, StoreError> {
        let found = self.engine.read(|trees| {
            let Some(topic) = trees.ids.get(id.as_bytes())? else { return Ok(None) };
            trees.rows.get([&topic, &[0][..], id.as_bytes()].concat())
        })?;
        found.map(|bytes| self.decode(id, &bytes)).transpose()
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
        let from = after.map_or(Bound::Unbounded, |place| Bound::Excluded(by_topic(&place.topic, place.id.as_bytes())));
        self.stretch((from, Bound::Unbounded), limit)
    }

    /// How many entries `ids` and `robots` have, and those of them that lead to no row.
    pub(super) fn check_indexes(&self) -> Result<IndexCheck, StoreError> {
        self.engine.read(|trees| {
            let mut check = IndexCheck::default();
            for entry in &trees.ids {
                let (id, topic) = entry?;
                check.ids += 1;
                check.lost += usize::from(!trees.rows.contains_key([&topic, &[0][..], &id].concat())?);
            }
            for entry in &trees.robots {
                let (key, id) = entry?;
                check.robots += 1;
                let topic = key.get(..key.len().saturating_sub(17)).unwrap_or_default();
                check.lost += usize::from(!trees.rows.contains_key([topic, &[0], &id].concat())?);
            }
            Ok(check)
        })
    }

    fn stretch(&self, range: (Bound<Vec<u8>>, Bound<Vec<u8>>), limit: usize) -> Result<Vec<Row>, StoreError> {
        let found: Vec<_> =
            self.engine.read(|trees| trees.rows.range(range.clone()).take(limit).collect::<Result<_, _>>())?;
        let rows = found.into_iter().map(|(key, bytes)| {
            let id = key.last_chunk::<16>().ok_or_else(|| self.damaged("a row has no id"))?;
            self.decode(SubscriptionId::from_bytes(*id), &bytes)
        });
        rows.collect()
    }

    /// Brings up to `limit` rows of format 1 into this form; says how many.
    pub(super) fn migrate(&self, limit: usize) -> Result<usize, StoreError> {
        let found: Vec<_> = self.engine.read(|trees| trees.old_rows.iter().take(limit).collect::<Result<_, _>>())?;
        let mut rows = Vec::new();
        for (id, bytes) in &found {
            let id = <[u8; 16]>::try_from(&**id).map_err(|_| self.damaged("a row has no id"))?;
            rows.push(self.decode(SubscriptionId::from_bytes(id), bytes)?);
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

    fn decode(&self, id: SubscriptionId, bytes: &[u8]) -> Result<Row, StoreError> {
        Row::decode(id, bytes)
            .ok_or_else(|| self.damaged(&format!("the row of subscription {id} cannot be read by this version")))
    }

    /// Changes some rows in one transaction after the other. Readers wait for one of them to end, so none is large.
    fn change<T>(
        &self,
        all: &[T],
        act: impl Fn(&Change<'_>, &[T]) -> ConflictableTransactionResult<()>,
    ) -> Result<(), StoreError> {
        let opening = self.engine.opening();
        for some in all.chunks(IN_TRANSACTION) {
            self.engine.transaction(|rows, ids, robots| act(&Change { rows, ids, robots }, some))?;
        }
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
    pub(super) lost: usize,
}

impl Change<'_> {
    fn insert(&self, row: &Row) -> ConflictableTransactionResult<()> {
        let id = row.id.as_bytes();
        self.rows.insert(by_topic(&row.topic, id), row.encode())?;
        self.ids.insert(id, row.topic.as_str().as_bytes())?;
        self.robots.insert(by_topic(&row.topic, row.robot.as_bytes()), id)?;
        Ok(())
    }
}

/// A topic holds no zero byte, so no topic's keys lie among another's.
fn by_topic(topic: &TopicName, rest: &[u8]) -> Vec<u8> {
    [topic.as_str().as_bytes(), &[0], rest].concat()
}
