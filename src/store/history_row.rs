//! The form of the history's records on the disk.
//!
//! Owns the format of a frame: rows, each with kind 1 · length 4 · fields. A reader skips a row of
//! a kind that it does not know. The fields of a kind never change: a later version that needs
//! other ones uses another kind.
//!
//! Not here: the frames (`segment.rs`), and what is indexed of a record (`history_index.rs`).

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use super::history_text_key::HistoryTextKey;
use crate::{
    domain::{EventId, FeatureSet, Part, Platform, RobotId, SubscriptionId, Timestamp},
    history::{
        AttemptRecord, Coalesced, DeliveryStep, HistoryRecord, HoldChange, HoldRecord,
        LetterAction, LetterRecord, Name, Occurrence, RecordText, StepEnd,
    },
};

/// The kind of the rows of this version.
const KIND: u8 = 1;

#[derive(Deserialize, Serialize)]
struct Row<'a> {
    at: u64,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    occurrence: OccurrenceRow<'a>,
}

/// Variants are numbered in this order.
#[derive(Deserialize, Serialize)]
enum OccurrenceRow<'a> {
    Received {
        subscriptions: u32,
        deliveries: u32,
        /// The sealed text.
        text: Option<Vec<u8>>,
    },
    GivenUp {
        #[serde(borrow)]
        reason: Cow<'a, str>,
        #[serde(borrow)]
        code: Cow<'a, str>,
        generation: u32,
    },
    #[serde(borrow)]
    Step(Box<StepRow<'a>>),
    #[serde(borrow)]
    Letter(Box<LetterRow<'a>>),
    #[serde(borrow)]
    Hold(Box<HoldRow<'a>>),
}

#[derive(Deserialize, Serialize)]
struct LetterRow<'a> {
    discarded: bool,
    #[serde(borrow)]
    letter: Cow<'a, str>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    #[serde(borrow)]
    code: Cow<'a, str>,
    generation: u32,
    platform: Option<u8>,
    subscription: Option<[u8; 16]>,
    robot: Option<[u8; 16]>,
}

#[derive(Deserialize, Serialize)]
struct HoldRow<'a> {
    platform: u8,
    robot: Option<[u8; 16]>,
    #[serde(borrow)]
    cause: Cow<'a, str>,
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    detail: Cow<'a, str>,
    /// When the next message may be tried; `None` if the hold ended.
    until: Option<u64>,
}

#[derive(Deserialize, Serialize)]
struct StepRow<'a> {
    subscription: [u8; 16],
    platform: u8,
    robot: [u8; 16],
    generation: u32,
    hops: u32,
    attempts: u32,
    part: u32,
    parts: Option<u32>,
    #[serde(borrow)]
    omitted: Cow<'a, str>,
    #[serde(borrow)]
    attempt: Option<AttemptRow<'a>>,
    #[serde(borrow)]
    end: Option<EndRow<'a>>,
}

#[derive(Deserialize, Serialize)]
struct AttemptRow<'a> {
    at: u64,
    took_millis: u64,
    waited_millis: u64,
    #[serde(borrow)]
    waited_for: Option<Cow<'a, str>>,
    #[serde(borrow)]
    verdict: Cow<'a, str>,
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    detail: Cow<'a, str>,
    /// The number of other deliveries that the message covers; `None` if another one covers this.
    covers: Option<u32>,
}

/// Variants are numbered in this order.
#[derive(Deserialize, Serialize)]
enum EndRow<'a> {
    Delivered,
    Waits {
        until: u64,
        #[serde(borrow)]
        reason: Cow<'a, str>,
        is_retry: bool,
    },
    Dead {
        #[serde(borrow)]
        reason: Cow<'a, str>,
        #[serde(borrow)]
        code: Cow<'a, str>,
        #[serde(borrow)]
        detail: Cow<'a, str>,
    },
    Dropped,
}

