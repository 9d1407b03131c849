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
//! (`settle/hand.rs`).

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::{Pipeline, Stuck, turn::Start};
use crate::{
    broker::Message,
    domain::{Delivery, EventId, Settlement, SubscriptionId},
    fanout::Recipient,
    settle::{self, Done, Held, Line, Mark, Taken, Tally},
    telemetry::events,
};

/// The state of a delivery's line.
enum Way {
    /// It was free, and is registered now.
    Free,
    /// The delivery's next step is stored.
    Passed,
    /// Another step of the line is in flight.
    Taken(Taken),
}

impl Pipeline {
    /// Handles a message once the other message with its key is finished. No other message waits
    /// for that.
    pub(super) fn afterwards(self: &Arc<Self>, taken: Taken, message: Message) {
        let job = Arc::clone(self);
        self.beside(async move {
            match job.leave.run_until_cancelled(taken.given_back()).await {
                Some(()) => job.to_the_end(message).await,
                None => Ok(()),
            }
        });
    }

    /// Handles a message with all pages of its event.
    async fn to_the_end(self: &Arc<Self>, message: Message) -> Result<(), Stuck> {
        let mut event = self.message(message).await?;
        while let Some(rest) = event.filter(|_| !self.leave.is_cancelled()) {
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
        line: Option<Line>,
        tally: &Arc<Tally>,
    ) {
        match line.map_or(Way::Free, |line| self.way(line, &delivery, tally)) {
            Way::Free => {
                let begun = self.resume(&mut delivery, tally.earlier());
                let start = begun.unwrap_or_else(|| self.started(&delivery, &recipient, false, tally));
                let (start, room) = self.with_room(&delivery, &recipient, start).await;
                self.set_out(delivery, recipient, start, tally, room);
            }
            Way::Passed => {
                self.skip(&delivery.event.id, Some(delivery.subscription), "its next step is stored");
                tally.settled(delivery.subscription, false);
                self.progressed(tally);
            }
            Way::Taken(taken) => self.begin_afterwards(taken, delivery, recipient, line, Arc::clone(tally)),
        }
    }

    /// Starts a delivery once the other step of its line is finished. The prefetch bounds how many
    /// wait for that.
    fn begin_afterwards(
        self: &Arc<Self>,
        taken: Taken,
        delivery: Delivery,
        recipient: Recipient,
        line: Option<Line>,
        tally: Arc<Tally>,
    ) {
        let job = Arc::clone(self);
        self.beside(async move {
            if job.leave.run_until_cancelled(taken.given_back()).await.is_some() {
                job.begin(delivery, recipient, line, &tally).await;
            }
            Ok(())
        });
    }

    /// Takes memory for a delivery that stays in memory. Without memory the delivery is deferred.
    async fn with_room(
        &self,
        delivery: &Delivery,
        recipient: &Recipient,
        start: Start,
    ) -> (Start, Option<OwnedSemaphorePermit>) {
        let memory = &self.parts.memory;
        if !matches!(start, Start::Settled(_))
            && let Some(room) = memory.room(delivery.platform, delivery.event.urgent).await
        {
            return (start, Some(room));
        }
        let start = self.without_room(delivery, recipient, start);
        (start, self.leave.run_until_cancelled(memory.parting()).await.flatten())
    }

    fn way(&self, line: Line, delivery: &Delivery, tally: &Tally) -> Way {
        let in_hand = match self.hand.take(line.key()) {
            Ok(in_hand) => in_hand,
            Err(taken) => return Way::Taken(taken),
        };
        let next = line.step(delivery.hops.saturating_add(1));
        if self.parts.ledger.knows(next.key()) {
            return Way::Passed;
        }
        tally.hold(delivery.subscription, Held { in_hand, next: Some(next) });
        Way::Free
    }

    /// Restores the recorded progress of a delivery at its robot. Returns its start if that is
    /// certain: only its receipt is missing, or all its attempts are used.
    pub(super) fn resume(&self, delivery: &mut Delivery, done: &Done) -> Option<Start> {
        if done.is_empty() {
            return None;
        }
        let (subscription, said) = (delivery.subscription, delivery.attempts);
        let one = (subscription, delivery.robot);
        let at = done.next_part(one, delivery.part.at);
        delivery.attempts = done.attempts(one, at, if at == delivery.part.at { said } else { 0 });
        delivery.part.at = at;
        if done.contains(Mark::Delivered(subscription)) {
            // The attempt that delivered it was not recorded.
            delivery.attempts += 1;
            return Some(Start::Settled(Settlement::Done));
        }
        let spent = delivery.attempts > said && self.parts.retry.wait_after(delivery.attempts, None, 0.0).is_none();
        spent.then(|| Start::Settled(settle::out_of_attempts()))
    }

    /// Reports a duplicate that is skipped.
    pub(super) fn skip(&self, event: &EventId, subscription: Option<SubscriptionId>, why: &'static str) {
        events::DuplicateSkipped { event, subscription, why }.emit(&self.parts.telemetry);
    }
}
