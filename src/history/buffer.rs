//! The records that wait to be written.
//!
//! Owns that a delivery never waits for its history: a record is added in the time of a short lock,
//! and a record that finds the buffer full is lost. A record that finds too many texts loses its
//! own.
//!
//! Not here: counting what is lost (`telemetry/`), and writing (`app/history_writer.rs`).

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{HistoryRecord, Occurrence, RecordText};

/// How many records may wait. At a few hundred bytes each they need some megabytes.
const RECORDS_MAX: usize = 16_384;
/// The writer is woken early when this many wait.
const RECORDS_MANY: usize = RECORDS_MAX / 4;

/// How many bytes of texts may wait.
const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The writer is woken early when the texts have this many bytes.
const TEXT_BYTES_MANY: usize = TEXT_BYTES_MAX / 4;

/// The records that wait to be written.
#[derive(Default)]
pub struct HistoryBuffer {
    waiting: Mutex<WaitingRecords>,
    many: Notify,
    keeps_texts: bool,
}

#[derive(Default)]
struct WaitingRecords {
    records: Vec<HistoryRecord>,
    text_bytes: usize,
}

impl HistoryBuffer {
    /// An empty buffer of a history that keeps the texts of events.
    #[must_use]
    pub fn with_texts() -> Self {
        Self { keeps_texts: true, ..Self::default() }
    }

    /// Whether records should have the texts of their events.
    #[must_use]
    pub const fn keeps_texts(&self) -> bool {
        self.keeps_texts
    }

    /// Adds a record, without waiting for the disk. Returns false if there is no room, and the
    /// record is lost.
    #[must_use]
    pub fn push(&self, mut record: HistoryRecord) -> bool {
        let mut waiting = self.waiting();
        if waiting.records.len() >= RECORDS_MAX {
            return false;
        }
        let before = waiting.text_bytes;
        if let Occurrence::Received { text, .. } = &mut record.occurrence
            && let RecordText::Text(own) = &*text
        {
            match before + own.len() {
                bytes if bytes > TEXT_BYTES_MAX => *text = RecordText::None,
                bytes => waiting.text_bytes = bytes,
            }
        }
        waiting.records.push(record);
        let has_many_texts = before < TEXT_BYTES_MANY && waiting.text_bytes >= TEXT_BYTES_MANY;
        if waiting.records.len() == RECORDS_MANY || has_many_texts {
            self.many.notify_one();
        }
        true
    }

    /// Takes all records, the oldest first.
    #[must_use]
    pub fn take(&self) -> Vec<HistoryRecord> {
        let mut waiting = self.waiting();
        waiting.text_bytes = 0;
        let next = Vec::with_capacity(waiting.records.len());
        mem::replace(&mut waiting.records, next)
    }

    /// Waits until so many records wait that they should be taken early.
    pub async fn many(&self) {
        self.many.notified().await;
    }

    fn waiting(&self) -> MutexGuard<'_, WaitingRecords> {
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
            occurrence: received(RecordText::None),
        }
    }

    fn received(text: RecordText) -> Occurrence {
        Occurrence::Received { subscriptions: 1, deliveries: 1, text }
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
    async fn texts_are_bounded_by_their_bytes_and_a_record_without_room_for_its_own_is_kept() {
        let buffer = HistoryBuffer::with_texts();
        let (size, most) = (16 * 1024, TEXT_BYTES_MAX / (16 * 1024));
        for number in 0..=most as u64 {
            let text = RecordText::Text("t".repeat(size));
            assert!(buffer.push(HistoryRecord { occurrence: received(text), ..record(number) }));
        }
        assert_eq!(buffer.many().now_or_never(), Some(()), "the writer is woken for their bytes");
        let taken = buffer.take();
        let has_text = |one: &HistoryRecord| {
            matches!(one.occurrence, Occurrence::Received { text: RecordText::Text(_), .. })
        };
        assert_eq!(
            (taken.len(), taken.iter().filter(|one| has_text(one)).count()),
            (most + 1, most)
        );
        let text = RecordText::Text("t".to_owned());
        assert!(buffer.push(HistoryRecord { occurrence: received(text), ..record(0) }));
        assert!(has_text(&buffer.take()[0]), "there is room again");
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
