//! Sample data of a daemon, for the tests of `roomcast top`.
//!
//! Owns one consistent set of values: the frames of all views show the same robots and letters.
//!
//! Not here: the tests (`frame_tests.rs`, `state_tests.rs`).

use std::collections::BTreeMap;

use serde_json::{Map, json};

use super::live_data::Pulse;
use crate::{
    admin::wire::{
        DeadLetterDetail, DeadLetterView, DeadLettersNow, DeadOutcome, DeadPage, DeadQueueNow,
        DeadRow, DeadSummary, GroupView, Overview, PlatformFlow, RobotActivity, RobotView,
        SubscriptionView, SummaryRow,
    },
    domain::{DeadReason, HoldCause, Platform, VerdictKind, WaitReason},
};

/// 2026-11-25, 03:01 UTC.
pub(super) const NOW: u64 = 1_795_575_660_000;

pub(super) const HELD: &str = "5e0c7d21a9b84f36c1d2e3f405162738";
const BUSY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

pub(super) fn overview() -> Overview {
    let flow = |platform, done, deferred, dead| PlatformFlow {
        platform,
        done,
        deferred,
        retried: 3,
        dead,
        dropped: 0,
        attempts: BTreeMap::from([
            (VerdictKind::Delivered, done),
            (VerdictKind::Throttled, 2),
            (VerdictKind::RobotGone, dead),
            (VerdictKind::TryAgain, 3),
        ]),
        reasons: BTreeMap::from([
            (DeadReason::RobotGone.into(), dead),
            (DeadReason::Poison.into(), 0),
        ]),
    };
    Overview {
        at: NOW,
        since: NOW - 11_700_000,
        broker_up: true,
        broker_blocked: false,
        events: 41_200,
        events_urgent: 12,
        events_undecodable: 1,
        events_unheard: 0,
        platforms: vec![
            flow(Platform::DingTalk, 120_400, 900, 0),
            flow(Platform::DingTalkInternal, 0, 0, 0),
            flow(Platform::Lark, 33_010, 0, 0),
            flow(Platform::WeCom, 20_007, 14_400, 37),
        ],
        robots: RobotActivity {
            known: 3,
            held: 1,
            failing: 0,
            outages: Vec::new(),
            waiting: 1_262,
            in_flight: 1,
            slowest: robots(),
        },
        dead: Some(dead()),
    }
}

fn dead() -> DeadLettersNow {
    let row = |platform, reason: DeadReason, count| DeadRow {
        platform,
        reason: reason.into(),
        count,
        oldest: Some("2026-11-24T20:00:00Z".to_owned()),
    };
    let queue = |queue: &str, letters: Option<u64>| DeadQueueNow {
        queue: queue.parse().unwrap(),
        letters,
        counted_at: letters.map(|_| NOW - 9_000),
    };
    DeadLettersNow {
        letters: 1_039,
        oldest: Some("2026-11-24T20:00:00Z".to_owned()),
        rows: vec![
            row(Some(Platform::WeCom), DeadReason::RobotGone, 1_000),
            row(Some(Platform::Lark), DeadReason::RobotGone, 37),
            row(None, DeadReason::Undecodable, 2),
        ],
        queues: vec![
            queue("dingtalk", None),
            queue("lark", Some(37)),
            queue("wecom", Some(1_000)),
            queue("event", Some(2)),
        ],
    }
}

pub(super) fn robots() -> Vec<RobotView> {
    let robot = |id: &str, platform: &str, waiting, drained_in: u64| RobotView {
        robot: id.parse().unwrap(),
        platform: platform.parse().unwrap(),
        used: 20,
        allowed: Some(20),
        in_flight: 1,
        waiting,
        wait: (waiting > 0).then(|| WaitReason::RobotQuota.into()),
        waits: Vec::new(),
        drained_in_seconds: Some(drained_in),
        held_for_seconds: None,
        held_since: None,
        health: None,
        cause: None,
        penalty_seconds: None,
    };
    vec![
        robot(BUSY, "wecom", 1_240, 3_720),
        RobotView {
            held_for_seconds: Some(95),
            held_since: Some("2026-11-03T08:00:00Z".to_owned()),
            drained_in_seconds: None,
            cause: Some("security".to_owned()),
            wait: Some(WaitReason::Hold(HoldCause::Security).into()),
            penalty_seconds: Some(240),
            in_flight: 0,
            ..robot(HELD, "lark", 22, 95)
        },
        RobotView {
            used: 3,
            allowed: None,
            ..robot("77aa77aa77aa77aa77aa77aa77aa77aa", "dingtalk", 0, 0)
        },
    ]
}

pub(super) fn groups() -> Vec<GroupView> {
    let group = |name: &str, used, monthly, forecast| GroupView {
        group: name.parse().unwrap(),
        used,
        monthly,
        forecast,
        month_ends: "2026-11-30T16:00:00Z".to_owned(),
        spent_until: None,
    };
    vec![
        group("acme", 4_100, Some(5_000), 4_900),
        group("globex", 4_600, Some(5_000), 5_750),
        GroupView {
            spent_until: Some("2026-11-30T16:00:00Z".to_owned()),
            ..group("initech", 5_000, Some(5_000), 5_000)
        },
        group("umbrella", 12, None, 14),
    ]
}

