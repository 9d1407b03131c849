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
    fanout::Recipient,
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
            deliveries: 0,
            received,
            decoded,
        }
    }

    fn advance(&mut self, subscription: SubscriptionId) {
        self.matched += 1;
        self.after = Some(subscription);
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
        event.after = page.next;
        if event.after.is_none() && event.matched == 0 {
            events::EventWithoutSubscribers { topic: event.event.topic.as_str() }
                .emit(&self.parts.telemetry);
        }
        Ok(event.after.is_some())
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
