//! Attempts and decisions of one delivery, merged into one record where they belong together.
//!
//! An attempt and the decision about its answer are two occurrences a moment apart. One record for
//! both halves the size of the history, and is one line for an operator.
//!
//! Owns how long an attempt waits for its decision. The wait is bounded, so that a crash loses
//! nothing old.
//!
//! Not here: when records are written (`app/history_writer.rs`).

use std::collections::HashMap;

use super::{HistoryRecord, Occurrence};
use crate::domain::{EventId, SubscriptionId};

/// The delivery to which an attempt and a decision belong.
#[derive(Clone, PartialEq, Eq, Hash)]
struct StepKey {
    event: EventId,
    subscription: SubscriptionId,
    generation: u32,
}

/// An attempt whose decision has not been seen.
struct OpenAttempt {
    record: HistoryRecord,
    /// The number of the round in which it came.
    round: u64,
}

/// Merges attempts with their decisions.
#[derive(Default)]
pub struct StepMerger {
    open: HashMap<StepKey, OpenAttempt>,
    round: u64,
}

impl StepMerger {
    /// Takes records in the order in which they occurred, and returns those that are ready to be
    /// written. An attempt without its decision is kept.
    #[must_use]
    pub fn merge(&mut self, records: Vec<HistoryRecord>) -> Vec<HistoryRecord> {
        let mut ready = Vec::with_capacity(records.len());
        for mut record in records {
            let Some(key) = key(&record) else {
                ready.push(record);
                continue;
            };
            let Occurrence::Step(step) = &mut record.occurrence else { continue };
            if step.end.is_none() {
                let open = OpenAttempt { record, round: self.round };
                ready.extend(self.open.insert(key, open).map(|earlier| earlier.record));
                continue;
            }
            let attempt = match self.open.remove(&key).map(|open| open.record.occurrence) {
                Some(Occurrence::Step(attempted)) => attempted.attempt,
                _ => None,
            };
            if step.attempt.is_none() {
                step.attempt = attempt;
            }
            ready.push(record);
        }
        ready
    }

    /// Ends a round. Returns the attempts that were open during all of it: their decision takes
    /// long, and is a record of its own.
    #[must_use]
    pub fn end_round(&mut self) -> Vec<HistoryRecord> {
        let round = self.round;
        self.round += 1;
        self.close(|open| open.round < round)
    }

    /// Returns all open attempts.
    #[must_use]
    pub fn finish(&mut self) -> Vec<HistoryRecord> {
        self.close(|_| true)
    }

    fn close(&mut self, is_due: impl Fn(&OpenAttempt) -> bool) -> Vec<HistoryRecord> {
        let due = self.open.extract_if(|_, open| is_due(open));
        let mut records: Vec<_> = due.map(|(_, open)| open.record).collect();
        records.sort_by_key(|record| record.at);
        records
    }
}

fn key(record: &HistoryRecord) -> Option<StepKey> {
    let step = record.step()?;
    Some(StepKey {
        event: record.event.clone(),
        subscription: step.subscription,
        generation: step.generation,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        domain::{FeatureSet, Part, Platform, RobotId, Timestamp},
        history::{AttemptRecord, Coalesced, DeliveryStep, HistoryOutcome, StepEnd},
    };

    fn step(event: &str, at: u64, is_attempt: bool, end: Option<StepEnd>) -> HistoryRecord {
        let at = Timestamp::from_unix_millis(at);
        let attempt = is_attempt.then(|| AttemptRecord {
            at,
            took: Duration::from_millis(5),
            waited: Duration::ZERO,
            waited_for: None,
            verdict: "delivered".into(),
            code: "0".into(),
            detail: String::new(),
            coalesced: Coalesced::Covers(0),
        });
        let step = DeliveryStep {
            subscription: SubscriptionId::from_bytes([1; 16]),
            platform: Platform::ALL[0],
            robot: RobotId::from_bytes([2; 16]),
            generation: 0,
            hops: 0,
            attempts: 0,
            part: Part::default(),
            omitted: FeatureSet::default(),
            attempt,
            end,
        };
        let occurrence = Occurrence::Step(Box::new(step));
        HistoryRecord { at, event: EventId::new(event), topic: "t".into(), occurrence }
    }

    fn said(records: &[HistoryRecord]) -> Vec<(&str, u64, HistoryOutcome, bool)> {
        let one = |record: &HistoryRecord| record.step().unwrap().attempt.is_some();
        records
            .iter()
            .map(|record| {
                (record.event.as_str(), record.at.unix_millis(), record.outcome(), one(record))
            })
            .collect()
    }

    #[test]
    fn an_attempt_and_the_decision_after_it_are_one_record() {
        let mut merger = StepMerger::default();
        let ready = merger.merge(vec![
            step("a", 1, true, None),
            step("b", 2, true, None),
            step("a", 3, false, Some(StepEnd::Delivered)),
            step("c", 4, false, Some(StepEnd::Dropped)),
        ]);
        let expected =
            [("a", 3, HistoryOutcome::Delivered, true), ("c", 4, HistoryOutcome::Dropped, false)];
        assert_eq!(said(&ready), expected);
        let ready = merger.merge(vec![step("b", 5, false, Some(StepEnd::Delivered))]);
        assert_eq!(said(&ready), [("b", 5, HistoryOutcome::Delivered, true)]);
        assert!(merger.finish().is_empty());
    }

    #[test]
    fn the_attempt_of_an_earlier_part_is_a_record_of_its_own() {
        let mut merger = StepMerger::default();
        let ready = merger.merge(vec![
            step("a", 1, true, None),
            step("a", 2, true, None),
            step("a", 3, false, Some(StepEnd::Delivered)),
        ]);
        let expected =
            [("a", 1, HistoryOutcome::Attempted, true), ("a", 3, HistoryOutcome::Delivered, true)];
        assert_eq!(said(&ready), expected);
    }

    #[test]
    fn an_attempt_waits_for_its_decision_for_one_whole_round_at_most() {
        let mut merger = StepMerger::default();
        assert!(merger.merge(vec![step("b", 2, true, None), step("a", 1, true, None)]).is_empty());
        assert!(merger.end_round().is_empty());
        assert!(merger.merge(vec![step("c", 3, true, None)]).is_empty());
        let expected =
            [("a", 1, HistoryOutcome::Attempted, true), ("b", 2, HistoryOutcome::Attempted, true)];
        assert_eq!(said(&merger.end_round()), expected);
        let late = merger.merge(vec![step("a", 9, false, Some(StepEnd::Delivered))]);
        assert_eq!(said(&late), [("a", 9, HistoryOutcome::Delivered, false)]);
        assert_eq!(said(&merger.finish()), [("c", 3, HistoryOutcome::Attempted, true)]);
    }
}
