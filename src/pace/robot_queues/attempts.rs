//! The beginning and the end of an attempt, for its robot, platform and organisation.
//!
//! Owns which records they leave, and when many failing robots make an outage of their platform.
//!
//! Not here: the decisions (`robot_queue/finish.rs`, `breaker.rs`, `monthly_quota.rs`), and the
//! permit that reports the end (`permit.rs`).

use std::time::Duration;

use super::RobotQueues;
use crate::{
    domain::{
        AttemptOutcome, GroupName, HoldCause, Platform, RobotId, Timestamp, Verdict, WaitReason,
    },
    pace::{
        AppendFailed, EndedHold, FailureRun, Hold, OutageChange, PaceChanges, PaceRecord, Resume,
        RobotHealth,
        breaker::TriedRobots,
        monthly_quota::UsageChange,
        robot_health::{KnownRobot, Standing},
        robot_queue::{Finish, Finished, RobotQueue},
    },
};

/// How an attempt ended.
pub(in crate::pace) struct AttemptEnd<'a> {
    /// `None` if it was cut off.
    pub(in crate::pace) answer: Option<&'a AttemptOutcome>,
    /// How long the answer took.
    pub(in crate::pace) took: Option<Duration>,
    /// Whether another part of the same message follows.
    pub(in crate::pace) next_part_pending: bool,
}

/// The robot after an attempt.
#[derive(Default)]
struct FinishedRobot {
    finished: Finished,
    run: Option<FailureRun>,
    run_before: Option<FailureRun>,
}

