//! The records that wait to be written.
//!
//! Owns that a delivery never waits for its history: a record is added in the time of a short lock,
//! and a record that finds the buffer full is lost.
//!
//! Not here: counting what is lost (`telemetry/`), and writing (`app/history_writer.rs`).

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::HistoryRecord;

/// How many records may wait. At a few hundred bytes each they need some megabytes.
const RECORDS_MAX: usize = 16_384;
/// The writer is woken early when this many wait.
const RECORDS_MANY: usize = RECORDS_MAX / 4;

/// The records that wait to be written.
#[derive(Default)]
pub struct HistoryBuffer {
    waiting: Mutex<Vec<HistoryRecord>>,
    many: Notify,
}

impl HistoryBuffer {
    /// Adds a record, without waiting for the disk. Returns false if there is no room, and the
    /// record is lost.
    #[must_use]
    pub fn push(&self, record: HistoryRecord) -> bool {
        let mut waiting = self.waiting();
        if waiting.len() >= RECORDS_MAX {
            return false;
        }
        waiting.push(record);
        if waiting.len() == RECORDS_MANY {
            self.many.notify_one();
        }
        true
    }

    /// Takes all records, the oldest first.
    #[must_use]
    pub fn take(&self) -> Vec<HistoryRecord> {
        let mut waiting = self.waiting();
        let next = Vec::with_capacity(waiting.len());
        mem::replace(&mut *waiting, next)
    }

    /// Waits until so many records wait that they should be taken early.
    pub async fn many(&self) {
        self.many.notified().await;
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<HistoryRecord>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::{
        domain::{EventId, Timestamp},
        history::Occurrence,
    };

    fn record(number: u64) -> HistoryRecord {
        HistoryRecord {
            at: Timestamp::from_unix_millis(number),
            event: EventId::new("e"),
            topic: "t".into(),
            occurrence: Occurrence::Received { subscriptions: 1, deliveries: 1 },
        }
    }

    #[test]
    fn a_full_buffer_refuses_records_until_it_is_taken_and_keeps_those_it_has() {
        let buffer = HistoryBuffer::default();
        let all = RECORDS_MAX as u64;
        assert!((0..all).all(|number| buffer.push(record(number))));
        assert!(!buffer.push(record(all)));
        let taken = buffer.take();
        assert!(taken.iter().map(|one| one.at.unix_millis()).eq(0..all));
        assert!(buffer.push(record(all + 1)));
        assert_eq!(buffer.take(), [record(all + 1)]);
    }

    #[tokio::test]
    async fn the_writer_is_woken_before_the_buffer_is_full() {
        let buffer = HistoryBuffer::default();
        for number in 1..RECORDS_MANY as u64 {
            assert!(buffer.push(record(number)));
        }
        assert_eq!(buffer.many().now_or_never(), None);
        assert!(buffer.push(record(0)));
        assert_eq!(buffer.many().now_or_never(), Some(()));
    }
}
