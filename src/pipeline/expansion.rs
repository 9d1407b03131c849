//! The expansion of an event into deliveries for its topic's subscribers, one page at a time.
//!
//! Owns the position in the list of subscriptions, also across a panic.
//!
//! Not here: the order among events (`intake.rs`), and the start of one delivery (`lines.rs`).

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;

use super::{Pipeline, Stuck};
use crate::{
    domain::{Delivery, Event, Moment, SubscriptionId, TopicName},
    fanout::Recipient,
    settle::{self, AckTag, Identity, Line, Mark, Tally},
    telemetry::events,
};

/// The state of an event's expansion.
pub(super) struct Expansion {
    event: Arc<Event>,
    /// When the event may be sent, if that is in the future. Each of its deliveries then waits in
    /// the tiers.
    due_at: Option<Moment>,
    redelivered: bool,
    generation: u32,
    /// The content hash of a redelivered event. It leads to the next steps that may already be
    /// stored.
    said: Option<[u8; 16]>,
    tally: Arc<Tally>,
    /// The last subscription that is done.
    after: Option<SubscriptionId>,
    heard: u32,
    deliveries: u32,
    /// When the event was received, and when it was decoded.
    since: (Moment, Moment),
}

impl Expansion {
    pub(super) fn new(
        event: Arc<Event>,
        since: (Moment, Moment),
        identity: Identity,
        redelivered: bool,
        ack_tag: AckTag,
    ) -> Self {
        let generation = identity.generation;
        let tally = Arc::new(Tally::new(identity, ack_tag));
        let returns = redelivered || !tally.earlier().is_empty();
        Self {
            due_at: (event.received_at > since.0).then_some(event.received_at),
            said: returns.then(|| settle::said_by(&event.published, event.id.as_str(), event.urgent)),
            event,
            redelivered,
            generation,
            tally,
            after: None,
            heard: 0,
            deliveries: 0,
            since,
        }
    }

    fn passes(&mut self, subscription: SubscriptionId) {
        self.heard += 1;
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
    pub(super) async fn expand(self: &Arc<Self>, mut event: Expansion) -> Result<Option<Expansion>, Stuck> {
        match AssertUnwindSafe(self.page(&mut event)).catch_unwind().await {
            Ok(more) => {
                if more? {
                    return Ok(Some(event));
                }
            }
            Err(panic) => match self.fault("fanout", &event.event.id, &event.tally, &*panic) {
                None => return Ok(Some(event)),
                Some(detail) => self.give_up(&event.event, event.generation, &event.tally, detail),
            },
        }
        let Expansion { event, tally, deliveries, since: (received, decoded), .. } = event;
        tally.complete();
        if tally.is_closed() {
            self.progressed(&tally);
        }
        let expanded = self.parts.clock.now();
        events::EventExpanded { event: &event, received, decoded, expanded, deliveries }.emit(&self.parts.telemetry);
        Ok(None)
    }

    /// Expands one page. Returns whether there are more.
    async fn page(self: &Arc<Self>, event: &mut Expansion) -> Result<bool, Stuck> {
        let page = self.parts.subscriptions.page(&event.event.topic, event.after).await?;
        for recipient in page.recipients {
            self.begin_one(event, recipient).await;
        }
        event.after = page.next;
        if event.after.is_none() && event.heard == 0 {
            events::EventUnheard { topic: event.event.topic.as_str() }.emit(&self.parts.telemetry);
        }
        Ok(event.after.is_some())
    }

    /// Starts one delivery, if the subscription matches and is not already settled.
    async fn begin_one(self: &Arc<Self>, from: &mut Expansion, recipient: Recipient) {
        let (event, subscription) = (&from.event, recipient.subscription);
        if from.tally.earlier().contains(Mark::Settled(subscription)) {
            self.skip(&event.id, Some(subscription), "the ledger knows it as settled");
            return from.passes(subscription);
        }
        if let Some(why) = recipient.options.unwanted(recipient.platform, &event.content.attributes) {
            events::DeliveryFiltered { event: &event.id, subscription, why }.emit(&self.parts.telemetry);
            return from.passes(subscription);
        }
        let fresh = Delivery::fresh(event, subscription, recipient.platform, recipient.robot);
        let delivery = Delivery { due_at: from.due_at, ..fresh };
        let line = from.said.as_ref().map(|said| Line::new(said, subscription, delivery.generation));
        self.recover(&delivery, from.redelivered);
        // From here on the delivery is settled by its own task.
        from.tally.opened();
        from.deliveries += 1;
        from.passes(subscription);
        self.begin(delivery, recipient, line, &from.tally).await;
    }
}
