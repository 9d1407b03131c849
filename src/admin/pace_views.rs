//! Robots and groups as the API shows them.
//!
//! Owns the conversion from the pacer's terms to the API's.
//!
//! Not here: the shapes (`wire/pace.rs`), and the order of robots (`pace`).

use super::{
    dead_letters::rfc3339,
    wire::{FailureView, GroupView, HealthView, RobotView, WaitCountView},
};
use crate::pace::{GroupStatus, RobotHealth, RobotStatus};

pub(super) fn robot_view(status: RobotStatus) -> RobotView {
    RobotView {
        robot: status.robot,
        platform: status.platform,
        used: status.used,
        allowed: status.allowed,
        in_flight: status.in_flight,
        waiting: status.waiting,
        wait: status.wait_reason.map(Into::into),
        waits: WaitCountView::all(&status.waits),
        drained_in_seconds: status.drained_in.map(|left| left.as_secs()),
        held_for_seconds: status.held_for.map(|left| left.as_secs()),
        held_since: status.held_since.map(rfc3339),
        cause: status.hold.map(|hold| hold.cause.as_str().to_owned()),
        penalty_seconds: status.hold.map(|hold| hold.wait.as_secs()),
        health: status.health.map(|health| health_view(health, status.success_share)),
    }
}

fn health_view(health: RobotHealth, success_share: Option<f64>) -> HealthView {
    let failures_in_a_row = health.failures();
    HealthView {
        last_success: health.last_success.map(rfc3339),
        last_failure: health.last_failure.map(|failure| FailureView {
            at: rfc3339(failure.at),
            verdict: failure.verdict.as_str().to_owned(),
            code: failure.code,
            detail: failure.detail,
        }),
        failing_since: health.run.map(|run| rfc3339(run.since)),
        failures_in_a_row,
        success_share_last_hour: success_share,
    }
}

pub(super) fn group_view(status: GroupStatus) -> GroupView {
    GroupView {
        group: status.name,
        used: status.used,
        monthly: status.monthly,
        forecast: status.forecast,
        month_ends: rfc3339(status.month_ends),
        spent_until: status.spent_until.map(rfc3339),
    }
}
