//! The state of robots and organisations for operators and metrics.
//!
//! Owns the estimate when new messages would leave, and the sums over all robots.
//!
//! Not here: the metrics themselves (`telemetry/`), and the API's shapes (`admin/`).

use std::time::Duration;

use super::{
    GroupStatus, Pace, RobotStatus,
    monthly_quota::Allowance,
    robot_queue::{PacingLimits, RobotQueue},
};
use crate::domain::{GroupName, HoldCounts, Platform, PlatformMap, RobotId, Timestamp, WaitReason};

/// The sums over all robots of one platform, from one sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlatformSummary {
    /// The robots on hold, by cause.
    pub held: HoldCounts,
    /// The waiting deliveries of robots that are not on hold, in memory and in the broker; after a
    /// restart only those that are known.
    pub waiting: u64,
    /// The waiting deliveries of robots on hold, by cause.
    pub waiting_held: HoldCounts,
    /// How long until the last of them can leave, as far as that is known; zero if none waits.
    pub drained_in: Duration,
    /// Whether the platform is held as a whole, because most of its robots fail.
    pub outage: bool,
    /// The attempts in flight.
    pub in_flight: u64,
    /// The current limit of attempts in flight.
    pub in_flight_limit: u32,
}

/// A platform that is held as a whole, because most of its robots fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformOutage {
    /// The platform.
    pub platform: Platform,
    /// Since when its robots fail, by the wall clock.
    pub since: Timestamp,
}

/// The estimate for new messages.
#[derive(Clone, Copy, Debug)]
pub struct SendEstimate {
    /// How long until the first message leaves.
    pub first_in: Duration,
    /// How long until the last message leaves.
    pub last_in: Duration,
    /// Why the first message would wait; `None` if it would leave now.
    pub reason: Option<WaitReason>,
    /// The organisation's monthly quota is used up, and `at_end = "dead"` forbids a wait for the
    /// next month.
    pub out_of_budget: bool,
}

impl PlatformSummary {
    fn add(&mut self, robot: &RobotStatus) {
        match robot.hold {
            Some(hold) => {
                self.held[hold.cause] += 1;
                self.waiting_held[hold.cause] += u64::from(robot.waiting);
            }
            None => self.waiting += u64::from(robot.waiting),
        }
        self.drained_in = self.drained_in.max(robot.drained_in.unwrap_or_default());
        self.in_flight += u64::from(robot.in_flight);
    }
}

impl Pace {
    /// Estimates when `messages` new messages for a robot would leave. Reserves nothing.
    #[must_use]
    pub fn send_estimate(
        &self,
        robot: RobotId,
        platform: Platform,
        group: Option<&GroupName>,
        urgent: bool,
        messages: u32,
    ) -> SendEstimate {
        let now = self.now();
        let estimate = |queue: &RobotQueue, rules: &PacingLimits<'_>| {
            (queue.send_estimate(now, urgent, messages, rules), queue.hold_at(now, rules))
        };
        let known = self.0.with_existing(robot, |queue, _, rules| estimate(queue, rules));
        let ((first, last), hold) = known.unwrap_or_else(|| {
            self.0.with_limits(platform, |rules| estimate(&RobotQueue::new(platform), rules))
        });
        let (floor, out_of_budget) = match group.map(|group| self.0.allowance(group, false)) {
            None | Some(Allowance::Open) => (now, false),
            Some(Allowance::Until(due)) => (due, false),
            Some(Allowance::Dead) => (now, true),
        };
        let reason = match hold {
            _ if floor > now && floor >= first => Some(WaitReason::MonthlyBudget),
            Some(hold) => Some(WaitReason::Hold(hold.cause)),
            None => (first > now).then_some(WaitReason::RobotQuota),
        };
        SendEstimate {
            first_in: first.max(floor).since(now),
            last_in: last.max(floor).since(now),
            reason,
            out_of_budget,
        }
    }

    /// The robots with any state, the busiest first.
    #[must_use]
    pub fn robots(&self) -> Vec<RobotStatus> {
        let (now, mut robots) = (self.now(), Vec::<RobotStatus>::new());
        self.0.retain(|robot, queue, health, rules| {
            robots.push(queue.status(robot, now, health, rules));
            true
        });
        let timeline = &self.0.timeline;
        let mut robots: Vec<_> =
            robots.into_iter().map(|robot| robot.by_wall_clock(timeline)).collect();
        robots.sort_by_key(|robot| std::cmp::Reverse((robot.waiting, robot.used)));
        robots
    }

    /// The platforms that are held as a whole.
    #[must_use]
    pub fn outages(&self) -> Vec<PlatformOutage> {
        let outage = |platform| {
            let hold = self.0.outage(platform)?;
            Some(PlatformOutage { platform, since: self.0.timeline.wall_at(hold.since) })
        };
        Platform::ALL.into_iter().filter_map(outage).collect()
    }

    /// The organisations with a monthly quota, and those that deliveries have named.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupStatus> {
        self.0.groups().status(self.0.timeline.wall_now())
    }

    /// Evicts robots without state, and sums up the others by platform. Call it periodically; it
    /// visits each robot.
    pub fn evict_idle_and_summarise(&self) -> PlatformMap<PlatformSummary> {
        let (now, mut summary) = (self.now(), PlatformMap::<PlatformSummary>::default());
        self.0.retain(|robot, queue, health, rules| {
            if queue.is_idle(now, rules) {
                return false;
            }
            queue.forget_returned(now);
            summary.get_mut(queue.platform()).add(&queue.status(robot, now, health, rules));
            true
        });
        self.0.retain_known(|_, known| !known.health.is_forgotten(now));
        self.0.evict_idle_hosts();
        for (platform, summary) in summary.iter_mut() {
            summary.in_flight_limit = self.0.in_flight_limit(platform);
            summary.outage = self.0.outage(platform).is_some();
        }
        summary
    }
}
