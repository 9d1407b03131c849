//! The result of a test message in words.
//!
//! Owns the sentence and the advice for each outcome.
//!
//! Not here: the test itself (`pipeline/test_message.rs`), and the advice for codes of a platform
//! (`platforms/advice.rs`).

use super::{
    ApiError,
    dead_letters::rfc3339,
    ports::{SubscriptionTest, TestFailure, TestOutcome},
    wire::{TestView, WaitView},
};
use crate::{
    domain::{
        AttemptOutcome, DeadReason, HoldCause, Platform, SubscriptionView, Verdict, WaitReason,
    },
    platforms,
};

/// Sends a test message to the robot of this subscription.
pub(super) async fn test(
    tester: &dyn SubscriptionTest,
    subscription: SubscriptionView,
) -> Result<TestView, ApiError> {
    let outcome = tester.test(subscription.id).await?;
    Ok(view(subscription, outcome))
}

impl From<TestFailure> for ApiError {
    fn from(failure: TestFailure) -> Self {
        let says = failure.to_string();
        match failure {
            TestFailure::NotActive | TestFailure::Damaged => Self::Invalid(says),
            TestFailure::Changed | TestFailure::Busy | TestFailure::Stopping => {
                Self::Unavailable(says)
            }
            TestFailure::Failed(_) => Self::Internal(says),
        }
    }
}

fn view(subscription: SubscriptionView, outcome: TestOutcome) -> TestView {
    let SubscriptionView { id, platform, robot, private, .. } = subscription;
    let result = |outcome: &str, says: String| TestView {
        subscription: id,
        name: private.name.clone(),
        platform,
        robot,
        outcome: outcome.to_owned(),
        says,
        advice: None,
        verdict: None,
        code: None,
        detail: None,
        took_ms: None,
        wait: None,
        wait_until: None,
    };
    let not_sent =
        |why: &str| result(TestView::NOT_SENT, format!("no test message was sent: {why}"));
    match outcome {
        TestOutcome::Answered { answer, took } => {
            let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            let said = match answer.verdict {
                Verdict::Delivered => result(
                    TestView::DELIVERED,
                    format!("{platform} accepted the test message within {took} ms"),
                ),
                _ => result(
                    TestView::NOT_DELIVERED,
                    format!("{platform} did not accept the test message: {}", told(&answer)),
                ),
            };
            TestView {
                advice: advice(platform, &answer).map(str::to_owned),
                verdict: Some(answer.verdict.kind().as_str().to_owned()),
                code: Some(answer.code),
                detail: Some(answer.detail),
                took_ms: Some(took),
                ..said
            }
        }
        TestOutcome::Waits { reason, until } => {
            let until = rfc3339(until);
            let said = not_sent(&format!("{}; not before {until}", reason.sentence()));
            TestView {
                advice: advice_for_wait(reason),
                wait: Some(WaitView::from(reason)),
                wait_until: Some(until),
                ..said
            }
        }
        TestOutcome::OutOfBudget => {
            let why = WaitReason::MonthlyBudget.sentence();
            TestView { advice: Some(HoldCause::Budget.advice().to_owned()), ..not_sent(&why) }
        }
        TestOutcome::Unsendable(answer) => TestView {
            advice: advice(platform, &answer).map(str::to_owned),
            code: Some(answer.code.clone()),
            detail: Some(answer.detail.clone()),
            ..not_sent(&told(&answer))
        },
    }
}

/// The code and the text of an answer.
fn told(answer: &AttemptOutcome) -> String {
    let AttemptOutcome { code, detail, .. } = answer;
    if detail.is_empty() { format!("code {code}") } else { format!("code {code}: {detail}") }
}

