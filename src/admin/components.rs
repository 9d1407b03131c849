//! The components that the API calls.
//!
//! Owns their list.
//!
//! Not here: the routes (`routes.rs`), and building the components (`app/wiring.rs`).

use std::sync::Arc;

use tokio::sync::watch;

use super::{
    DeadLetterService, Explainer, HistoryService, SubscriptionService, ports::SubscriptionTest,
};
use crate::{domain::Timestamp, fanout::TopicActivity, pace::Pace, telemetry::Telemetry};

/// The components that the API calls.
#[derive(Clone)]
pub struct Admin {
    /// Commands on subscriptions.
    pub subscriptions: SubscriptionService,
    /// The topics of the events so far.
    pub topics: Arc<TopicActivity>,
    /// Test messages.
    pub tests: Arc<dyn SubscriptionTest>,
    /// Explanations of events.
    pub explainer: Explainer,
    /// Dead letters.
    pub letters: DeadLetterService,
    /// The history of deliveries.
    pub history: HistoryService,
    /// Robots and groups.
    pub pace: Pace,
    /// Metrics.
    pub telemetry: Arc<Telemetry>,
    /// Whether a session with the broker is open.
    pub ready: watch::Receiver<bool>,
    /// When the metrics began to count.
    pub since: Timestamp,
}
