//! Records of the history for tests.
//!
//! Owns one record of each kind, and a strategy for all.
//!
//! Not here: the tests.

use std::time::Duration;

use proptest::prelude::*;

use crate::{
    domain::{
        EventId, FeatureSet, MessageFeature, Part, Platform, RobotId, SubscriptionId, Timestamp,
        every,
    },
    history::{
        AttemptRecord, Coalesced, DeliveryStep, HistoryRecord, HoldChange, HoldRecord,
        LetterAction, LetterRecord, Name, Occurrence, RecordText, StepEnd,
    },
};

/// A time, in milliseconds after the beginning of all tests.
pub(super) const fn at(millis: u64) -> Timestamp {
    Timestamp::from_unix_millis(1_700_000_000_000 + millis)
}

/// A record that an event was received.
pub(super) fn received(event: &str, topic: &str, millis: u64) -> HistoryRecord {
    HistoryRecord {
        at: at(millis),
        event: EventId::new(event),
        topic: topic.into(),
        occurrence: Occurrence::Received {
            subscriptions: 1,
            deliveries: 1,
            text: RecordText::None,
        },
    }
}

/// A step of a delivery to the subscription and the robot of this number.
pub(super) fn step(event: &str, number: u8, millis: u64, end: Option<StepEnd>) -> HistoryRecord {
    let at = at(millis);
    let attempt = AttemptRecord {
        at,
        took: Duration::from_millis(20),
        waited: Duration::from_millis(3),
        waited_for: Some("robot_quota".into()),
        verdict: "delivered".into(),
        code: "0".into(),
        detail: "ok".to_owned(),
        coalesced: Coalesced::Covers(0),
    };
    let step = DeliveryStep {
        subscription: SubscriptionId::from_bytes([number; 16]),
        platform: Platform::ALL[0],
        robot: RobotId::from_bytes([number ^ 0xff; 16]),
        generation: 1,
        hops: 2,
        attempts: 3,
        part: Part { index: 1, total: Some(4) },
        omitted: FeatureSet::EMPTY.with(MessageFeature::Tables),
        attempt: Some(attempt),
        end,
    };
    let occurrence = Occurrence::Step(Box::new(step));
    HistoryRecord { at, event: EventId::new(event), topic: "ops".into(), occurrence }
}

/// A record of each kind, always the same.
pub(super) fn every_kind() -> Vec<HistoryRecord> {
    let given_up =
        Occurrence::GivenUp { reason: "undecodable".into(), code: "json".into(), generation: 2 };
    let until = at(9000);
    let ends = [
        None,
        Some(StepEnd::Delivered),
        Some(StepEnd::Waits { until, reason: "retry".into(), is_retry: true }),
        Some(StepEnd::Dead { reason: "refused".into(), code: "9499".into(), detail: "no".into() }),
        Some(StepEnd::Dropped),
    ];
    let mut records = vec![
        received("event-1", "ops.db", 0),
        HistoryRecord { occurrence: given_up, ..received("event-2", "", 1) },
    ];
    records.extend(
        (1..).zip(ends).map(|(number, end)| step("event-1", number, 100 + u64::from(number), end)),
    );
    let letter = |action, has_subscription: bool| {
        Occurrence::Letter(Box::new(LetterRecord {
            action,
            letter: "0a1b".to_owned(),
            reason: "refused".into(),
            code: "9499".to_owned(),
            generation: 1,
            platform: has_subscription.then_some(Platform::ALL[0]),
            subscription: has_subscription.then(|| SubscriptionId::from_bytes([1; 16])),
            robot: has_subscription.then(|| RobotId::from_bytes([2; 16])),
        }))
    };
    let hold = |robot, change| {
        Occurrence::Hold(Box::new(HoldRecord {
            platform: Platform::ALL[1],
            robot,
            cause: "failing".into(),
            code: "http_503".to_owned(),
            detail: "Service Unavailable".to_owned(),
            change,
        }))
    };
    let robot = Some(RobotId::from_bytes([3; 16]));
    records.extend(
        [
            letter(LetterAction::Redriven, true),
            letter(LetterAction::Discarded, false),
            hold(robot, HoldChange::Began { until }),
            hold(None, HoldChange::Ended),
        ]
        .map(|occurrence| HistoryRecord { occurrence, ..received("event-3", "ops", 200) }),
    );
    records
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z_]{0,12}".prop_map(Name::Owned)
}

fn any_end() -> impl Strategy<Value = Option<StepEnd>> {
    let until = any::<u64>().prop_map(Timestamp::from_unix_millis);
    prop_oneof![
        Just(None),
        Just(Some(StepEnd::Delivered)),
        Just(Some(StepEnd::Dropped)),
        (until, name(), any::<bool>()).prop_map(|(until, reason, is_retry)| Some(StepEnd::Waits {
            until,
            reason,
            is_retry
        })),
        (name(), ".{0,8}", ".{0,40}").prop_map(|(reason, code, detail)| Some(StepEnd::Dead {
            reason,
            code,
            detail
        })),
    ]
}

prop_compose! {
    fn any_attempt()(
        at in any::<u64>(),
        spans in any::<(u32, u32)>(),
        waited_for in prop::option::of(name()),
        verdict in name(),
        texts in (".{0,8}", ".{0,40}"),
        covers in any::<Option<u32>>(),
    ) -> AttemptRecord {
        AttemptRecord {
            at: Timestamp::from_unix_millis(at),
            took: Duration::from_millis(spans.0.into()),
            waited: Duration::from_millis(spans.1.into()),
            waited_for,
            verdict,
            code: texts.0,
            detail: texts.1,
            coalesced: covers.map_or(Coalesced::IsCovered, Coalesced::Covers),
        }
    }
}

prop_compose! {
    fn any_step()(
        ids in any::<([u8; 16], [u8; 16])>(),
        platform in 0..Platform::COUNT,
        counts in any::<(u32, u32, u32, u32, Option<u32>)>(),
        omitted in any::<u8>(),
        attempt in prop::option::of(any_attempt()),
        end in any_end(),
    ) -> DeliveryStep {
        DeliveryStep {
            subscription: SubscriptionId::from_bytes(ids.0),
            platform: Platform::ALL[platform],
            robot: RobotId::from_bytes(ids.1),
            generation: counts.0,
            hops: counts.1,
            attempts: counts.2,
            part: Part { index: counts.3, total: counts.4 },
            omitted: every::<MessageFeature>()
                .enumerate()
                .filter(|(bit, _)| omitted >> bit & 1 == 1)
                .map(|(_, feature)| feature)
                .collect(),
            attempt,
            end,
        }
    }
}

fn any_occurrence() -> impl Strategy<Value = Occurrence> {
    prop_oneof![
        any::<(u32, u32)>().prop_map(|(subscriptions, deliveries)| Occurrence::Received {
            subscriptions,
            deliveries,
            text: RecordText::None,
        }),
        (name(), ".{0,8}", any::<u32>()).prop_map(|(reason, code, generation)| {
            Occurrence::GivenUp { reason, code, generation }
        }),
        any_step().prop_map(|step| Occurrence::Step(Box::new(step))),
        prop::sample::select(every_kind()).prop_map(|record| record.occurrence),
    ]
}

prop_compose! {
    /// Any record of the first hour.
    pub(super) fn any_record()(
        millis in 0..3_600_000_u64,
        event in ".{0,20}",
        topic in "[a-z.]{0,20}",
        occurrence in any_occurrence(),
    ) -> HistoryRecord {
        HistoryRecord {
            at: at(millis),
            event: EventId::new(&event),
            topic: topic.into(),
            occurrence,
        }
    }
}
