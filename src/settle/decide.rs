//! From a verdict to a settlement. Pure and total: each verdict has one, whatever the history is.
//!
//! Owns the rules which failures are retried, deferred, or become dead letters.
//!
//! Not here: the lengths of the waits (`schedule.rs`), and what an answer means (`platforms/`).

use super::RetryPolicy;
use crate::domain::{
    AttemptOutcome, DeadReason, Delivery, DueTime, HoldCause, NoContent, Settlement, Timestamp,
    Verdict, WaitReason,
};

/// Where a delivery continues after a refusal for speed or quota.
#[derive(Clone, Copy, Debug)]
pub struct ResumePosition {
    /// When its robot may be sent to again, by the wall clock.
    pub at: Timestamp,
    /// The delivery's position in the order then, if it has one.
    pub slot: Option<Timestamp>,
    /// Why it waits until then. The pacer knows what it holds: the robot, or its organisation.
    pub reason: WaitReason,
}

/// The settlement of a delivery whose attempt was answered.
///
/// `delivery.attempts` already includes this attempt if [`counts_as_attempt`] says so. `dice` is a
/// random number from 0 to 1.
#[must_use]
pub fn decide(
    delivery: &Delivery,
    answer: &AttemptOutcome,
    policy: &RetryPolicy,
    now: Timestamp,
    resume: ResumePosition,
    dice: f64,
) -> Settlement {
    let dead = |reason| Settlement::Dead {
        reason,
        code: answer.code.clone(),
        detail: answer.detail.clone(),
    };
    match answer.verdict {
        Verdict::Delivered => Settlement::Done,
        Verdict::Throttled { .. } | Verdict::BudgetSpent { .. } => {
            let until = DueTime { at: resume.at, read_at: now };
            defer(delivery, until, resume.slot, resume.reason)
        }
        Verdict::Refused => dead(DeadReason::Refused),
        Verdict::RobotGone => dead(DeadReason::RobotGone),
        Verdict::Security => dead(DeadReason::Security),
        Verdict::TryAgain { wait } => {
            // A robot that is held gets nothing before its hold ends.
            let wait = policy.wait_after(delivery.attempts, wait, dice);
            let resumed = wait.map(|wait| match now.after(wait) {
                own if own < resume.at => (resume.at, resume.reason),
                own => (own, WaitReason::Retry),
            });
            match resumed {
                Some((at, reason)) if at.since(delivery.event.received_at) <= policy.age_max => {
                    if at >= delivery.event.expires_at {
                        dead(DeadReason::Expired)
                    } else {
                        Settlement::Retried { until: DueTime { at, read_at: now }, reason }
                    }
                }
                _ => dead(DeadReason::Exhausted),
            }
        }
    }
}

/// The settlement of a delivery that waits until `until`: deferred, or dead if its time to live
/// ends before.
#[must_use]
pub fn defer(
    delivery: &Delivery,
    until: DueTime,
    slot: Option<Timestamp>,
    reason: WaitReason,
) -> Settlement {
    if until.at >= delivery.event.expires_at {
        expired(until.at, delivery, Some(reason))
    } else {
        Settlement::Deferred { until, slot, reason }
    }
}

/// The settlement of a delivery whose robot fails and is held until `until`. One that was tried
/// before is bounded by the age of its event too, as every retry is.
#[must_use]
pub fn defer_failing(
    delivery: &Delivery,
    until: DueTime,
    slot: Option<Timestamp>,
    policy: &RetryPolicy,
) -> Settlement {
    let reason = WaitReason::Hold(HoldCause::Failing);
    let age = until.at.since(delivery.event.received_at);
    if delivery.attempts == 0 || age <= policy.age_max || until.at >= delivery.event.expires_at {
        return defer(delivery, until, slot, reason);
    }
    Settlement::Dead {
        reason: DeadReason::Exhausted,
        code: "retry_age".to_owned(),
        detail: format!(
            "it would be older than retry.age_max before its next attempt: {}",
            reason.sentence()
        ),
    }
}

/// The settlement of a delivery that a newer one of its subscription replaces.
#[must_use]
pub fn supersede() -> Settlement {
    Settlement::Dead {
        reason: DeadReason::Superseded,
        code: "latest".to_owned(),
        detail: "a newer message took its place while it waited for its robot".to_owned(),
    }
}

/// The settlement of a delivery whose organisation has used up its monthly quota, if `at_end =
/// "dead"`.
#[must_use]
pub fn out_of_budget() -> Settlement {
    Settlement::Dead {
        reason: DeadReason::Exhausted,
        code: "monthly_budget".to_owned(),
        detail: "the monthly quota of the robot's organisation is used up \
            (groups.<name>.at_end = \"dead\")"
            .to_owned(),
    }
}

