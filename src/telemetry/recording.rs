//! The records that occurrences leave in the history.
//!
//! Owns which occurrence says what, and what of an event's text is kept. A record has no endpoint.
//!
//! Not here: the shape of a record (`history/record.rs`), and its way to the disk
//! (`app/history_writer.rs`).

use std::{sync::Arc, time::Duration};

use super::events::{
    AttemptCovered, AttemptMade, DeadLetterActedOn, DeliverySettled, EventExpanded, EventGivenUp,
    PaceChanged,
};
use crate::{
    domain::{
        AttemptOutcome, Delivery, EventContent, EventId, PlatformOverride, Settlement, Timestamp,
        WaitReason,
    },
    history::{
        AttemptRecord, Coalesced, DeliveryStep, HistoryRecord, HoldChange, HoldRecord,
        LetterRecord, Name, Occurrence, RecordText, StepEnd,
    },
    pace::{Hold, OutageChange},
};

/// The most bytes of a detail that are kept.
const DETAIL_BYTES: usize = 512;
/// The most bytes of an event's text that are kept.
const TEXT_BYTES: usize = 4096;

impl EventExpanded<'_> {
    pub(super) fn record(&self, with_text: bool) -> HistoryRecord {
        HistoryRecord {
            at: self.received,
            event: self.event.id.clone(),
            topic: self.event.topic.shared(),
            occurrence: Occurrence::Received {
                subscriptions: self.subscriptions,
                deliveries: self.deliveries,
                text: match with_text {
                    true => text(&self.event.content),
                    false => RecordText::None,
                },
            },
        }
    }
}

impl DeadLetterActedOn<'_> {
    pub(super) fn record(&self) -> HistoryRecord {
        let letter = self.letter;
        HistoryRecord {
            at: self.at,
            event: EventId::new(letter.event),
            topic: letter.topic.into(),
            occurrence: Occurrence::Letter(Box::new(LetterRecord {
                action: self.action,
                letter: cut(letter.id),
                reason: Name::Owned(cut(letter.reason)),
                code: cut(letter.code),
                generation: letter.generation,
                platform: letter.platform,
                subscription: letter.subscription,
                robot: letter.robot,
            })),
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

impl PaceChanged<'_> {
    /// The holds that began or ended. A hold that a failed probe prolongs is no news.
    pub(super) fn hold_records(&self) -> impl Iterator<Item = HistoryRecord> {
        let (changes, robot) = (self.changes, Some(self.robot));
        let began = |hold: &Hold| HoldChange::Began { until: self.at.after(hold.wait) };
        let of_robot = match (&changes.held, &changes.lifted) {
            (Some(hold), _) if !changes.was_held => Some((robot, hold.cause, began(hold))),
            (None, Some(hold)) => Some((robot, hold.cause, HoldChange::Ended)),
            _ => None,
        };
        let of_platform = changes.outage.map(|outage| match outage {
            OutageChange::Began { hold, .. } => (None, hold.cause, began(&hold)),
            OutageChange::Ended { hold, .. } => (None, hold.cause, HoldChange::Ended),
        });
        of_robot.into_iter().chain(of_platform).map(|(robot, cause, change)| HistoryRecord {
            at: self.at,
            event: self.event.clone(),
            topic: self.topic.shared(),
            occurrence: Occurrence::Hold(Box::new(HoldRecord {
                platform: self.platform,
                robot,
                cause: Name::Borrowed(cause.as_str()),
                code: self.answer.code.clone(),
                detail: cut(&self.answer.detail),
                change,
            })),
        })
    }
}

impl DeliverySettled<'_> {
    pub(super) fn record(&self) -> HistoryRecord {
        let reason = self.settlement.wait_reason().unwrap_or(WaitReason::Unknown);
        let end = match self.settlement {
            Settlement::Done => StepEnd::Delivered,
            Settlement::Deferred { until, .. } | Settlement::Retried { until, .. } => {
                let is_retry = matches!(self.settlement, Settlement::Retried { .. });
                StepEnd::Waits { until: until.at, reason: name_of(reason), is_retry }
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
    beginning(detail, DETAIL_BYTES).to_owned()
}

fn beginning(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

/// The subject, and the text for all platforms or else for the first that has one of its own.
fn text(content: &EventContent) -> RecordText {
    let own = content.entries.iter().find_map(|(_, entry)| match entry {
        PlatformOverride::Text(text) => Some(&text.text),
        PlatformOverride::Native(json) => Some(json),
        PlatformOverride::Unrendered(_) => None,
    });
    let body = content.message.as_ref().map(|message| &message.text).or(own);
    let mut kept = String::new();
    for part in [content.subject.as_ref(), body].into_iter().flatten() {
        if !kept.is_empty() && kept.len() < TEXT_BYTES {
            kept.push('\n');
        }
        kept.push_str(beginning(part, TEXT_BYTES.saturating_sub(kept.len())));
    }
    match kept.is_empty() {
        true => RecordText::None,
        false => RecordText::Text(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::TextBody;

    #[test]
    fn the_kept_text_is_subject_and_message_and_never_longer_than_its_bound() {
        let message = |text: &str| Some(TextBody::from(text));
        let subject = || Some("Disk full".to_owned());
        let blank = EventContent::default;
        let native = PlatformOverride::Native("{}".to_owned());
        let entries = vec![(crate::domain::Platform::ALL[0], native)];
        for (content, kept) in [
            (EventContent { message: message("on db-1"), ..blank() }, Some("on db-1")),
            (
                EventContent { subject: subject(), message: message("on db-1"), ..blank() },
                Some("Disk full\non db-1"),
            ),
            (EventContent { entries, ..blank() }, Some("{}")),
            (blank(), None),
        ] {
            let expected = kept.map_or(RecordText::None, |kept| RecordText::Text(kept.to_owned()));
            assert!(text(&content) == expected, "{kept:?}");
        }
        let long = "\u{95ee}".repeat(TEXT_BYTES);
        let content =
            EventContent { subject: Some(long.clone()), message: message(&long), ..blank() };
        let RecordText::Text(kept) = text(&content) else { panic!("it has a text") };
        assert!((TEXT_BYTES - 3..=TEXT_BYTES).contains(&kept.len()), "{}", kept.len());
    }
}
