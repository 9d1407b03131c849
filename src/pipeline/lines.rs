//! Two messages of one name, and two of one delivery's line. Owns that the second waits for the first, and adds only what is left.
//!
//! A delivery may have two messages: the broker stored its next step without our knowing, and hands the step before over again. Whichever of the two is
//! handled first counts, and the other is recognised: a step that is known to be stored settles the one before, and one that comes to its end in another way
//! settles the step that may be there. What one has done before its session ended, the other does not do again.

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

/// What a delivery finds on its line.
enum Way {
    /// It is in hand now.
    Free,
    /// Its next step is stored.
    Passed,
    /// Another step of the line is in hand.
    Taken(Taken),
}

impl Pipeline {
    /// Handles a message once another of its name is not in hand any more. Nothing else waits for that.
    pub(super) fn afterwards(self: &Arc<Self>, taken: Taken, message: Message) {
        let job = Arc::clone(self);
        self.beside(async move {
            match job.leave.run_until_cancelled(taken.given_back()).await {
                Some(()) => job.to_the_end(message).await,
                None => Ok(()),
            }
        });
    }

    /// A message, with all pages of its event.
    async fn to_the_end(self: &Arc<Self>, message: Message) -> Result<(), Stuck> {
        let mut event = self.message(message).await?;
        while let Some(rest) = event.filter(|_| !self.leave.is_cancelled()) {
            event = self.expand(rest).await?;
        }
        Ok(())
    }

    /// One delivery of an event begins, and takes room in memory if it is to stay there. If its event comes
    /// back it is on a `line`, where its next step may be.
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

    /// Begins with a delivery once another step of its line is not in hand any more. How many wait
    /// for that is bounded by what is in hand.
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

    /// Room in memory for a delivery that is to stay there; where there is none, it does not.
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

    /// Takes up a delivery where it was left. Says how it begins, if that is sure: one that was delivered, and of which only the receipt is missing, or
    /// one of which all attempts were made.
    pub(super) fn resume(&self, delivery: &mut Delivery, done: &Done) -> Option<Start> {
        if done.is_empty() {
            return None;
        }
        let (subscription, said) = (delivery.subscription, delivery.attempts);
        let at = done.next_part(subscription, delivery.part.at);
        delivery.attempts = done.attempts(subscription, at, if at == delivery.part.at { said } else { 0 });
        delivery.part.at = at;
        if done.contains(Mark::Delivered(subscription)) {
            // The one that was delivered, of which nothing more is known.
            delivery.attempts += 1;
            return Some(Start::Settled(Settlement::Done));
        }
        let spent = delivery.attempts > said && self.parts.retry.wait_after(delivery.attempts, None, 0.0).is_none();
        spent.then(|| Start::Settled(settle::out_of_attempts()))
    }

    /// Says that something is not done again.
    pub(super) fn skip(&self, event: &EventId, subscription: Option<SubscriptionId>, why: &'static str) {
        events::DuplicateSkipped { event, subscription, why }.emit(&self.parts.telemetry);
    }
}
