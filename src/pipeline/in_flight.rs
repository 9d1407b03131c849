//! Two messages with one key, and two messages of one delivery.
//!
//! A delivery can have two messages: the broker stored its next step without a confirm, and
//! redelivers the step before. The one that is handled first counts. A step that is known as stored
//! settles the step before it. A step that finishes the delivery otherwise settles its next step.
//! Progress of one message before a crash is not repeated by the other.
//!
//! Owns the rule that the second message waits for the first, and does only the rest.
//!
//! Not here: the keys (`settle/identity.rs`), and the registry of keys in flight
//! (`settle/in_flight.rs`).

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::{Pipeline, Unsettled, delivery::DeliveryStart};
use crate::{
    broker::Message,
    domain::{Degradation, Delivery, EventId, Settlement, SubscriptionId},
    fanout::Recipient,
    settle::{
        self, AckTracker, AlreadyInFlight, CompletedMarks, DeliveryLineage, DeliveryTarget,
        InFlightDelivery, ProgressMark,
    },
    telemetry::events::{self, DuplicateReason},
};

/// The state of a delivery's line.
enum StepState {
    /// It was free, and is registered now.
    Free,
    /// The delivery's next step is stored.
    NextStepStored,
    /// Another step of the line is in flight.
    InFlight(AlreadyInFlight),
}

impl Pipeline {
    /// Handles a message once the other message with its key is finished. No other message waits
    /// for that.
    pub(super) fn dispatch_when_released(
        self: &Arc<Self>,
        taken: AlreadyInFlight,
        message: Message,
    ) {
        let job = Arc::clone(self);
        self.spawn(async move {
            match job.stop_waiting.run_until_cancelled(taken.released()).await {
                Some(()) => job.run_message(message).await,
                None => Ok(()),
            }
        });
    }

    /// Handles a message with all pages of its event.
    async fn run_message(self: &Arc<Self>, message: Message) -> Result<(), Unsettled> {
        let mut event = self.dispatch_message(message).await?;
        while let Some(rest) = event.filter(|_| !self.stop_waiting.is_cancelled()) {
            event = self.expand(rest).await?;
        }
        Ok(())
    }

    /// Starts one delivery of an event, and takes memory if it stays in memory. `line` is set for a
    /// redelivered event, whose deliveries may have a stored next step.
    pub(super) async fn begin(
        self: &Arc<Self>,
        mut delivery: Delivery,
        recipient: Recipient,
        line: Option<DeliveryLineage>,
        tracker: &Arc<AckTracker>,
    ) -> Result<(), Unsettled> {
        let state = match line {
            Some(line) => self.check_in_flight(line, &delivery, tracker).await?,
            None => StepState::Free,
        };
        match state {
            StepState::Free => {
                let begun = self.resume(&mut delivery, tracker.completed_before());
                let start = begun
                    .unwrap_or_else(|| self.start_delivery(&delivery, &recipient, false, tracker));
                let (start, room) = self.reserve_memory(&delivery, &recipient, start).await;
                self.spawn_delivery(delivery, recipient, start, tracker, room);
            }
            StepState::NextStepStored => {
                self.log_duplicate(
                    &delivery.event.id,
                    Some(delivery.subscription),
                    DuplicateReason::NextStepStored,
                );
                tracker.settled(delivery.subscription, false);
                self.commit_progress(tracker);
            }
            StepState::InFlight(taken) => {
                self.begin_when_released(taken, delivery, recipient, line, Arc::clone(tracker));
            }
        }
        Ok(())
    }

    /// Starts a delivery once the other step of its line is finished. The prefetch bounds how many
    /// wait for that.
    fn begin_when_released(
        self: &Arc<Self>,
        taken: AlreadyInFlight,
        delivery: Delivery,
        recipient: Recipient,
        line: Option<DeliveryLineage>,
        tracker: Arc<AckTracker>,
    ) {
        let job = Arc::clone(self);
        self.spawn(async move {
            match job.stop_waiting.run_until_cancelled(taken.released()).await {
                Some(()) => job.begin(delivery, recipient, line, &tracker).await,
                None => Ok(()),
            }
        });
    }

    /// Takes memory for a delivery that stays in memory. Without memory the delivery is deferred.
    async fn reserve_memory(
        &self,
        delivery: &Delivery,
        recipient: &Recipient,
        start: DeliveryStart,
    ) -> (DeliveryStart, Option<OwnedSemaphorePermit>) {
        let memory = &self.parts.memory;
        if !matches!(start, DeliveryStart::Settled(_))
            && let Some(room) = memory.reserve(delivery.platform, delivery.event.urgent).await
        {
            return (start, Some(room));
        }
        let start = self.without_room(delivery, recipient, start);
        (start, self.stop_waiting.run_until_cancelled(memory.requeue_slot()).await.flatten())
    }

    async fn check_in_flight(
        &self,
        line: DeliveryLineage,
        delivery: &Delivery,
        tracker: &AckTracker,
    ) -> Result<StepState, Unsettled> {
        let in_flight_guard = match self.in_flight.register(line.key()) {
            Ok(in_flight_guard) => in_flight_guard,
            Err(taken) => return Ok(StepState::InFlight(taken)),
        };
        let next = line.step(delivery.hops.saturating_add(1));
        if self.parts.ledger.lookup(next.key()).await?.is_some() {
            return Ok(StepState::NextStepStored);
        }
        tracker.track_in_flight(
            delivery.subscription,
            InFlightDelivery { in_flight_guard, next: Some(next) },
        );
        Ok(StepState::Free)
    }

    /// Restores the recorded progress of a delivery at its robot. Returns its start if that is
    /// certain: only its receipt is missing, or all its attempts are used.
    pub(super) fn resume(
        &self,
        delivery: &mut Delivery,
        done: &CompletedMarks,
    ) -> Option<DeliveryStart> {
        if done.is_empty() {
            return None;
        }
        let (subscription, said) = (delivery.subscription, delivery.attempts);
        let one = DeliveryTarget { subscription, robot: delivery.robot };
        let at = done.next_part(one, delivery.part.index);
        delivery.attempts =
            done.attempts(one, at, if at == delivery.part.index { said } else { 0 });
        if at != delivery.part.index {
            let earlier = delivery.degradation.all();
            delivery.degradation = Degradation { earlier, ..Degradation::default() };
        }
        delivery.part.index = at;
        if done.contains(ProgressMark::Delivered(subscription)) {
            // The attempt that delivered it was not recorded.
            delivery.attempts += 1;
            return Some(DeliveryStart::Settled(Settlement::Done));
        }
        let spent = delivery.attempts > said
            && self.parts.retry.wait_after(delivery.attempts, None, 0.0).is_none();
        spent.then(|| DeliveryStart::Settled(settle::out_of_attempts()))
    }

    /// Reports a duplicate that is skipped.
    pub(super) fn log_duplicate(
        &self,
        event: &EventId,
        subscription: Option<SubscriptionId>,
        why: DuplicateReason,
    ) {
        events::DuplicateSkipped { event, subscription, why }.emit(&self.parts.telemetry);
    }
}