/// The settlement of a delivery that used all its attempts, the last one in a session that ended
/// before it was stored.
#[must_use]
pub fn out_of_attempts() -> Settlement {
    Settlement::Dead {
        reason: DeadReason::Exhausted,
        code: "attempts".to_owned(),
        detail: "all attempts failed; the platform's last answer was lost with the session"
            .to_owned(),
    }
}

/// The settlement of a delivery whose handling panicked too often.
#[must_use]
pub fn poison(detail: String) -> Settlement {
    Settlement::Dead { reason: DeadReason::Poison, code: "panic".to_owned(), detail }
}

/// The settlement of a delivery whose subscription's record is damaged.
#[must_use]
pub fn unreadable(what: &str) -> Settlement {
    Settlement::Dead {
        reason: DeadReason::UnreadableSubscription,
        code: "record".to_owned(),
        detail: format!("the subscription's record in the store is damaged: {what}"),
    }
}

/// The settlement of a delivery for whose platform its event has no content.
#[must_use]
pub fn without_content(why: NoContent<'_>) -> Settlement {
    Settlement::Dead { reason: why.reason(), code: why.code().to_owned(), detail: why.to_string() }
}

/// The settlement before any attempt: `None`, unless the time to live has ended.
#[must_use]
pub fn expire(delivery: &Delivery, now: Timestamp) -> Option<Settlement> {
    (now >= delivery.event.expires_at).then(|| expired(now, delivery, delivery.wait_reason))
}

/// Whether an attempt with this verdict counts. A refusal for speed or quota does not.
#[must_use]
pub const fn counts_as_attempt(verdict: Verdict) -> bool {
    !matches!(verdict, Verdict::Throttled { .. } | Verdict::BudgetSpent { .. })
}

