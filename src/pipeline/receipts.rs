//! Receipts: reports of how a delivery ended, for publishers that request them.
//!
//! Owns the rule that the receipt is stored before the end of its delivery is recorded.
//!
//! Not here: the fields of a receipt (`domain/`), and its way to the broker (`broker/outcome.rs`).

use std::{sync::Arc, time::Duration};

use super::{Pipeline, Unsettled};
use crate::{
    domain::{Delivery, DeliveryReceipt, PublishedMessage, Settlement, Timestamp},
    settle::{AckTracker, NextStep, ProgressMark, StepPublishError},
    telemetry::events,
};

/// The wait before a refused next step is tried again. It doubles up to [`REFUSED_WAIT_MAX`].
const REFUSED_WAIT_MIN: Duration = Duration::from_millis(500);

/// The longest wait between two tries: a queue that takes messages again is noticed within it.
const REFUSED_WAIT_MAX: Duration = Duration::from_secs(8);

impl Pipeline {
    /// Settles a delivery: stores its next step, dead letter and receipt, then counts it as
    /// settled.
    pub(super) async fn store_and_settle(
        &self,
        delivery: Delivery,
        settlement: Settlement,
        tracker: &Arc<AckTracker>,
    ) -> Result<(), Unsettled> {
        let subscription = delivery.subscription;
        if settlement == Settlement::Done && self.wants_receipt(&delivery.event.published) {
            // If its receipt cannot be stored in this session, only the receipt is repeated, not
            // the message.
            tracker.record_mark(ProgressMark::Delivered(subscription));
            self.commit_progress(tracker);
        }
        if delivery.attempts > 0
            && matches!(settlement, Settlement::Retried { .. } | Settlement::Dead { .. })
        {
            // If the next step cannot be stored, the redelivered message still counts these
            // attempts.
            let (robot, part, number) = (delivery.robot, delivery.part.index, delivery.attempts);
            tracker.record_mark(ProgressMark::Attempt { subscription, robot, part, number });
            self.commit_progress(tracker);
        }
        let is_end =
            !matches!(settlement, Settlement::Deferred { .. } | Settlement::Retried { .. });
        self.store_outcome(delivery, settlement).await?;
        tracker.settled(subscription, is_end);
        self.commit_progress(tracker);
        Ok(())
    }

    /// The receipt of a delivery with this settlement, if its publisher requested one.
    pub(super) fn receipt_of(
        &self,
        delivery: &Delivery,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Option<DeliveryReceipt> {
        self.wants_receipt(&delivery.event.published)
            .then(|| DeliveryReceipt::of(delivery, settlement, now))
            .flatten()
    }

    pub(super) fn wants_receipt(&self, published: &PublishedMessage) -> bool {
        self.parts.receipts.wants(&published.headers)
    }

    /// Stores a next step, then a receipt, if given. So a publisher that is told of a dead letter
    /// finds the letter.
    pub(super) async fn store(
        &self,
        step: Option<NextStep>,
        receipt: Option<DeliveryReceipt>,
    ) -> Result<(), Unsettled> {
        if let Some(step) = step {
            self.store_step(step).await?;
        }
        if let Some(receipt) = receipt {
            // On the heap, so that the futures of deliveries without a receipt stay small.
            Box::pin(self.publish_receipt(receipt)).await?;
        }
        Ok(())
    }

    /// Stores a next step. A queue that refuses it is tried again and again, which delays no step
    /// for another queue. When the session ends or the daemon stops, it is tried once more.
    ///
    /// The delivery keeps its event unacknowledged meanwhile. So if as many events as
    /// `broker.prefetch` wait for refused steps, no further event is received.
    async fn store_step(&self, step: NextStep) -> Result<(), StepPublishError> {
        let (step, mut wait) = (Arc::new(step), REFUSED_WAIT_MIN);
        loop {
            let last = self.stop_waiting.is_cancelled();
            match self.step_publisher.store(Arc::clone(&step)).await {
                Err(StepPublishError::Refused(why)) if !last => {
                    events::StepRefused { why: &why }.emit(&self.parts.telemetry)
                }
                stored => return stored,
            }
            self.stop_waiting.run_until_cancelled(tokio::time::sleep(wait)).await;
            wait = (wait * 2).min(REFUSED_WAIT_MAX);
        }
    }

    /// Stores a receipt. A refusal by a third party's queue is only counted, so that it cannot
    /// block the delivery.
    async fn publish_receipt(&self, receipt: DeliveryReceipt) -> Result<(), StepPublishError> {
        match self.step_publisher.store(Arc::new(NextStep::Receipt(Box::new(receipt)))).await {
            Ok(()) => events::ReceiptStored.emit(&self.parts.telemetry),
            Err(StepPublishError::Refused(why)) => {
                events::ReceiptRefused { why: &why }.emit(&self.parts.telemetry)
            }
            Err(over @ StepPublishError::SessionOver(_)) => return Err(over),
        }
        Ok(())
    }
}
