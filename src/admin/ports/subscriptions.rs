//! The port that writes subscriptions, and shows them to operators.
//!
//! Owns what an implementation must promise about a change.
//!
//! Not here: the lookups of fan-out (`fanout/subscriptions.rs`).

use async_trait::async_trait;

use super::StoreFailure;
use crate::domain::{
    AddedSubscription, ListCursor, ListFilter, Platform, Subscription, SubscriptionId,
    SubscriptionPage, SubscriptionPatch, SubscriptionSpec, SubscriptionState, SubscriptionView,
    TopicName, TopicSubscriptions,
};

/// One page of subscriptions with their credentials.
pub struct DecryptedPage {
    /// The subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// The position after which the next page begins, or `None` on the last page.
    pub next: Option<ListCursor>,
}

/// Writes subscriptions, and shows them masked.
///
/// A change is durable when its future ends, and every lookup that begins later sees it. A dropped
/// future, an error or a crash leaves each subscription whole, in its old or its new version.
#[async_trait]
pub trait SubscriptionStore: Send + Sync {
    /// Adds subscriptions, each whole or not at all. The results are in their order.
    ///
    /// If the same robot is subscribed to the topic already, nothing is added.
    async fn add(&self, new: Vec<SubscriptionSpec>)
    -> Result<Vec<AddedSubscription>, StoreFailure>;

    /// Changes a subscription. When it returns, the key of the old version is destroyed.
    ///
    /// A subscription with a damaged record needs a new webhook.
    async fn update(
        &self,
        id: SubscriptionId,
        change: SubscriptionPatch,
    ) -> Result<(), StoreFailure>;

    /// Pauses or resumes a subscription.
    async fn set_state(
        &self,
        id: SubscriptionId,
        state: SubscriptionState,
    ) -> Result<(), StoreFailure>;

    /// Removes a subscription. When it returns, no key exists that opens the endpoint.
    async fn remove(&self, id: SubscriptionId) -> Result<(), StoreFailure>;

    /// Removes some of a topic's subscriptions, each like [`SubscriptionStore::remove`]. Returns
    /// their number, which is 0 when the topic has no subscription left.
    async fn remove_batch(&self, topic: &TopicName) -> Result<usize, StoreFailure>;

    /// The platform of a subscription, whether or not its record opens.
    async fn platform_of(&self, id: SubscriptionId) -> Result<Platform, StoreFailure>;

    /// One subscription, masked.
    async fn show(&self, id: SubscriptionId) -> Result<SubscriptionView, StoreFailure>;

    /// One page of subscriptions, masked. A damaged record hides no other.
    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<ListCursor>,
        limit: usize,
    ) -> Result<SubscriptionPage, StoreFailure>;

    /// Up to `limit` topics that have subscriptions, in the order of their names, starting after
    /// `after`. A damaged record counts like the others.
    async fn topics(
        &self,
        after: Option<TopicName>,
        limit: usize,
    ) -> Result<Vec<TopicSubscriptions>, StoreFailure>;

    /// One page of subscriptions with their credentials, for an export that the caller seals.
    async fn list_decrypted(
        &self,
        filter: &ListFilter,
        after: Option<ListCursor>,
        limit: usize,
    ) -> Result<DecryptedPage, StoreFailure>;
}