/// Dead, because it could leave at `at` at the earliest. The detail says why it waited.
fn expired(at: Timestamp, delivery: &Delivery, reason: Option<WaitReason>) -> Settlement {
    let event = &delivery.event;
    let late = at.since(event.expires_at).as_secs();
    let detail = if event.expires_at < event.received_at {
        let ago = event.received_at.since(event.expires_at).as_secs();
        format!(
            "it was received {ago} s after its time to live had ended, \
             which counts from its publisher's timestamp"
        )
    } else {
        let why = reason.filter(|reason| *reason != WaitReason::Unknown);
        let why = why.map(|reason| format!(": {}", reason.sentence())).unwrap_or_default();
        format!("it could leave {late} s after its time to live ends at the earliest{why}")
    };
    Settlement::Dead { reason: DeadReason::Expired, code: "time_to_live".to_owned(), detail }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        domain::{
            Degradation, Event, EventContent, EventId, Part, Platform, PublishedMessage, RobotId,
            SubscriptionId,
        },
        settings::Section as _,
    };

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000);
    const HELD: WaitReason = WaitReason::Hold(HoldCause::Budget);

    fn at(seconds: u64) -> Timestamp {
        NOW.after(Duration::from_secs(seconds))
    }

    fn due(at: Timestamp) -> DueTime {
        DueTime { at, read_at: NOW }
    }

    fn delivery(attempts: u32, expires_in: u64) -> Delivery {
        let event = Event {
            id: EventId::new("e"),
            topic: "t".parse().unwrap(),
            content: EventContent::default(),
            urgent: false,
            received_at: NOW,
            expires_at: at(expires_in),
            published: PublishedMessage::default(),
        };
        Delivery {
            event: Arc::new(event),
            subscription: SubscriptionId::from_bytes([1; 16]),
            platform: Platform::Lark,
            robot: RobotId::from_bytes([2; 16]),
            attempts,
            hops: 0,
            first_attempt_at: None,
            due_at: None,
            slot: None,
            wait_reason: None,
            generation: 0,
            part: Part::default(),
            degradation: Degradation::default(),
        }
    }

    fn policy() -> RetryPolicy {
        RetryPolicy {
            delays: [5, 15].map(Duration::from_secs).to_vec(),
            age_max: Duration::from_secs(1000),
            wait_max: Duration::from_secs(600),
            ..RetryPolicy::by_default().unwrap()
        }
    }

    fn settle(verdict: Verdict, attempts: u32, expires_in: u64) -> Settlement {
        // A robot is held after a refusal for speed, and free after most failures.
        let resume = if matches!(verdict, Verdict::TryAgain { .. }) { NOW } else { at(60) };
        settle_at(resume, verdict, attempts, expires_in)
    }

    fn settle_at(
        resume: Timestamp,
        verdict: Verdict,
        attempts: u32,
        expires_in: u64,
    ) -> Settlement {
        let policy = policy();
        let answer = AttemptOutcome::new(verdict, "c", "d");
        let resume = ResumePosition { at: resume, slot: Some(at(1)), reason: HELD };
        decide(&delivery(attempts, expires_in), &answer, &policy, NOW, resume, 0.0)
    }

    fn dead(reason: DeadReason) -> Settlement {
        Settlement::Dead { reason, code: "c".into(), detail: "d".into() }
    }

    fn retried(until: Timestamp, reason: WaitReason) -> Settlement {
        Settlement::Retried { until: due(until), reason }
    }

    fn deferred(slot: Timestamp, reason: WaitReason) -> Settlement {
        Settlement::Deferred { until: due(at(60)), slot: Some(slot), reason }
    }

    #[test]
    fn every_verdict_has_its_settlement() {
        let spent = Verdict::BudgetSpent { wait: Duration::from_secs(60) };
        let again = |wait: Option<u64>| Verdict::TryAgain { wait: wait.map(Duration::from_secs) };
        for (verdict, attempts, expires_in, settlement) in [
            (Verdict::Delivered, 1, 900, Settlement::Done),
            (Verdict::Refused, 1, 900, dead(DeadReason::Refused)),
            (Verdict::RobotGone, 1, 900, dead(DeadReason::RobotGone)),
            (Verdict::Security, 1, 900, dead(DeadReason::Security)),
            (Verdict::Throttled { wait: None }, 0, 900, deferred(at(1), HELD)),
            (spent, 0, 900, deferred(at(1), HELD)),
            (again(None), 1, 900, retried(at(5), WaitReason::Retry)),
            (again(None), 2, 900, retried(at(15), WaitReason::Retry)),
            (again(Some(100)), 2, 900, retried(at(100), WaitReason::Retry)),
            (again(None), 3, 900, dead(DeadReason::Exhausted)),
            (again(None), 1, 5, dead(DeadReason::Expired)),
        ] {
            assert_eq!(settle(verdict, attempts, expires_in), settlement, "{verdict:?} {attempts}");
        }
    }

    #[test]
    fn a_failed_delivery_waits_out_the_hold_of_its_robot_and_its_own_wait() {
        let again = Verdict::TryAgain { wait: None };
        for (resume, settlement) in [
            (at(3), retried(at(5), WaitReason::Retry)),
            (at(60), retried(at(60), HELD)),
            (at(900), dead(DeadReason::Expired)),
            (at(1001), dead(DeadReason::Exhausted)),
        ] {
            assert_eq!(settle_at(resume, again, 1, 900), settlement, "{resume:?}");
        }
    }

    #[test]
    fn a_delivery_of_a_failing_robot_waits_within_its_time_to_live_and_the_age_of_retries() {
        for (attempts, until, expires_in, kept) in [
            (0, 1001, 2000, Ok(())),
            (1, 1000, 2000, Ok(())),
            (1, 1001, 2000, Err(DeadReason::Exhausted)),
            (0, 1001, 1001, Err(DeadReason::Expired)),
            (1, 1001, 1001, Err(DeadReason::Expired)),
        ] {
            let delivery = delivery(attempts, expires_in);
            let kept_or = match defer_failing(&delivery, due(at(until)), Some(at(1)), &policy()) {
                Settlement::Deferred { reason: WaitReason::Hold(HoldCause::Failing), .. } => Ok(()),
                Settlement::Dead { reason, .. } => Err(reason),
                other => panic!("{other:?}"),
            };
            assert_eq!(kept_or, kept, "{attempts} {until} {expires_in}");
        }
    }

    #[test]
    fn a_delivery_that_cannot_leave_within_its_time_to_live_is_dead_at_once() {
        let reason = |settlement| match settlement {
            Settlement::Dead { reason, .. } => Some(reason),
            _ => None,
        };
        let late = defer(&delivery(0, 60), due(at(60)), None, WaitReason::RobotQuota);
        let Settlement::Dead { reason: DeadReason::Expired, detail, .. } = late else {
            panic!("it cannot wait")
        };
        assert!(
            detail.ends_with(
                "at the earliest: the robot's quota is used up, and its messages leave in turn"
            ),
            "{detail}"
        );
        assert_eq!(
            reason(settle(Verdict::Throttled { wait: None }, 0, 60)),
            Some(DeadReason::Expired)
        );
        let waiting = defer(&delivery(0, 61), due(at(60)), Some(at(3)), WaitReason::QuietHours);
        assert_eq!(waiting, deferred(at(3), WaitReason::QuietHours));
        assert_eq!(expire(&delivery(0, 1), NOW), None);
        assert_eq!(expire(&delivery(0, 1), at(1)).and_then(reason), Some(DeadReason::Expired));
    }

    #[test]
    fn a_refusal_for_speed_is_not_an_attempt() {
        assert!(!counts_as_attempt(Verdict::Throttled { wait: None }));
        assert!(!counts_as_attempt(Verdict::BudgetSpent { wait: Duration::ZERO }));
        assert!(counts_as_attempt(Verdict::TryAgain { wait: None }));
        assert!(counts_as_attempt(Verdict::Delivered));
    }
}
