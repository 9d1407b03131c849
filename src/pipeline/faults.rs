//! Panics during the handling of one message.
//!
//! Owns the rule that a message is tried once more after a panic, and then becomes a dead letter.
//! Other messages are not affected.
//!
//! Not here: a panic during an attempt, which counts as a failed attempt (`attempt.rs`), and the
//! count itself (`settle/ack_tracker.rs`).

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use futures_util::FutureExt;

use super::{Pipeline, Unsettled, delivery::DeliveryStart};
use crate::{
    domain::{Delivery, EventId, Settlement, SubscriptionId, panic_message},
    fanout::Recipient,
    settle::{self, AckTracker},
    telemetry::events,
};

/// This many panics, over all sessions, make a message a dead letter.
const FAULTS_MAX: u32 = 2;

impl Pipeline {
    /// Counts a panic in the handling of a message. Returns the detail for its dead letter once the
    /// limit is reached.
    pub(super) fn record_fault(
        &self,
        room: &'static str,
        event: &EventId,
        tracker: &Arc<AckTracker>,
        panic: &(dyn Any + Send),
    ) -> Option<String> {
        let (cause, times) = (panic_message(panic), tracker.record_fault());
        self.commit_progress(tracker);
        events::HandlingFailed { event, room, times, cause: &cause }.emit();
        (times >= FAULTS_MAX).then(|| {
            format!("roomcast failed {times} times in handling it, last in {room}: {cause}")
        })
    }

    /// Finds the recipient of a delivery that was stored on the broker, or its settlement if the
    /// lookup panics too often.
    pub(super) async fn find_recipient(
        &self,
        subscription: SubscriptionId,
        event: &EventId,
        tracker: &Arc<AckTracker>,
    ) -> Result<Result<Option<Recipient>, Settlement>, Unsettled> {
        loop {
            match AssertUnwindSafe(self.parts.subscriptions.find(subscription)).catch_unwind().await
            {
                Ok(found) => return Ok(Ok(found?)),
                Err(panic) => {
                    if let Some(detail) = self.record_fault("store", event, tracker, &*panic) {
                        return Ok(Err(settle::poison(detail)));
                    }
                }
            }
        }
    }

    /// Decides how a delivery starts. `moved` means that its subscription got another robot while
    /// it waited in a tier.
    pub(super) fn start_delivery(
        &self,
        delivery: &Delivery,
        recipient: &Recipient,
        moved: bool,
        tracker: &Arc<AckTracker>,
    ) -> DeliveryStart {
        let start = || match moved {
            true => self.start_at_new_robot(delivery, recipient),
            false => self.start(delivery, recipient),
        };
        loop {
            match catch_unwind(AssertUnwindSafe(start)) {
                Ok(start) => return start,
                Err(panic) => {
                    if let Some(detail) =
                        self.record_fault("pace", &delivery.event.id, tracker, &*panic)
                    {
                        return DeliveryStart::Settled(settle::poison(detail));
                    }
                }
            }
        }
    }

    /// Settles a delivery. If even its dead letter panics, the message stays unacknowledged, and is
    /// redelivered in the next session.
    pub(super) async fn settle(
        &self,
        delivery: Delivery,
        mut settlement: Settlement,
        tracker: &Arc<AckTracker>,
    ) -> Result<(), Unsettled> {
        let mut is_poison = false;
        loop {
            let concluded = self.store_and_settle(delivery.clone(), settlement.clone(), tracker);
            let panic = match AssertUnwindSafe(concluded).catch_unwind().await {
                Ok(concluded) => return concluded,
                Err(panic) => panic,
            };
            match self.record_fault("settle", &delivery.event.id, tracker, &*panic) {
                None => (),
                Some(_) if is_poison => return Ok(()),
                Some(detail) => (settlement, is_poison) = (settle::poison(detail), true),
            }
        }
    }
}
