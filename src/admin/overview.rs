//! The daemon at one moment, in a few numbers: for the console and for `roomcast top`.
//!
//! Owns which robots count as the slowest.
//!
//! Not here: the counters (`telemetry`), and the shape (`wire/overview.rs`).

use super::{
    Admin,
    dead_letters::rfc3339,
    pace_views::robot_view,
    wire::{
        DeadLettersNow, DeadQueueNow, DeadRow, OutageView, Overview, PlatformFlow, RobotActivity,
    },
};
use crate::{
    broker::DeadQueue,
    domain::{DeadQueueStats, HoldCause, Platform, SettlementKind},
    pace::{PlatformOutage, RobotStatus},
    telemetry::PlatformCounts,
};

/// The counters, and a summary of all robots.
pub(super) fn overview(admin: &Admin, robots: &[RobotStatus]) -> Overview {
    let counts = admin.telemetry.counts();
    let flow = |(platform, of): (Platform, &PlatformCounts)| PlatformFlow {
        platform,
        done: of.settled[SettlementKind::Done],
        deferred: of.settled[SettlementKind::Deferred],
        retried: of.settled[SettlementKind::Retried],
        dead: of.settled[SettlementKind::Dead],
        dropped: of.settled[SettlementKind::Dropped],
        attempts: of.attempts.into_iter().collect(),
        reasons: of.reasons.into_iter().map(|(reason, count)| (reason.into(), count)).collect(),
    };
    Overview {
        at: admin.pace.timeline().wall_now().unix_millis(),
        since: admin.since.unix_millis(),
        broker_up: counts.broker_up,
        broker_blocked: counts.broker_blocked,
        events: counts.events,
        events_urgent: counts.events_urgent,
        events_undecodable: counts.events_undecodable,
        events_unheard: counts.events_unheard,
        platforms: counts.platforms.iter().map(flow).collect(),
        robots: busy(robots, &admin.pace.outages()),
        dead: dead(&admin.telemetry.dead_letters()),
    }
}

fn dead(seen: &[DeadQueueStats]) -> Option<DeadLettersNow> {
    if seen.is_empty() {
        return None;
    }
    let counts =
        || seen.iter().flat_map(|queue| queue.counts.iter().map(|count| (queue.platform, count)));
    let mut rows: Vec<_> = counts()
        .map(|(platform, count)| DeadRow {
            platform,
            reason: count.reason.clone(),
            count: count.letters,
            oldest: count.oldest.map(rfc3339),
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    let queues = DeadQueue::all().map(|queue| {
        let seen = seen.iter().find(|seen| seen.platform == queue.platform());
        DeadQueueNow {
            queue,
            letters: seen.map(DeadQueueStats::letters),
            counted_at: seen.map(|seen| seen.at.unix_millis()),
        }
    });
    Some(DeadLettersNow {
        letters: seen.iter().map(DeadQueueStats::letters).sum(),
        oldest: counts().filter_map(|(_, count)| count.oldest).min().map(rfc3339),
        rows,
        queues: queues.collect(),
    })
}

fn busy(robots: &[RobotStatus], outages: &[PlatformOutage]) -> RobotActivity {
    let mut slowest: Vec<_> =
        robots.iter().filter(|robot| robot.waiting > 0 || robot.held_for.is_some()).collect();
    // Where nothing gets through, the end is unknown, which is the worst.
    slowest.sort_by_key(|robot| {
        std::cmp::Reverse((robot.drained_in.is_none(), robot.drained_in, robot.held_for))
    });
    let fails = |robot: &&RobotStatus| {
        robot.hold.is_some_and(|hold| hold.cause == HoldCause::Failing)
            && outages.iter().all(|outage| outage.platform != robot.platform)
    };
    let outage = |outage: &PlatformOutage| OutageView {
        platform: outage.platform,
        since: rfc3339(outage.since),
    };
    RobotActivity {
        known: robots.len(),
        held: robots.iter().filter(|robot| robot.hold.is_some()).count(),
        failing: robots.iter().filter(fails).count(),
        outages: outages.iter().map(outage).collect(),
        waiting: robots.iter().map(|robot| u64::from(robot.waiting)).sum(),
        in_flight: robots.iter().map(|robot| u64::from(robot.in_flight)).sum(),
        slowest: slowest.into_iter().take(5).cloned().map(robot_view).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DeadReason, Timestamp};

    #[test]
    fn dead_letters_are_counted_by_platform_and_reason_with_the_oldest_of_each() {
        assert!(dead(&[]).is_none(), "nothing was counted");
        let at = |seconds: u64| Timestamp::from_unix_millis(seconds * 1000);
        let (mut wecom, mut event) = (
            DeadQueueStats::empty(Some(Platform::WeCom), at(99)),
            DeadQueueStats::empty(None, at(99)),
        );
        wecom.add(DeadReason::Expired.into(), Some(at(7)));
        wecom.add(DeadReason::RobotGone.into(), Some(at(60)));
        wecom.add(DeadReason::RobotGone.into(), Some(at(61)));
        event.add(DeadReason::Undecodable.into(), None);
        let told = dead(&[wecom, event]).unwrap();
        let rows: Vec<_> =
            told.rows.iter().map(|row| (row.platform, row.reason.as_str(), row.count)).collect();
        let expected = [
            (Some(Platform::WeCom), "robot_gone", 2),
            (Some(Platform::WeCom), "expired", 1),
            (None, "undecodable", 1),
        ];
        assert_eq!((told.letters, rows.as_slice()), (4, expected.as_slice()));
        assert_eq!(told.oldest.as_deref(), Some("1970-01-01T00:00:07Z"));
        let queues: Vec<_> =
            told.queues.iter().map(|one| (one.queue, one.letters, one.counted_at)).collect();
        let not = |queue| (queue, None, None);
        let counted = |queue, letters| (queue, Some(letters), Some(99_000));
        let expected = DeadQueue::all().map(|queue| match queue {
            DeadQueue::Platform(Platform::WeCom) => counted(queue, 3),
            DeadQueue::Event => counted(queue, 1),
            other => not(other),
        });
        assert_eq!(queues, expected.collect::<Vec<_>>());
    }
}
