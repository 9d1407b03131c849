//! The shapes of a subscription: what one asks for, what one changes, what one sees, and what an
//! attempt opens.
//!
//! Owns their fields, and the JSON of the first three. Store, API, command line, import and export
//! share them.
//!
//! Not here: the options (`subscription_options.rs`), and the checks of a request
//! (`admin/subscriptions.rs`).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    Endpoint, Platform, PrivateOptions, PrivateOptionsPatch, RobotId, Secret, SubscriptionId,
    SubscriptionOptions, SubscriptionOptionsPatch, SubscriptionState, Timestamp, TopicName,
    credential::{self, PlainCredential},
};

/// What one asks for. `W` is the webhook: an [`Endpoint`] is checked and normalised, and only an
/// unchecked one can be read from a request.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(serialize = "W: PlainCredential", deserialize = "W: PlainCredential"))]
pub struct SubscriptionSpec<W = Endpoint> {
    /// The topic.
    pub topic: TopicName,
    /// The platform of the robot.
    pub platform: Platform,
    /// The robot's webhook URL.
    #[serde(with = "credential::required")]
    pub endpoint: W,
    /// The signing secret, where the robot's security setting is a signature.
    #[serde(default, with = "credential::optional", skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The options that are sealed with the webhook.
    #[serde(flatten)]
    pub private: PrivateOptions,
    /// The options of its deliveries.
    #[serde(flatten)]
    pub options: SubscriptionOptions,
    /// `active`, which is the default, or `paused`.
    #[serde(default, deserialize_with = "or_default")]
    pub state: SubscriptionState,
}

impl<W> SubscriptionSpec<W> {
    /// The same with this webhook, such as the checked one.
    pub fn with_endpoint<V>(self, endpoint: V) -> SubscriptionSpec<V> {
        let Self { topic, platform, secret, private, options, state, .. } = self;
        SubscriptionSpec { topic, platform, endpoint, secret, private, options, state }
    }
}

/// A change. A field that is missing stays as it is; in JSON, `null` or an empty text removes a
/// value. `W` is the webhook, as in [`SubscriptionSpec`].
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(serialize = "W: PlainCredential", deserialize = "W: PlainCredential"))]
pub struct SubscriptionPatch<W = Endpoint> {
    /// The robot's webhook URL.
    #[serde(default, with = "credential::optional", skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<W>,
    /// The signing secret; `Some(None)` removes it.
    #[serde(default, with = "credential::removable", skip_serializing_if = "Option::is_none")]
    pub secret: Option<Option<Secret>>,
    /// The options that are sealed with the webhook.
    #[serde(flatten)]
    pub private: PrivateOptionsPatch,
    /// The options of its deliveries.
    #[serde(flatten)]
    pub options: SubscriptionOptionsPatch,
}

impl<W> Default for SubscriptionPatch<W> {
    fn default() -> Self {
        let (private, options) = Default::default();
        Self { endpoint: None, secret: None, private, options }
    }
}

impl<W> SubscriptionPatch<W> {
    /// The same with this webhook, such as the checked one.
    pub fn with_endpoint<V>(self, endpoint: Option<V>) -> SubscriptionPatch<V> {
        let Self { secret, private, options, .. } = self;
        SubscriptionPatch { endpoint, secret, private, options }
    }

    /// Whether it changes nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.endpoint.is_none()
            && self.secret.is_none()
            && self.private.is_empty()
            && self.options.is_empty()
    }
}

/// What one sees: everything except the credentials.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SubscriptionView {
    /// Its id.
    pub id: SubscriptionId,
    /// Its topic.
    pub topic: TopicName,
    /// The platform of its robot.
    pub platform: Platform,
    /// Its robot.
    pub robot: RobotId,
    /// The webhook, with only the end of its credential visible.
    #[serde(rename = "endpoint")]
    pub masked_endpoint: String,
    /// Whether it has a signing secret.
    pub signed: bool,
    /// The options that are sealed with the webhook.
    #[serde(flatten)]
    pub private: PrivateOptions,
    /// Active or paused.
    pub state: SubscriptionState,
    /// The options of its deliveries.
    #[serde(flatten)]
    pub options: SubscriptionOptions,
    /// When it was added, in JSON as RFC 3339.
    #[serde(with = "rfc3339")]
    pub created_at: Timestamp,
}

