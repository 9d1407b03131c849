//! A delivery that was stored on the broker: it comes back from a delay tier, or is redriven.
//!
//! Owns the check whether such a delivery is already settled, and whether its subscription still
//! exists with the same robot.
//!
//! Not here: its start and its attempts (`delivery.rs`), and the shape of its message
//! (`broker/message.rs`).

use std::sync::Arc;

use super::{Pipeline, Unsettled, delivery::DeliveryStart, readdress::unreadable};
use crate::{
    broker::{Message, Payload, StoredDelivery},
    domain::Settlement,
    fanout::{self, DecodeContext},
    settle::{
        self, AckTag, AckTracker, DedupIdentity, DeliveryLineage, InFlightDelivery, ProgressMark,
    },
    telemetry::events::DuplicateReason,
};

impl Pipeline {
    /// Starts a delivery that was stored on the broker, or settles it.
    pub(super) async fn resume_stored_delivery(
        self: &Arc<Self>,
        stored: Box<StoredDelivery>,
        redelivered: bool,
        ack_tag: AckTag,
    ) -> Result<(), Unsettled> {
        let parts = &self.parts;
        let overtakes = fanout::is_urgent(&stored.published, stored.urgent);
        let said = settle::content_digest(&stored.published, stored.event.as_str(), overtakes);
        let line = DeliveryLineage::new(&said, stored.subscription, stored.generation);
        let in_flight_guard = match self.in_flight.register(line.key()) {
            Ok(in_flight_guard) => in_flight_guard,
            Err(taken) => {
                let payload = Payload::Delivery(stored);
                self.dispatch_when_released(taken, Message { ack_tag, redelivered, payload });
                return Ok(());
            }
        };
        let known = DecodeContext {
            id: stored.event.clone(),
            received_at: stored.received_at.unwrap_or_else(|| parts.clock.now()),
            expires_at: stored.expires_at,
            redriven: stored.generation > 0,
            urgent: stored.urgent,
            platform: Some(stored.platform),
        };
        let due = stored.due();
        let (subscription, urgent, mut unread) = (stored.subscription, stored.urgent, None);
        let is_addressed = stored.robot.is_some();
        let delivery = stored.into_delivery(|published| {
            match parts.decoder.decode(published, known.clone()) {
                Ok(event) => Ok(event),
                Err(refused) => {
                    let (published, why) = *refused;
                    unread = Some(why.clone());
                    known.placeholder_event(published).map_err(|published| (published, why))
                }
            }
        });
        let mut delivery = match delivery {
            Ok(delivery) => delivery,
            Err((published, why)) => {
                let ledger = &*parts.ledger;
                let identity =
                    DedupIdentity::of_event(&published, overtakes, 0, redelivered, ledger).await?;
                self.dead_letter_event(*published, urgent, identity, why, ack_tag);
                return Ok(());
            }
        };
        let identity =
            DedupIdentity::of_delivery(&delivery, &line, redelivered, &*parts.ledger).await?;
        // Applies to first deliveries too, because an interrupted tier may have sent a message
        // twice.
        let next = line.step(delivery.hops.saturating_add(1));
        if identity.is_closed {
            self.log_duplicate(&identity.event, Some(subscription), DuplicateReason::Settled);
            return self.finish_empty(identity, ack_tag);
        }
        if parts.ledger.lookup(next.key()).await?.is_some() {
            self.log_duplicate(
                &identity.event,
                Some(subscription),
                DuplicateReason::NextStepStored,
            );
            return self.finish_empty(identity, ack_tag);
        }
        let may_be_stored = redelivered || !identity.done.is_empty();
        let tracker = Arc::new(AckTracker::new(identity, ack_tag));
        tracker.track_in_flight(
            subscription,
            InFlightDelivery { in_flight_guard, next: may_be_stored.then_some(next) },
        );
        tracker.add_pending();
        tracker.complete();
        let found = self.find_recipient(subscription, &delivery.event.id, &tracker).await?;
        let is_delivered =
            tracker.completed_before().contains(ProgressMark::Delivered(subscription));
        let mut moved = false;
        if let Ok(Some(recipient)) = &found
            && !(is_addressed && is_delivered)
        {
            moved = is_addressed
                && (delivery.platform, delivery.robot) != (recipient.platform, recipient.robot);
            if moved {
                let is_other_platform = delivery.platform != recipient.platform;
                match self.readdress(&mut delivery, recipient) {
                    Err(why) => unread = Some(why),
                    Ok(()) if is_other_platform => unread = None,
                    Ok(()) => (),
                }
            }
            (delivery.platform, delivery.robot) = (recipient.platform, recipient.robot);
        }
        // The ledger's progress belongs to one robot.
        let resumed = self.resume(&mut delivery, tracker.completed_before());
        let (recipient, begun) = match found {
            Ok(recipient) => (recipient, resumed),
            Err(settlement) => (None, Some(DeliveryStart::Settled(settlement))),
        };
        let settlement = match (begun, recipient, unread) {
            (Some(DeliveryStart::Settled(settlement)), ..) => settlement,
            (_, Some(recipient), None) => {
                self.recover(&delivery, redelivered);
                // Not earlier, because the wall clock may be set back during the lookups.
                delivery.due_at = due.by_clock(parts.clock.now());
                let start = self.start_delivery(&delivery, &recipient, moved, &tracker);
                // It needs no memory permit, because `broker.prefetch_delivery` bounds these
                // messages.
                self.spawn_delivery(delivery, recipient, start, &tracker, None);
                return Ok(());
            }
            // It was readable when it was stored, so only this delivery becomes a dead letter.
            (_, Some(_), Some(why)) => unreadable(why),
            (_, None, _) => Settlement::Dropped,
        };
        let job = Arc::clone(self);
        self.spawn(async move { job.settle(delivery, settlement, &tracker).await });
        Ok(())
    }
}
