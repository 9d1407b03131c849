//! The options of a subscription, each declared once with its change.
//!
//! Owns which options stand in the clear and which are sealed with the webhook, and that `null` or
//! an empty text is the default of an option.
//!
//! Not here: the meaning of the single policies (`subscription.rs`, `filter.rs`, `quiet.rs`), and
//! the format of options on the disk (`store/`).

use std::sync::Arc;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned},
    ser,
};
use serde_json::Value;

use super::{
    Attributes, Event, FilterPolicy, FilterRejection, GroupName, Language, LongTextPolicy,
    Mentions, OverflowPolicy, Platform, QuietHours, Timestamp,
};

/// Declares options and the patch that changes some of them.
macro_rules! options {
    (
        $(#[$about:meta])* $options:ident,
        $(#[$patch_about:meta])* $patch:ident:
        $($(#[$doc:meta])* $field:ident: $value:ty,)+
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $options {
            $(
                $(#[$doc])*
                #[serde(serialize_with = "write", deserialize_with = "read")]
                pub $field: $value,
            )+
        }

        $(#[$patch_about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $patch {
            $(
                $(#[$doc])*
                #[serde(
                    serialize_with = "write_present",
                    deserialize_with = "read_present",
                    skip_serializing_if = "Option::is_none"
                )]
                pub $field: Option<$value>,
            )+
        }

        impl $options {
            /// The names of the options in JSON, and the columns in CSV.
            pub const NAMES: &[&str] = &[$(stringify!($field)),+];

            /// These options after a change.
            #[must_use]
            pub fn patched(self, patch: $patch) -> Self {
                Self { $($field: patch.$field.unwrap_or(self.$field),)+ }
            }
        }

        impl $patch {
            /// Whether it changes nothing.
            #[must_use]
            pub const fn is_empty(&self) -> bool {
                $(self.$field.is_none())&&+
            }
        }
    };
}

options! {
    /// Which events a subscription receives, and how its deliveries are paced. These options
    /// contain no secret: they are read before the record is decrypted.
    SubscriptionOptions,
    /// A change of these options. A field that is `None` stays as it is.
    SubscriptionOptionsPatch:
    /// What happens to deliveries that have to wait.
    overflow: OverflowPolicy,
    /// The organisation whose monthly quota the robot uses.
    group: Option<GroupName>,
    /// Which events of the topic it receives, in the form of SMN's policies or of Amazon SNS;
    /// `None` means all of them.
    filter: Option<Arc<FilterPolicy>>,
    /// When it receives only urgent events, such as `mon-fri 22:00-07:00 Asia/Shanghai`.
    quiet: Option<Arc<QuietHours>>,
    /// What happens to a text that is too long for one message.
    too_long: LongTextPolicy,
    /// The language of what roomcast itself writes into the chat; `None` means the usual one of the
    /// webhook's host.
    language: Option<Language>,
}

options! {
    /// What its robot requires, and which members its messages mention. These options say something
    /// about the chat and its members, so they are sealed together with the webhook.
    PrivateOptions,
    /// A change of these options. A field that is `None` stays as it is.
    PrivateOptionsPatch:
    /// A word that every message must contain, where the robot's security setting is a keyword. It
    /// is added to messages without it.
    keyword: Option<String>,
    /// A human-readable name, at most 128 bytes.
    name: Option<String>,
    /// Members that each of its messages mentions, in addition to those of the event.
    mentions: Mentions,
}

/// A value of an option.
trait OptionValue: Default {
    fn to_json(&self) -> serde_json::Result<Value>;
    fn from_json(json: Value) -> serde_json::Result<Self>;
}

macro_rules! values_by_serde {
    ($($value:ty),+) => {$(
        impl OptionValue for $value {
            fn to_json(&self) -> serde_json::Result<Value> {
                serde_json::to_value(self)
            }

            fn from_json(json: Value) -> serde_json::Result<Self> {
                serde_json::from_value(json)
            }
        }
    )+};
}

values_by_serde!(
    OverflowPolicy,
    LongTextPolicy,
    Mentions,
    Option<String>,
    Option<GroupName>,
    Option<Language>
);

/// Large values are shared by all recipients of a page.
impl<T: Serialize + DeserializeOwned> OptionValue for Option<Arc<T>> {
    fn to_json(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self.as_deref())
    }

    fn from_json(json: Value) -> serde_json::Result<Self> {
        serde_json::from_value(json).map(|value: Option<T>| value.map(Arc::new))
    }
}

fn write<T: OptionValue, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.to_json().map_err(ser::Error::custom)?.serialize(serializer)
}

/// `null` or an empty text is the default.
fn read<'de, T: OptionValue, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(T::default()),
        Value::String(text) if text.is_empty() => Ok(T::default()),
        json => T::from_json(json).map_err(de::Error::custom),
    }
}

