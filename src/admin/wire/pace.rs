//! The shapes of robots and groups.
//!
//! Owns their names and forms.
//!
//! Not here: the state behind them (`pace`).

use serde::{Deserialize, Serialize};

use crate::domain::{GroupName, Platform, RobotId, WaitCounts, WaitReason};

/// Why something waits, in the daemon's words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct WaitView {
    /// The reason, as in metrics and headers.
    pub reason: String,
    /// A few words for a table.
    pub label: String,
    /// The reason in a sentence.
    pub sentence: String,
    /// What an operator can do; `null` if nothing has to be done.
    pub advice: Option<String>,
}

impl From<WaitReason> for WaitView {
    fn from(reason: WaitReason) -> Self {
        Self {
            reason: reason.as_str().to_owned(),
            label: reason.label().to_owned(),
            sentence: reason.sentence().into_owned(),
            advice: reason.advice().map(str::to_owned),
        }
    }
}

/// How many deliveries wait for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct WaitCountView {
    /// The reason, as in metrics and headers.
    pub reason: String,
    /// A few words for a table.
    pub label: String,
    /// How many deliveries.
    pub count: u32,
}

impl WaitCountView {
    /// The reasons with a delivery, the most frequent first.
    pub(in crate::admin) fn all(counts: &WaitCounts) -> Vec<Self> {
        let counted = counts.iter().filter(|(_, count)| **count > 0);
        let mut views: Vec<_> = counted
            .map(|(reason, count)| Self {
                reason: reason.as_str().to_owned(),
                label: reason.label().to_owned(),
                count: *count,
            })
            .collect();
        views.sort_by_key(|view| std::cmp::Reverse(view.count));
        views
    }
}

/// One robot that is busy or held.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RobotView {
    /// Its id.
    pub robot: RobotId,
    /// Its platform.
    pub platform: Platform,
    /// How many messages its longest window has used.
    pub used: u32,
    /// How many messages that window allows; `null` if no window limits the robot.
    pub allowed: Option<u32>,
    /// How many attempts are in flight.
    pub in_flight: u32,
    /// How many deliveries wait in its queue.
    pub waiting: u32,
    /// Why it gets nothing: its hold, else the most frequent reason of `waits`. `null` if it is not
    /// held and none waits.
    #[serde(default)]
    pub wait: Option<WaitView>,
    /// How many of its deliveries wait for each reason, the most frequent first.
    #[serde(default)]
    pub waits: Vec<WaitCountView>,
    /// In how many seconds the last of them can be sent; `null` if that is unknown, because nothing
    /// gets through.
    pub drained_in_seconds: Option<u64>,
    /// In how many seconds the next message may be sent to it; `null` if it is not held, or if the
    /// next message is sent at once.
    pub held_for_seconds: Option<u64>,
    /// Since when it is held, RFC 3339; `null` without a hold.
    #[serde(default)]
    pub held_since: Option<String>,
    /// Why it is held: `throttled`, `budget`, `security`, `robot_gone` or `failing`. It stays set
    /// until the robot accepts a message again.
    pub cause: Option<String>,
    /// The length of the last hold, in seconds. The next failure doubles it.
    pub penalty_seconds: Option<u64>,
    /// What its attempts have shown; `null` if none is known.
    #[serde(default)]
    pub health: Option<HealthView>,
}

/// What the attempts of a robot have shown.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct HealthView {
    /// When it last accepted a message, RFC 3339.
    pub last_success: Option<String>,
    /// Its last failure; it stays after a success.
    pub last_failure: Option<FailureView>,
    /// Since when each of its attempts failed, RFC 3339; `null` if the last one did not.
    pub failing_since: Option<String>,
    /// How many attempts failed in a row.
    pub failures_in_a_row: u32,
    /// The share of the attempts of the last hour that were accepted, from 0 to 1; `null` without
    /// any.
    pub success_share_last_hour: Option<f64>,
}

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct FailureView {
    /// When, RFC 3339.
    pub at: String,
    /// Its verdict, as in metrics.
    pub verdict: String,
    /// The platform's code, or roomcast's.
    pub code: String,
    /// The platform's text.
    pub detail: String,
}

/// One organisation with a monthly quota.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct GroupView {
    /// Its name.
    pub group: GroupName,
    /// How many calls it made this month.
    pub used: u64,
    /// How many calls it may make a month, if that is configured.
    pub monthly: Option<u64>,
    /// How many calls it will have made at the month's end at the present rate.
    pub forecast: u64,
    /// When the month ends, RFC 3339.
    pub month_ends: String,
    /// When sending resumes, RFC 3339, if its quota is used up.
    pub spent_until: Option<String>,
}

/// The answer to a release.
#[derive(Debug, Deserialize, Serialize)]
pub struct Released {
    /// Whether the robot was held.
    pub was_held: bool,
    /// How many of its deliveries still wait in the broker, as far as the daemon knows.
    pub waiting: u32,
    /// Within how many seconds the last of them comes back.
    pub back_within_seconds: u64,
}
