//! The port that sends a test message to the robot of a subscription.
//!
//! Owns the closed list of its outcomes.
//!
//! Not here: the implementation (`pipeline/test_message.rs`), and the words for operators
//! (`admin/test_message.rs`).

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::{AttemptOutcome, SubscriptionId, Timestamp, WaitReason};

/// What became of a test message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestOutcome {
    /// It was sent, and this is the platform's answer, or the failure on the way to it.
    Answered {
        /// The answer.
        answer: AttemptOutcome,
        /// From the request to the answer.
        took: Duration,
    },
    /// It was not sent, because the robot gets nothing before that time by the wall clock.
    Waits {
        /// Why.
        reason: WaitReason,
        /// Until when.
        until: Timestamp,
    },
    /// It was not sent: the monthly quota of the organisation is used up, and its setting is not
    /// to wait for the next month.
    OutOfBudget,
    /// It was not sent, because it cannot be made for this robot. The answer says why.
    Unsendable(AttemptOutcome),
}

/// Why a test has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum TestFailure {
    /// The subscription gets no messages.
    #[error("the subscription is paused, so nothing is sent to its robot: resume it first")]
    NotActive,
    /// The record of the subscription is damaged.
    #[error(
        "the record of the subscription is damaged: \
         give it its webhook again (`roomcast subscription update ID --endpoint-file -`)"
    )]
    Damaged,
    /// The subscription changed during the test.
    #[error("the subscription was changed during the test: try again")]
    Changed,
    /// Too many tests are in progress.
    #[error("too many test messages are being sent: try again")]
    Busy,
    /// The daemon stops.
    #[error("the daemon stops: try again when it runs")]
    Stopping,
    /// The store or the journal failed.
    #[error("the test message could not be sent: {0}")]
    Failed(String),
}

/// Sends test messages.
#[async_trait]
pub trait SubscriptionTest: Send + Sync {
    /// Sends a test message to the robot of a subscription. It uses the robot's quota like any
    /// message, and waits for it as long as a new message waits in memory. Quiet hours, the filter
    /// and the mentions of the subscription do not count.
    async fn test(&self, subscription: SubscriptionId) -> Result<TestOutcome, TestFailure>;
}