impl RobotQueues {
    /// Records that a message is about to be sent. The locks are released before the wait for the
    /// records.
    pub(in crate::pace) async fn mark_sent(
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

    pub(in crate::pace) fn refund(&self, robot: RobotId, group: Option<&GroupName>) {
        let platform = self.with_existing(robot, |queue, _, _| {
            queue.refund();
            queue.platform()
        });
        if let Some(platform) = platform {
            self.probe_ended(platform);
        }
        if let Some(group) = group {
            self.groups().refund(group);
        }
    }

    pub(in crate::pace) fn finish(
        &self,
        robot: RobotId,
        platform: Platform,
        group: Option<&GroupName>,
        end: &AttemptEnd<'_>,
    ) -> PaceChanges {
        let now = self.timeline.now();
        if self.is_limited(platform) {
            self.append(&PaceRecord::AttemptEnded { robot, platform, at: now });
        }
        let FinishedRobot { mut finished, run, run_before } =
            self.finish_robot(robot, platform, group, end);
        if end.answer.is_none() {
            self.probe_ended(platform);
        }
        let outage = self.outage_change(robot, platform, &finished, run, end);
        match outage {
            Some(OutageChange::Began { hold, .. }) => {
                (finished.held, finished.resume) = (None, Some(hold.into()));
            }
            Some(OutageChange::Ended { .. }) => finished.resume = self.resume(robot),
            // A probe that failed has lengthened the hold.
            None if self.outage(platform).is_some() => finished.resume = self.resume(robot),
            None => (),
        }
        self.append_hold(robot, platform, finished.held.as_ref(), finished.lifted.is_some(), now);
        let failed = run_before.filter(|_| run.is_none());
        let mut changes = PaceChanges {
            held: finished.held,
            was_held: finished.was_held,
            lifted: finished.lifted,
            failed,
            failed_for: failed.map(|run| now.since(run.since)),
            outage,
            resume: finished.resume,
            ..PaceChanges::default()
        };
        if let Some(group) = group {
            self.count(group, end.answer.map(|answer| answer.verdict), &mut changes);
        }
        changes
    }

    /// A message that may have been the probe of an outage ended without an answer, so another one
    /// may probe.
    fn probe_ended(&self, platform: Platform) {
        if self.outages.get(platform).probe_ended() {
            self.wake(platform, |_| ());
        }
    }

    /// When a robot may be sent to again, and why not earlier.
    fn resume(&self, robot: RobotId) -> Option<Resume> {
        self.with_existing(robot, |queue, now, rules| queue.resume(now, rules)).flatten()
    }

    /// Counts the attempt in the robot's health and returns its permit, both under its lock.
    fn finish_robot(
        &self,
        robot: RobotId,
        platform: Platform,
        group: Option<&GroupName>,
        end: &AttemptEnd<'_>,
    ) -> FinishedRobot {
        let settings = self.settings.load();
        let mut robots = self.shard(robot);
        let now = self.timeline.now();
        let mut done = FinishedRobot::default();
        if let Some(answer) = end.answer {
            let known = robots
                .known
                .entry(robot)
                .or_insert_with(|| KnownRobot::new(platform, RobotHealth::default()));
            done.run_before = known.health.run;
            if known.count(answer, now) {
                let health = Box::new(known.health.clone());
                self.append(&PaceRecord::HealthChanged { robot, platform, at: now, health });
            }
            done.run = known.health.run;
        }
        let finish = Finish {
            verdict: end.answer.map(|answer| answer.verdict),
            took: end.took,
            next_part_pending: end.next_part_pending,
            run: done.run,
        };
        let rules = self.rules(&settings, platform);
        if let Some(queue) = robots.queues.get_mut(&robot) {
            done.finished = queue.finish(now, &finish, group.is_some(), &rules);
        }
        done
    }

    /// Begins, continues or ends the outage of the platform.
    fn outage_change(
        &self,
        robot: RobotId,
        platform: Platform,
        finished: &Finished,
        run: Option<FailureRun>,
        end: &AttemptEnd<'_>,
    ) -> Option<OutageChange> {
        let (outage, at) = (self.outages.get(platform), self.timeline.now());
        let (verdict, policy) = (end.answer?.verdict, self.settings.load().breaker);
        let record = |hold: &Hold| {
            self.append(&PaceRecord::OutageStarted { platform, at, hold: *hold });
        };
        if outage.hold().is_some() {
            if HoldCause::of(verdict) == Some(HoldCause::Failing) {
                let longer = outage.probe_failed(at, &policy, record)?;
                self.wake(platform, |queue| queue.hold_back(longer.until, at));
                let _ = self.with_existing(robot, |queue, _, _| queue.yield_next_probe());
                return None;
            }
            let hold = outage.end(|| self.append(&PaceRecord::OutageEnded { platform, at }))?;
            self.wake(platform, |queue| queue.outage_ended(at));
            return Some(OutageChange::Ended { hold, lasted: at.since(hold.since) });
        }
        let begins = |held: &Hold| held.cause == HoldCause::Failing && !finished.was_held;
        if !finished.held.as_ref().is_some_and(begins) || !outage.is_count_due(at) {
            return None;
        }
        let since = run?.since;
        let tried = self.tried_robots(platform, since, policy.probe_max);
        if !policy.is_outage(tried) {
            return None;
        }
        let hold = outage.begin(since, at, &policy, record)?;
        // The hold of the platform takes the place of the robot's own.
        let _ = self.with_existing(robot, |queue, now, _| queue.release(now));
        self.wake(platform, |queue| queue.hold_back(hold.until, at));
        let TriedRobots { failing, answering } = tried;
        Some(OutageChange::Began { hold, failing, tried: failing.saturating_add(answering) })
    }

    /// Wakes what waits in memory for the robots of a platform.
    fn wake(&self, platform: Platform, act: impl Fn(&mut RobotQueue)) {
        self.retain(|_, queue, _, _| {
            if queue.platform() == platform {
                act(queue);
                queue.wake_first();
            }
            true
        });
    }

    /// What the robots of a platform say about it since the failures of one began.
    fn tried_robots(&self, platform: Platform, since: Timestamp, window: Duration) -> TriedRobots {
        let mut tried = TriedRobots::default();
        self.retain_known(|_, known| {
            match known.health.standing(since, window) {
                Standing::Failing if known.platform == platform => tried.failing += 1,
                Standing::Answering if known.platform == platform => tried.answering += 1,
                _ => (),
            }
            true
        });
        tried
    }

    /// Ends the hold of a robot. If only its platform is held, the next message probes.
    pub(in crate::pace) fn release(&self, robot: RobotId) -> Option<EndedHold> {
        let (ended, platform) =
            self.with_existing(robot, |queue, now, _| (queue.release(now), queue.platform()))?;
        self.append_hold(robot, platform, None, ended.is_some(), self.timeline.now());
        let now = self.timeline.now();
        let Some(outage) = self.outages.get(platform).probe_at(now) else { return ended };
        self.wake(platform, |_| ());
        ended.or_else(|| self.with_existing(robot, |queue, now, _| queue.ended(outage, now)))
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
        if let Some(hold) = held.copied() {
            self.append(&PaceRecord::HoldStarted { robot, platform, at, hold });
        } else if lifted {
            self.append(&PaceRecord::HoldEnded { robot, platform, at });
        }
    }
}
