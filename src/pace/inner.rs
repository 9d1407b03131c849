//! The queues of all robots, spread over locks, and the state that they share.
//!
//! Owns which lock protects which robot, and that the pacer's records are written under the lock of
//! what they describe.
//!
//! Not here: the decisions about one robot (`lane.rs`), one host (`host.rs`) and one organisation
//! (`group.rs`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;

use super::{
    Changes, EndedHold, Hold, NotNoted, Note, Notebook, Settings,
    ask::{Ask, Place},
    group::{Allowance, Counted, Groups},
    host::{Entry, Host, HostLimits},
    lane::{Finish, Lane, Rules},
    timeline::Timeline,
};
use crate::domain::{GroupName, Moment, Platform, RobotId, Verdict};

/// The number of locks. With 64 of them, two cores rarely contend for one.
const SHARDS: usize = 64;

type Shard = Mutex<HashMap<RobotId, Lane>>;

pub(super) struct Inner {
    settings: ArcSwap<Settings>,
    pub(super) timeline: Timeline,
    /// The host of each platform. Platforms at one address share a host.
    hosts: ArcSwap<[Host; 4]>,
    shards: Vec<Shard>,
    groups: Mutex<Groups>,
    pub(super) notebook: Arc<dyn Notebook>,
}

impl Inner {
    pub(super) fn new(settings: Settings, notebook: Arc<dyn Notebook>, timeline: Timeline) -> Self {
        Self {
            timeline,
            hosts: ArcSwap::from_pointee(hosts(&settings)),
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            groups: Mutex::new(Groups::new(settings.groups.clone())),
            notebook,
            settings: ArcSwap::from_pointee(settings),
        }
    }

    pub(super) fn configure(&self, settings: Settings) {
        self.groups().configure(settings.groups.clone());
        if settings.hosts == self.settings.load().hosts {
            for (host, name) in self.hosts.load().iter().zip(&settings.hosts) {
                host.change(limits(&settings, name));
            }
        } else {
            // Messages that wait at the old hosts or are in flight keep their old limits.
            self.hosts.store(Arc::new(hosts(&settings)));
        }
        self.settings.store(Arc::new(settings));
    }

