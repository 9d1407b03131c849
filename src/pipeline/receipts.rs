//! What is told about the end of a delivery, to whom asked for it, before that end is recorded.

use std::sync::Arc;

use super::{Pipeline, Stuck};
use crate::{
    domain::{Delivery, DeliveryReceipt, Moment, Published, Settlement},
    settle::{Mark, NextStep, NotStored, Tally},
    telemetry::events,
};

impl Pipeline {
    /// The end of a delivery's stay here. What follows of it is stored; then it counts as settled.
    pub(super) async fn conclude(
        &self,
        delivery: Delivery,
        settlement: Settlement,
        tally: &Arc<Tally>,
    ) -> Result<(), Stuck> {
        let subscription = delivery.subscription;
        if settlement == Settlement::Done && self.is_told(&delivery.event.published) {
            // If its receipt cannot be stored in this session, it comes back for that alone: it is not said again.
            tally.mark(Mark::Delivered(subscription));
            self.progressed(tally);
        }
        if delivery.attempts > 0 && matches!(settlement, Settlement::Retried { .. } | Settlement::Dead { .. }) {
            // If what follows cannot be stored, it comes back with the attempts that were made.
            let (part, number) = (delivery.part.at, delivery.attempts);
            tally.mark(Mark::Attempt { subscription, part, number });
            self.progressed(tally);
        }
        let is_end = !matches!(settlement, Settlement::Deferred { .. } | Settlement::Retried { .. });
        self.perform(delivery, settlement).await?;
        tally.settled(subscription, is_end);
        self.progressed(tally);
        Ok(())
    }

    /// The receipt of a delivery that is settled so, if there is to be one.
    pub(super) fn receipt_of(
        &self,
        delivery: &Delivery,
        settlement: &Settlement,
        now: Moment,
    ) -> Option<DeliveryReceipt> {
        self.is_told(&delivery.event.published).then(|| DeliveryReceipt::of(delivery, settlement, now)).flatten()
    }

    pub(super) fn is_told(&self, published: &Published) -> bool {
        self.parts.receipts.wants(&published.headers)
    }

    /// Stores a next step and a receipt, whichever there is, at the same time.
    pub(super) async fn store(&self, step: Option<NextStep>, receipt: Option<DeliveryReceipt>) -> Result<(), Stuck> {
        let storing = async {
            match step {
                Some(step) => self.outbox.store(step).await,
                None => Ok(()),
            }
        };
        let Some(receipt) = receipt else { return Ok(storing.await?) };
        // On the heap, so that whoever asks for none does not carry it.
        let (stored, told) = Box::pin(async { tokio::join!(storing, self.tell(receipt)) }).await;
        Ok(stored.and(told)?)
    }

    /// A queue of somebody else's that takes no receipts keeps no delivery from being settled.
    async fn tell(&self, receipt: DeliveryReceipt) -> Result<(), NotStored> {
        match self.outbox.store(NextStep::Receipt(Box::new(receipt))).await {
            Ok(()) => events::ReceiptStored.emit(&self.parts.telemetry),
            Err(NotStored::Refused(why)) => events::ReceiptRefused { why: &why }.emit(&self.parts.telemetry),
            Err(over @ NotStored::Over(_)) => return Err(over),
        }
        Ok(())
    }
}
