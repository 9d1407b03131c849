//! The shapes of the admin API, separate from the domain's types: what is written here is public.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

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
    #[serde(with = "secret")]
    pub endpoint: Secret,
    /// The signing secret.
    #[serde(default, with = "optional_secret", skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The robot's keyword.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyword: Option<String>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whom every message mentions.
    #[serde(default)]
    pub mentions: MentionsWire,
    /// What becomes of deliveries that have to wait: `queue` (the default), `digest` or `latest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overflow: Option<String>,
    /// The organisation on whose quota the robot draws.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Which events it wants: a list of SMN's policies, or an object as in Amazon SNS; all of them if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// When it is not to be disturbed by what is not urgent, as in `mon-fri 22:00-07:00 Asia/Shanghai`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<String>,
    /// `active` (the default) or `paused`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// `POST /v1/subscriptions/import`: up to some hundred at a time.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// What is to be added.
    pub subscriptions: Vec<AddRequest>,
}

/// What came of one subscription of an import: an id, or why it was refused.
#[derive(Debug, Deserialize, Serialize)]
pub struct Imported {
    /// The subscription's id.
    pub id: Option<String>,
    /// Whether the same robot was subscribed to the same topic already; then nothing was added.
    pub existed: bool,
    /// Why nothing was added.
    pub refused: Option<String>,
}

/// `POST /v1/subscriptions/export`: one page, each sealed for another machine.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// Which.
    #[serde(default)]
    pub query: ListQuery,
    /// The key file's 64 hexadecimal digits.
    #[serde(with = "secret")]
    pub key: Secret,
}

/// One page of an export.
#[derive(Debug, Deserialize, Serialize)]
pub struct ExportPage {
    /// Each subscription, sealed, in base 64.
    pub sealed: Vec<String>,
    /// Behind which place the next page begins; none if this is the last.
    pub next: Option<String>,
}

/// `DELETE /v1/topics/{topic}`: some of a topic's subscriptions at a time.
#[derive(Debug, Deserialize, Serialize)]
pub struct RemovedSome {
    /// How many were removed; none when there is none left.
    pub removed: usize,
}

/// `GET /v1/key`.
#[derive(Debug, Deserialize, Serialize)]
pub struct KeyView {
    /// The id of the master key under which everything new is sealed.
    pub current: String,
    /// The id of the one that is rotated away from.
    pub old: Option<String>,
    /// Whether the new one is known to be where the daemon will look for it.
    pub in_place: bool,
    /// How many data keys there are.
    pub data_keys: usize,
    /// How far the wrapping of data keys under the new master key has come.
    pub wrapping: Option<Progress>,
    /// How far the sealing under new data keys has come.
    pub sealing: Option<Progress>,
}

/// How far something has come.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Progress {
    /// So many are done.
    pub done: usize,
    /// Of so many.
    pub total: usize,
}

/// `POST /v1/key/rotation`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RotateRequest {
    /// The new master key's 64 hexadecimal digits.
    #[serde(with = "secret")]
    pub new_key: Secret,
}

/// `POST /v1/store/backup`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// A folder that does not exist yet, as an absolute path on the daemon's machine.
    pub dir: std::path::PathBuf,
}

/// What a backup holds.
#[derive(Debug, Deserialize, Serialize)]
pub struct BackupView {
    /// How many subscriptions.
    pub subscriptions: usize,
    /// The id of the master key that opens it.
    pub key: String,
}

/// What a look at everything found: `POST /v1/store/verify`.
#[derive(Debug, Deserialize, Serialize)]
pub struct VerifyView {
    /// Whether all is as it should be.
    pub ok: bool,
    /// How many subscriptions open with their keys.
    pub sound: usize,
    /// Which do not, up to a hundred of them.
    pub broken: Vec<String>,
    /// How many subscriptions have no key.
    pub without_key: usize,
    /// How many keys no subscription names.
    pub keys_without_subscription: usize,
    /// How many entries of the indexes lead nowhere.
    pub lost_entries: usize,
    /// How many subscriptions an index does not find.
    pub unindexed: usize,
}

/// `PATCH /v1/subscriptions/{id}`: what is left out stays as it is; `null` or an empty text takes a value away.
#[derive(Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpdateRequest {
    /// The robot's webhook URL.
    #[serde(with = "optional_secret", skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Secret>,
    /// The signing secret.
    #[serde(with = "present_secret", skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The robot's keyword.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub keyword: Option<String>,
    /// What people call it.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whom every message mentions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mentions: Option<MentionsWire>,
    /// What becomes of deliveries that have to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overflow: Option<String>,
    /// The organisation on whose quota the robot draws.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Which events it wants; `null` for all.
    #[serde(deserialize_with = "there", skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// When it is not to be disturbed by what is not urgent, as in `mon-fri 22:00-07:00 Asia/Shanghai`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub quiet: Option<String>,
}

