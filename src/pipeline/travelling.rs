//! A delivery that was stored on the broker: it comes back from a delay tier, or is redriven.
//!
//! Owns the check whether such a delivery is already settled, and whether its subscription still
//! exists with the same robot.
//!
//! Not here: its start and its attempts (`turn.rs`), and the shape of its message
//! (`broker/message.rs`).

use std::sync::Arc;

use super::{Pipeline, Stuck, turn::Start};
use crate::{
    broker::{Carried, Message, Travelling},
    domain::Settlement,
    fanout::{self, Known},
    settle::{self, AckTag, Held, Identity, Line, Mark, Tally},
};

impl Pipeline {
    /// Starts a delivery that was stored on the broker, or settles it.
    pub(super) async fn travelling(
        self: &Arc<Self>,
        mut travelling: Box<Travelling>,
        redelivered: bool,
        ack_tag: AckTag,
    ) -> Result<(), Stuck> {
        let parts = &self.parts;
        let overtakes = fanout::is_urgent(&travelling.published, travelling.urgent);
        let said = settle::said_by(&travelling.published, travelling.event.as_str(), overtakes);
        let line = Line::new(&said, travelling.subscription, travelling.generation);
        let in_hand = match self.hand.take(line.key()) {
            Ok(in_hand) => in_hand,
            Err(taken) => {
                let carried = Carried::Delivery(travelling);
                self.afterwards(taken, Message { ack_tag, redelivered, carried });
                return Ok(());
            }
        };
        let known = Known {
            id: travelling.event.clone(),
            received_at: travelling.received_at.unwrap_or_else(|| parts.clock.now()),
            expires_at: travelling.expires_at,
            redriven: travelling.generation > 0,
            urgent: travelling.urgent,
            platform: Some(travelling.platform),
        };
        travelling.due_at = travelling.due(parts.clock.now());
        let (subscription, urgent, mut unread) = (travelling.subscription, travelling.urgent, None);
        let is_addressed = travelling.robot.is_some();
        let delivery = travelling.into_delivery(|published| match parts.decoder.decode(published, known.clone()) {
            Ok(event) => Ok(event),
            Err(refused) => {
                let (published, why) = *refused;
                unread = Some(why.clone());
                known.unread(published).map_err(|published| (published, why))
            }
        });
        let mut delivery = match delivery {
            Ok(delivery) => delivery,
            Err((published, why)) => {
                let identity = Identity::of_event(&published, overtakes, 0, redelivered, &parts.ledger);
                self.bury(*published, urgent, identity, why, ack_tag);
                return Ok(());
            }
        };
        let identity = Identity::of_delivery(&delivery, &line, redelivered, &parts.ledger);
        // Applies to first deliveries too, because an interrupted tier may have sent a message
        // twice.
        let next = line.step(delivery.hops.saturating_add(1));
        if parts.ledger.is_closed(identity.key) {
            self.skip(&identity.event, Some(subscription), "the ledger knows it as settled");
            return self.close(identity, ack_tag);
        }
        if parts.ledger.knows(next.key()) {
            self.skip(&identity.event, Some(subscription), "its next step is stored");
            return self.close(identity, ack_tag);
        }
        let may_be_stored = redelivered || !identity.done.is_empty();
        let tally = Arc::new(Tally::new(identity, ack_tag));
        tally.hold(subscription, Held { in_hand, next: may_be_stored.then_some(next) });
        tally.opened();
        tally.complete();
        let found = self.found(subscription, &delivery.event.id, &tally).await?;
        let is_delivered = tally.earlier().contains(Mark::Delivered(subscription));
        let mut moved = false;
        if let Ok(Some(recipient)) = &found
            && !(is_addressed && is_delivered)
        {
            moved = is_addressed && (delivery.platform, delivery.robot) != (recipient.platform, recipient.robot);
            if moved {
                delivery.readdress(recipient.platform, recipient.robot);
            }
            (delivery.platform, delivery.robot) = (recipient.platform, recipient.robot);
        }
        // The ledger's progress belongs to one robot.
        let resumed = self.resume(&mut delivery, tally.earlier());
        let (recipient, begun) = match found {
            Ok(recipient) => (recipient, resumed),
            Err(settlement) => (None, Some(Start::Settled(settlement))),
        };
        let settlement = match (begun, recipient, unread) {
            (Some(Start::Settled(settlement)), ..) => settlement,
            (_, Some(recipient), None) => {
                self.recover(&delivery, redelivered);
                let start = self.started(&delivery, &recipient, moved, &tally);
                // It needs no memory permit, because `broker.prefetch_delivery` bounds these
                // messages.
                self.set_out(delivery, recipient, start, &tally, None);
                return Ok(());
            }
            // It was readable when it was stored, so only this delivery becomes a dead letter. A
            // redrive must not repeat the others.
            (_, Some(_), Some(why)) => {
                Settlement::Dead { reason: why.reason(), code: why.code.to_owned(), detail: why.detail }
            }
            (_, None, _) => Settlement::Dropped,
        };
        let job = Arc::clone(self);
        self.beside(async move { job.settle(delivery, settlement, &tally).await });
        Ok(())
    }
}
