//! The form of the history's records on the disk.
//!
//! Owns the format of a frame: rows, each with kind 1 · length 4 · fields. A reader skips a row of
//! a kind that it does not know. The fields of a kind never change: a later version that needs
//! other ones uses another kind.
//!
//! Not here: the frames (`segment.rs`), and what is indexed of a record (`history_index.rs`).

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    domain::{EventId, FeatureSet, Part, Platform, RobotId, SubscriptionId, Timestamp},
    history::{AttemptRecord, Coalesced, DeliveryStep, HistoryRecord, Name, Occurrence, StepEnd},
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

/// Appends a record to the payload of a frame.
pub(super) fn encode(record: &HistoryRecord, payload: &mut Vec<u8>) {
    // Writing to memory does not fail. A row without fields would be skipped by readers.
    let fields = postcard::to_allocvec(&row(record)).unwrap_or_default();
    payload.push(KIND);
    payload.extend(u32::try_from(fields.len()).unwrap_or(u32::MAX).to_be_bytes());
    payload.extend(fields);
}

/// The records of a frame, the oldest first. `None` stands for a row that this version cannot read,
/// so that each row keeps its number.
pub(super) fn decode(mut payload: &[u8]) -> Vec<Option<HistoryRecord>> {
    let mut records = Vec::new();
    while let Some((kind, fields, rest)) = split(payload) {
        let read = (kind == KIND).then(|| postcard::from_bytes(fields).ok()).flatten();
        records.push(read.and_then(record));
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

fn row(record: &HistoryRecord) -> Row<'_> {
    let occurrence = match &record.occurrence {
        Occurrence::Received { subscriptions, deliveries } => {
            OccurrenceRow::Received { subscriptions: *subscriptions, deliveries: *deliveries }
        }
        Occurrence::GivenUp { reason, code, generation } => OccurrenceRow::GivenUp {
            reason: Cow::Borrowed(reason),
            code: Cow::Borrowed(code),
            generation: *generation,
        },
        Occurrence::Step(step) => OccurrenceRow::Step(Box::new(step_row(step))),
    };
    Row {
        at: record.at.unix_millis(),
        event: Cow::Borrowed(record.event.as_str()),
        topic: Cow::Borrowed(&record.topic),
        occurrence,
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
        StepEnd::Waits { until, reason } => {
            EndRow::Waits { until: until.unix_millis(), reason: Cow::Borrowed(reason) }
        }
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
fn record(row: Row<'_>) -> Option<HistoryRecord> {
    let occurrence = match row.occurrence {
        OccurrenceRow::Received { subscriptions, deliveries } => {
            Occurrence::Received { subscriptions, deliveries }
        }
        OccurrenceRow::GivenUp { reason, code, generation } => {
            Occurrence::GivenUp { reason: name(reason), code: code.into_owned(), generation }
        }
        OccurrenceRow::Step(step) => Occurrence::Step(Box::new(step_of(*step)?)),
    };
    Some(HistoryRecord {
        at: Timestamp::from_unix_millis(row.at),
        event: EventId::new(&row.event),
        topic: row.topic.into(),
        occurrence,
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
        EndRow::Waits { until, reason } => {
            StepEnd::Waits { until: Timestamp::from_unix_millis(until), reason: name(reason) }
        }
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
    use crate::store::history_samples::{any_record, every_kind};

    fn encoded(records: &[HistoryRecord]) -> Vec<u8> {
        let mut payload = Vec::new();
        records.iter().for_each(|record| encode(record, &mut payload));
        payload
    }

    proptest! {
        #[test]
        fn records_are_read_back_as_they_were_written(
            records in prop::collection::vec(any_record(), 0..8),
        ) {
            let read: Option<Vec<_>> = decode(&encoded(&records)).into_iter().collect();
            prop_assert_eq!(read, Some(records));
        }

        #[test]
        fn no_bytes_end_a_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn rows_that_this_version_cannot_read_are_skipped_and_keep_their_number() {
        let records = every_kind();
        let payload = encoded(&records);
        let later = [&[KIND + 1][..], &3_u32.to_be_bytes(), b"any"].concat();
        let broken = [&[KIND][..], &3_u32.to_be_bytes(), b"any"].concat();
        let cut = [KIND, 0, 0, 0, 9, 1];
        let read = decode(&[&later[..], &payload, &broken, &cut].concat());
        assert_eq!(read.len(), records.len() + 2);
        assert_eq!(read.first(), Some(&None));
        assert_eq!(read.last(), Some(&None));
        assert!(read.into_iter().flatten().eq(records));
    }

    #[test]
    fn the_form_on_the_disk_stays_as_it_is() {
        let digest = crc32fast::hash(&encoded(&every_kind()));
        assert_eq!(digest, 1_739_410_347, "an earlier build wrote other bytes: use another kind");
    }
}
