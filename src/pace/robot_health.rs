//! The health of one robot: what its attempts have shown.
//!
//! Owns which verdicts count as failures of a robot, the number of failures in a row, and the
//! attempts of the last hour. Pure.
//!
//! Not here: what follows from it (`robot_queue/finish.rs`, `outage.rs`), and its record on the
//! disk (`store/robot_health_codec.rs`).

use std::time::Duration;

use crate::domain::{AttemptOutcome, Platform, Timestamp, Verdict, VerdictKind};

/// The attempts of the last hour are counted in this many equal parts.
const HOUR_PARTS: usize = 12;
const PART: Duration = Duration::from_secs(300);
/// A success is recorded again after this time, so that records do not grow with the traffic.
const RECORD_EVERY: Duration = Duration::from_secs(60);
/// The health of a robot without attempts is forgotten after this time.
const REMEMBERED: Duration = Duration::from_secs(86_400);
/// The platform's text in a failure is cut to this many bytes.
const DETAIL_BYTES_MAX: usize = 256;

/// The health of one robot. Its size is bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RobotHealth {
    /// When it last accepted a message, in the pacer's time.
    pub last_success: Option<Timestamp>,
    /// Its last failure. It stays after a success.
    pub last_failure: Option<RobotFailure>,
    /// Its failures since its last answer that was not one; `None` if it does not fail.
    pub run: Option<FailureRun>,
    /// The attempts of the last hour.
    pub hour: HourOfAttempts,
}

/// A robot whose health is known.
pub(super) struct KnownRobot {
    pub(super) platform: Platform,
    pub(super) health: RobotHealth,
    /// When the health was last recorded; zero if it never was by this process.
    recorded_at: Timestamp,
}

impl KnownRobot {
    pub(super) fn new(platform: Platform, health: RobotHealth) -> Self {
        Self { platform, health, recorded_at: Timestamp::default() }
    }

    /// Counts an attempt that was answered at `now`. Returns whether the health must be recorded:
    /// always while it fails and when that ends, else once in a while.
    pub(super) fn count(&mut self, answer: &AttemptOutcome, now: Timestamp) -> bool {
        let failed_before = self.health.run.is_some();
        self.health.count(answer, now);
        let failed = failed_before || self.health.run.is_some();
        let due = failed || now.since(self.recorded_at) >= RECORD_EVERY;
        if due {
            self.recorded_at = now;
        }
        due
    }
}

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotFailure {
    /// When, in the pacer's time.
    pub at: Timestamp,
    /// Its verdict.
    pub verdict: VerdictKind,
    /// The platform's code, or roomcast's.
    pub code: String,
    /// The platform's text, redacted and cut.
    pub detail: String,
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureRun {
    /// When the first of them was answered, in the pacer's time.
    pub since: Timestamp,
    /// How many there are.
    pub failures: u32,
}

/// What a robot says about its platform, since the failures of another one began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its attempts get no usable answer either.
    Failing,
    /// The platform answers for it.
    Answering,
    /// It was not tried since, or it has failed for long.
    Unknown,
}

/// The meaning of a verdict for the robot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// The robot took the message.
    Success,
    /// The robot takes no message at all.
    Failure,
    /// The platform answers for the robot, and refuses for the message or a quota.
    Answer,
}

const fn sign(verdict: Verdict) -> Sign {
    match verdict {
        Verdict::Delivered => Sign::Success,
        Verdict::TryAgain { .. } | Verdict::RobotGone | Verdict::Security => Sign::Failure,
        Verdict::Throttled { .. } | Verdict::BudgetSpent { .. } | Verdict::Refused => Sign::Answer,
    }
}

impl RobotHealth {
    /// Counts an attempt that was answered at `now`.
    pub fn count(&mut self, answer: &AttemptOutcome, now: Timestamp) {
        match sign(answer.verdict) {
            Sign::Success => {
                (self.last_success, self.run) = (Some(now), None);
                self.hour.add(now, true);
            }
            Sign::Answer => self.run = None,
            Sign::Failure => {
                let run = self.run.get_or_insert(FailureRun { since: now, failures: 0 });
                run.failures = run.failures.saturating_add(1);
                self.hour.add(now, false);
                self.last_failure = Some(RobotFailure {
                    at: now,
                    verdict: answer.verdict.kind(),
                    code: answer.code.clone(),
                    detail: cut(&answer.detail),
                });
            }
        }
    }

