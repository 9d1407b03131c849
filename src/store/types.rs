//! The arguments and results of the store's calls about subscriptions.
//!
//! Owns no behaviour except the text form of a [`ListCursor`].
//!
//! Not here: the results of single features, such as `Verified` or `KeyStatus`, which stand beside
//! their code.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use crate::domain::{
    Endpoint, FilterPolicy, GroupName, LongTextPolicy, Mentions, OverflowPolicy, Platform,
    QuietHours, RobotId, Secret, SubscriptionId, SubscriptionOptions, SubscriptionState, Timestamp,
    TopicName,
};

/// The settings of the store.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Its folder, created for its owner alone if it is missing.
    pub dir: PathBuf,
}

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
#[error("{0:?} is no place in a listing: it is what `next` of the page before says, TOPIC/ID")]
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

/// A subscription to add. The endpoint is checked and normalised already.
pub struct NewSubscription {
    /// The topic.
    pub topic: TopicName,
    /// The platform.
    pub platform: Platform,
    /// The webhook.
    pub endpoint: Endpoint,
    /// The signing secret.
    pub secret: Option<Secret>,
    /// The keyword of the robot.
    pub keyword: Option<String>,
    /// The name that operators give it.
    pub name: Option<String>,
    /// The members that every message mentions.
    pub mentions: Mentions,
    /// The options of its deliveries.
    pub options: SubscriptionOptions,
    /// Active or paused from the start.
    pub state: SubscriptionState,
}

/// A change of a subscription. A field that is `None` stays as it is.
#[derive(Default)]
pub struct SubscriptionChange {
    /// The webhook, checked and normalised already.
    pub endpoint: Option<Endpoint>,
    /// The signing secret; `Some(None)` removes it.
    pub secret: Option<Option<Secret>>,
    /// The keyword of the robot; `Some(None)` removes it.
    pub keyword: Option<Option<String>>,
    /// The name that operators give it; `Some(None)` removes it.
    pub name: Option<Option<String>>,
    /// The members that every message mentions.
    pub mentions: Option<Mentions>,
    /// The policy for deliveries that the quota holds back.
    pub overflow: Option<OverflowPolicy>,
    /// The group whose quota its robot uses; `Some(None)` removes the robot from its group.
    pub group: Option<Option<GroupName>>,
    /// The filter of its events; `Some(None)` removes it.
    pub filter: Option<Option<Arc<FilterPolicy>>>,
    /// The quiet hours; `Some(None)` removes them.
    pub quiet: Option<Option<Arc<QuietHours>>>,
    /// The policy for texts that are too long for one message.
    pub too_long: Option<LongTextPolicy>,
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

/// The filter of a listing.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// Subscriptions to this topic.
    pub topic: Option<TopicName>,
    /// Subscriptions on this platform.
    pub platform: Option<Platform>,
    /// Subscriptions of this robot.
    pub robot: Option<RobotId>,
    /// Active or paused subscriptions.
    pub state: Option<SubscriptionState>,
    /// Subscriptions that use the quota of this group.
    pub group: Option<GroupName>,
    /// Subscriptions with this text in their name.
    pub name: Option<String>,
}

/// A subscription as operators see it.
#[derive(Clone, Debug)]
pub struct SubscriptionSummary {
    /// The id.
    pub id: SubscriptionId,
    /// The topic.
    pub topic: TopicName,
    /// The platform.
    pub platform: Platform,
    /// The robot.
    pub robot: RobotId,
    /// The webhook, with only the end of its credential visible.
    pub masked_endpoint: String,
    /// Whether it has a signing secret.
    pub has_secret: bool,
    /// The keyword of the robot.
    pub keyword: Option<String>,
    /// The name that operators give it.
    pub name: Option<String>,
    /// The members that every message mentions.
    pub mentions: Mentions,
    /// Active or paused.
    pub state: SubscriptionState,
    /// The options of its deliveries.
    pub options: SubscriptionOptions,
    /// The time of its addition.
    pub created_at: Timestamp,
}

/// One page of a listing.
pub struct SummaryPage {
    /// The subscriptions, by topic and then by id.
    pub summaries: Vec<SubscriptionSummary>,
    /// The position after which the next page begins, or `None` on the last page.
    pub next: Option<ListCursor>,
}