/// A snapshot that is taken `seconds` later than the first one.
pub(super) fn pulse(seconds: u64) -> Pulse {
    let mut overview = overview();
    overview.at += seconds * 1000;
    overview.events += seconds * 12;
    for flow in &mut overview.platforms {
        flow.done += seconds * 3;
        *flow.attempts.entry(VerdictKind::Delivered).or_default() += seconds * 3;
    }
    Pulse { overview, robots: Some(robots()), groups: Some(groups()) }
}

/// A snapshot of a daemon that has never had any traffic.
pub(super) fn quiet(seconds: u64) -> Pulse {
    let mut overview = overview();
    (overview.at, overview.events) = (overview.at + seconds * 1000, 0);
    (overview.events_urgent, overview.events_undecodable) = (0, 0);
    for flow in &mut overview.platforms {
        (flow.done, flow.deferred, flow.retried, flow.dead) = (0, 0, 0, 0);
        flow.attempts.values_mut().chain(flow.reasons.values_mut()).for_each(|count| *count = 0);
    }
    overview.dead =
        Some(DeadLettersNow { letters: 0, oldest: None, rows: Vec::new(), queues: Vec::new() });
    let idle = RobotActivity { known: 0, held: 0, waiting: 0, in_flight: 0, ..overview.robots };
    overview.robots = RobotActivity { slowest: Vec::new(), ..idle };
    Pulse { overview, robots: Some(Vec::new()), groups: Some(Vec::new()) }
}

fn row(platform: Option<&str>, reason: &str, code: &str, count: u64) -> SummaryRow {
    let values = [("platform", json!(platform)), ("reason", json!(reason)), ("code", json!(code))];
    SummaryRow {
        values: values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        count,
        oldest: Some("2026-11-24T20:00:00Z".to_owned()),
        newest: Some("2026-11-25T02:59:30Z".to_owned()),
    }
}

pub(super) fn summary() -> DeadSummary {
    DeadSummary {
        by: ["platform", "reason", "code"].map(str::to_owned).to_vec(),
        rows: vec![
            row(Some("wecom"), "robot_gone", "93000", 1_037),
            row(None, "undecodable", "json", 2),
        ],
        rest: 0,
        matched: 1_039,
        total: 1_039,
        missed: 0,
    }
}

pub(super) fn letter(id: &str, says: &str) -> DeadLetterView {
    DeadLetterView {
        id: id.to_owned(),
        platform: Some("lark".parse().unwrap()),
        reason: DeadReason::Security.into(),
        code: "19021".to_owned(),
        detail: "sign match fail or timestamp is not within one hour from current time".to_owned(),
        advice: "the signature does not fit: \
            check the signing secret of the subscription and this machine's clock, redrive"
            .to_owned(),
        topic: "alerts".to_owned(),
        event: "0193-event".to_owned(),
        says: says.to_owned(),
        subscription: Some("0193".repeat(8).parse().unwrap()),
        robot: Some(HELD.parse().unwrap()),
        attempts: 1,
        received_at: Some("2026-11-25T02:59:20Z".to_owned()),
        first_attempt_at: Some("2026-11-25T02:59:21Z".to_owned()),
        dead_at: Some("2026-11-25T02:59:30Z".to_owned()),
        generation: 0,
        part: None,
        omitted: Vec::new(),
        urgent: false,
    }
}

pub(super) fn page() -> DeadPage {
    DeadPage {
        letters: vec![
            letter("letter-1", "db-1 is down"),
            letter("letter-2", "磁盘已满: disk 3 of storage node 17 is full"),
        ],
        matched: 2,
        total: 1_039,
        missed: 0,
        next: None,
    }
}

pub(super) fn subscription() -> SubscriptionView {
    let view = json!({
        "id": "0193a1b2c3d4e5f60718293a4b5c6d7e", "topic": "alerts", "platform": "lark",
        "robot": HELD, "endpoint": "https://open.feishu.cn/…/hook/****", "signed": true,
        "keyword": null, "name": "night watch", "mentions": {}, "state": "active",
        "overflow": "queue", "group": null, "filter": null, "quiet": null, "too_long": "split",
        "created_at": "2026-01-01T00:00:00Z"
    });
    serde_json::from_value(view).unwrap()
}

pub(super) fn detail() -> DeadLetterDetail {
    let body = concat!(
        "{\"subject\": \"db-1 is down\",\n",
        " \"message\": \"replica \u{1b}[31mdb-2\u{1b}[0m took over\"}"
    );
    DeadLetterDetail {
        letter: letter("letter-1", "db-1 is down"),
        headers: Map::from_iter([("team".to_owned(), json!("storage"))]),
        content_type: Some("application/json".to_owned()),
        published_at: None,
        hops: 0,
        body: Some(body.to_owned()),
        body_base64: None,
        rendered: Some(
            json!({"msg_type": "text", "content": {"text": "db-1 is down\nreplica took over"}}),
        ),
        rendered_note: None,
    }
}

pub(super) fn outcome(matched: u64, done: u64) -> DeadOutcome {
    DeadOutcome {
        matched,
        done,
        rows: vec![row(Some("wecom"), "robot_gone", "93000", done)],
        missed: 0,
    }
}
