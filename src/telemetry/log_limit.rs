//! The limit on log lines of one kind, where messages or network peers decide how often they occur.
//!
//! Owns that limit. A flood of lines would hide important ones and fill the disk. The number of
//! omitted lines is logged, and metrics count all occurrences.
//!
//! Not here: the content of the lines (`events.rs`).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The most lines of one kind within [`SPAN`].
pub(super) const LINES_MAX: u32 = 20;
/// The period of the limit. The number of omitted lines is logged this long after the first
/// omission.
pub(super) const SPAN: Duration = Duration::from_secs(60);

/// The limited kinds of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LimitedLine {
    Undecodable,
    HeadersLeftOut,
    NoSubscription,
    GivenUp,
    Degraded,
    Dropped,
    ReceiptRefused,
    StepRefused,
    RobotHeld,
    RobotLifted,
    ClockSkewed,
    WrongToken,
    ProxyFailed,
}

impl LimitedLine {
    /// The beginning of lines of this kind.
    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Undecodable => "an event cannot be read and becomes a dead letter",
            Self::HeadersLeftOut => "an event has more headers than go along with it",
            Self::NoSubscription => "a topic has no subscription",
            Self::GivenUp => "a delivery is given up",
            Self::Degraded => "a platform refused a part of a message",
            Self::Dropped => "a delivery was dropped",
            Self::ReceiptRefused => {
                "a queue that somebody has bound to the exchange for receipts does not take them"
            }
            Self::StepRefused => "a queue does not take a delivery's next step",
            Self::RobotHeld => "a robot is held",
            Self::RobotLifted => "a robot is not held any longer",
            Self::ClockSkewed => "this machine's clock differs from the platform's",
            Self::WrongToken => "somebody showed a wrong token",
            Self::ProxyFailed => "the proxy on the way to a platform cannot be used",
        }
    }
}

/// The recent lines, by kind.
#[derive(Default)]
pub(super) struct LogLimiter(Mutex<HashMap<LimitedLine, LineCounter>>);

struct LineCounter {
    since: Instant,
    lines: u32,
    left_out: u64,
    /// When the first omitted line occurred.
    silent_since: Instant,
}

impl LogLimiter {
    /// Whether one more line of this kind may be written. Otherwise it is counted.
    pub(super) fn allow(&self, kind: LimitedLine) -> bool {
        let now = Instant::now();
        let mut kinds = self.kinds();
        let lately = kinds.entry(kind).or_insert(LineCounter {
            since: now,
            lines: 0,
            left_out: 0,
            silent_since: now,
        });
        if now - lately.since >= SPAN {
            (lately.since, lately.lines) = (now, 0);
        }
        if lately.lines < LINES_MAX {
            lately.lines += 1;
            return true;
        }
        if lately.left_out == 0 {
            lately.silent_since = now;
        }
        lately.left_out += 1;
        false
    }

    /// The numbers of omitted lines that are due to be logged; with `all`, also those that are not
    /// due yet.
    fn left_out(&self, all: bool) -> Vec<(LimitedLine, u64)> {
        let now = Instant::now();
        let mut kinds = self.kinds();
        let due = kinds
            .iter_mut()
            .filter(|(_, one)| one.left_out > 0 && (all || now - one.silent_since >= SPAN));
        due.map(|(kind, one)| (*kind, std::mem::take(&mut one.left_out))).collect()
    }

    /// Logs the numbers of omitted lines that are due; with `all`, also the others.
    pub(super) fn log_left_out(&self, all: bool) {
        for (kind, left_out) in self.left_out(all) {
            let kind = kind.message();
            tracing::warn!(
                kind,
                left_out,
                "lines of one kind were left out of the log; the metrics count all of it"
            );
        }
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<LimitedLine, LineCounter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_kind_is_cut_and_counted_and_leaves_the_others_alone() {
        let lines = LogLimiter::default();
        let written =
            |count: u32| (0..count).filter(|_| lines.allow(LimitedLine::Undecodable)).count();
        assert_eq!(written(1_000), 20);
        assert!(lines.allow(LimitedLine::GivenUp), "another kind");
        assert_eq!(lines.left_out(false), [], "not yet");
        tokio::time::advance(SPAN).await;
        assert_eq!(written(25), 20);
        assert_eq!(lines.left_out(false), [(LimitedLine::Undecodable, 985)], "980 and 5");
        assert_eq!(lines.left_out(false), [], "it is said once");
        // The flood has no pause, so its summary appears once in each span.
        let mut said = Vec::new();
        for _ in 0..180 {
            tokio::time::advance(Duration::from_secs(1)).await;
            written(10);
            said.extend(lines.left_out(false).into_iter().map(|(_, count)| count));
        }
        assert!((2..=3).contains(&said.len()), "{said:?}");
        said.extend(lines.left_out(true).into_iter().map(|(_, count)| count));
        assert!(
            (1_740..=1_760).contains(&said.iter().sum::<u64>()),
            "1800 less 20 a minute: {said:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_happens_seldom_is_always_written() {
        let lines = LogLimiter::default();
        for _ in 0..200 {
            assert!(lines.allow(LimitedLine::RobotHeld));
            tokio::time::advance(Duration::from_secs(4)).await;
        }
        assert_eq!(lines.left_out(true), []);
    }
}
