//! Why a store did not do what an operator requested.
//!
//! Owns the classification: two failures are two variants only if a caller reacts differently.
//!
//! Not here: the HTTP status of each (`admin/error.rs`), the failures at the opening of a store
//! (`store/error.rs`).

use crate::{
    domain::{SubscriptionId, TopicName},
    fanout::TemplateError,
};

/// Why a store did not do what was requested. Nothing was changed, or the change may be repeated:
/// each is whole or not made.
#[derive(Debug, thiserror::Error)]
pub enum StoreFailure {
    /// The request does not fit the content of the store. Repeating it changes nothing.
    #[error(transparent)]
    Refused(#[from] StoreRefusal),
    /// The store is not available now: its disk is full, say, or its server is away. The caller
    /// waits and tries again.
    #[error(transparent)]
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
    /// The store failed. An operator must look at it.
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// Why a request does not fit the content of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreRefusal {
    /// The subscription does not exist.
    #[error("there is no subscription {id}")]
    NoSuchSubscription {
        /// The requested id.
        id: SubscriptionId,
    },
    /// The templates reject the change.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The robot of the new webhook is subscribed to the topic already.
    #[error(
        "the robot of that webhook is subscribed to {topic} already, as {by}: \
         update or remove that one"
    )]
    RobotTaken {
        /// The topic.
        topic: TopicName,
        /// The other subscription.
        by: SubscriptionId,
    },
    /// A rotation to another master key is in progress, or the key is the current one already.
    #[error("the master key cannot be rotated: {why}")]
    Rotation {
        /// The reason.
        why: &'static str,
    },
    /// One record is damaged; the others are intact.
    #[error(
        "subscription {id} is damaged: {what}; \
         give it its webhook again (`roomcast subscription update {id} --endpoint-file -`), \
         or restore the store from a backup"
    )]
    DamagedRecord {
        /// The subscription.
        id: SubscriptionId,
        /// The damage.
        what: String,
    },
    /// The backup cannot be made as requested; the text says why.
    #[error("{0}")]
    Backup(String),
}
