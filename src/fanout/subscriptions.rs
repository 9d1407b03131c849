//! The port that finds and opens subscriptions.
//!
//! Owns what a store must promise to fan-out. Each promise has a test in `store/conformance/`. A
//! simulation has a double of the port.
//!
//! Not here: the implementation (`store/subscriptions.rs`), and the use of its answers
//! (`pipeline/recipient.rs`).

use std::{any::Any, sync::Arc};

use crate::{
    domain::{Platform, RobotId, Subscription, SubscriptionId, SubscriptionOptions, TopicName},
    port::PortFuture,
};

/// One subscription that may get an event: everything that pacing needs, with the rest still
/// sealed.
#[derive(Clone)]
pub struct Recipient {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Its platform.
    pub platform: Platform,
    /// Its robot.
    pub robot: RobotId,
    /// Its options for filtering and pacing.
    pub options: SubscriptionOptions,
    /// The sealed record, which only [`Subscriptions::open`] can read.
    pub sealed: SealedSubscription,
}

/// The sealed record of a recipient. The implementation of [`Subscriptions`] chooses its type.
/// Cheap to clone.
#[derive(Clone)]
pub struct SealedSubscription(Arc<dyn Any + Send + Sync>);

impl SealedSubscription {
    /// Wraps the record of an implementation.
    #[must_use]
    pub fn new<R: Any + Send + Sync>(record: R) -> Self {
        Self(Arc::new(record))
    }

    /// The record, if it has this type.
    #[must_use]
    pub fn record<R: Any>(&self) -> Option<&R> {
        self.0.downcast_ref()
    }
}

/// Some of the active subscriptions of a topic, in the order of their ids.
#[derive(Clone)]
pub struct RecipientPage {
    /// The recipients on this page.
    pub recipients: Vec<Recipient>,
    /// Whether the topic has paused subscriptions among those of this page.
    pub has_paused: bool,
    /// The id after which the next page begins; `None` on the last page.
    pub next: Option<SubscriptionId>,
}

/// The store could not be read. This settles nothing: the message stays unacknowledged.
#[derive(Debug, thiserror::Error)]
#[error("the subscriptions cannot be read")]
pub struct SubscriptionsUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// The result of opening a recipient.
pub enum OpenedRecipient {
    /// Its subscription.
    Subscription(Box<Subscription>),
    /// The recipient is out of date: its subscription was changed, sealed again or removed.
    /// [`Subscriptions::find`] returns the current one.
    Replaced,
    /// The record cannot be read, and another lookup would not help. The text says why, without a
    /// credential. Other subscriptions are not affected.
    Damaged(String),
}

/// Finds and opens subscriptions. A damaged record does not fail a lookup: only opening it reports
/// the damage.
///
/// A lookup sees every change whose future has ended before the lookup began.
pub trait Subscriptions: Send + Sync {
    /// One page of the active subscriptions of `topic`, starting after the id `after`.
    fn page<'a>(
        &'a self,
        topic: &'a TopicName,
        after: Option<SubscriptionId>,
    ) -> PortFuture<'a, Result<RecipientPage, SubscriptionsUnavailable>>;

    /// The current subscription with this id. `None` means that it is removed or paused.
    fn find(
        &self,
        id: SubscriptionId,
    ) -> PortFuture<'_, Result<Option<Recipient>, SubscriptionsUnavailable>>;

    /// Opens a recipient for one attempt. After a removal has ended, no recipient of that
    /// subscription opens any more.
    fn open<'a>(
        &'a self,
        recipient: &'a Recipient,
    ) -> PortFuture<'a, Result<OpenedRecipient, SubscriptionsUnavailable>>;
}

/// A position in a feed of changes, behind the change of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedPosition {
    /// The feed. A store that is opened anew may begin another one.
    pub feed: u64,
    /// The number of the last change that is known. Numbers grow in the order of the commits.
    pub number: u64,
}

/// The changes behind a position in a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPage {
    /// The topics that changed, in the order of the commits. A topic may occur several times.
    /// `None` means that the feed does not reach back to the position, so any topic may have
    /// changed.
    pub topics: Option<Vec<TopicName>>,
    /// The position behind these changes. It is unchanged if there are none.
    pub position: FeedPosition,
}

/// Tells which subscriptions have changed, for caches outside the store.
///
/// A change is in the feed before its future ends. A change that becomes visible later has a higher
/// number, so a reader that continues at its position misses none.
pub trait SubscriptionFeed: Send + Sync {
    /// Up to `limit` changes behind `since`. Without a position, the end of the feed and no change.
    fn changes(
        &self,
        since: Option<FeedPosition>,
        limit: usize,
    ) -> PortFuture<'_, Result<FeedPage, SubscriptionsUnavailable>>;
}
