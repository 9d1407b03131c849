//! Verdicts: what a platform's answer means. Which answer means what is in `platforms/`.

use std::time::Duration;

/// What the outcome of one attempt means. It is a value, not an error: a refusal is an ordinary thing to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The platform took the message.
    Delivered,
    /// The robot has used up a quota. Nothing is wrong with the message.
    Throttled {
        /// How long the platform asks to wait, where it says so.
        wait: Option<Duration>,
    },
    /// The monthly quota of the robot's organisation is used up. Nothing is wrong with the message.
    BudgetSpent {
        /// How long to wait before asking again.
        wait: Duration,
    },
    /// Something passing went wrong: a time-out, a server error, an unknown code.
    TryAgain {
        /// How long the platform asks to wait, where it says so.
        wait: Option<Duration>,
    },
    /// The platform will never take this message.
    Refused,
    /// The robot does not exist any more, or is switched off.
    RobotGone,
    /// The robot's security setting (signature, keyword, address list) refuses us.
    Security,
}

impl Verdict {
    /// The name in metrics, logs and dead letters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Throttled { .. } => "throttled",
            Self::BudgetSpent { .. } => "budget_spent",
            Self::TryAgain { .. } => "try_again",
            Self::Refused => "refused",
            Self::RobotGone => "robot_gone",
            Self::Security => "security",
        }
    }
}

/// The outcome of one attempt, as an operator would want to read it. It never holds a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it means.
    pub verdict: Verdict,
    /// The platform's own code (`130101`), or ours for what happened before an answer came (`timeout`, `connect`).
    pub code: String,
    /// The platform's own words, redacted and cut to 512 bytes.
    pub detail: String,
}
