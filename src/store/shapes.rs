//! What the store is asked and what it answers about subscriptions. Owns no behaviour.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use crate::domain::{
    Endpoint, GroupName, Mentions, Moment, Options, Overflow, Platform, Policy, QuietHours, RobotId, Secret,
    SubscriptionId, SubscriptionState, TooLong, TopicName,
};

/// Where the store is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its folder; made for its owner alone if it is missing.
    pub dir: PathBuf,
}

/// Behind which subscription a listing goes on, as `TOPIC/ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its topic.
    pub topic: TopicName,
    /// The subscription, whether it still exists or not.
    pub id: SubscriptionId,
}

/// The text names no place in a listing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no place in a listing: it is what `next` of the page before says, TOPIC/ID")]
pub struct UnreadablePlace(pub String);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.id)
    }
}

impl FromStr for Place {
    type Err = UnreadablePlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (topic, id) = text.split_once('/')?;
            Some(Self { topic: topic.parse().ok()?, id: id.parse().ok()? })
        };
        read().ok_or_else(|| UnreadablePlace(text.to_owned()))
    }
}

/// A subscription to be added. The endpoint is checked and normalised.
pub struct NewSubscription {
    /// Its topic.
    pub topic: TopicName,
    /// Its platform.
    pub platform: Platform,
    /// The webhook.
    pub endpoint: Endpoint,
    /// The signing secret.
    pub secret: Option<Secret>,
    /// The robot's keyword.
    pub keyword: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// Whom every message mentions.
    pub mentions: Mentions,
    /// How its deliveries are paced.
    pub options: Options,
    /// Whether it hears its topic from the start.
    pub state: SubscriptionState,
}

/// What is to become different about a subscription; what is `None` stays as it is.
#[derive(Default)]
pub struct Change {
    /// The webhook, checked and normalised.
    pub endpoint: Option<Endpoint>,
    /// The signing secret, or that there is none.
    pub secret: Option<Option<Secret>>,
    /// The robot's keyword, or that there is none.
    pub keyword: Option<Option<String>>,
    /// What people call it, or that it has no name.
    pub name: Option<Option<String>>,
    /// Whom every message mentions.
    pub mentions: Option<Mentions>,
    /// What becomes of deliveries that have to wait.
    pub overflow: Option<Overflow>,
    /// On whose quota its robot draws, or on its own.
    pub group: Option<Option<GroupName>>,
    /// Which events it wants, or that it wants all.
    pub filter: Option<Option<Arc<Policy>>>,
    /// When it is not to be disturbed, or that it may be at any time.
    pub quiet: Option<Option<Arc<QuietHours>>>,
    /// What becomes of texts that are too long for one message.
    pub too_long: Option<TooLong>,
}

/// What came of an addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// The subscription.
    pub id: SubscriptionId,
    /// Its robot.
    pub robot: RobotId,
    /// Whether this robot was subscribed to this topic already; then nothing was added or changed.
    pub duplicate: bool,
}

/// Which subscriptions to list.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// Only of this topic.
    pub topic: Option<TopicName>,
    /// Only on this platform.
    pub platform: Option<Platform>,
    /// Only of this robot.
    pub robot: Option<RobotId>,
    /// Only those that hear their topic, or those that do not.
    pub state: Option<SubscriptionState>,
    /// Only those that draw on this organisation's quota.
    pub group: Option<GroupName>,
    /// Only those whose name has this in it.
    pub name: Option<String>,
}

/// A subscription as people may see it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its id.
    pub id: SubscriptionId,
    /// Its topic.
    pub topic: TopicName,
    /// Its platform.
    pub platform: Platform,
    /// Its robot.
    pub robot: RobotId,
    /// The webhook, of which only the end is shown.
    pub masked_endpoint: String,
    /// Whether it has a signing secret.
    pub has_secret: bool,
    /// The robot's keyword.
    pub keyword: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// Whom every message mentions.
    pub mentions: Mentions,
    /// Whether it hears its topic.
    pub state: SubscriptionState,
    /// How its deliveries are paced.
    pub options: Options,
    /// When it was added.
    pub created_at: Moment,
}

/// Some of the listed subscriptions.
pub struct Page {
    /// The subscriptions, by topic and then by id.
    pub summaries: Vec<Summary>,
    /// Behind which one the next page begins; nothing if this is the last.
    pub next: Option<Place>,
}
