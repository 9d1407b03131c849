//! The queues of all robots, spread over locks, and the state that they share.
//!
//! Owns which lock protects which robot, and that the pacer's records are written under the lock of
//! what they describe.
//!
//! Not here: the decisions about one robot (`robot_queue.rs`), one host (`host.rs`) and one
//! organisation (`monthly_quota.rs`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::future::Either;

use super::{
    AppendFailed, EndedHold, Hold, PaceChanges, PaceLog, PaceRecord, PaceSettings, Resume,
    admission_request::{AdmissionRequest, QueuePosition},
    host::{Host, HostLimits, HostRequest},
    monotonic_clock::MonotonicWallClock,
    monthly_quota::{Allowance, Groups, UsageChange},
    robot_queue::{Finish, PacingLimits, RobotQueue},
};
use crate::domain::{GroupName, Platform, PlatformMap, RobotId, Timestamp, Verdict, WaitReason};

/// The number of locks. With 64 of them, two cores rarely contend for one.
const SHARDS: usize = 64;

type Shard = Mutex<HashMap<RobotId, RobotQueue>>;

pub(super) struct RobotQueues {
    settings: ArcSwap<PaceSettings>,
    pub(super) timeline: MonotonicWallClock,
    /// The host of each platform. Platforms at one address share a host.
    hosts: ArcSwap<PlatformMap<Host>>,
    shards: Vec<Shard>,
    groups: Mutex<Groups>,
    pub(super) pace_log: Arc<dyn PaceLog>,
}

impl RobotQueues {
    pub(super) fn new(
        settings: PaceSettings,
        pace_log: Arc<dyn PaceLog>,
        timeline: MonotonicWallClock,
    ) -> Self {
        Self {
            timeline,
            hosts: ArcSwap::from_pointee(hosts(&settings)),
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            groups: Mutex::new(Groups::new(settings.groups.clone())),
            pace_log,
            settings: ArcSwap::from_pointee(settings),
        }
    }

    pub(super) fn configure(&self, settings: PaceSettings) {
        self.groups().configure(settings.groups.clone());
        if settings.hosts == self.settings.load().hosts {
            for (platform, host) in self.hosts.load().iter() {
                host.change(limits(&settings, settings.hosts.get(platform)));
            }
        } else {
            // Messages that wait at the old hosts or are in flight keep their old limits.
            self.hosts.store(Arc::new(hosts(&settings)));
        }
        self.settings.store(Arc::new(settings));
    }

