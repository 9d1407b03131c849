//! Why a delivery waits.
//!
//! Owns the closed list of reasons, and the one wording of each: its name, a label for tables, and
//! a sentence. The daemon hands them out; metrics, logs, API, console and commands show them.
//!
//! Not here: which wait has which reason (`pace/robot_queue.rs`, `pipeline/delivery.rs`,
//! `settle/decide.rs`).

use std::borrow::Cow;

use enum_map::{Enum, EnumMap};

use super::{HoldCause, every};

/// Why a delivery waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum)]
pub enum WaitReason {
    /// The windows of its robot are used up.
    RobotQuota,
    /// Another message of its robot comes first: the one before it, or the one that covers it.
    Order,
    /// Its robot is on hold.
    Hold(HoldCause),
    /// The monthly quota of its robot's organisation is used up.
    MonthlyBudget,
    /// The rate of its platform's host is used up.
    HostRate,
    /// Its platform leaves too many attempts without an answer.
    InFlightLimit,
    /// The memory for waiting deliveries is full.
    MemoryFull,
    /// Its subscription has quiet hours.
    QuietHours,
    /// Its event is not to be sent before a time of its own.
    NotBefore,
    /// An attempt failed.
    Retry,
    /// Its subscription changed while an attempt was prepared.
    SubscriptionChanged,
    /// The session ended or the daemon drains.
    Draining,
    /// Another version stored it, without a reason that this one knows.
    Unknown,
}

impl WaitReason {
    /// The reason with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        every::<Self>().find(|reason| reason.as_str() == name)
    }

    /// The name in headers, metrics, logs, traces and API answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RobotQuota => "robot_quota",
            Self::Order => "order",
            Self::Hold(HoldCause::Throttled) => "hold_throttled",
            Self::Hold(HoldCause::Budget) => "hold_budget",
            Self::Hold(HoldCause::Security) => "hold_security",
            Self::Hold(HoldCause::RobotGone) => "hold_robot_gone",
            Self::Hold(HoldCause::Failing) => "hold_failing",
            Self::MonthlyBudget => "monthly_budget",
            Self::HostRate => "host_rate",
            Self::InFlightLimit => "in_flight_limit",
            Self::MemoryFull => "memory_full",
            Self::QuietHours => "quiet_hours",
            Self::NotBefore => "not_before",
            Self::Retry => "retry",
            Self::SubscriptionChanged => "subscription_changed",
            Self::Draining => "draining",
            Self::Unknown => "unknown",
        }
    }

    /// A few words for a table, at most 16 characters.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::RobotQuota => "quota used up",
            Self::Order => "keeps the order",
            Self::Hold(cause) => cause.label(),
            Self::MonthlyBudget => "month used up",
            Self::HostRate => "rate of the host",
            Self::InFlightLimit => "slow platform",
            Self::MemoryFull => "memory full",
            Self::QuietHours => "quiet hours",
            Self::NotBefore => "not due yet",
            Self::Retry => "next attempt",
            Self::SubscriptionChanged => "subscription",
            Self::Draining => "daemon stops",
            Self::Unknown => "not known",
        }
    }

    /// The reason in a sentence.
    #[must_use]
    pub fn sentence(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Hold(cause) => {
                return format!("the robot is on hold: {}", cause.sentence()).into();
            }
            Self::RobotQuota => "the robot's quota is used up, and its messages leave in turn",
            Self::Order => "another message of the robot comes first",
            Self::MonthlyBudget => "the monthly quota of the robot's organisation is used up",
            Self::HostRate => "the rate of the platform's host is used up (rate_per_second)",
            Self::InFlightLimit => {
                "the platform is slow, and too many attempts wait for its answer \
                 (pace.in_flight_max)"
            }
            Self::MemoryFull => "the memory for waiting deliveries is full (pace.held_max)",
            Self::QuietHours => "the subscription has quiet hours",
            Self::NotBefore => "the event is not to be sent earlier (x-roomcast-not-before)",
            Self::Retry => "an attempt failed, and the next one comes later",
            Self::SubscriptionChanged => "the subscription changed while an attempt was prepared",
            Self::Draining => "the daemon stops, or its session with the broker ended",
            Self::Unknown => "another version of roomcast stored it without a reason known here",
        })
    }

    /// What an operator can do, if there is anything to do.
    #[must_use]
    pub const fn advice(self) -> Option<&'static str> {
        match self {
            Self::Hold(cause) => Some(cause.advice()),
            _ => None,
        }
    }
}

/// A count for each reason of a wait.
pub type WaitCounts = EnumMap<WaitReason, u32>;

impl WaitReason {
    /// The reason with the highest count, the first in the list if several have it; `None` if all
    /// counts are zero.
    #[must_use]
    pub fn most_frequent(counts: &WaitCounts) -> Option<Self> {
        let counted = counts.iter().filter(|(_, count)| **count > 0);
        counted.min_by_key(|(_, count)| std::cmp::Reverse(**count)).map(|(reason, _)| reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_reason_is_the_first_of_those_with_the_highest_count() {
        let mut counts = WaitCounts::default();
        assert_eq!(WaitReason::most_frequent(&counts), None);
        counts[WaitReason::Retry] = 2;
        counts[WaitReason::Order] = 2;
        counts[WaitReason::Unknown] = 1;
        assert_eq!(WaitReason::most_frequent(&counts), Some(WaitReason::Order));
    }

    #[test]
    fn every_reason_is_read_back_from_its_name_and_has_its_own_wording() {
        for reason in every::<WaitReason>() {
            assert_eq!(WaitReason::named(reason.as_str()), Some(reason));
            assert!(reason.label().len() <= 16 && !reason.label().contains('_'), "{reason:?}");
            assert!(reason.sentence().len() > 20, "{reason:?}");
        }
        assert_eq!(WaitReason::named("full_moon"), None);
    }

    #[test]
    fn every_reason_is_in_the_operators_list_with_its_sentence_and_the_list_has_no_others() {
        let list = include_str!("../../docs/EVENTS.md").split("## Wait reasons\n").nth(1).unwrap();
        let rows = list.split("\n## ").next().unwrap().lines();
        let listed: Vec<_> = rows.filter(|row| row.starts_with("| `")).collect();
        let known: Vec<_> = every::<WaitReason>()
            .map(|one| format!("| `{}` | {} | {} |", one.as_str(), one.label(), one.sentence()))
            .collect();
        assert_eq!(known, listed);
    }
}
