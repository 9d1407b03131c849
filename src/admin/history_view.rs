//! The entries of the history: what a record says to people and to programs.
//!
//! Owns the sentence of each entry, and the summary of each delivery of an event.
//!
//! Not here: the names of the fields (`wire/history.rs`), and the questions (`history.rs`).

use super::{
    dead_letters::rfc3339,
    wire::{
        DeliverySummary, HistoryAttempt, HistoryDead, HistoryDelivery, HistoryEntry, HistoryHold,
        HistoryWait, WaitView,
    },
};
use crate::{
    domain::{DeadReason, HoldCause, Part, Timestamp, VerdictKind, WaitReason, every},
    history::{
        AttemptRecord, Coalesced, DeliveryStep, HistoryRecord, HoldChange, HoldRecord,
        LetterAction, LetterRecord, Occurrence, RecordText, StepEnd,
    },
};

/// The entry of a record; `name` is the name of its subscription.
pub(super) fn entry(record: HistoryRecord, name: Option<String>) -> HistoryEntry {
    let blank = HistoryEntry {
        at: rfc3339(record.at),
        outcome: record.outcome(),
        says: says(&record),
        event: record.event.to_string(),
        topic: record.topic.to_string(),
        delivery: None,
        attempt: None,
        wait: None,
        dead: None,
        letter: None,
        hold: None,
        text: None,
        subscriptions: None,
        deliveries: None,
    };
    match record.occurrence {
        Occurrence::Received { subscriptions, deliveries, text } => HistoryEntry {
            subscriptions: Some(subscriptions),
            deliveries: Some(deliveries),
            text: match text {
                RecordText::Text(text) => Some(text),
                RecordText::None | RecordText::Erased => None,
            },
            ..blank
        },
        Occurrence::GivenUp { reason, code, .. } => {
            let (reason, detail) = (reason.into_owned(), String::new());
            HistoryEntry { dead: Some(HistoryDead { reason, code, detail }), ..blank }
        }
        Occurrence::Step(step) => {
            let (wait, dead) = match &step.end {
                Some(StepEnd::Waits { until, reason, .. }) => {
                    let why = WaitView {
                        reason: reason.to_string(),
                        ..WaitReason::named(reason).unwrap_or(WaitReason::Unknown).into()
                    };
                    (Some(HistoryWait { until: rfc3339(*until), why }), None)
                }
                Some(StepEnd::Dead { reason, code, detail }) => {
                    let (reason, code) = (reason.to_string(), code.clone());
                    (None, Some(HistoryDead { reason, code, detail: detail.clone() }))
                }
                Some(StepEnd::Delivered | StepEnd::Dropped) | None => (None, None),
            };
            let delivery = Some(delivery(&step, name));
            HistoryEntry { delivery, attempt: step.attempt.map(attempt), wait, dead, ..blank }
        }
        Occurrence::Letter(letter) => HistoryEntry {
            delivery: delivery_of(&letter, name),
            dead: Some(HistoryDead {
                reason: letter.reason.into_owned(),
                code: letter.code,
                detail: String::new(),
            }),
            letter: Some(letter.letter),
            ..blank
        },
        Occurrence::Hold(hold) => HistoryEntry { hold: Some(held(*hold)), ..blank },
    }
}

/// The delivery of a dead letter; `None` if the letter is an event as a whole.
fn delivery_of(letter: &LetterRecord, name: Option<String>) -> Option<HistoryDelivery> {
    Some(HistoryDelivery {
        subscription: letter.subscription?,
        name,
        platform: letter.platform?,
        robot: letter.robot?,
        generation: letter.generation,
        hops: 0,
        attempts: 0,
        part: None,
        omitted: Vec::new(),
    })
}

fn held(hold: HoldRecord) -> HistoryHold {
    HistoryHold {
        platform: hold.platform,
        robot: hold.robot,
        cause: hold.cause.into_owned(),
        until: match hold.change {
            HoldChange::Began { until } => Some(rfc3339(until)),
            HoldChange::Ended => None,
        },
        code: hold.code,
        detail: hold.detail,
    }
}

fn delivery(step: &DeliveryStep, name: Option<String>) -> HistoryDelivery {
    HistoryDelivery {
        subscription: step.subscription,
        name,
        platform: step.platform,
        robot: step.robot,
        generation: step.generation,
        hops: step.hops,
        attempts: step.attempts,
        part: part(step.part),
        omitted: step.omitted.iter().map(|one| one.as_str().to_owned()).collect(),
    }
}

/// The part of a text that needs several messages.
fn part(part: Part) -> Option<String> {
    let total = part.total.filter(|total| *total > 1)?;
    Some(format!("{}/{total}", part.index + 1))
}