    /// Calls `act` with the robot's queue, and creates the queue if needed.
    pub(super) fn with_queue<T>(
        &self,
        robot: RobotId,
        platform: Platform,
        act: impl FnOnce(&mut RobotQueue, Timestamp, &PacingLimits<'_>) -> T,
    ) -> T {
        let settings = self.settings.load();
        let mut lanes = self.shard(robot);
        let queue = lanes.entry(robot).or_insert_with(|| RobotQueue::new(platform));
        act(queue, self.timeline.now(), &rules(&settings, platform))
    }

    /// Calls `act` with the robot's queue, if there is one.
    pub(super) fn with_existing<T>(
        &self,
        robot: RobotId,
        act: impl FnOnce(&mut RobotQueue, Timestamp, &PacingLimits<'_>) -> T,
    ) -> Option<T> {
        let settings = self.settings.load();
        let mut lanes = self.shard(robot);
        let queue = lanes.get_mut(&robot)?;
        let platform = queue.platform();
        Some(act(queue, self.timeline.now(), &rules(&settings, platform)))
    }

    /// Calls `request` with the limits for a robot that has no queue.
    pub(super) fn with_limits<T>(
        &self,
        platform: Platform,
        request: impl FnOnce(&PacingLimits<'_>) -> T,
    ) -> T {
        request(&rules(&self.settings.load(), platform))
    }

    /// Calls `act` with each queue, one lock at a time, and removes those for which it returns
    /// `false`.
    pub(super) fn retain(
        &self,
        mut act: impl FnMut(RobotId, &mut RobotQueue, &PacingLimits<'_>) -> bool,
    ) {
        let settings = self.settings.load();
        for shard in &self.shards {
            let mut lanes = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let before = lanes.len();
            lanes.retain(|robot, queue| {
                let platform = queue.platform();
                act(*robot, queue, &rules(&settings, platform))
            });
            if lanes.len() * 2 < before {
                lanes.shrink_to_fit();
            }
        }
    }

    pub(super) fn host(&self, platform: Platform) -> Host {
        self.hosts.load().get(platform).clone()
    }

    /// The host's view of a request.
    pub(super) fn entry<'a>(request: &AdmissionRequest<'a>) -> HostRequest<'a> {
        HostRequest {
            platform: request.platform,
            urgent: request.event.urgent,
            topic: &request.event.topic,
            fresh: matches!(request.position, QueuePosition::Tail | QueuePosition::NotBefore(_)),
        }
    }

    pub(super) fn evict_idle_hosts(&self) {
        self.hosts.load().values().for_each(Host::evict_idle);
    }

    pub(super) fn in_flight_limit(&self, platform: Platform) -> u32 {
        self.host(platform).in_flight_limit(platform)
    }

    pub(super) fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn allowance(&self, group: &GroupName, take: bool) -> Allowance {
        // Months follow the wall clock.
        let now = self.timeline.wall_now();
        let mut groups = self.groups();
        match if take { groups.take(group, now) } else { groups.peek(group, now) } {
            Allowance::Until(due) => Allowance::Until(self.timeline.at_wall(due)),
            allowance => allowance,
        }
    }

    /// Writes a record whose loss costs order, not quota. An error is only logged: the next send
    /// fails on it.
    pub(super) fn append(&self, record: &PaceRecord) {
        // An implementation that answers later reports the failure itself.
        if let Either::Left(appended) = self.pace_log.append(record)
            && let Err(error) = appended.into_inner()
        {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "a note of the pace was not written"
            );
        }
    }

    /// Records that a message is about to be sent. The locks are released before the wait for the
    /// records.
    pub(super) async fn mark_sent(
        &self,
        robot: RobotId,
        platform: Platform,
        group: Option<&GroupName>,
        next_part_pending: bool,
    ) -> Result<(), AppendFailed> {
        let charged = group.map(|group| {
            // Appended under the lock, because the last record wins.
            let mut groups = self.groups();
            let (month, used, refused_until) = groups.spent(group, self.timeline.wall_now());
            let group = group.clone();
            self.pace_log.append(&PaceRecord::QuotaUsed { group, month, used, refused_until })
        });
        let started = self.is_limited(platform).then(|| {
            let at = self.timeline.now();
            self.pace_log.append(&PaceRecord::AttemptStarted { robot, platform, at })
        });
        for appended in charged.into_iter().chain(started) {
            appended.await?;
        }
        self.with_existing(robot, |queue, now, _| queue.mark_sent(now, next_part_pending));
        Ok(())
    }

    pub(super) fn refund(&self, robot: RobotId, group: Option<&GroupName>) {
        self.with_existing(robot, |queue, _, _| queue.refund());
        if let Some(group) = group {
            self.groups().refund(group);
        }
    }

    pub(super) fn finish(
        &self,
        robot: RobotId,
        platform: Platform,
        group: Option<&GroupName>,
        end: &Finish,
    ) -> PaceChanges {
        let now = self.timeline.now();
        if self.is_limited(platform) {
            self.append(&PaceRecord::AttemptEnded { robot, platform, at: now });
        }
        let finished = self.with_existing(robot, |queue, now, rules| {
            queue.finish(now, end, group.is_some(), rules)
        });
        let finished = finished.unwrap_or_default();
        self.append_hold(robot, platform, finished.held.as_ref(), finished.lifted.is_some(), now);
        let mut changes = PaceChanges {
            held: finished.held,
            was_held: finished.was_held,
            lifted: finished.lifted,
            resume: finished.resume,
            ..PaceChanges::default()
        };
        if let Some(group) = group {
            self.count(group, end.verdict, &mut changes);
        }
        changes
    }

    pub(super) fn release(&self, robot: RobotId) -> Option<EndedHold> {
        let (ended, platform) =
            self.with_existing(robot, |queue, now, _| (queue.release(now), queue.platform()))?;
        self.append_hold(robot, platform, None, ended.is_some(), self.timeline.now());
        ended
    }

    fn count(&self, group: &GroupName, verdict: Option<Verdict>, changes: &mut PaceChanges) {
        let now = self.timeline.wall_now();
        let (UsageChange { warning, spent_until }, refused_until) = {
            let mut groups = self.groups();
            let counted = groups.finish(group, now, verdict);
            let (month, used, refused_until) = groups.spent(group, now);
            self.append(&PaceRecord::QuotaUsed {
                group: group.clone(),
                month,
                used,
                refused_until,
            });
            (counted, refused_until)
        };
        changes.budget_warning = warning.map(|(used, monthly)| (group.clone(), used, monthly));
        changes.budget_spent = spent_until.map(|until| (group.clone(), until));
        if matches!(verdict, Some(Verdict::BudgetSpent { .. })) {
            let resume = |until| Resume {
                at: self.timeline.at_wall(until),
                reason: WaitReason::MonthlyBudget,
            };
            changes.resume = refused_until.map(resume);
        }
    }

    fn append_hold(
        &self,
        robot: RobotId,
        platform: Platform,
        held: Option<&Hold>,
        lifted: bool,
        at: Timestamp,
    ) {
        if let Some(Hold { cause, until, wait }) = held.copied() {
            self.append(&PaceRecord::HoldStarted { robot, platform, at, cause, until, wait });
        } else if lifted {
            self.append(&PaceRecord::HoldEnded { robot, platform, at });
        }
    }

    /// How long a sent message counts for a robot of this platform; `None` if its robots have no
    /// limit.
    pub(super) fn remembers(&self, platform: Platform) -> Option<Duration> {
        let settings = self.settings.load();
        let quota = settings.quotas.get(platform);
        quota.longest().map(|longest| longest.span + quota.margin)
    }

    fn is_limited(&self, platform: Platform) -> bool {
        self.settings.load().quotas.get(platform).is_limited()
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the index is taken modulo the length, and the length is SHARDS"
    )]
    fn shard(&self, robot: RobotId) -> MutexGuard<'_, HashMap<RobotId, RobotQueue>> {
        // The id is a keyed hash, so each of its bytes is evenly distributed.
        let shard = &self.shards[usize::from(robot.as_bytes()[0]) % self.shards.len()];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One host for each distinct address.
fn hosts(settings: &PaceSettings) -> PlatformMap<Host> {
    let mut known = HashMap::new();
    settings.hosts.map(|_, name| {
        let host: &mut Host =
            known.entry(name).or_insert_with(|| Host::new(limits(settings, name)));
        host.clone()
    })
}

/// The limits of a host. Its rate is the smallest of those configured for its platforms.
fn limits(settings: &PaceSettings, host: &str) -> HostLimits {
    let here = settings.quotas.iter().filter(|(platform, _)| settings.hosts.get(*platform) == host);
    HostLimits {
        rate_per_second: here.filter_map(|(_, quota)| quota.rate_per_second).min(),
        in_flight_max: settings.limits.in_flight_max,
        hold_max: settings.limits.hold_max,
    }
}

fn rules(settings: &PaceSettings, platform: Platform) -> PacingLimits<'_> {
    PacingLimits {
        quota: settings.quotas.get(platform),
        health: &settings.health,
        hold_max: settings.limits.hold_max,
        early_max: settings.limits.early_max,
        order_gap: settings.limits.order_gap,
    }
}
