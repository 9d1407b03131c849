//! Holds: a robot is left alone for a while, because its platform refuses what is sent to it.

use std::time::Duration;

use crate::domain::{Moment, Verdict};

/// Why a robot is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HoldCause {
    /// Its platform refuses for speed: somebody else sends through it too.
    Throttled,
    /// Its organisation's monthly quota is used up.
    Budget,
    /// Its security setting refuses us.
    Security,
    /// It does not exist any more, or is switched off.
    RobotGone,
}

impl HoldCause {
    /// Every cause.
    pub const ALL: [Self; 4] = [Self::Throttled, Self::Budget, Self::Security, Self::RobotGone];

    /// The name in metrics, logs and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Budget => "budget",
            Self::Security => "security",
            Self::RobotGone => "robot_gone",
        }
    }

    /// The cause that a verdict may be.
    pub(super) const fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Throttled { .. } => Some(Self::Throttled),
            Verdict::BudgetSpent { .. } => Some(Self::Budget),
            Verdict::Security => Some(Self::Security),
            Verdict::RobotGone => Some(Self::RobotGone),
            Verdict::Delivered | Verdict::TryAgain { .. } | Verdict::Refused => None,
        }
    }
}

/// A robot that is left alone until a time, after which one message at a time tries whether it listens again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Why.
    pub cause: HoldCause,
    /// Until when nothing is sent.
    pub until: Moment,
    /// How long the last wait was; each further refusal doubles it.
    pub wait: Duration,
}

impl Hold {
    /// The hold after a refusal at `now`: as long as the platform asks, else twice as long as the wait before.
    pub(super) fn after(
        before: Option<&Self>,
        cause: HoldCause,
        asked: Option<Duration>,
        (least, most): (Duration, Duration),
        now: Moment,
    ) -> Self {
        let last = before.filter(|hold| hold.cause == cause).map_or(Duration::ZERO, |hold| hold.wait);
        let wait = asked.unwrap_or_else(|| last.saturating_mul(2).clamp(least, most.max(least)));
        Self { cause, until: now.after(wait), wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_further_refusal_doubles_the_wait_unless_the_platform_says_how_long() {
        let bounds = (Duration::from_secs(60), Duration::from_secs(200));
        let now = Moment::from_unix_millis(0);
        let mut hold = None;
        for (asked, expected) in [(None, 60), (None, 120), (None, 200), (Some(5), 5), (None, 60)] {
            let asked = asked.map(Duration::from_secs);
            let next = Hold::after(hold.as_ref(), HoldCause::Throttled, asked, bounds, now);
            assert_eq!(next.wait.as_secs(), expected);
            hold = Some(next);
        }
        let other = Hold::after(hold.as_ref(), HoldCause::Security, None, bounds, now);
        assert_eq!(other.wait, bounds.0, "another cause begins anew");
    }
}
