//! The shapes of an explanation.
//!
//! Owns their names and forms.
//!
//! Not here: the outcomes (`admin/explain.rs`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::WaitView;
use crate::domain::{ListCursor, Platform, RobotId, SubscriptionId, TopicName};

/// `POST /v1/explain`: an event as a publisher would publish it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// The topic.
    pub topic: TopicName,
    /// The body of the message, if it is text.
    #[serde(default)]
    pub body: String,
    /// The body in base64 instead, if it is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Its headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Its content type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Its content encoding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// Whether it would be published to the urgent exchange.
    #[serde(default)]
    pub urgent: bool,
    /// Explain it only for this subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionId>,
    /// The page after this cursor, which is `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ListCursor>,
}

/// The answer: either the error in the event, or an explanation for each subscription of one page.
#[derive(Debug, Deserialize, Serialize)]
pub struct ExplainResponse {
    /// Why the whole event would become a dead letter.
    pub undecodable: Option<UndecodableView>,
    /// The explanations, one for each subscription.
    pub subscriptions: Vec<Explanation>,
    /// The cursor of the next page; `null` on the last.
    pub next: Option<ListCursor>,
}

/// Why an event cannot be decoded.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UndecodableView {
    /// The kind of the error.
    pub code: String,
    /// The position and the error.
    pub detail: String,
}

/// The explanation for one subscription.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Explanation {
    /// The subscription's id.
    pub subscription: SubscriptionId,
    /// Its display name.
    pub name: Option<String>,
    /// The platform.
    pub platform: Platform,
    /// The robot's id.
    pub robot: RobotId,
    /// `sent`, `waits`, `paused`, `filtered`, or a dead letter's reason:
    /// `refused`, `expired`, `exhausted`.
    pub outcome: String,
    /// The reason, in a sentence; `null` if it would be sent at once.
    pub why: Option<String>,
    /// Why it would wait; `null` if it would not.
    #[serde(default)]
    pub wait: Option<WaitView>,
    /// In how many seconds the first message would be sent; `null` if
    /// none would, or if no daemon runs.
    pub first_in_seconds: Option<f64>,
    /// In how many seconds the last part would be sent.
    pub last_in_seconds: Option<f64>,
    /// The messages that would be sent, without signatures.
    pub parts: Vec<PartView>,
}

/// One message that would be sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PartView {
    /// The size of its body, in bytes.
    pub bytes: usize,
    /// The body.
    pub body: Value,
}
