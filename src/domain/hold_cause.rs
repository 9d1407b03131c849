//! The causes of a hold: nothing is sent to a robot for a while.
//!
//! Owns their closed list, the one wording of each, and which verdict can cause one.
//!
//! Not here: the length of a hold (`pace/hold.rs`), and when it begins and ends
//! (`pace/robot_queue/finish.rs`).

use enum_map::{Enum, EnumMap};

use super::{Verdict, every};

/// Why a robot is on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum)]
pub enum HoldCause {
    /// Its platform refuses for speed, because another program also sends to this robot.
    Throttled,
    /// Its organisation's monthly quota is used up.
    Budget,
    /// The robot's security setting rejects the message.
    Security,
    /// The robot is deleted or disabled.
    RobotGone,
    /// Its attempts get no usable answer: HTTP 5xx, time-outs, connection, TLS, DNS.
    Failing,
}

impl HoldCause {
    /// The cause with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        every::<Self>().find(|cause| cause.as_str() == name)
    }

    /// The name in metrics, logs and API answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Budget => "budget",
            Self::Security => "security",
            Self::RobotGone => "robot_gone",
            Self::Failing => "failing",
        }
    }

    /// A few words for a table.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Budget => "budget used up",
            Self::Security => "security setting",
            Self::RobotGone => "robot gone",
            Self::Failing => "failing",
        }
    }

    /// The cause in a clause about the robot.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Throttled => {
                "its platform refuses for speed, so another program sends through the same robot"
            }
            Self::Budget => "its organisation's monthly quota is used up",
            Self::Security => "its signature, keyword or address list refuses us",
            Self::RobotGone => "it is gone or switched off",
            Self::Failing => "its attempts fail (server errors, time-outs, connection, TLS or DNS)",
        }
    }

    /// What an operator can do.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Throttled => {
                "find the other program that sends through the robot; \
                 the hold ends by itself with the first message that gets through"
            }
            Self::Budget => {
                "buy more calls, or wait for the next month; give its subscriptions a group \
                 (`roomcast subscription update ID --group NAME`) to see the use"
            }
            Self::Security => {
                "correct the robot's setting, \
                 or its secret or keyword (`roomcast subscription update`), then release it"
            }
            Self::RobotGone => {
                "switch it on in the group's settings and release it, or remove the subscription"
            }
            Self::Failing => {
                "see its last failure (`roomcast robot list --json`): \
                 check the way to the platform (DNS, proxy, firewall), \
                 and the platform's state page; \
                 the hold ends by itself with the first message that gets through"
            }
        }
    }

    /// The cause of hold that a verdict can lead to.
    #[must_use]
    pub const fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Throttled { .. } => Some(Self::Throttled),
            Verdict::BudgetSpent { .. } => Some(Self::Budget),
            Verdict::Security => Some(Self::Security),
            Verdict::RobotGone => Some(Self::RobotGone),
            Verdict::TryAgain { .. } => Some(Self::Failing),
            Verdict::Delivered | Verdict::Refused => None,
        }
    }

    /// Whether no message gets through until the cause is gone, at an unknown time.
    #[must_use]
    pub const fn ends_at_unknown_time(self) -> bool {
        matches!(self, Self::Security | Self::RobotGone | Self::Failing)
    }
}

/// A count for each cause of a hold.
pub type HoldCounts = EnumMap<HoldCause, u64>;