    /// Calls `act` with the robot's queue, and creates the queue if needed.
    pub(super) fn lane<T>(
        &self,
        robot: RobotId,
        platform: Platform,
        act: impl FnOnce(&mut Lane, Moment, &Rules<'_>) -> T,
    ) -> T {
        let settings = self.settings.load();
        let mut lanes = self.shard(robot);
        let lane = lanes.entry(robot).or_insert_with(|| Lane::new(platform));
        act(lane, self.timeline.now(), &rules(&settings, platform))
    }

    /// Calls `act` with the robot's queue, if there is one.
    pub(super) fn with<T>(&self, robot: RobotId, act: impl FnOnce(&mut Lane, Moment, &Rules<'_>) -> T) -> Option<T> {
        let settings = self.settings.load();
        let mut lanes = self.shard(robot);
        let lane = lanes.get_mut(&robot)?;
        let platform = lane.platform();
        Some(act(lane, self.timeline.now(), &rules(&settings, platform)))
    }

    /// Calls `ask` with the limits for a robot that has no queue.
    pub(super) fn idle<T>(&self, platform: Platform, ask: impl FnOnce(&Rules<'_>) -> T) -> T {
        ask(&rules(&self.settings.load(), platform))
    }

    /// Calls `act` with each queue, one lock at a time, and removes those for which it returns
    /// `false`.
    pub(super) fn retain(&self, mut act: impl FnMut(RobotId, &mut Lane, &Rules<'_>) -> bool) {
        let settings = self.settings.load();
        for shard in &self.shards {
            let mut lanes = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let before = lanes.len();
            lanes.retain(|robot, lane| {
                let platform = lane.platform();
                act(*robot, lane, &rules(&settings, platform))
            });
            if lanes.len() * 2 < before {
                lanes.shrink_to_fit();
            }
        }
    }

    pub(super) fn host(&self, platform: Platform) -> Host {
        let [dingtalk, dingtalk_internal, lark, wecom] = &**self.hosts.load();
        let host = match platform {
            Platform::DingTalk => dingtalk,
            Platform::DingTalkInternal => dingtalk_internal,
            Platform::Lark => lark,
            Platform::WeCom => wecom,
        };
        host.clone()
    }

    /// The host's view of a request.
    pub(super) fn entry<'a>(ask: &Ask<'a>) -> Entry<'a> {
        Entry {
            platform: number_of(ask.platform),
            urgent: ask.event.urgent,
            topic: &ask.event.topic,
            fresh: matches!(ask.place, Place::Fresh | Place::Due(_)),
        }
    }

    pub(super) fn sweep_hosts(&self) {
        self.hosts.load().iter().for_each(Host::sweep);
    }

    pub(super) fn in_flight_limit(&self, platform: Platform) -> u32 {
        self.host(platform).in_flight_limit(number_of(platform))
    }

    pub(super) fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn allowance(&self, group: &GroupName, take: bool) -> Allowance {
        // Months follow the wall clock.
        let now = self.timeline.wall_now();
        let mut groups = self.groups();
        match if take { groups.take(group, now) } else { groups.look(group, now) } {
            Allowance::Until(due) => Allowance::Until(self.timeline.at_wall(due)),
            allowance => allowance,
        }
    }

    /// Writes a record whose loss costs order, not quota. An error is only logged: the next send
    /// fails on it.
    pub(super) fn note(&self, note: &Note) {
        if let Err(error) = self.notebook.note(note) {
            tracing::debug!(error = &error as &dyn std::error::Error, "a note of the pace was not written");
        }
    }

    pub(super) fn leaves(
        &self,
        robot: RobotId,
        platform: Platform,
        group: Option<&GroupName>,
        followed: bool,
    ) -> Result<(), NotNoted> {
        if let Some(group) = group {
            // Written under the lock, because the last record wins.
            let mut groups = self.groups();
            let (month, used, refused_until) = groups.spent(group, self.timeline.wall_now());
            self.notebook.note(&Note::Spent { group: group.clone(), month, used, refused_until })?;
        }
        if self.is_limited(platform) {
            self.notebook.note(&Note::Begun { robot, platform, at: self.timeline.now() })?;
        }
        self.with(robot, |lane, now, _| lane.leaves(now, followed));
        Ok(())
    }

    pub(super) fn give_back(&self, robot: RobotId, group: Option<&GroupName>) {
        self.with(robot, |lane, _, _| lane.give_back());
        if let Some(group) = group {
            self.groups().give_back(group);
        }
    }

    pub(super) fn finish(
        &self,
        robot: RobotId,
        platform: Platform,
        group: Option<&GroupName>,
        end: &Finish,
    ) -> Changes {
        let now = self.timeline.now();
        if self.is_limited(platform) {
            self.note(&Note::Answered { robot, platform, at: now });
        }
        let finished = self.with(robot, |lane, now, rules| lane.finish(now, end, group.is_some(), rules));
        let finished = finished.unwrap_or_default();
        self.note_hold(robot, platform, finished.held.as_ref(), finished.lifted.is_some(), now);
        let mut changes = Changes {
            held: finished.held,
            was_held: finished.was_held,
            lifted: finished.lifted,
            resume: finished.resume,
            ..Changes::default()
        };
        if let Some(group) = group {
            self.count(group, end.verdict, &mut changes);
        }
        changes
    }

    pub(super) fn release(&self, robot: RobotId) -> Option<EndedHold> {
        let (ended, platform) = self.with(robot, |lane, now, _| (lane.release(now), lane.platform()))?;
        self.note_hold(robot, platform, None, ended.is_some(), self.timeline.now());
        ended
    }

    fn count(&self, group: &GroupName, verdict: Option<Verdict>, changes: &mut Changes) {
        let now = self.timeline.wall_now();
        let (Counted { warning, spent_until }, refused_until) = {
            let mut groups = self.groups();
            let counted = groups.finish(group, now, verdict);
            let (month, used, refused_until) = groups.spent(group, now);
            self.note(&Note::Spent { group: group.clone(), month, used, refused_until });
            (counted, refused_until)
        };
        changes.budget_warning = warning.map(|(used, monthly)| (group.clone(), used, monthly));
        changes.budget_spent = spent_until.map(|until| (group.clone(), until));
        if matches!(verdict, Some(Verdict::BudgetSpent { .. })) {
            changes.resume = refused_until.map(|until| self.timeline.at_wall(until));
        }
    }

    fn note_hold(&self, robot: RobotId, platform: Platform, held: Option<&Hold>, lifted: bool, at: Moment) {
        if let Some(Hold { cause, until, wait }) = held.copied() {
            self.note(&Note::Held { robot, platform, at, cause, until, wait });
        } else if lifted {
            self.note(&Note::Lifted { robot, platform, at });
        }
    }

    /// How long a sent message counts for a robot of this platform; `None` if its robots have no
    /// limit.
    pub(super) fn remembers(&self, platform: Platform) -> Option<Duration> {
        let settings = self.settings.load();
        let quota = quota(&settings, platform);
        quota.longest().map(|longest| longest.span + quota.margin)
    }

    fn is_limited(&self, platform: Platform) -> bool {
        quota(&self.settings.load(), platform).is_limited()
    }

    #[expect(clippy::indexing_slicing, reason = "the index is taken modulo the length, and the length is SHARDS")]
    fn shard(&self, robot: RobotId) -> MutexGuard<'_, HashMap<RobotId, Lane>> {
        // The id is a keyed hash, so each of its bytes is evenly distributed.
        let shard = &self.shards[usize::from(robot.as_bytes()[0]) % self.shards.len()];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One host for each distinct address.
fn hosts(settings: &Settings) -> [Host; 4] {
    let mut known = HashMap::new();
    settings.hosts.each_ref().map(|name| {
        let host: &mut Host = known.entry(name).or_insert_with(|| Host::new(limits(settings, name)));
        host.clone()
    })
}

/// The limits of a host. Its rate is the smallest of those configured for its platforms.
fn limits(settings: &Settings, host: &str) -> HostLimits {
    let here = settings.hosts.iter().zip(&settings.quotas).filter(|(name, _)| *name == host);
    HostLimits {
        rate_per_second: here.filter_map(|(_, quota)| quota.rate_per_second).min(),
        in_flight_max: settings.in_flight_max,
        hold_max: settings.hold_max,
    }
}

fn rules(settings: &Settings, platform: Platform) -> Rules<'_> {
    Rules {
        quota: quota(settings, platform),
        health: &settings.health,
        hold_max: settings.hold_max,
        early_max: settings.early_max,
        order_gap: settings.order_gap,
    }
}

fn quota(settings: &Settings, platform: Platform) -> &super::PlatformQuota {
    let [dingtalk, dingtalk_internal, lark, wecom] = &settings.quotas;
    match platform {
        Platform::DingTalk => dingtalk,
        Platform::DingTalkInternal => dingtalk_internal,
        Platform::Lark => lark,
        Platform::WeCom => wecom,
    }
}

const fn number_of(platform: Platform) -> usize {
    match platform {
        Platform::DingTalk => 0,
        Platform::DingTalkInternal => 1,
        Platform::Lark => 2,
        Platform::WeCom => 3,
    }
}
