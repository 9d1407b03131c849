//! The queues of all robots, spread over locks, and the state that they share.
//!
//! Owns which lock protects which robot, and that the pacer's records are written under the lock of
//! what they describe.
//!
//! Not here: the beginning and the end of an attempt (`robot_queues/attempts.rs`), the decisions
//! about one robot (`robot_queue.rs`), one host (`host.rs`) and one organisation
//! (`monthly_quota.rs`).

mod attempts;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::future::Either;

pub(super) use self::attempts::AttemptEnd;
use super::{
    Hold, PaceLog, PaceRecord, PaceSettings, RobotHealth,
    admission_request::{AdmissionRequest, QueuePosition},
    host::{Host, HostLimits, HostRequest},
    monotonic_clock::MonotonicWallClock,
    monthly_quota::{Allowance, Groups},
    outage::Outage,
    robot_health::KnownRobot,
    robot_queue::{PacingLimits, RobotQueue},
};
use crate::domain::{GroupName, Platform, PlatformMap, RobotId, Timestamp};

/// The number of locks. With 64 of them, two cores rarely contend for one.
const SHARDS: usize = 64;

type Shard = Mutex<Robots>;

/// The robots behind one lock.
#[derive(Default)]
struct Robots {
    queues: HashMap<RobotId, RobotQueue>,
    /// The robots that were tried in the last day. A queue lives shorter.
    known: HashMap<RobotId, KnownRobot>,
}

pub(super) struct RobotQueues {
    settings: ArcSwap<PaceSettings>,
    pub(super) timeline: MonotonicWallClock,
    /// The host of each platform. Platforms at one address share a host.
    hosts: ArcSwap<PlatformMap<Host>>,
    outages: PlatformMap<Outage>,
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
            outages: PlatformMap::default(),
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
        let mut robots = self.shard(robot);
        let queue = robots.queues.entry(robot).or_insert_with(|| RobotQueue::new(platform));
        act(queue, self.timeline.now(), &self.rules(&settings, platform))
    }

    /// Calls `act` with the robot's queue, if there is one.
    pub(super) fn with_existing<T>(
        &self,
        robot: RobotId,
        act: impl FnOnce(&mut RobotQueue, Timestamp, &PacingLimits<'_>) -> T,
    ) -> Option<T> {
        let settings = self.settings.load();
        let mut robots = self.shard(robot);
        let queue = robots.queues.get_mut(&robot)?;
        let platform = queue.platform();
        Some(act(queue, self.timeline.now(), &self.rules(&settings, platform)))
    }

    /// Calls `request` with the limits for a robot that has no queue.
    pub(super) fn with_limits<T>(
        &self,
        platform: Platform,
        request: impl FnOnce(&PacingLimits<'_>) -> T,
    ) -> T {
        request(&self.rules(&self.settings.load(), platform))
    }

    /// Calls `act` with each queue and the robot's health, one lock at a time, and removes the
    /// queues for which it returns `false`.
    pub(super) fn retain<F>(&self, mut act: F)
    where
        F: FnMut(RobotId, &mut RobotQueue, Option<&RobotHealth>, &PacingLimits<'_>) -> bool,
    {
        let settings = self.settings.load();
        for shard in &self.shards {
            let mut robots = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let Robots { queues, known } = &mut *robots;
            let before = queues.len();
            queues.retain(|robot, queue| {
                let platform = queue.platform();
                let health = known.get(robot).map(|known| &known.health);
                act(*robot, queue, health, &self.rules(&settings, platform))
            });
            if queues.len() * 2 < before {
                queues.shrink_to_fit();
            }
        }
    }

    /// Calls `act` with each robot whose health is known, one lock at a time, and removes those for
    /// which it returns `false`.
    pub(super) fn retain_known(&self, mut act: impl FnMut(RobotId, &KnownRobot) -> bool) {
        for shard in &self.shards {
            let mut robots = shard.lock().unwrap_or_else(PoisonError::into_inner);
            robots.known.retain(|robot, known| act(*robot, known));
        }
    }

    /// The hold of a platform most of whose robots fail.
    pub(super) fn outage(&self, platform: Platform) -> Option<Hold> {
        self.outages.get(platform).hold()
    }

    pub(super) fn restore_outage(&self, platform: Platform, hold: Hold) {
        let breaker = self.settings.load().breaker;
        self.outages.get(platform).restore(hold, self.timeline.now(), &breaker);
    }

    /// Restores the health of a robot, unless it was tried meanwhile.
    pub(super) fn restore_health(&self, robot: RobotId, platform: Platform, health: RobotHealth) {
        let restored = || KnownRobot::new(platform, health);
        self.shard(robot).known.entry(robot).or_insert_with(restored);
    }

    /// Calls `record` with each outage, under its lock.
    pub(super) fn keep_outages<E>(
        &self,
        mut record: impl FnMut(Platform, Hold) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut kept = Ok(());
        for (platform, outage) in self.outages.iter() {
            outage.keep(|hold| {
                if kept.is_ok() {
                    kept = record(platform, *hold);
                }
            });
        }
        kept
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

    fn rules<'a>(&'a self, settings: &'a PaceSettings, platform: Platform) -> PacingLimits<'a> {
        PacingLimits {
            quota: settings.quotas.get(platform),
            health: &settings.health,
            breaker: &settings.breaker,
            outage: self.outages.get(platform),
            hold_max: settings.limits.hold_max,
            early_max: settings.limits.early_max,
            order_gap: settings.limits.order_gap,
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the index is taken modulo the length, and the length is SHARDS"
    )]
    fn shard(&self, robot: RobotId) -> MutexGuard<'_, Robots> {
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