/// Appends a record to the payload of a frame. Without a key it leaves out the text.
pub(super) fn encode(record: &HistoryRecord, key: Option<&HistoryTextKey>, payload: &mut Vec<u8>) {
    // Writing to memory does not fail. A row without fields would be skipped by readers.
    let fields = postcard::to_allocvec(&row(record, key)).unwrap_or_default();
    payload.push(KIND);
    payload.extend(u32::try_from(fields.len()).unwrap_or(u32::MAX).to_be_bytes());
    payload.extend(fields);
}

/// The records of a frame, the oldest first. `None` stands for a row that this version cannot read,
/// so that each row keeps its number.
pub(super) fn decode(
    mut payload: &[u8],
    key: Option<&HistoryTextKey>,
) -> Vec<Option<HistoryRecord>> {
    let mut records = Vec::new();
    while let Some((kind, fields, rest)) = split(payload) {
        let read = (kind == KIND).then(|| postcard::from_bytes(fields).ok()).flatten();
        records.push(read.and_then(|row| record(row, key)));
        payload = rest;
    }
    records
}

fn split(payload: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&kind, rest) = payload.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (fields, rest) = rest.split_at_checked(length)?;
    Some((kind, fields, rest))
}

fn row<'a>(record: &'a HistoryRecord, key: Option<&HistoryTextKey>) -> Row<'a> {
    let event = record.event.as_str();
    let occurrence = match &record.occurrence {
        Occurrence::Received { subscriptions, deliveries, text } => {
            let text = match text {
                RecordText::Text(text) => key.and_then(|key| key.seal(event, text)),
                RecordText::None | RecordText::Erased => None,
            };
            let (subscriptions, deliveries) = (*subscriptions, *deliveries);
            OccurrenceRow::Received { subscriptions, deliveries, text }
        }
        Occurrence::GivenUp { reason, code, generation } => OccurrenceRow::GivenUp {
            reason: Cow::Borrowed(reason),
            code: Cow::Borrowed(code),
            generation: *generation,
        },
        Occurrence::Step(step) => OccurrenceRow::Step(Box::new(step_row(step))),
        Occurrence::Letter(letter) => OccurrenceRow::Letter(Box::new(letter_row(letter))),
        Occurrence::Hold(hold) => OccurrenceRow::Hold(Box::new(hold_row(hold))),
    };
    Row {
        at: record.at.unix_millis(),
        event: Cow::Borrowed(event),
        topic: Cow::Borrowed(&record.topic),
        occurrence,
    }
}

fn letter_row(letter: &LetterRecord) -> LetterRow<'_> {
    LetterRow {
        discarded: letter.action == LetterAction::Discarded,
        letter: Cow::Borrowed(&letter.letter),
        reason: Cow::Borrowed(&letter.reason),
        code: Cow::Borrowed(&letter.code),
        generation: letter.generation,
        platform: letter.platform.map(Platform::number),
        subscription: letter.subscription.map(|id| *id.as_bytes()),
        robot: letter.robot.map(|id| *id.as_bytes()),
    }
}

fn hold_row(hold: &HoldRecord) -> HoldRow<'_> {
    HoldRow {
        platform: hold.platform.number(),
        robot: hold.robot.map(|id| *id.as_bytes()),
        cause: Cow::Borrowed(&hold.cause),
        code: Cow::Borrowed(&hold.code),
        detail: Cow::Borrowed(&hold.detail),
        until: match hold.change {
            HoldChange::Began { until } => Some(until.unix_millis()),
            HoldChange::Ended => None,
        },
    }
}