/// A decrypted subscription. It contains the credential, so it has no `Debug`, and it is dropped
/// right after the attempt.
#[derive(Clone)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// The topic whose events it receives.
    pub topic: TopicName,
    /// The platform of its robot.
    pub platform: Platform,
    /// The robot behind the endpoint.
    pub robot: RobotId,
    /// The webhook, normalised.
    pub endpoint: Endpoint,
    /// The signing secret, where the robot's security setting is a signature.
    pub secret: Option<Secret>,
    /// What the robot requires, and which members its messages mention.
    pub private: PrivateOptions,
    /// Whether it receives the events of its topic.
    pub state: SubscriptionState,
    /// How its deliveries are paced and filtered.
    pub options: SubscriptionOptions,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A value, or its default in place of `null`.
fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

mod rfc3339 {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, de};

    pub(super) fn serialize<S: Serializer>(
        at: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let millis = i64::try_from(at.unix_millis()).unwrap_or(i64::MAX);
        let at = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        serializer.collect_str(&at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        let at: jiff::Timestamp =
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)?;
        Ok(Timestamp::from_unix_millis(at.as_millisecond().try_into().unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn in_a_patch_null_removes_a_value_and_a_missing_field_stays() {
        let patch: SubscriptionPatch<Secret> =
            serde_json::from_value(json!({"name": null, "secret": null, "group": ""})).unwrap();
        assert_eq!((patch.private.name, patch.options.group), (Some(None), Some(None)));
        assert!(matches!(patch.secret, Some(None)) && patch.endpoint.is_none());
        assert!(patch.private.keyword.is_none() && patch.private.mentions.is_none());
        assert!(SubscriptionPatch::<Secret>::default().is_empty());
        assert!(
            serde_json::from_value::<SubscriptionPatch<Secret>>(json!({"topic": "t"})).is_err()
        );
    }

    #[test]
    fn a_spec_is_read_back_as_it_was_written_and_an_unknown_field_is_refused() {
        let least = json!({"topic": "ops", "platform": "feishu", "endpoint": "https://a"});
        let spec: SubscriptionSpec<Secret> = serde_json::from_value(least).unwrap();
        let written = serde_json::to_value(&spec).unwrap();
        let expected = json!({
            "topic": "ops", "platform": "lark", "endpoint": "https://a", "keyword": null,
            "name": null, "mentions": {"all": false, "mobiles": [], "users": []},
            "overflow": "queue", "group": null, "filter": null, "quiet": null,
            "too_long": "split", "language": null, "state": "active",
        });
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&written[field], value, "{field}");
        }
        let again: SubscriptionSpec<Secret> = serde_json::from_value(written.clone()).unwrap();
        assert!(again.endpoint.expose() == "https://a" && again.options == spec.options);
        let mut unknown = written;
        unknown["colour"] = json!("red");
        assert!(serde_json::from_value::<SubscriptionSpec<Secret>>(unknown).is_err());
    }

    #[test]
    fn a_view_has_the_fields_of_the_api() {
        let view = json!({
            "id": "0190a0b0c0d0e0f00112233445566778", "topic": "ops", "platform": "wecom",
            "robot": "5e0c7d21a9b84f36c1d2e3f405162738", "endpoint": "https://a/…/****",
            "signed": true, "keyword": "k", "name": null,
            "mentions": {"all": true, "mobiles": ["1"], "users": []}, "state": "paused",
            "overflow": "latest", "group": "g", "filter": null, "quiet": null, "too_long": "cut",
            "language": "en", "created_at": "2026-01-01T00:00:00.001Z",
        });
        let read: SubscriptionView = serde_json::from_value(view.clone()).unwrap();
        let written = serde_json::to_value(&read).unwrap();
        for (field, value) in view.as_object().unwrap() {
            assert_eq!(&written[field], value, "{field}");
        }
    }
}
