//! The shapes of topics: the query of a listing, and its answer.
//!
//! Owns their names and forms.
//!
//! Not here: how the two sources of a listing are merged (`admin/topics.rs`).

use serde::{Deserialize, Serialize};

use crate::domain::TopicName;

/// The query of `GET /v1/topics`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicQuery {
    /// Only topics without a subscription, to which events were published.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_subscription: bool,
    /// Only topics with this text in their name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The page after this topic, which is `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<TopicName>,
    /// The size of a page; 1 to 1,000, by default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// One topic: it has subscriptions, or events were published to it since the start.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct TopicView {
    /// Its name.
    pub topic: TopicName,
    /// How many subscriptions it has.
    pub subscriptions: u64,
    /// How many of them are not paused.
    pub active: u64,
    /// How many events were published to it since the start; `null` without a daemon.
    pub events: Option<u64>,
    /// How many of them found no subscription, active or paused.
    pub events_without_subscription: Option<u64>,
    /// When the last of them was received, RFC 3339; `null` if there was none.
    pub last_event_at: Option<String>,
    /// The most similar topic with subscriptions, for a topic without one. It is looked for at the
    /// first event of each hour.
    pub nearest: Option<TopicName>,
}

/// One page of topics, by name.
#[derive(Debug, Deserialize, Serialize)]
pub struct TopicPage {
    /// The topics.
    pub topics: Vec<TopicView>,
    /// Since when events are counted, RFC 3339; `null` without a daemon.
    pub since: Option<String>,
    /// The topic after which the next page begins; `null` on the last.
    pub next: Option<TopicName>,
}