fn write_present<T: OptionValue, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => write(value, serializer),
        None => serializer.serialize_none(),
    }
}

/// The value of an option that a patch names.
fn read_present<'de, T: OptionValue, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    read(deserializer).map(Some)
}

/// An event whose attribute `severity` has this value, in any case, is urgent.
const URGENT_SEVERITY: &str = "critical";

impl SubscriptionOptions {
    /// Why a subscription on this platform does not receive an event; `None` if it does.
    #[must_use]
    pub fn filter_rejection<'a>(
        &'a self,
        platform: Platform,
        attributes: &'a Attributes,
    ) -> Option<FilterRejection<'a>> {
        if !attributes.are_for(platform) {
            return Some(FilterRejection::Platform(platform));
        }
        self.filter.as_ref().and_then(|policy| policy.rejection(attributes))
    }

    /// The end of the quiet hours for an event. `None` if the event is urgent, or if `now` is
    /// outside of quiet hours.
    #[must_use]
    pub fn quiet_until(&self, event: &Event, now: Timestamp) -> Option<Timestamp> {
        let quiet = self.quiet.as_ref()?;
        let severity = event.content.attributes.values("severity").unwrap_or_default();
        let urgent = event.urgent
            || severity.iter().any(|value| value.eq_ignore_ascii_case(URGENT_SEVERITY));
        if urgent { None } else { quiet.end_after(now) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::refused_value;

    #[test]
    fn null_or_an_empty_text_is_the_default_and_a_patch_keeps_unnamed_options() {
        let set = json!({
            "overflow": "digest", "group": "a", "filter": {"severity": ["critical"]},
            "quiet": "22:00-07:00", "too_long": "cut", "language": "en",
        });
        let set: SubscriptionOptions = serde_json::from_value(set).unwrap();
        assert!(set.filter.is_some() && set.quiet.is_some());
        for nothing in [json!(null), json!("")] {
            let all = SubscriptionOptions::NAMES.iter();
            let all: Value = all.map(|name| ((*name).to_owned(), nothing.clone())).collect();
            let read: SubscriptionOptions = serde_json::from_value(all.clone()).unwrap();
            assert_eq!(read, SubscriptionOptions::default());
            let patch: SubscriptionOptionsPatch = serde_json::from_value(all).unwrap();
            assert_eq!(set.clone().patched(patch), SubscriptionOptions::default());
        }
        let patch: SubscriptionOptionsPatch =
            serde_json::from_value(json!({"group": "b"})).unwrap();
        assert!(!patch.is_empty() && SubscriptionOptionsPatch::default().is_empty());
        let group = "b".parse().ok();
        assert_eq!(set.clone().patched(patch), SubscriptionOptions { group, ..set });
    }

    #[test]
    fn options_are_read_back_as_they_were_written_and_a_wrong_one_says_why() {
        let options = json!({
            "overflow": "latest", "group": null, "filter": [{"name": "a", "string_equals": ["b"]}],
            "quiet": "22:00-07:00 Europe/Berlin", "too_long": "split", "language": "zh",
        });
        let read: SubscriptionOptions = serde_json::from_value(options.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), options);
        for (wrong, says) in [
            (
                json!({"overflow": "x"}),
                "\"x\" is not an overflow policy: use queue, digest or latest",
            ),
            (json!({"filter": []}), "filter: it has no rule"),
            (json!({"language": "fr"}), "\"fr\" is not a language of roomcast: use zh or en"),
        ] {
            let error = serde_json::from_value::<SubscriptionOptions>(wrong).unwrap_err();
            assert_eq!(refused_value(&error).as_deref(), Some(says));
        }
    }
}