fn attempt(attempt: AttemptRecord) -> HistoryAttempt {
    let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    HistoryAttempt {
        at: rfc3339(attempt.at),
        took_millis: millis(attempt.took),
        waited_millis: millis(attempt.waited),
        waited_for: attempt.waited_for.map(|name| name.into_owned()),
        verdict: attempt.verdict.into_owned(),
        code: attempt.code,
        detail: attempt.detail,
        covers: match attempt.coalesced {
            Coalesced::Covers(others) => Some(others),
            Coalesced::IsCovered => None,
        },
    }
}

/// The record in a sentence.
fn says(record: &HistoryRecord) -> String {
    match &record.occurrence {
        Occurrence::Received { subscriptions: 0, .. } => {
            "received; its topic has no subscription".to_owned()
        }
        Occurrence::Received { subscriptions, deliveries, .. } => {
            let (of, begun) = (counted(*subscriptions, "subscription"), *deliveries);
            format!("received; {} of {of} began", counted_deliveries(begun))
        }
        Occurrence::GivenUp { reason, code, .. } => {
            format!("given up as a whole: {} ({code})", dead_label(reason))
        }
        Occurrence::Step(step) => of_step(step),
        Occurrence::Letter(letter) => {
            let was = format!("it was given up: {}", dead_label(&letter.reason));
            match letter.action {
                LetterAction::Redriven => format!("an operator redrove its dead letter; {was}"),
                LetterAction::Discarded => format!("an operator deleted its dead letter; {was}"),
            }
        }
        Occurrence::Hold(hold) => of_hold(hold),
    }
}

fn of_hold(hold: &HoldRecord) -> String {
    let whose = match hold.robot {
        Some(_) => "its robot".to_owned(),
        None => format!("all robots of {}", hold.platform),
    };
    let cause = every::<HoldCause>().find(|cause| cause.as_str() == hold.cause);
    let cause = match cause {
        Some(cause) => cause.label(),
        None => &*hold.cause,
    };
    let answer = match hold.detail.is_empty() {
        true => hold.code.clone(),
        false => format!("{}: {}", hold.code, hold.detail),
    };
    match hold.change {
        HoldChange::Began { until } => {
            format!("{whose} held until {}: {cause} ({answer})", rfc3339(until))
        }
        HoldChange::Ended => format!("{whose} released: a message got through"),
    }
}

fn of_step(step: &DeliveryStep) -> String {
    let of_part = part(step.part).map(|part| format!("part {part}: ")).unwrap_or_default();
    let answered = step.attempt.as_ref().map(answered);
    let said = match (&step.end, answered) {
        (None, Some(answered)) => format!("attempt {answered}"),
        // No record has neither.
        (None, None) => String::new(),
        (Some(StepEnd::Delivered), Some(answered)) => answered,
        (Some(StepEnd::Delivered), None) => "delivered".to_owned(),
        (Some(StepEnd::Waits { until, reason, .. }), answered) => {
            let label = match WaitReason::named(reason) {
                Some(reason) => reason.label(),
                None => reason,
            };
            let until = format!("waits until {}: {label}", rfc3339(*until));
            answered.map_or(until.clone(), |answered| format!("attempt {answered}; {until}"))
        }
        (Some(StepEnd::Dead { reason, code, detail }), answered) => {
            let why = match answered {
                Some(answered) => answered,
                None if detail.is_empty() => code.clone(),
                None => format!("{code}: {detail}"),
            };
            format!("given up: {}; {why}", dead_label(reason))
        }
        (Some(StepEnd::Dropped), _) => "dropped: its subscription was removed or paused".to_owned(),
    };
    format!("{of_part}{said}")
}

/// The answer to an attempt.
fn answered(attempt: &AttemptRecord) -> String {
    let took = match attempt.coalesced {
        Coalesced::IsCovered => "with the message of another delivery".to_owned(),
        Coalesced::Covers(0) => format!("in {} ms", attempt.took.as_millis()),
        Coalesced::Covers(others) => {
            let others = counted(others, "other");
            format!("in {} ms, with {others} in one message", attempt.took.as_millis())
        }
    };
    let verdict = attempt.verdict.replace('_', " ");
    if attempt.verdict == VerdictKind::Delivered.as_str() {
        return format!("{verdict} {took}");
    }
    match (attempt.code.is_empty(), attempt.detail.is_empty()) {
        (true, true) => format!("{verdict} {took}"),
        (false, true) => format!("{verdict} {took} ({})", attempt.code),
        (_, false) => format!("{verdict} {took} ({}: {})", attempt.code, attempt.detail),
    }
}

