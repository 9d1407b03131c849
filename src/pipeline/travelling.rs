//! A delivery that comes back alone, from a delay tier or redriven: what it is by now, and whether it goes its way or is at its end.

use std::sync::Arc;

use super::{Pipeline, Stuck};
use crate::{
    broker::Travelling,
    domain::{DeadReason, Settlement},
    fanout::{Known, Undecodable},
    settle::{self, AckTag, Identity, Tally},
    telemetry::events,
};

impl Pipeline {
    /// A delivery that comes back alone: wait for what is left of its time, then let it go its way.
    pub(super) async fn travelling(
        self: &Arc<Self>,
        travelling: Travelling,
        redelivered: bool,
        ack_tag: AckTag,
    ) -> Result<(), Stuck> {
        let parts = &self.parts;
        let known = Known {
            id: travelling.event.clone(),
            received_at: travelling.received_at.unwrap_or_else(|| parts.clock.now()),
            expires_at: travelling.expires_at,
            urgent: travelling.urgent,
            platform: Some(travelling.platform),
        };
        let (subscription, urgent, mut unread) = (travelling.subscription, travelling.urgent, None);
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
                let identity = Identity::of_event(&published, 0, redelivered, &parts.ledger);
                self.bury(*published, urgent, identity, why, ack_tag);
                return Ok(());
            }
        };
        let identity = Identity::of_delivery(&delivery, &parts.ledger);
        let done = identity.done.iter().copied().collect();
        delivery.part.at = settle::parts_done(&done, subscription, delivery.part.at);
        if parts.ledger.is_closed(identity.key) {
            events::DuplicatesSkipped { count: 1 }.emit(&parts.telemetry);
            return self.close(identity, ack_tag);
        }
        let Some(in_hand) = self.hand.take(identity.key) else {
            events::DuplicatesSkipped { count: 1 }.emit(&parts.telemetry);
            return self.close(Identity::redundant(identity.event), ack_tag);
        };
        let tally = Arc::new(Tally::new(identity, ack_tag).holding(in_hand));
        tally.opened();
        tally.complete();
        let recipient = parts.subscriptions.find(subscription).await?;
        if let Some(recipient) = &recipient {
            (delivery.platform, delivery.robot) = (recipient.platform, recipient.robot);
        }
        let settlement = match (recipient, unread) {
            _ if settle::only_receipt_missing(&done, subscription) => {
                delivery.attempts += 1;
                Settlement::Done
            }
            (Some(recipient), None) => {
                self.recover(&delivery, redelivered);
                let start = self.start(&delivery, &recipient);
                // Its room is sure: the broker hands over no more than `broker.prefetch_delivery`.
                self.set_out(delivery, recipient, start, &tally, None);
                return Ok(());
            }
            // It was an event when it set out, so it is given up alone: whoever redrives it does not want the others to hear it again.
            (Some(_), Some(Undecodable { code, detail })) => {
                Settlement::Dead { reason: DeadReason::Undecodable, code: code.to_owned(), detail }
            }
            (None, _) => Settlement::Dropped,
        };
        let job = Arc::clone(self);
        self.beside(async move { job.conclude(delivery, settlement, &tally).await });
        Ok(())
    }
}