fn step_row(step: &DeliveryStep) -> StepRow<'_> {
    let attempt = step.attempt.as_ref().map(|attempt| AttemptRow {
        at: attempt.at.unix_millis(),
        took_millis: millis(attempt.took),
        waited_millis: millis(attempt.waited),
        waited_for: attempt.waited_for.as_deref().map(Cow::Borrowed),
        verdict: Cow::Borrowed(&attempt.verdict),
        code: Cow::Borrowed(&attempt.code),
        detail: Cow::Borrowed(&attempt.detail),
        covers: match attempt.coalesced {
            Coalesced::Covers(others) => Some(others),
            Coalesced::IsCovered => None,
        },
    });
    let end = step.end.as_ref().map(|end| match end {
        StepEnd::Delivered => EndRow::Delivered,
        StepEnd::Waits { until, reason, is_retry } => EndRow::Waits {
            until: until.unix_millis(),
            reason: Cow::Borrowed(reason),
            is_retry: *is_retry,
        },
        StepEnd::Dead { reason, code, detail } => EndRow::Dead {
            reason: Cow::Borrowed(reason),
            code: Cow::Borrowed(code),
            detail: Cow::Borrowed(detail),
        },
        StepEnd::Dropped => EndRow::Dropped,
    });
    StepRow {
        subscription: *step.subscription.as_bytes(),
        platform: step.platform.number(),
        robot: *step.robot.as_bytes(),
        generation: step.generation,
        hops: step.hops,
        attempts: step.attempts,
        part: step.part.index,
        parts: step.part.total,
        omitted: match step.omitted.is_empty() {
            true => Cow::Borrowed(""),
            false => Cow::Owned(step.omitted.to_string()),
        },
        attempt,
        end,
    }
}

/// The record of a row; `None` if its platform is one of a later version.
fn record(row: Row<'_>, key: Option<&HistoryTextKey>) -> Option<HistoryRecord> {
    let occurrence = match row.occurrence {
        OccurrenceRow::Received { subscriptions, deliveries, text } => {
            let opened = |sealed| key.and_then(|key| key.open(&row.event, sealed));
            let text = text.map_or(RecordText::None, |sealed| {
                opened(sealed).map_or(RecordText::Erased, RecordText::Text)
            });
            Occurrence::Received { subscriptions, deliveries, text }
        }
        OccurrenceRow::GivenUp { reason, code, generation } => {
            Occurrence::GivenUp { reason: name(reason), code: code.into_owned(), generation }
        }
        OccurrenceRow::Step(step) => Occurrence::Step(Box::new(step_of(*step)?)),
        OccurrenceRow::Letter(letter) => Occurrence::Letter(Box::new(letter_of(*letter)?)),
        OccurrenceRow::Hold(hold) => Occurrence::Hold(Box::new(hold_of(*hold)?)),
    };
    Some(HistoryRecord {
        at: Timestamp::from_unix_millis(row.at),
        event: EventId::new(&row.event),
        topic: row.topic.into(),
        occurrence,
    })
}

fn letter_of(row: LetterRow<'_>) -> Option<LetterRecord> {
    Some(LetterRecord {
        action: match row.discarded {
            true => LetterAction::Discarded,
            false => LetterAction::Redriven,
        },
        letter: row.letter.into_owned(),
        reason: name(row.reason),
        code: row.code.into_owned(),
        generation: row.generation,
        platform: match row.platform {
            Some(number) => Some(Platform::from_number(number)?),
            None => None,
        },
        subscription: row.subscription.map(SubscriptionId::from_bytes),
        robot: row.robot.map(RobotId::from_bytes),
    })
}

fn hold_of(row: HoldRow<'_>) -> Option<HoldRecord> {
    Some(HoldRecord {
        platform: Platform::from_number(row.platform)?,
        robot: row.robot.map(RobotId::from_bytes),
        cause: name(row.cause),
        code: row.code.into_owned(),
        detail: row.detail.into_owned(),
        change: row.until.map_or(HoldChange::Ended, |until| HoldChange::Began {
            until: Timestamp::from_unix_millis(until),
        }),
    })
}

