//! Watches for events whose topic has no subscription, and names the topic that was perhaps meant.
//!
//! Owns that this costs no event any time: similar names are looked for beside the events, for a
//! few topics at a time.
//!
//! Not here: the counts (`fanout/topic_activity.rs`), the log line (`telemetry/events.rs`).

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    admin::ports::{StoreFailure, SubscriptionStore},
    clock::Clock,
    domain::{NearestName, TopicName},
    fanout::{TopicActivity, UnsubscribedTopic},
    telemetry::{Telemetry, events},
};

/// How many topics are reported at a time.
const BATCH: usize = 8;

/// The rest after each time, so that a flood of wrong names costs little.
const REST: Duration = Duration::from_secs(5);

/// How many known topics are compared at once.
const PAGE: usize = 1000;

/// What the watch needs.
pub(super) struct TopicWatch {
    pub(super) topics: Arc<TopicActivity>,
    pub(super) store: Arc<dyn SubscriptionStore>,
    pub(super) clock: Clock,
    pub(super) telemetry: Arc<Telemetry>,
}

/// The known topics, as far as they concern one topic without a subscription.
struct Comparison<'a> {
    unsubscribed: &'a UnsubscribedTopic,
    nearest: NearestName<'a>,
    /// It has got a subscription meanwhile.
    is_subscribed: bool,
}

impl<'a> Comparison<'a> {
    fn new(unsubscribed: &'a UnsubscribedTopic) -> Self {
        let nearest = NearestName::new(unsubscribed.topic.as_str());
        Self { unsubscribed, nearest, is_subscribed: false }
    }
}

impl TopicWatch {
    /// Reports topics until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        while stop.run_until_cancelled(self.topics.wait_for_due()).await.is_some() {
            let due = self.topics.take_due(self.clock.now(), BATCH);
            if due.is_empty() {
                continue;
            }
            self.report(&due).await;
            stop.run_until_cancelled(tokio::time::sleep(REST)).await;
        }
    }

    async fn report(&self, due: &[UnsubscribedTopic]) {
        let mut compared: Vec<_> = due.iter().map(Comparison::new).collect();
        if let Err(error) = self.compare(&mut compared).await {
            // The line without a proposal is better than none.
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the topics were not all compared"
            );
        }
        for Comparison { unsubscribed, nearest, .. } in
            compared.into_iter().filter(|one| !one.is_subscribed)
        {
            let UnsubscribedTopic { topic, events } = unsubscribed;
            let nearest: Option<TopicName> = nearest.found().and_then(|name| name.parse().ok());
            let named = nearest.as_ref().map(TopicName::as_str);
            events::TopicUnsubscribed { topic: topic.as_str(), events: *events, nearest: named }
                .emit(&self.telemetry);
            self.topics.set_nearest(topic, nearest);
        }
    }

    /// Compares each topic with all that have subscriptions.
    async fn compare(&self, compared: &mut [Comparison<'_>]) -> Result<(), StoreFailure> {
        let mut after = None;
        loop {
            let page = self.store.topics(after, PAGE).await?;
            for known in &page {
                for one in &mut *compared {
                    one.is_subscribed |= known.topic == one.unsubscribed.topic;
                    one.nearest.look_at(known.topic.as_str());
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.topic.clone()),
                _ => return Ok(()),
            }
        }
    }
}
