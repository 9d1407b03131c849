//! The shape of the result of a test message.
//!
//! Owns its names and forms.
//!
//! Not here: the words in it (`admin/test_message.rs`).

use serde::{Deserialize, Serialize};

use super::WaitView;
use crate::domain::{Platform, RobotId, SubscriptionId};

/// The answer to `POST /v1/subscriptions/{id}/test`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TestView {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Its name.
    pub name: Option<String>,
    /// The platform.
    pub platform: Platform,
    /// The robot.
    pub robot: RobotId,
    /// `delivered`; `not_delivered`, if the platform did not accept the message; `not_sent`, if the
    /// platform was not asked.
    pub outcome: String,
    /// The result in a sentence.
    pub says: String,
    /// What an operator can do; `null` if nothing has to be done.
    pub advice: Option<String>,
    /// The meaning of the answer, as in metrics; `null` if the platform was not asked.
    pub verdict: Option<String>,
    /// The code, of the platform or of roomcast.
    pub code: Option<String>,
    /// The platform's message, redacted.
    pub detail: Option<String>,
    /// From the request to the answer, in milliseconds.
    pub took_ms: Option<u64>,
    /// Why it was not sent, if the robot gets nothing at the moment.
    pub wait: Option<WaitView>,
    /// Until when, RFC 3339.
    pub wait_until: Option<String>,
}

impl TestView {
    /// The outcome of a message that the platform accepted.
    pub const DELIVERED: &'static str = "delivered";
    /// The outcome of a message that the platform did not accept.
    pub const NOT_DELIVERED: &'static str = "not_delivered";
    /// The outcome of a message that was not sent.
    pub const NOT_SENT: &'static str = "not_sent";
}
