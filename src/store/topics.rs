//! The topics that have subscriptions, with the numbers of these.
//!
//! Owns that no more rows than [`READ`] are in memory at a time, however many a topic has.
//!
//! Not here: the subscriptions themselves (`listing.rs`), the order of the keys (`db.rs`).

use std::ops::Bound;

use super::{StoreError, row::is_paused, subscriptions::Store};
use crate::domain::{TopicName, TopicSubscriptions};

/// The number of rows that are read at a time.
const READ: usize = 1024;

/// What a row says about its topic.
struct TopicRow {
    key: Vec<u8>,
    is_paused: bool,
}

impl Store {
    /// Up to `limit` topics that have subscriptions, in the order of their names, starting after
    /// `after`. Blocks on the disk.
    pub fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> Result<Vec<TopicSubscriptions>, StoreError> {
        // All keys of a topic have a zero byte behind its name, so they sort before this one.
        let mut from = after.map_or(Bound::Unbounded, |topic| {
            Bound::Included([topic.as_str().as_bytes(), &[1]].concat())
        });
        let mut found: Vec<TopicSubscriptions> = Vec::new();
        loop {
            let rows = self.rows_from(&from)?;
            let is_last = rows.len() < READ;
            for TopicRow { key, is_paused } in rows {
                let topic = topic_of(&key);
                from = Bound::Excluded(key);
                // A key that cannot be read is found by `verify`.
                let Some(topic) = topic else { continue };
                if found.last().is_none_or(|last| last.topic != topic) {
                    if found.len() == limit {
                        return Ok(found);
                    }
                    found.push(TopicSubscriptions { topic, subscriptions: 0, active: 0 });
                }
                if let Some(last) = found.last_mut() {
                    last.subscriptions += 1;
                    last.active += u64::from(!is_paused);
                }
            }
            if is_last {
                return Ok(found);
            }
        }
    }

    fn rows_from(&self, from: &Bound<Vec<u8>>) -> Result<Vec<TopicRow>, StoreError> {
        self.0.db.engine().read(|trees| {
            let rows = trees.rows.range::<Vec<u8>, _>((from.clone(), Bound::Unbounded)).take(READ);
            let read = rows.map(|row| {
                row.map(|(key, bytes)| TopicRow { key: key.to_vec(), is_paused: is_paused(&bytes) })
            });
            read.collect()
        })
    }
}

/// The topic in the key of a row.
fn topic_of(key: &[u8]) -> Option<TopicName> {
    let (topic, _) = key.split_last_chunk::<16>()?;
    std::str::from_utf8(topic.strip_suffix(&[0])?).ok()?.parse().ok()
}
