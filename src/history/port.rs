//! The port of the history: where records are kept, and how they are found again.
//!
//! Owns what an implementation must promise.
//!
//! Not here: the implementation on files (`store/history.rs`).

use std::sync::Arc;

use async_trait::async_trait;

use super::{HistoryCursor, HistoryPage, HistoryQuery, HistoryRecord};
use crate::domain::Timestamp;

/// The history could not be read or written. No delivery depends on it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct HistoryUnavailable(pub Box<dyn std::error::Error + Send + Sync>);

/// The history of deliveries.
#[async_trait]
pub trait DeliveryHistory: Send + Sync {
    /// Adds records, the oldest first. All of them are durable when it returns. After an error or a
    /// crash, any part of them may be kept, and every earlier record is.
    async fn append(
        self: Arc<Self>,
        records: Vec<HistoryRecord>,
        now: Timestamp,
    ) -> Result<(), HistoryUnavailable>;

    /// Deletes the oldest records until all are within the bounds of age and size.
    async fn trim(self: Arc<Self>, now: Timestamp) -> Result<(), HistoryUnavailable>;

    /// The records that answer the question, the newest first: at most `limit`, and only those
    /// before the position `after`. It includes every [`DeliveryHistory::append`] that has
    /// returned. One call does a bounded amount of work.
    async fn page(
        self: Arc<Self>,
        query: HistoryQuery,
        after: Option<HistoryCursor>,
        limit: usize,
    ) -> Result<HistoryPage, HistoryUnavailable>;
}