fn step_of(row: StepRow<'_>) -> Option<DeliveryStep> {
    let attempt = row.attempt.map(|attempt| AttemptRecord {
        at: Timestamp::from_unix_millis(attempt.at),
        took: Duration::from_millis(attempt.took_millis),
        waited: Duration::from_millis(attempt.waited_millis),
        waited_for: attempt.waited_for.map(name),
        verdict: name(attempt.verdict),
        code: attempt.code.into_owned(),
        detail: attempt.detail.into_owned(),
        coalesced: attempt.covers.map_or(Coalesced::IsCovered, Coalesced::Covers),
    });
    let end = row.end.map(|end| match end {
        EndRow::Delivered => StepEnd::Delivered,
        EndRow::Waits { until, reason, is_retry } => StepEnd::Waits {
            until: Timestamp::from_unix_millis(until),
            reason: name(reason),
            is_retry,
        },
        EndRow::Dead { reason, code, detail } => StepEnd::Dead {
            reason: name(reason),
            code: code.into_owned(),
            detail: detail.into_owned(),
        },
        EndRow::Dropped => StepEnd::Dropped,
    });
    Some(DeliveryStep {
        subscription: SubscriptionId::from_bytes(row.subscription),
        platform: Platform::from_number(row.platform)?,
        robot: RobotId::from_bytes(row.robot),
        generation: row.generation,
        hops: row.hops,
        attempts: row.attempts,
        part: Part { index: row.part, total: row.parts },
        omitted: FeatureSet::named(&row.omitted),
        attempt,
        end,
    })
}

fn name(text: Cow<'_, str>) -> Name {
    Cow::Owned(text.into_owned())
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::history_samples::{any_record, every_kind, received};

    fn encoded(records: &[HistoryRecord]) -> Vec<u8> {
        let mut payload = Vec::new();
        records.iter().for_each(|record| encode(record, None, &mut payload));
        payload
    }

    proptest! {
        #[test]
        fn records_are_read_back_as_they_were_written(
            records in prop::collection::vec(any_record(), 0..8),
        ) {
            let read: Option<Vec<_>> = decode(&encoded(&records), None).into_iter().collect();
            prop_assert_eq!(read, Some(records));
        }

        #[test]
        fn no_bytes_end_a_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes, None);
        }
    }

    #[test]
    fn rows_that_this_version_cannot_read_are_skipped_and_keep_their_number() {
        let records = every_kind();
        let payload = encoded(&records);
        let later = [&[KIND + 1][..], &3_u32.to_be_bytes(), b"any"].concat();
        let broken = [&[KIND][..], &3_u32.to_be_bytes(), b"any"].concat();
        let cut = [KIND, 0, 0, 0, 9, 1];
        let read = decode(&[&later[..], &payload, &broken, &cut].concat(), None);
        assert_eq!(read.len(), records.len() + 2);
        assert_eq!(read.first(), Some(&None));
        assert_eq!(read.last(), Some(&None));
        assert!(read.into_iter().flatten().eq(records));
    }

    #[test]
    fn a_text_is_sealed_on_the_disk_and_opens_with_its_key_alone() {
        let (key, other) = (HistoryTextKey::generate(), HistoryTextKey::generate());
        let text = RecordText::Text("TEXTMARKER".to_owned());
        let with = |text| {
            let occurrence = Occurrence::Received { subscriptions: 1, deliveries: 1, text };
            HistoryRecord { occurrence, ..received("e", "t", 1) }
        };
        let (record, mut payload) = (with(text), Vec::new());
        encode(&record, Some(&key), &mut payload);
        assert!(!payload.windows(10).any(|window| window == b"TEXTMARKER"));
        assert_eq!(decode(&payload, Some(&key)), [Some(record.clone())]);
        let erased = vec![Some(with(RecordText::Erased))];
        assert_eq!(decode(&payload, Some(&other)), erased);
        assert_eq!(decode(&payload, None), erased);
        let mut without = Vec::new();
        encode(&record, None, &mut without);
        assert_eq!(decode(&without, Some(&key)), [Some(with(RecordText::None))]);
    }

    #[test]
    fn the_form_on_the_disk_stays_as_it_is() {
        let digest = crc32fast::hash(&encoded(&every_kind()));
        assert_eq!(digest, 1_965_835_925, "an earlier build wrote other bytes: use another kind");
    }
}
