//! What is told about the end of a delivery, to whom asked for it, before that end is recorded.

use std::sync::Arc;

use super::{Pipeline, Stuck, turn::Start};
use crate::{
    domain::{Delivery, DeliveryReceipt, Moment, Published, Settlement},
    settle::{self, NextStep, NotStored, Tally},
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
            tally.said(settle::mark_of_receipt(subscription));
            self.progressed(tally);
        }
        self.perform(delivery, settlement).await?;
        tally.settled(subscription);
        self.progressed(tally);
        Ok(())
    }

    /// How a delivery begins that was delivered, and of which only the receipt is missing.
    pub(super) fn begin_at_receipt(delivery: &mut Delivery) -> Start {
        // The one that was delivered, of which nothing more is known.
        delivery.attempts += 1;
        Start::Settled(Settlement::Done)
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