fn counted(count: u32, of: &str) -> String {
    if count == 1 { format!("1 {of}") } else { format!("{count} {of}s") }
}

fn counted_deliveries(count: u32) -> String {
    if count == 1 { "1 delivery".to_owned() } else { format!("{count} deliveries") }
}

fn dead_label(reason: &str) -> &str {
    match DeadReason::named(reason) {
        Some(reason) => reason.label(),
        None => reason,
    }
}

/// The times of the records of one event, for a time line. An action on a dead letter is noted
/// after it, and what it redrove may be noted before: it counts as before the later generation.
/// Of equal times, the one with `false` comes first.
pub(super) fn times_in_order(records: &[HistoryRecord]) -> Vec<(Timestamp, bool)> {
    let place = |record: &HistoryRecord| match &record.occurrence {
        Occurrence::Step(step) => Some((step.subscription, step.generation)),
        _ => None,
    };
    let time = |record: &HistoryRecord| {
        let Occurrence::Letter(letter) = &record.occurrence else { return (record.at, true) };
        let later = records.iter().filter(|one| {
            place(one).is_some_and(|(subscription, generation)| {
                Some(subscription) == letter.subscription && generation > letter.generation
            })
        });
        (later.map(|one| one.at).chain([record.at]).min().unwrap_or(record.at), false)
    };
    records.iter().map(time).collect()
}

