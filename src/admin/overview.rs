//! The daemon at one moment, in a few numbers: for those who watch it, in the console or in a terminal.

use std::collections::BTreeMap;

use super::{
    Admin,
    routes::robot_view,
    wire::{Busy, Flow, Overview},
};
use crate::{domain::Platform, pace::RobotStatus, telemetry::PlatformCounts};

/// What the counters say, and the robots all together.
pub(super) fn overview(admin: &Admin, robots: &[RobotStatus]) -> Overview {
    let counts = admin.telemetry.counts();
    let flow = |(platform, of): (Platform, &PlatformCounts)| Flow {
        platform: platform.to_string(),
        done: of.done,
        deferred: of.deferred,
        retried: of.retried,
        dead: of.dead,
        dropped: of.dropped,
        attempts: named(&of.attempts),
        reasons: named(&of.reasons),
    };
    Overview {
        at: admin.pace.now().unix_millis(),
        since: admin.since.unix_millis(),
        broker_up: counts.broker_up,
        broker_blocked: counts.broker_blocked,
        events: counts.events,
        events_urgent: counts.events_urgent,
        events_undecodable: counts.events_undecodable,
        events_unheard: counts.events_unheard,
        platforms: Platform::ALL.into_iter().zip(&counts.platforms).map(flow).collect(),
        robots: busy(robots),
    }
}

fn busy(robots: &[RobotStatus]) -> Busy {
    let mut slowest: Vec<_> = robots.iter().filter(|robot| robot.waiting > 0 || robot.held_for.is_some()).collect();
    slowest.sort_by_key(|robot| std::cmp::Reverse((robot.drained_in, robot.held_for)));
    Busy {
        known: robots.len(),
        held: robots.iter().filter(|robot| robot.hold.is_some()).count(),
        waiting: robots.iter().map(|robot| u64::from(robot.waiting)).sum(),
        in_flight: robots.iter().map(|robot| u64::from(robot.in_flight)).sum(),
        slowest: slowest.into_iter().take(5).cloned().map(robot_view).collect(),
    }
}

fn named(counts: &[(&'static str, u64)]) -> BTreeMap<String, u64> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}
