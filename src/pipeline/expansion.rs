//! The expansion of an event into deliveries for its topic's subscribers, one page at a time.
//!
//! Owns the position in the list of subscriptions, also across a panic.
//!
//! Not here: the order among events (`intake.rs`), and the start of one delivery (`in_flight.rs`).

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;

use super::{Pipeline, Unsettled};
use crate::{
    domain::{Delivery, Event, SubscriptionId, Timestamp, TopicName},
    fanout::{Recipient, TopicEvent, WithoutSubscription},
    settle::{self, AckTag, AckTracker, DedupIdentity, DeliveryLineage, ProgressMark},
    telemetry::events::{self, DuplicateReason},
};

/// The state of an event's expansion.
pub(super) struct Expansion {
    event: Arc<Event>,
    /// When the event may be sent, if that is in the future. Each of its deliveries then waits in
    /// the tiers.
    due_at: Option<Timestamp>,
    redelivered: bool,
    generation: u32,
    /// The content hash of a redelivered event. It leads to the next steps that may already be
    /// stored.
    content_digest: Option<[u8; 16]>,
    tracker: Arc<AckTracker>,
    /// The last subscription that is done.
    after: Option<SubscriptionId>,
    matched: u32,
    /// Whether the topic has a paused subscription.
    has_paused: bool,
    deliveries: u32,
    /// When the event was received.
    received: Timestamp,
    /// When it was decoded.
    decoded: Timestamp,
}

impl Expansion {
    pub(super) fn new(
        event: Arc<Event>,
        received: Timestamp,
        decoded: Timestamp,
        identity: DedupIdentity,
        redelivered: bool,
        ack_tag: AckTag,
    ) -> Self {
        let generation = identity.generation;
        let tracker = Arc::new(AckTracker::new(identity, ack_tag));
        let returns = redelivered || !tracker.completed_before().is_empty();
        Self {
            due_at: (event.received_at > received).then_some(event.received_at),
            content_digest: returns
                .then(|| settle::content_digest(&event.published, event.id.as_str(), event.urgent)),
            event,
            redelivered,
            generation,
            tracker,
            after: None,
            matched: 0,
            has_paused: false,
            deliveries: 0,
            received,
            decoded,
        }
    }

    fn advance(&mut self, subscription: SubscriptionId) {
        self.matched += 1;
        self.after = Some(subscription);
    }

    /// Whether the topic has a subscription, as far as its pages were read.
    const fn has_subscription(&self) -> bool {
        self.matched > 0 || self.has_paused
    }

    /// The events of one topic are expanded in order.
    pub(super) fn topic(&self) -> &TopicName {
        &self.event.topic
    }
}

impl Pipeline {
    /// Starts a delivery for each matching subscription of the next page. Returns the event if
    /// there are more pages. After a panic it continues behind the last started delivery, or gives
    /// the event up.
    pub(super) async fn expand(
        self: &Arc<Self>,
        mut event: Expansion,
    ) -> Result<Option<Expansion>, Unsettled> {
        match AssertUnwindSafe(self.page(&mut event)).catch_unwind().await {
            Ok(more) => {
                if more? {
                    return Ok(Some(event));
                }
                self.count_topic(&event);
            }
            Err(panic) => {
                match self.record_fault("fanout", &event.event.id, &event.tracker, &*panic) {
                    None => return Ok(Some(event)),
                    Some(detail) => {
                        self.give_up(&event.event, event.generation, &event.tracker, detail)
                    }
                }
            }
        }
        let Expansion { event, tracker, matched, deliveries, received, decoded, .. } = event;
        tracker.complete();
        if tracker.is_closed() {
            self.commit_progress(&tracker);
        }
        let expanded = self.parts.clock.now();
        events::EventExpanded {
            event: &event,
            received,
            decoded,
            expanded,
            subscriptions: matched,
            deliveries,
        }
        .emit(&self.parts.telemetry);
        Ok(None)
    }

    /// Expands one page. Returns whether there are more.
    async fn page(self: &Arc<Self>, event: &mut Expansion) -> Result<bool, Unsettled> {
        let page = self.parts.subscriptions.page(&event.event.topic, event.after).await?;
        for recipient in page.recipients {
            self.begin_one(event, recipient).await?;
        }
        event.has_paused |= page.has_paused;
        event.after = page.next;
        Ok(event.after.is_some())
    }

    /// Counts an event at its topic, and treats it as configured if the topic has no subscription.
    fn count_topic(self: &Arc<Self>, expansion: &Expansion) {
        let (parts, topic) = (&self.parts, &expansion.event.topic);
        let has_subscription = expansion.has_subscription();
        parts.topics.count(topic, TopicEvent { at: parts.clock.now(), has_subscription });
        if expansion.matched == 0 {
            events::EventWithoutSubscribers { topic: topic.as_str() }.emit(&parts.telemetry);
        }
        if !has_subscription && parts.without_subscription == WithoutSubscription::Dead {
            let Expansion { event, generation, tracker, .. } = expansion;
            self.dead_letter_unsubscribed(event, *generation, tracker);
        }
    }

    /// Starts one delivery, if the subscription matches and is not already settled.
    async fn begin_one(
        self: &Arc<Self>,
        from: &mut Expansion,
        recipient: Recipient,
    ) -> Result<(), Unsettled> {
        let (event, subscription) = (&from.event, recipient.subscription);
        if from.tracker.completed_before().contains(ProgressMark::Settled(subscription)) {
            self.log_duplicate(&event.id, Some(subscription), DuplicateReason::Settled);
            from.advance(subscription);
            return Ok(());
        }
        if let Some(why) =
            recipient.options.filter_rejection(recipient.platform, &event.content.attributes)
        {
            events::DeliveryFiltered { event: &event.id, subscription, why }
                .emit(&self.parts.telemetry);
            from.advance(subscription);
            return Ok(());
        }
        let fresh = Delivery::fresh(event, subscription, recipient.platform, recipient.robot);
        let delivery = Delivery { due_at: from.due_at, ..fresh };
        let line = from
            .content_digest
            .as_ref()
            .map(|said| DeliveryLineage::new(said, subscription, delivery.generation));
        self.recover(&delivery, from.redelivered);
        // From here on the delivery is settled by its own task.
        from.tracker.add_pending();
        from.deliveries += 1;
        from.advance(subscription);
        self.begin(delivery, recipient, line, &from.tracker).await
    }
}