/// What became of each delivery; `entries` are the oldest first.
pub(super) fn summaries(entries: &[HistoryEntry]) -> Vec<DeliverySummary> {
    let mut summaries: Vec<DeliverySummary> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for entry in entries {
        let Some(delivery) = &entry.delivery else { continue };
        let made = u32::from(entry.attempt.is_some());
        let place = places.entry((&entry.topic, delivery.subscription)).or_insert_with(|| {
            summaries.push(DeliverySummary {
                topic: entry.topic.clone(),
                delivery: delivery.clone(),
                outcome: entry.outcome,
                says: String::new(),
                attempts_made: 0,
                at: String::new(),
            });
            summaries.len() - 1
        });
        if let Some(summary) = summaries.get_mut(*place) {
            // What was redriven has perhaps ended before the redrive was noted.
            if delivery.generation < summary.delivery.generation {
                summary.attempts_made += made;
                continue;
            }
            summary.delivery = delivery.clone();
            summary.outcome = entry.outcome;
            summary.says.clone_from(&entry.says);
            summary.at.clone_from(&entry.at);
            summary.attempts_made += made;
        }
    }
    summaries
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        domain::{EventId, FeatureSet, Platform, RobotId, SubscriptionId, Timestamp},
        history::HistoryOutcome,
    };

    const AT: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

    fn step(verdict: Option<&'static str>, end: Option<StepEnd>) -> DeliveryStep {
        let attempt = verdict.map(|verdict| AttemptRecord {
            at: AT,
            took: Duration::from_millis(85),
            waited: Duration::ZERO,
            waited_for: None,
            verdict: verdict.into(),
            code: "500".into(),
            detail: "Server Error".into(),
            coalesced: Coalesced::Covers(0),
        });
        DeliveryStep {
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
        }
    }

    fn record(occurrence: Occurrence) -> HistoryRecord {
        HistoryRecord { at: AT, event: EventId::new("e"), topic: "ops".into(), occurrence }
    }

    fn received(subscriptions: u32, deliveries: u32) -> Occurrence {
        Occurrence::Received { subscriptions, deliveries, text: RecordText::None }
    }

    fn letter(action: LetterAction, generation: u32) -> HistoryRecord {
        record(Occurrence::Letter(Box::new(LetterRecord {
            action,
            letter: "0a1b".to_owned(),
            reason: "refused".into(),
            code: "9499".to_owned(),
            generation,
            platform: Some(Platform::ALL[0]),
            subscription: Some(SubscriptionId::from_bytes([1; 16])),
            robot: Some(RobotId::from_bytes([2; 16])),
        })))
    }

    fn hold(robot: Option<RobotId>, change: HoldChange) -> HistoryRecord {
        record(Occurrence::Hold(Box::new(HoldRecord {
            platform: Platform::ALL[0],
            robot,
            cause: HoldCause::Security.as_str().into(),
            code: "310000".to_owned(),
            detail: "sign not match".to_owned(),
            change,
        })))
    }

    fn of(step: DeliveryStep) -> HistoryRecord {
        record(Occurrence::Step(Box::new(step)))
    }

    #[test]
    fn every_record_says_what_happened_in_a_sentence() {
        let waits = |reason: &'static str| {
            let until = AT.after(Duration::from_secs(5));
            Some(StepEnd::Waits { until, reason: reason.into(), is_retry: reason == "retry" })
        };
        let dead = || {
            let (reason, code, detail) = ("refused".into(), "no_content".into(), "none".into());
            Some(StepEnd::Dead { reason, code, detail })
        };
        let covered = |coalesced| {
            let mut one = step(Some("delivered"), Some(StepEnd::Delivered));
            one.attempt = one.attempt.map(|attempt| AttemptRecord { coalesced, ..attempt });
            one
        };
        let second = DeliveryStep {
            part: Part { index: 1, total: Some(3) },
            ..step(Some("delivered"), None)
        };
        for (record, said) in [
            (record(received(0, 0)), "received; its topic has no subscription"),
            (record(received(2, 1)), "received; 1 delivery of 2 subscriptions began"),
            (of(second), "part 2/3: attempt delivered in 85 ms"),
            (of(covered(Coalesced::Covers(0))), "delivered in 85 ms"),
            (of(covered(Coalesced::Covers(2))), "delivered in 85 ms, with 2 others in one message"),
            (of(covered(Coalesced::IsCovered)), "delivered with the message of another delivery"),
            (of(step(None, Some(StepEnd::Delivered))), "delivered"),
            (
                of(step(Some("try_again"), waits("retry"))),
                "attempt try again in 85 ms (500: Server Error); waits until \
                    2023-11-14T22:13:25Z: next attempt",
            ),
            (
                of(step(None, waits("robot_quota"))),
                "waits until 2023-11-14T22:13:25Z: quota used up",
            ),
            (of(step(None, waits("of_later"))), "waits until 2023-11-14T22:13:25Z: of_later"),
            (
                of(step(Some("refused"), dead())),
                "given up: the platform refuses the message; refused in 85 ms (500: Server Error)",
            ),
            (
                of(step(None, dead())),
                "given up: the platform refuses the message; no_content: none",
            ),
            (
                letter(LetterAction::Redriven, 0),
                "an operator redrove its dead letter; it was given up: the platform refuses the \
                    message",
            ),
            (
                letter(LetterAction::Discarded, 0),
                "an operator deleted its dead letter; it was given up: the platform refuses the \
                    message",
            ),
            (
                hold(Some(RobotId::from_bytes([2; 16])), HoldChange::Began { until: AT }),
                "its robot held until 2023-11-14T22:13:20Z: security setting \
                    (310000: sign not match)",
            ),
            (
                hold(None, HoldChange::Ended),
                "all robots of dingtalk released: a message got through",
            ),
            (
                of(step(None, Some(StepEnd::Dropped))),
                "dropped: its subscription was removed or paused",
            ),
        ] {
            assert_eq!(says(&record), said);
        }
    }

    #[test]
    fn a_redrive_that_is_noted_after_what_it_redrove_comes_before_it_and_decides_nothing() {
        let at = |millis: u64| Timestamp::from_unix_millis(1_700_000_000_000 + millis);
        let with = |at, record| HistoryRecord { at, ..record };
        let redriven = DeliveryStep { generation: 1, ..step(Some("delivered"), None) };
        let delivered = DeliveryStep { end: Some(StepEnd::Delivered), ..redriven };
        let dead = StepEnd::Dead { reason: "refused".into(), code: "1".into(), detail: "".into() };
        let records = [
            with(at(1), of(step(None, Some(dead)))),
            with(at(5), of(delivered)),
            with(at(9), letter(LetterAction::Redriven, 0)),
        ];
        assert_eq!(times_in_order(&records), [(at(1), true), (at(5), true), (at(5), false)]);
        let entries: Vec<_> = records.into_iter().map(|one| entry(one, None)).collect();
        let summaries = summaries(&entries);
        assert_eq!(summaries[0].outcome, HistoryOutcome::Delivered);
        // Before the redriven delivery is seen, the redrive is the news.
        let summaries = super::summaries(&[entries[0].clone(), entries[2].clone()]);
        assert_eq!(summaries[0].outcome, HistoryOutcome::Redriven);
    }

    #[test]
    fn a_delivery_is_summed_up_by_what_happened_last() {
        let entries: Vec<_> = [
            of(step(Some("try_again"), None)),
            of(step(Some("delivered"), Some(StepEnd::Delivered))),
        ]
        .into_iter()
        .map(|record| entry(record, Some("chat".to_owned())))
        .collect();
        let summaries = summaries(&entries);
        assert_eq!(summaries.len(), 1);
        let one = &summaries[0];
        assert_eq!((one.outcome, one.attempts_made), (HistoryOutcome::Delivered, 2));
        assert_eq!(one.delivery.name.as_deref(), Some("chat"));
        assert_eq!(one.says, "delivered in 85 ms");
    }
}
