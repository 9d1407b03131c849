//! Occurrences of robots and organisations: holds, waits, monthly quotas.
//!
//! Owns their metrics and log lines.
//!
//! Not here: when a robot is held (`pace/hold.rs`).

use crate::{
    domain::{
        AttemptOutcome, EventId, GroupName, HoldCause, Platform, PlatformMap, RobotId, Timestamp,
        TopicName,
    },
    pace::{GroupStatus, Hold, OutageChange, PaceChanges, PlatformSummary},
    telemetry::{
        labels::{GroupLabel, HoldLabels, PlatformLabel, QUOTA},
        log_limit::LimitedLine,
        registry::Telemetry,
    },
};

/// An attempt changed the pace of its robot or organisation.
pub struct PaceChanged<'a> {
    /// The platform.
    pub platform: Platform,
    /// The robot.
    pub robot: RobotId,
    /// The event of the message.
    pub event: &'a EventId,
    /// Its topic.
    pub topic: &'a TopicName,
    /// The name of its subscription; empty without one.
    pub name: &'a str,
    /// The changes.
    pub changes: &'a PaceChanges,
    /// The platform's answer.
    pub answer: &'a AttemptOutcome,
    /// When it came.
    pub at: Timestamp,
}

impl PaceChanged<'_> {
    /// Counts and logs the changes.
    pub fn emit(&self, telemetry: &Telemetry) {
        self.hold_records().for_each(|record| telemetry.record(|| record));
        if let Some(hold) = &self.changes.held {
            self.held(hold, telemetry);
        }
        match &self.changes.lifted {
            // A robot that is held anew, for another cause, is not released.
            Some(_) if self.changes.held.is_some() => (),
            Some(hold) if hold.cause == HoldCause::Failing => self.recovered(telemetry),
            Some(hold) => {
                RobotHoldEnded { platform: self.platform, robot: self.robot, cause: hold.cause }
                    .emit(telemetry);
            }
            None => (),
        }
        if let Some(outage) = self.changes.outage {
            self.outage(outage, telemetry);
        }
        if let Some((group, used, monthly)) = &self.changes.budget_warning {
            tracing::warn!(
                group = %group,
                used,
                monthly,
                "most of an organisation's monthly quota is used"
            );
        }
        if let Some((group, until)) = &self.changes.budget_spent {
            budget_spent(group, *until);
        }
    }

    fn held(&self, hold: &Hold, telemetry: &Telemetry) {
        let (platform, cause) = (self.platform.as_str(), hold.cause.as_str());
        telemetry.robot_holds.get_or_create(&HoldLabels { platform, cause }).inc();
        // A hold is reported once for a robot; failed probes during the hold are not.
        if self.changes.was_held {
            tracing::debug!(
                platform,
                robot.id = %self.robot,
                cause,
                seconds = hold.wait.as_secs(),
                "a robot stays held"
            );
            return;
        }
        if !telemetry.lines.allow(LimitedLine::RobotHeld) {
            return;
        }
        tracing::warn!(
            subscription.name = self.name,
            event.topic = %self.topic,
            platform,
            robot.id = %self.robot,
            cause,
            code = self.answer.code,
            detail = self.answer.detail,
            seconds = hold.wait.as_secs(),
            "a robot is held: {}; {}",
            hold.cause.sentence(),
            hold.cause.advice()
        );
    }

    fn recovered(&self, telemetry: &Telemetry) {
        if !telemetry.lines.allow(LimitedLine::RobotLifted) {
            return;
        }
        tracing::info!(
            subscription.name = self.name,
            event.topic = %self.topic,
            platform = self.platform.as_str(),
            robot.id = %self.robot,
            failures = self.changes.failed.map(|run| run.failures),
            seconds = self.changes.failed_for.map(|lasted| lasted.as_secs()),
            "a robot answers again; what waits for it is sent in its order"
        );
    }

    fn outage(&self, outage: OutageChange, telemetry: &Telemetry) {
        let platform = self.platform.as_str();
        let on = PlatformLabel { platform };
        match outage {
            OutageChange::Began { hold, failing, tried } => {
                telemetry.platform_outages.get_or_create(&on).inc();
                telemetry.platform_outage.get_or_create(&on).set(1);
                tracing::warn!(
                    platform,
                    failing,
                    tried,
                    code = self.answer.code,
                    detail = self.answer.detail,
                    seconds = hold.wait.as_secs(),
                    "most robots of a platform fail, so it is held as a whole; {}",
                    HoldCause::Failing.advice()
                );
            }
            OutageChange::Ended { lasted, .. } => {
                telemetry.platform_outage.get_or_create(&on).set(0);
                tracing::info!(platform, seconds = lasted.as_secs(), "a platform answers again");
            }
        }
    }
}

fn budget_spent(group: &GroupName, until: Timestamp) {
    let until = i64::try_from(until.unix_millis())
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    tracing::warn!(
        group = %group,
        until = until.map(tracing::field::display),
        "an organisation's monthly quota is used up"
    );
}

/// The hold of a robot ended: a message got through, or an operator released it.
pub struct RobotHoldEnded {
    /// The platform.
    pub platform: Platform,
    /// The robot.
    pub robot: RobotId,
    /// The cause of the hold.
    pub cause: HoldCause,
}

impl RobotHoldEnded {
    /// Logs the end.
    pub fn emit(&self, telemetry: &Telemetry) {
        if !telemetry.lines.allow(LimitedLine::RobotLifted) {
            return;
        }
        let cause = self.cause.as_str();
        tracing::info!(
            platform = self.platform.as_str(),
            robot.id = %self.robot,
            cause,
            "a robot is not held any longer"
        );
    }
}

/// A periodic report: held robots, waiting deliveries, and the used quotas of organisations.
pub struct PaceSampled<'a> {
    /// The robots of each platform.
    pub robots: &'a PlatformMap<PlatformSummary>,
    /// The organisations.
    pub groups: &'a [GroupStatus],
}

impl PaceSampled<'_> {
    /// Sets the gauges.
    pub fn emit(&self, telemetry: &Telemetry) {
        for (platform, robots) in self.robots.iter() {
            let platform = platform.as_str();
            let waiting =
                |cause| telemetry.deliveries_waiting.get_or_create(&HoldLabels { platform, cause });
            for (cause, held) in robots.held {
                let on = HoldLabels { platform, cause: cause.as_str() };
                telemetry.robots_held.get_or_create(&on).set(whole(held));
                waiting(on.cause).set(whole(robots.waiting_held[cause]));
            }
            waiting(QUOTA).set(whole(robots.waiting));
            let (on, seconds) = (PlatformLabel { platform }, robots.drained_in.as_secs_f64());
            telemetry.attempts_in_flight.get_or_create(&on).set(whole(robots.in_flight));
            telemetry
                .attempts_in_flight_limit
                .get_or_create(&on)
                .set(robots.in_flight_limit.into());
            telemetry.deliveries_waiting_seconds.get_or_create(&on).set(seconds);
            telemetry.platform_outage.get_or_create(&on).set(robots.outage.into());
        }
        // Subscriptions may name any number of groups, so only configured ones become labels.
        for one in self.groups.iter().filter(|one| one.configured) {
            let group = GroupLabel { group: one.name.to_string() };
            telemetry.group_used.get_or_create(&group).set(whole(one.used));
            if let Some(monthly) = one.monthly {
                telemetry.group_monthly.get_or_create(&group).set(whole(monthly));
            }
        }
    }
}

/// A count in the type of gauges.
fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
