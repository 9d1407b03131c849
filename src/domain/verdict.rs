//! Verdicts: the meaning of a platform's answer.
//!
//! Owns the closed list of verdicts.
//!
//! Not here: which answer has which verdict (`platforms/`), and which settlement it causes
//! (`settle/decide.rs`).

use std::time::Duration;

use enum_map::Enum;

use super::{MessageFeature, every};

/// The meaning of one attempt's outcome. It is a value rather than an error, because a refusal is
/// an ordinary outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The platform accepted the message.
    Delivered,
    /// The robot has used up a quota. The message itself is fine.
    Throttled {
        /// How long the platform asks to wait, if it says so.
        wait: Option<Duration>,
    },
    /// The monthly quota of the robot's organisation is used up. The message itself is fine.
    BudgetSpent {
        /// How long to wait before the next probe.
        wait: Duration,
    },
    /// A transient failure: a timeout, a server error, an unknown code.
    TryAgain {
        /// How long the platform asks to wait, if it says so.
        wait: Option<Duration>,
    },
    /// The platform refuses this message permanently.
    Refused,
    /// The robot does not exist any more, or is disabled.
    RobotGone,
    /// The robot's security setting (signature, keyword, address list) rejects the message.
    Security,
}

/// A verdict without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Enum)]
pub enum VerdictKind {
    /// [`Verdict::Delivered`].
    Delivered,
    /// [`Verdict::Throttled`].
    Throttled,
    /// [`Verdict::BudgetSpent`].
    BudgetSpent,
    /// [`Verdict::TryAgain`].
    TryAgain,
    /// [`Verdict::Refused`].
    Refused,
    /// [`Verdict::RobotGone`].
    RobotGone,
    /// [`Verdict::Security`].
    Security,
}

impl Verdict {
    /// The verdict without its details.
    #[must_use]
    pub const fn kind(self) -> VerdictKind {
        match self {
            Self::Delivered => VerdictKind::Delivered,
            Self::Throttled { .. } => VerdictKind::Throttled,
            Self::BudgetSpent { .. } => VerdictKind::BudgetSpent,
            Self::TryAgain { .. } => VerdictKind::TryAgain,
            Self::Refused => VerdictKind::Refused,
            Self::RobotGone => VerdictKind::RobotGone,
            Self::Security => VerdictKind::Security,
        }
    }
}

impl VerdictKind {
    /// The verdict with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        every::<Self>().find(|kind| kind.as_str() == name)
    }

    /// The name in metrics, logs and dead letters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Throttled => "throttled",
            Self::BudgetSpent => "budget_spent",
            Self::TryAgain => "try_again",
            Self::Refused => "refused",
            Self::RobotGone => "robot_gone",
            Self::Security => "security",
        }
    }
}

/// The outcome of one attempt, for operators. It never contains a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptOutcome {
    /// The meaning of the outcome.
    pub verdict: Verdict,
    /// The platform's own code (`130101`), or roomcast's for failures before an answer (`timeout`,
    /// `connect`).
    pub code: String,
    /// The platform's own message, redacted and cut to 512 bytes.
    pub detail: String,
    /// The features for which the platform may have refused the message, the likeliest first.
    pub refused_for: &'static [MessageFeature],
}

impl AttemptOutcome {
    /// An outcome that is not a refusal of the platform for a feature.
    #[must_use]
    pub fn new(verdict: Verdict, code: &str, detail: impl Into<String>) -> Self {
        Self { verdict, code: code.to_owned(), detail: detail.into(), refused_for: &[] }
    }
}
