//! One attempt, for a delivery and those coalesced with it, and the decision about its answer.
//!
//! Owns the order of an attempt: the recipient is looked up again, the permit is marked as sent
//! before the request leaves, and the next part is enqueued before the permit is returned.
//!
//! Not here: the wait for the permit (`delivery.rs`), the HTTP request (`send/`), and the rule for
//! each verdict (`settle/decide.rs`).

use std::{sync::Arc, time::Duration};

use super::{Pipeline, Unsettled, delivery::admission_request, recipient::CurrentRecipient};
use crate::{
    domain::{AttemptOutcome, Delivery, Settlement, Subscription, Timestamp, Verdict, WaitReason},
    fanout::Recipient,
    pace::{CoalescedDelivery, CoalescedOutcome, Permit, QueuePosition, SendOutcome, Ticket},
    platforms,
    send::AttemptResult,
    settle,
    telemetry::events,
};

/// The result of an attempt.
pub(super) enum AttemptStep {
    /// The delivery is settled.
    Settled(Settlement),
    /// A part was delivered, and the next one is enqueued.
    NextPart(QueuePosition, Ticket),
    /// The recipient changed so that the permit was not valid for it. The permit was returned; the
    /// value is its position in the order.
    Readdressed(Recipient, Timestamp),
}

impl Pipeline {
    /// Makes one attempt for this delivery and those coalesced into it.
    pub(super) async fn attempt(
        &self,
        delivery: &mut Delivery,
        recipient: &mut Recipient,
        asked_at: Timestamp,
        (mut permit, coalesced): (Permit, Vec<CoalescedDelivery>),
    ) -> Result<AttemptStep, Unsettled> {
        let parts = &self.parts;
        if let Some(expired) = settle::expire(delivery, parts.clock.now()) {
            return Ok(AttemptStep::Settled(expired));
        }
        let subscription = match self.resolve_recipient(delivery, recipient).await? {
            CurrentRecipient::Open(subscription) => subscription,
            CurrentRecipient::Readdressed(fresh) => {
                return Ok(AttemptStep::Readdressed(fresh, permit.position()));
            }
            CurrentRecipient::Settled(settlement) => return Ok(AttemptStep::Settled(settlement)),
        };
        // A message whose first part is sent is completed, even in quiet hours.
        if delivery.part.index == 0
            && let Some(end) = recipient.options.quiet_until(&delivery.event, parts.clock.now())
        {
            let quiet = settle::defer(delivery, end, None, WaitReason::QuietHours);
            return Ok(AttemptStep::Settled(quiet));
        }
        let said = (!coalesced.is_empty())
            .then(|| coalesced_delivery(delivery, &subscription, &coalesced));
        let (part, (AttemptResult { answer, skew }, took)) = {
            let ready = parts
                .sender
                .prepare(said.as_ref().unwrap_or(delivery), &subscription, &parts.clock)
                .await;
            // The next session would have to wait for any attempt that starts now.
            if self.stop_waiting.is_cancelled() {
                let again = self.requeue_unchanged(delivery, WaitReason::Draining);
                return Ok(AttemptStep::Settled(again));
            }
            let now = parts.clock.now();
            let first = delivery.first_attempt_at.is_none();
            delivery.first_attempt_at.get_or_insert(now);
            match ready {
                Ok(ready) => {
                    let part = ready.part;
                    permit.mark_sent(part.has_next()).await?;
                    let waited = parts.pace.now().since(asked_at);
                    let after = first.then(|| now.since(delivery.event.received_at));
                    events::AttemptStarted { delivery, waited, after, now }.emit(&parts.telemetry);
                    let attempted =
                        Box::pin(parts.sender.attempt(ready, &subscription, &parts.clock)).await;
                    (part, (attempted, parts.clock.now().since(now)))
                }
                // No message is sent. Dropping the permit returns it.
                Err(answer) => {
                    return Ok(AttemptStep::Settled(self.unsendable(delivery, coalesced, answer)));
                }
            }
        };
        if let Some(seconds) = skew {
            events::ClockSkewed { platform: delivery.platform, seconds }.emit(&parts.telemetry);
        }
        let now = parts.clock.now();
        events::AttemptMade { delivery, answer: &answer, took, folded: coalesced.len(), now }
            .emit(&parts.telemetry);
        let position = permit.position();
        if coalesced.is_empty() {
            delivery.part = part;
        }
        // The next part is enqueued before the permit is returned, so that no other message comes
        // between.
        let followed =
            answer.verdict == Verdict::Delivered && coalesced.is_empty() && part.has_next();
        let next = followed.then(|| {
            delivery.part.index += 1;
            (delivery.attempts, delivery.slot) = (0, Some(position));
            let position = QueuePosition::After(position);
            (position, parts.pace.enqueue(&admission_request(delivery, recipient, position)))
        });
        let changes = permit.finish(answer.verdict, took);
        events::PaceChanged {
            platform: delivery.platform,
            robot: delivery.robot,
            changes: &changes,
            answer: &answer,
        }
        .emit(&parts.telemetry);
        let resume = changes.resume.map_or_else(|| parts.clock.now(), |at| self.wall(at));
        for one in coalesced {
            // If the receiver is gone, its message is redelivered by the broker.
            let _ = one
                .notify
                .send(CoalescedOutcome::Sent(SendOutcome { answer: answer.clone(), resume }));
        }
        Ok(match next {
            Some((position, ticket)) => AttemptStep::NextPart(position, ticket),
            None => AttemptStep::Settled(self.decide(delivery, &answer, resume, Some(position))),
        })
    }

