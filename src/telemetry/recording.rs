//! The records that occurrences leave in the history.
//!
//! Owns which occurrence says what. A record has neither an endpoint nor a text of an event.
//!
//! Not here: the shape of a record (`history/record.rs`), and its way to the disk
//! (`app/history_writer.rs`).

use std::{sync::Arc, time::Duration};

use super::events::{AttemptCovered, AttemptMade, DeliverySettled, EventExpanded, EventGivenUp};
use crate::{
    domain::{AttemptOutcome, Delivery, Settlement, Timestamp, WaitReason},
    history::{AttemptRecord, Coalesced, DeliveryStep, HistoryRecord, Name, Occurrence, StepEnd},
};

/// The most bytes of a detail that are kept.
const DETAIL_BYTES: usize = 512;

impl EventExpanded<'_> {
    pub(super) fn record(&self) -> HistoryRecord {
        HistoryRecord {
            at: self.received,
            event: self.event.id.clone(),
            topic: self.event.topic.shared(),
            occurrence: Occurrence::Received {
                subscriptions: self.subscriptions,
                deliveries: self.deliveries,
            },
        }
    }
}

impl EventGivenUp<'_> {
    pub(super) fn record(&self) -> HistoryRecord {
        HistoryRecord {
            at: self.at,
            event: self.event.clone(),
            topic: self.topic.into(),
            occurrence: Occurrence::GivenUp {
                reason: Name::Borrowed(self.reason.as_str()),
                code: self.code.to_owned(),
                generation: self.generation,
            },
        }
    }
}

impl AttemptMade<'_> {
    pub(super) fn record(&self) -> HistoryRecord {
        let attempt = AttemptRecord {
            took: self.took,
            waited: self.waited,
            waited_for: self.wait_reason.map(name_of),
            ..attempt(self.answer, self.now)
        };
        let others = u32::try_from(self.folded).unwrap_or(u32::MAX);
        let attempt = AttemptRecord { coalesced: Coalesced::Covers(others), ..attempt };
        step(self.delivery, self.now, Some(attempt), None)
    }
}

impl AttemptCovered<'_> {
    pub(super) fn record(&self) -> HistoryRecord {
        step(self.delivery, self.now, Some(attempt(self.answer, self.now)), None)
    }
}

impl DeliverySettled<'_> {
    pub(super) fn record(&self) -> HistoryRecord {
        let reason = self.settlement.wait_reason().unwrap_or(WaitReason::Unknown);
        let end = match self.settlement {
            Settlement::Done => StepEnd::Delivered,
            Settlement::Deferred { until, .. } | Settlement::Retried { until, .. } => {
                StepEnd::Waits { until: *until, reason: name_of(reason) }
            }
            Settlement::Dead { reason, code, detail } => StepEnd::Dead {
                reason: Name::Borrowed(reason.as_str()),
                code: code.clone(),
                detail: cut(detail),
            },
            Settlement::Dropped => StepEnd::Dropped,
        };
        step(self.delivery, self.now, None, Some(end))
    }
}

/// An attempt of another delivery that covers this one.
fn attempt(answer: &AttemptOutcome, at: Timestamp) -> AttemptRecord {
    AttemptRecord {
        at,
        took: Duration::ZERO,
        waited: Duration::ZERO,
        waited_for: None,
        verdict: Name::Borrowed(answer.verdict.kind().as_str()),
        code: answer.code.clone(),
        detail: cut(&answer.detail),
        coalesced: Coalesced::IsCovered,
    }
}

fn step(
    delivery: &Delivery,
    at: Timestamp,
    attempt: Option<AttemptRecord>,
    end: Option<StepEnd>,
) -> HistoryRecord {
    let step = DeliveryStep {
        subscription: delivery.subscription,
        platform: delivery.platform,
        robot: delivery.robot,
        generation: delivery.generation,
        hops: delivery.hops,
        attempts: delivery.attempts,
        part: delivery.part,
        omitted: delivery.degradation.all(),
        attempt,
        end,
    };
    let (event, topic): (_, Arc<str>) = (delivery.event.id.clone(), delivery.event.topic.shared());
    HistoryRecord { at, event, topic, occurrence: Occurrence::Step(Box::new(step)) }
}

fn name_of(reason: WaitReason) -> Name {
    Name::Borrowed(reason.as_str())
}

/// The beginning of a detail.
fn cut(detail: &str) -> String {
    detail.get(..detail.floor_char_boundary(DETAIL_BYTES)).unwrap_or_default().to_owned()
}
