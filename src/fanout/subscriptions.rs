//! The trait that finds and opens subscriptions.
//!
//! Owns the contract between fan-out and the store. The store implements it, and so does a double
//! in simulations.
//!
//! Not here: the implementation (`store/subscriptions.rs`), and the use of its answers
//! (`pipeline/recipient.rs`).

use std::{any::Any, sync::Arc};

use async_trait::async_trait;

use crate::domain::{
    Platform, RobotId, Subscription, SubscriptionId, SubscriptionOptions, TopicName,
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
#[async_trait]
pub trait Subscriptions: Send + Sync {
    /// One page of the active subscriptions of `topic`, starting after the id `after`.
    async fn page(
        &self,
        topic: &TopicName,
        after: Option<SubscriptionId>,
    ) -> Result<RecipientPage, SubscriptionsUnavailable>;

    /// The current subscription with this id. `None` means that it is removed or paused.
    async fn find(&self, id: SubscriptionId)
    -> Result<Option<Recipient>, SubscriptionsUnavailable>;

    /// Opens a recipient for one attempt. It is called on the async threads, so it must be quick
    /// and never wait.
    fn open(&self, recipient: &Recipient) -> Result<OpenedRecipient, SubscriptionsUnavailable>;
}