    /// Refuses a message that cannot be rendered for its platform.
    fn unsendable(
        &self,
        delivery: &mut Delivery,
        coalesced: Vec<CoalescedDelivery>,
        answer: AttemptOutcome,
    ) -> Settlement {
        let parts = &self.parts;
        let (took, now) = (Duration::ZERO, parts.clock.now());
        events::AttemptMade { delivery, answer: &answer, took, folded: coalesced.len(), now }
            .emit(&parts.telemetry);
        for one in coalesced {
            let _ = one
                .notify
                .send(CoalescedOutcome::Sent(SendOutcome { answer: answer.clone(), resume: now }));
        }
        self.decide(delivery, &answer, now, None)
    }

    /// The settlement of one delivery after this answer.
    pub(super) fn decide(
        &self,
        delivery: &mut Delivery,
        answer: &AttemptOutcome,
        resume: Timestamp,
        slot: Option<Timestamp>,
    ) -> Settlement {
        if settle::counts_as_attempt(answer.verdict) {
            delivery.attempts += 1;
        }
        let now = self.parts.clock.now();
        settle::decide(delivery, answer, &self.parts.retry, now, (resume, slot), rand::random())
    }

    /// The settlement of a delivery whose task panicked.
    pub(super) fn panicked(&self, delivery: &mut Delivery) -> Settlement {
        let answer = AttemptOutcome::new(
            Verdict::TryAgain { wait: None },
            "internal",
            "a fault in roomcast interrupted the attempt; the log has more",
        );
        self.decide(delivery, &answer, self.parts.clock.now(), None)
    }
}

/// The delivery of the digest that covers all of these.
fn coalesced_delivery(
    delivery: &Delivery,
    subscription: &Subscription,
    coalesced: &[CoalescedDelivery],
) -> Delivery {
    let others: Vec<_> = coalesced.iter().map(|one| &one.event).collect();
    let Subscription { platform, endpoint, options, .. } = subscription;
    let language = platforms::language(*platform, endpoint.expose(), options);
    let event = platforms::digest(delivery.platform, language, &delivery.event, &others);
    Delivery { event: Arc::new(event), ..delivery.clone() }
}
