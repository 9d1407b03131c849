//! The shapes of a subscription: adding, changing, showing, listing.
//!
//! Owns the difference between a missing field and an empty one.
//!
//! Not here: checks of the values (`admin/subscriptions.rs`), and many at a time (`transfer.rs`).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::credential;
use crate::domain::{Mentions, Secret};

/// `POST /v1/subscriptions`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AddRequest {
    /// The topic.
    pub topic: String,
    /// The platform's name.
    pub platform: String,
    /// The robot's webhook URL.
    #[serde(with = "credential::required")]
    pub endpoint: Secret,
    /// The signing secret.
    #[serde(default, with = "credential::optional", skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The robot's keyword.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyword: Option<String>,
    /// Its display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The members that every message mentions.
    #[serde(default)]
    pub mentions: MentionsWire,
    /// What happens to deliveries that must wait: `queue` (the default), `digest` or `latest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overflow: Option<String>,
    /// The organisation whose monthly quota the robot uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The events that it accepts: a list of SMN's policies, or an object as in
    /// Amazon SNS. Without a filter, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// The hours without messages that are not urgent, such as `mon-fri 22:00-07:00 Asia/Shanghai`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<String>,
    /// What happens to a text that is too long for one message: `split` (the default) or `cut`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub too_long: Option<String>,
    /// `active` (the default) or `paused`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// `PATCH /v1/subscriptions/{id}`: a missing field keeps its value;
/// `null` or an empty text removes it.
#[derive(Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpdateRequest {
    /// The robot's webhook URL.
    #[serde(with = "credential::optional", skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Secret>,
    /// The signing secret.
    #[serde(with = "credential::present", skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The robot's keyword.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub keyword: Option<String>,
    /// Its display name.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The members that every message mentions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mentions: Option<MentionsWire>,
    /// What happens to deliveries that must wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overflow: Option<String>,
    /// The organisation whose monthly quota the robot uses.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The events that it accepts; `null` for all.
    #[serde(deserialize_with = "there", skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// The hours without messages that are not urgent, such as `mon-fri 22:00-07:00 Asia/Shanghai`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub quiet: Option<String>,
    /// What happens to a text that is too long for one message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub too_long: Option<String>,
}

/// A field that was sent, even as `null`.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A field that was sent: `null` counts as an empty text.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| Some(text.unwrap_or_default()))
}

/// The members that a message mentions.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MentionsWire {
    /// All members of the chat.
    pub all: bool,
    /// By mobile number.
    pub mobiles: Vec<String>,
    /// By user id.
    pub users: Vec<String>,
}

impl From<MentionsWire> for Mentions {
    fn from(wire: MentionsWire) -> Self {
        Self { all: wire.all, mobiles: wire.mobiles, users: wire.users }
    }
}

impl From<Mentions> for MentionsWire {
    fn from(mentions: Mentions) -> Self {
        Self { all: mentions.all, mobiles: mentions.mobiles, users: mentions.users }
    }
}

/// The answer to an addition.
#[derive(Debug, Deserialize, Serialize)]
pub struct AddResponse {
    /// The subscription's id.
    pub id: String,
    /// Whether the same robot was already subscribed to the same topic; then nothing was added.
    pub existed: bool,
}

/// One subscription, masked.
#[derive(Debug, Deserialize, Serialize)]
pub struct SubscriptionView {
    /// Its id.
    pub id: String,
    /// Its topic.
    pub topic: String,
    /// Its platform.
    pub platform: String,
    /// The robot's id.
    pub robot: String,
    /// The endpoint, masked.
    pub endpoint: String,
    /// Whether it has a signing secret.
    pub signed: bool,
    /// Its keyword.
    pub keyword: Option<String>,
    /// Its display name.
    pub name: Option<String>,
    /// The members that every message mentions.
    pub mentions: MentionsWire,
    /// `active` or `paused`.
    pub state: String,
    /// What happens to deliveries that must wait.
    pub overflow: String,
    /// The organisation whose monthly quota the robot uses.
    pub group: Option<String>,
    /// The events that it accepts; `null` for all.
    pub filter: Option<Value>,
    /// The hours without messages that are not urgent, such as `mon-fri 22:00-07:00 Asia/Shanghai`.
    pub quiet: Option<String>,
    /// What happens to a text that is too long for one message: `split` or `cut`.
    pub too_long: String,
    /// When it was added, RFC 3339.
    pub created_at: String,
}

/// `GET /v1/subscriptions`, one page.
#[derive(Debug, Deserialize, Serialize)]
pub struct SubscriptionPage {
    /// The subscriptions.
    pub subscriptions: Vec<SubscriptionView>,
    /// The cursor of the next page; `null` on the last.
    pub next: Option<String>,
}

/// The query of `GET /v1/subscriptions`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListQuery {
    /// Only of this topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Only on this platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Only of this robot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub robot: Option<String>,
    /// Only those with this state: `active` or `paused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Only those that use this organisation's quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Only those whose name contains this text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The page after this cursor, which is `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The size of a page; 1 to 1,000, by default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn in_an_update_null_takes_a_value_away_and_what_is_missing_stays() {
        let request: UpdateRequest =
            serde_json::from_str(r#"{"name": null, "secret": null, "group": ""}"#).unwrap();
        assert_eq!((request.name.as_deref(), request.group.as_deref()), (Some(""), Some("")));
        assert!(request.secret.is_some_and(|secret| secret.expose().is_empty()));
        assert!(
            request.keyword.is_none() && request.endpoint.is_none() && request.mentions.is_none()
        );
        assert!(serde_json::from_str::<UpdateRequest>(r#"{"topic": "t"}"#).is_err());
    }
}