    /// The number of failures in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.run.map_or(0, |run| run.failures)
    }

    /// When the last attempt was counted.
    #[must_use]
    pub fn last_attempt(&self) -> Option<Timestamp> {
        self.last_success.max(self.last_failure.as_ref().map(|failure| failure.at))
    }

    /// What its last attempts say about its platform.
    pub(super) fn standing(&self, since: Timestamp, window: Duration) -> Standing {
        let unanswered = |failure: &RobotFailure| failure.verdict == VerdictKind::TryAgain;
        match self.run {
            // What began to fail long before fails for a reason of its own.
            Some(run) if run.since.after(window) < since => Standing::Unknown,
            Some(_) if self.last_failure.as_ref().is_some_and(unanswered) => Standing::Failing,
            Some(_) => Standing::Answering,
            None if self.last_success >= Some(since) => Standing::Answering,
            None => Standing::Unknown,
        }
    }

    /// Whether nothing was attempted for so long that the health says nothing any more.
    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        self.last_attempt().is_none_or(|last| last.after(REMEMBERED) < now)
    }
}

/// The attempts of the last hour, in parts of five minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HourOfAttempts {
    /// The number of the newest part, counted from the zero of the pacer's time.
    pub newest: u64,
    /// The newest part first: how many were accepted, and how many failed.
    pub parts: [AttemptCount; HOUR_PARTS],
}

/// The attempts of a part of an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptCount {
    /// How many were accepted.
    pub accepted: u32,
    /// How many failed.
    pub failed: u32,
}

impl HourOfAttempts {
    fn add(&mut self, now: Timestamp, accepted: bool) {
        self.turn_to(now);
        if let Some(part) = self.parts.first_mut() {
            let count = if accepted { &mut part.accepted } else { &mut part.failed };
            *count = count.saturating_add(1);
        }
    }

    /// The share of accepted attempts in the hour before `now`, from 0 to 1; `None` without any.
    #[must_use]
    pub fn success_share(&self, now: Timestamp) -> Option<f64> {
        let mut hour = *self;
        hour.turn_to(now);
        let sum = |of: fn(&AttemptCount) -> u32| -> u64 {
            hour.parts.iter().map(|part| u64::from(of(part))).sum()
        };
        let (accepted, failed) = (sum(|part| part.accepted), sum(|part| part.failed));
        let all = accepted + failed;
        #[expect(clippy::cast_precision_loss, reason = "an hour has far fewer attempts than 2^52")]
        let share = (all > 0).then(|| accepted as f64 / all as f64);
        share
    }

    fn turn_to(&mut self, now: Timestamp) {
        let number = now.unix_millis() / u64::try_from(PART.as_millis()).unwrap_or(u64::MAX);
        let passed = usize::try_from(number.saturating_sub(self.newest)).unwrap_or(usize::MAX);
        let passed = passed.min(HOUR_PARTS);
        self.parts.rotate_right(passed);
        self.parts.iter_mut().take(passed).for_each(|part| *part = AttemptCount::default());
        self.newest = self.newest.max(number);
    }
}