/// What an operator can do about an answer.
fn advice(platform: Platform, answer: &AttemptOutcome) -> Option<&'static str> {
    let reason = match answer.verdict {
        Verdict::Delivered => return None,
        Verdict::Throttled { .. } | Verdict::BudgetSpent { .. } => {
            return HoldCause::of(answer.verdict).map(HoldCause::advice);
        }
        Verdict::TryAgain { .. } => DeadReason::Exhausted,
        Verdict::Refused => DeadReason::Refused,
        Verdict::RobotGone => DeadReason::RobotGone,
        Verdict::Security => DeadReason::Security,
    };
    Some(platforms::advice(platform, reason, &answer.code))
}

fn advice_for_wait(reason: WaitReason) -> Option<String> {
    match reason {
        WaitReason::Hold(_) => {
            let first = "`roomcast robot release` ends the hold, so that a test can be sent";
            reason.advice().map(|advice| format!("{advice}; {first}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::Timestamp;

    fn told_of(outcome: TestOutcome) -> TestView {
        let subscription = serde_json::json!({
            "id": "0190a0b0c0d0e0f00112233445566778", "topic": "ops", "platform": "dingtalk",
            "robot": "5e0c7d21a9b84f36c1d2e3f405162738", "endpoint": "https://a/…/****",
            "signed": true, "keyword": null, "name": "team a",
            "mentions": {"all": false, "mobiles": [], "users": []}, "state": "active",
            "overflow": "queue", "group": null, "filter": null, "quiet": null,
            "too_long": "split", "language": null, "created_at": "2026-01-01T00:00:00Z",
        });
        view(serde_json::from_value(subscription).unwrap(), outcome)
    }

    fn answered(verdict: Verdict, code: &str, detail: &str) -> TestOutcome {
        let answer = AttemptOutcome::new(verdict, code, detail);
        TestOutcome::Answered { answer, took: Duration::from_millis(231) }
    }

    #[test]
    fn every_outcome_is_a_sentence_with_advice_where_there_is_something_to_do() {
        let until = Timestamp::from_unix_millis(1_700_000_000_000);
        let waits = |reason| TestOutcome::Waits { reason, until };
        let (try_again, throttled) =
            (Verdict::TryAgain { wait: None }, Verdict::Throttled { wait: None });
        let unsendable =
            AttemptOutcome::new(Verdict::Refused, "host_not_allowed", "the host is not allowed");
        for (outcome, is, says, advice) in [
            (
                answered(Verdict::Delivered, "0", "ok"),
                "delivered",
                "dingtalk accepted the test message within 231 ms",
                None,
            ),
            (
                answered(Verdict::Security, "310000", "keywords not in content"),
                "not_delivered",
                "dingtalk did not accept the test message: code 310000: keywords not in content",
                Some("compare keyword"),
            ),
            (
                answered(try_again, "timeout", ""),
                "not_delivered",
                "did not accept the test message: code timeout",
                Some("could not be reached"),
            ),
            (
                answered(throttled, "660026", "too fast"),
                "not_delivered",
                "code 660026: too fast",
                Some("find the other program"),
            ),
            (
                waits(WaitReason::RobotQuota),
                "not_sent",
                "in turn; not before 2023-11-14T22:13:20Z",
                None,
            ),
            (
                waits(WaitReason::Hold(HoldCause::Security)),
                "not_sent",
                "no test message was sent: the robot is on hold",
                Some("`roomcast robot release`"),
            ),
            (TestOutcome::OutOfBudget, "not_sent", "the monthly quota", Some("buy more calls")),
            (
                TestOutcome::Unsendable(unsendable),
                "not_sent",
                "no test message was sent: code host_not_allowed: the host",
                Some("platforms.<name>.hosts"),
            ),
        ] {
            let view = told_of(outcome);
            assert_eq!(view.outcome, is, "{}", view.says);
            assert!(view.says.contains(says), "{says}: {}", view.says);
            match advice {
                Some(part) => assert!(view.advice.as_ref().unwrap().contains(part), "{view:?}"),
                None => assert_eq!(view.advice, None, "{}", view.says),
            }
        }
    }
}
