//! The arguments and results of listings of subscriptions, and of additions.
//!
//! Owns the text form of a [`ListCursor`].
//!
//! Not here: the port that lists and adds (`admin/ports/subscriptions.rs`).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    GroupName, Platform, RobotId, SubscriptionId, SubscriptionState, SubscriptionView, TopicName,
    invalid_value,
};

/// A position in a listing, behind one subscription. Its text is `TOPIC/ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListCursor {
    /// The topic.
    pub topic: TopicName,
    /// The subscription, which need not exist any more.
    pub id: SubscriptionId,
}

/// A text that is not a position in a listing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a place in a listing: use `next` of the previous page, TOPIC/ID")]
pub struct InvalidListCursor(pub String);

impl fmt::Display for ListCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.id)
    }
}

impl FromStr for ListCursor {
    type Err = InvalidListCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (topic, id) = text.split_once('/')?;
            Some(Self { topic: topic.parse().ok()?, id: id.parse().ok()? })
        };
        read().ok_or_else(|| InvalidListCursor(text.to_owned()))
    }
}

impl Serialize for ListCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ListCursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(invalid_value)
    }
}

/// The result of an addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddedSubscription {
    /// The subscription.
    pub id: SubscriptionId,
    /// The robot.
    pub robot: RobotId,
    /// Whether the robot was subscribed to the topic already. Then nothing was changed.
    pub duplicate: bool,
}

/// A topic that has subscriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSubscriptions {
    /// The topic.
    pub topic: TopicName,
    /// How many subscriptions it has.
    pub subscriptions: u64,
    /// How many of them are not paused.
    pub active: u64,
}

/// The filter of a listing. A field that is missing accepts every subscription.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ListFilter {
    /// Subscriptions to this topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicName>,
    /// Subscriptions on this platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Subscriptions of this robot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub robot: Option<RobotId>,
    /// Active or paused subscriptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<SubscriptionState>,
    /// Subscriptions that use the quota of this group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
    /// Subscriptions with this text in their name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// One page of a listing.
#[derive(Debug, Deserialize, Serialize)]
pub struct SubscriptionPage {
    /// The subscriptions, by topic and then by id.
    pub subscriptions: Vec<SubscriptionView>,
    /// The position after which the next page begins, or `None` on the last page.
    pub next: Option<ListCursor>,
}
