//! What would become of an event.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /v1/explain`: an event as a publisher would publish it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// The topic.
    pub topic: String,
    /// The body of the message.
    pub body: String,
    /// Its headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Its content type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Whether it would be published to the exchange for what is urgent.
    #[serde(default)]
    pub urgent: bool,
    /// Only for this subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// The page behind this place, as `next` of the page before says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// The answer: either what is wrong with the event, or what would become of it for some of its topic's subscriptions.
#[derive(Debug, Deserialize, Serialize)]
pub struct Explained {
    /// Why it would be a dead letter as a whole.
    pub undecodable: Option<Mistake>,
    /// What would become of it, for each subscription.
    pub subscriptions: Vec<Explanation>,
    /// Behind which place the next page begins; none if this is the last.
    pub next: Option<String>,
}

/// Why an event cannot be read.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Mistake {
    /// What kind of mistake.
    pub code: String,
    /// The place and the mistake.
    pub detail: String,
}

/// What would become of an event for one subscription.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Explanation {
    /// The subscription's id.
    pub subscription: String,
    /// What people call it.
    pub name: Option<String>,
    /// The platform.
    pub platform: String,
    /// The robot's id.
    pub robot: String,
    /// `sent`, `waits`, `paused`, `filtered`, or the reason of a dead letter: `refused`, `expired`, `exhausted`.
    pub outcome: String,
    /// Why, in a sentence; none if it would be sent at once.
    pub why: Option<String>,
    /// In how many seconds the first message would leave; none if none would, or no daemon runs.
    pub first_in_seconds: Option<f64>,
    /// In how many seconds the last part would leave.
    pub last_in_seconds: Option<f64>,
    /// What would be sent, without its signature.
    pub parts: Vec<PartView>,
}

/// One message that would be sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PartView {
    /// How many bytes its body has.
    pub bytes: usize,
    /// The body.
    pub body: Value,
}
