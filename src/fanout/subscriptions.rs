//! The seam through which subscriptions are found: implemented by the store, and by a double in simulations.

use std::{any::Any, sync::Arc};

use async_trait::async_trait;

use crate::domain::{Options, Platform, RobotId, Subscription, SubscriptionId, TopicName};

/// Who is to hear an event: everything that pacing needs, with the rest still sealed.
#[derive(Clone)]
pub struct Recipient {
    /// Which subscription.
    pub subscription: SubscriptionId,
    /// On which platform.
    pub platform: Platform,
    /// To which robot.
    pub robot: RobotId,
    /// How its deliveries are paced.
    pub options: Options,
    /// The sealed record, in the form of whoever implements [`Subscriptions`]; only [`Subscriptions::open`]
    /// can read it.
    pub sealed: Arc<dyn Any + Send + Sync>,
}

/// Some of the active subscriptions of a topic, in the order of their ids.
#[derive(Clone)]
pub struct Page {
    /// The recipients on this page.
    pub recipients: Vec<Recipient>,
    /// Where the next page begins; nothing if this is the last one.
    pub next: Option<SubscriptionId>,
}

/// The store could not be read. Nothing is settled on the strength of this: the message stays unacked.
#[derive(Debug, thiserror::Error)]
#[error("the subscriptions cannot be read")]
pub struct Unreadable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What opening a recipient gives.
pub enum Opened {
    /// Its subscription.
    Subscription(Box<Subscription>),
    /// The recipient in hand is not the current one any more: it was changed, sealed anew or
    /// removed. What it is by now, a fresh look says ([`Subscriptions::find`]).
    Replaced,
    /// The record cannot be read, and a fresh look would not help; the text says what is wrong,
    /// without a credential. Other subscriptions are not concerned.
    Damaged(String),
}

/// Finds and opens subscriptions. One record that is damaged fails no call: it is found like any
/// other, and opening it says so.
#[async_trait]
pub trait Subscriptions: Send + Sync {
    /// One page of the active subscriptions of `topic`, beginning with the one after `after`.
    async fn page(&self, topic: &TopicName, after: Option<SubscriptionId>) -> Result<Page, Unreadable>;

    /// The subscription of that id if it exists and is active, by a fresh look. Nothing means that
    /// it is removed or paused.
    async fn find(&self, id: SubscriptionId) -> Result<Option<Recipient>, Unreadable>;

    /// Opens a recipient for one attempt. Quick and without waiting: it is called on the async
    /// threads.
    fn open(&self, recipient: &Recipient) -> Result<Opened, Unreadable>;
}