/// A field that is there, even as `null`.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A field that is there: `null` counts as an empty text.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| Some(text.unwrap_or_default()))
}

/// Whom a message mentions.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MentionsWire {
    /// Everybody.
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
pub struct Added {
    /// The subscription's id.
    pub id: String,
    /// Whether the same robot was subscribed to the same topic already; then nothing was added.
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
    /// What people call it.
    pub name: Option<String>,
    /// Whom every message mentions.
    pub mentions: MentionsWire,
    /// `active` or `paused`.
    pub state: String,
    /// What becomes of deliveries that have to wait.
    pub overflow: String,
    /// The organisation on whose quota the robot draws.
    pub group: Option<String>,
    /// Which events it wants; `null` for all.
    pub filter: Option<Value>,
    /// When it is not to be disturbed by what is not urgent, as in `mon-fri 22:00-07:00 Asia/Shanghai`.
    pub quiet: Option<String>,
    /// When it was added, RFC 3339.
    pub created_at: String,
}

/// `GET /v1/subscriptions`, one page.
#[derive(Debug, Deserialize, Serialize)]
pub struct SubscriptionPage {
    /// The subscriptions.
    pub subscriptions: Vec<SubscriptionView>,
    /// Behind which place the next page begins; none if this is the last.
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
    /// Only those that are `active`, or `paused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Only those that draw on this organisation's quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Only those whose name has this in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The page behind this place, as `next` of the page before says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many on a page; 1 to 1,000, by default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// One robot that is busy or held.
#[derive(Debug, Deserialize, Serialize)]
pub struct RobotView {
    /// Its id.
    pub robot: String,
    /// Its platform.
    pub platform: String,
    /// How much of its longest window is used.
    pub used: u32,
    /// How many attempts are in the air.
    pub in_flight: u32,
    /// How many deliveries wait for their turn.
    pub waiting: u32,
    /// In how many seconds the last of them can leave.
    pub drained_in_seconds: u64,
    /// For how many seconds nothing is sent to it any more.
    pub held_for_seconds: Option<u64>,
    /// Why it is held, until it takes a message again: `throttled`, `budget`, `security` or `robot_gone`.
    pub cause: Option<String>,
    /// How many seconds the last wait was; the next that fails is twice as long.
    pub penalty_seconds: Option<u64>,
}

/// One organisation with a monthly quota.
#[derive(Debug, Deserialize, Serialize)]
pub struct GroupView {
    /// Its name.
    pub group: String,
    /// How many calls it has made this month.
    pub used: u64,
    /// How many it may make, if that is configured.
    pub monthly: Option<u64>,
    /// How many it will have made at the month's end if it goes on like this.
    pub forecast: u64,
    /// When the month ends, RFC 3339.
    pub month_ends: String,
    /// Until when nothing is sent for it, because its quota is used up.
    pub spent_until: Option<String>,
}

/// The answer to a release.
#[derive(Debug, Deserialize, Serialize)]
pub struct Released {
    /// Whether the robot was held.
    pub was_held: bool,
}

/// What went wrong, for the caller.
#[derive(Debug, Deserialize, Serialize)]
pub struct Problem {
    /// A word for programs.
    pub error: String,
    /// A sentence for people.
    pub message: String,
}

mod secret {
    use super::{Deserialize, Deserializer, Secret, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

mod optional_secret {
    use super::{Deserialize, Deserializer, Secret, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
    pub(super) fn serialize<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => serializer.serialize_some(secret.expose()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
        Option::<String>::deserialize(deserializer).map(|text| text.map(Secret::new))
    }
}

/// A secret that is there: `null` counts as an empty one.
mod present_secret {
    pub(super) use super::optional_secret::serialize;
    use super::{Deserializer, Secret, optional_secret};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
        optional_secret::deserialize(deserializer)
            .map(|secret| Some(secret.unwrap_or_else(|| Secret::new(String::new()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_an_update_null_takes_a_value_away_and_what_is_missing_stays() {
        let request: UpdateRequest = serde_json::from_str(r#"{"name": null, "secret": null, "group": ""}"#).unwrap();
        assert_eq!((request.name.as_deref(), request.group.as_deref()), (Some(""), Some("")));
        assert!(request.secret.is_some_and(|secret| secret.expose().is_empty()));
        assert!(request.keyword.is_none() && request.endpoint.is_none() && request.mentions.is_none());
        assert!(serde_json::from_str::<UpdateRequest>(r#"{"topic": "t"}"#).is_err());
    }
}