/// The text, cut at a character.
fn cut(text: &str) -> String {
    let end = (0..=DETAIL_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

    fn at(seconds: u64) -> Timestamp {
        T0.after(Duration::from_secs(seconds))
    }

    fn answer(verdict: Verdict) -> AttemptOutcome {
        AttemptOutcome::new(verdict, "c", "d")
    }

    const AGAIN: Verdict = Verdict::TryAgain { wait: None };

    #[test]
    fn every_verdict_says_whether_its_robot_fails() {
        for (verdicts, failures, share) in [
            (&[Verdict::Delivered][..], 0, Some(1.0)),
            (&[AGAIN], 1, Some(0.0)),
            (&[AGAIN, Verdict::Security, Verdict::RobotGone], 3, Some(0.0)),
            (&[AGAIN, AGAIN, Verdict::Delivered], 0, Some(1.0 / 3.0)),
            (&[AGAIN, Verdict::Refused], 0, Some(0.0)),
            (&[AGAIN, Verdict::Throttled { wait: None }, AGAIN], 1, Some(0.0)),
            (&[Verdict::BudgetSpent { wait: PART }], 0, None),
        ] {
            let mut health = RobotHealth::default();
            for (second, verdict) in (0..).zip(verdicts) {
                health.count(&answer(*verdict), at(second));
            }
            let seen = (health.failures(), health.hour.success_share(at(10)));
            assert_eq!(seen, (failures, share), "{verdicts:?}");
        }
    }

    #[test]
    fn a_robot_fails_since_the_first_failure_in_a_row_and_keeps_the_last_one() {
        let mut health = RobotHealth::default();
        for (second, verdict) in
            [(0, AGAIN), (1, Verdict::Delivered), (2, AGAIN), (9, Verdict::Security)]
        {
            health.count(&answer(verdict), at(second));
        }
        assert_eq!(health.run, Some(FailureRun { since: at(2), failures: 2 }));
        assert_eq!(health.last_success, Some(at(1)));
        let last = health.last_failure.clone().unwrap();
        assert_eq!((last.at, last.verdict), (at(9), VerdictKind::Security));
        health.count(&answer(Verdict::Delivered), at(10));
        assert_eq!((health.run, health.last_failure), (None, Some(last)));
    }

    #[test]
    fn a_robot_speaks_for_its_platform_by_what_it_shows_since_the_failures_began() {
        let window = Duration::from_secs(300);
        for (attempts, standing) in [
            (&[][..], Standing::Unknown),
            (&[(999, Verdict::Delivered)], Standing::Unknown),
            (&[(1000, Verdict::Delivered)], Standing::Answering),
            (&[(1000, Verdict::Delivered), (1001, AGAIN)], Standing::Failing),
            (&[(1000, AGAIN), (1001, Verdict::Delivered)], Standing::Answering),
            (&[(700, AGAIN)], Standing::Failing),
            (&[(699, AGAIN), (1001, AGAIN)], Standing::Unknown),
            (&[(1001, Verdict::Security)], Standing::Answering),
        ] {
            let mut health = RobotHealth::default();
            attempts.iter().for_each(|(second, one)| health.count(&answer(*one), at(*second)));
            assert_eq!(health.standing(at(1000), window), standing, "{attempts:?}");
        }
    }

    #[test]
    fn an_attempt_of_more_than_an_hour_ago_does_not_count() {
        let mut health = RobotHealth::default();
        health.count(&answer(AGAIN), at(0));
        health.count(&answer(Verdict::Delivered), at(1800));
        let share = |second| health.hour.success_share(at(second));
        assert_eq!((share(1800), share(3300)), (Some(0.5), Some(0.5)));
        assert_eq!((share(3601), share(5401)), (Some(1.0), None));
    }

    #[test]
    fn a_failing_robot_is_recorded_with_each_attempt_and_a_healthy_one_once_a_minute() {
        let mut robot = KnownRobot::new(Platform::Lark, RobotHealth::default());
        for (second, verdict, recorded) in [
            (0, Verdict::Delivered, true),
            (59, Verdict::Delivered, false),
            (60, Verdict::Delivered, true),
            (61, AGAIN, true),
            (62, AGAIN, true),
            (63, Verdict::Refused, true),
            (64, Verdict::Delivered, false),
        ] {
            assert_eq!(robot.count(&answer(verdict), at(second)), recorded, "{second}");
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let mut health = RobotHealth::default();
        let long = AttemptOutcome::new(AGAIN, "c", "长".repeat(400));
        health.count(&long, T0);
        assert_eq!(health.last_failure.unwrap().detail, "长".repeat(85));
    }

    proptest! {
        #[test]
        fn the_failures_in_a_row_are_those_after_the_last_answer(
            failed in prop::collection::vec(any::<bool>(), 0..60),
        ) {
            let mut health = RobotHealth::default();
            for (second, failed) in (0..).zip(&failed) {
                let verdict = if *failed { AGAIN } else { Verdict::Delivered };
                health.count(&answer(verdict), at(second));
            }
            let in_row = failed.iter().rev().take_while(|failed| **failed).count();
            prop_assert_eq!(health.failures() as usize, in_row);
            prop_assert_eq!(health.run.is_some(), in_row > 0);
            let first = failed.len() - in_row;
            prop_assert!(health.run.is_none_or(|run| run.since == at(first as u64)));
        }
    }
}
