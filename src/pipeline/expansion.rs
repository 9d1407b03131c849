//! An event on its way to everybody who subscribed to its topic, a page at a time. Owns how far it
//! has come.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;

use super::{Pipeline, Stuck};
use crate::{
    domain::{Delivery, Event, Moment, SubscriptionId, TopicName},
    fanout::Recipient,
    settle::{self, AckTag, Identity, Line, Mark, Tally},
    telemetry::events,
};

/// How far an event has come.
pub(super) struct Expansion {
    event: Arc<Event>,
    /// When it is due, if it is not yet: then its deliveries wait, each alone.
    due_at: Option<Moment>,
    redelivered: bool,
    generation: u32,
    /// What its deliveries say, if it comes back: where their next steps may be.
    said: Option<[u8; 16]>,
    tally: Arc<Tally>,
    /// Behind whom it goes on.
    after: Option<SubscriptionId>,
    heard: u32,
    deliveries: u32,
    /// When it was received, and when it was decoded.
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

    /// Within its topic, what came first is first.
    pub(super) fn topic(&self) -> &TopicName {
        &self.event.topic
    }
}

impl Pipeline {
    /// A delivery for each on the next page who wants the event. Gives it back if it is not at its end.
    /// After a panic it goes on behind the last one who has a delivery, or is given up.
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

    /// One page; says whether there are more.
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

    /// One delivery of an event, if the recipient wants it and does not have it.
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
        // From here on it comes to its end by itself.
        from.tally.opened();
        from.deliveries += 1;
        from.passes(subscription);
        self.begin(delivery, recipient, line, &from.tally).await;
    }
}
