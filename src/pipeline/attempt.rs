//! One attempt, for a delivery and those coalesced with it, and the decision about its answer.
//!
//! Owns the order of an attempt. The recipient is looked up again. The permit is marked as sent
//! before the request leaves. The next part, or the plainer message in place of a refused one, is
//! enqueued before the permit is returned.
//!
//! Not here: the wait for the permit (`delivery.rs`), the HTTP request (`send/`), and the rule for
//! each verdict (`settle/decide.rs`).

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Pipeline, Unsettled, admission_request::admission_request, recipient::CurrentRecipient,
};
use crate::{
    domain::{
        Advance, AttemptOutcome, Delivery, DueTime, Part, Settlement, Subscription, Timestamp,
        Verdict, WaitReason,
    },
    fanout::Recipient,
    pace::{
        CoalescedDelivery, CoalescedOutcome, Permit, QueuePosition, Resume, SendOutcome, Ticket,
    },
    platforms::{self, PlainerMessage},
    send::AttemptResult,
    settle,
    telemetry::events,
};

/// The result of an attempt.
pub(super) enum AttemptStep {
    /// The delivery is settled.
    Settled(Settlement),
    /// Another message of the delivery is enqueued.
    NextMessage(NextMessage),
    /// The recipient changed so that the permit was not valid for it. The permit was returned; the
    /// value is its position in the order.
    Readdressed(Recipient, Timestamp),
}

/// A message that follows at once: the next part, or a plainer one in place of a refused one.
pub(super) struct NextMessage {
    /// Its position in the robot's order.
    pub(super) position: QueuePosition,
    /// Its place in the robot's queue.
    pub(super) ticket: Ticket,
    /// The part that is delivered now.
    pub(super) delivered_part: Option<u32>,
    /// The deliveries that the message covers as well.
    pub(super) coalesced: Vec<CoalescedDelivery>,
}

/// The attempt that is made now.
struct CurrentAttempt<'a> {
    subscription: &'a Subscription,
    asked_at: Timestamp,
    permit: &'a mut Permit,
    coalesced: &'a [CoalescedDelivery],
}

/// The result of an attempt that was made.
struct MadeAttempt {
    result: AttemptResult,
    took: Duration,
    waited: Duration,
    wait_reason: Option<WaitReason>,
    part: Part,
    plain_part: Option<Part>,
}

/// Why no attempt was made.
enum NotMade {
    /// The daemon drains.
    Draining,
    /// The message cannot be rendered for its platform.
    Unsendable(AttemptOutcome),
}

impl Pipeline {
    /// Makes one attempt for this delivery and those coalesced into it.
    pub(super) async fn attempt(
        &self,
        delivery: &mut Delivery,
        recipient: &mut Recipient,
        asked_at: Timestamp,
        mut permit: Permit,
        coalesced: Vec<CoalescedDelivery>,
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
        let now = parts.clock.now();
        if delivery.part.index == 0
            && let Some(at) = recipient.options.quiet_until(&delivery.event, now)
        {
            let end = DueTime { at, read_at: now };
            let quiet = settle::defer(delivery, end, None, WaitReason::QuietHours);
            return Ok(AttemptStep::Settled(quiet));
        }
        let current = CurrentAttempt {
            subscription: &subscription,
            asked_at,
            permit: &mut permit,
            coalesced: &coalesced,
        };
        let made = match self.send(delivery, current).await? {
            Ok(made) => made,
            Err(NotMade::Draining) => {
                let again = self.requeue_unchanged(delivery, WaitReason::Draining);
                return Ok(AttemptStep::Settled(again));
            }
            // No message is sent. Dropping the permit returns it.
            Err(NotMade::Unsendable(answer)) => {
                return Ok(AttemptStep::Settled(self.unsendable(delivery, coalesced, answer)));
            }
        };
        let MadeAttempt { result, took, waited, wait_reason, part, plain_part } = made;
        let AttemptResult { answer, skew } = result;
        if let Some(seconds) = skew {
            events::ClockSkewed { platform: delivery.platform, seconds }.emit(&parts.telemetry);
        }
        let now = parts.clock.now();
        let position = permit.position();
        if coalesced.is_empty() {
            delivery.part = part;
            delivery.degradation.plain_part = plain_part.unwrap_or_default();
        }
        let folded = coalesced.len();
        events::AttemptMade { delivery, answer: &answer, took, waited, wait_reason, folded, now }
            .emit(&parts.telemetry);
        let plainer = self.plainer(delivery, &subscription, &coalesced, &answer).await;
        let part_delivered = match answer.verdict {
            Verdict::Delivered if coalesced.is_empty() => {
                let index = delivery.part.index;
                match delivery.advance(plain_part) {
                    Advance::Complete => None,
                    Advance::Part => Some(Some(index)),
                    Advance::PlainPart => Some(None),
                }
            }
            _ => plainer.then_some(None),
        };
        // The next message is enqueued before the permit is returned, so that no other message
        // comes between.
        let next = part_delivered.map(|delivered_part| {
            // A plainer message goes on with the attempts of the refused one.
            if !plainer {
                delivery.attempts = 0;
            }
            delivery.slot = Some(position);
            let position = QueuePosition::After(position);
            let ticket = parts.pace.enqueue(&admission_request(delivery, recipient, position));
            NextMessage { position, ticket, delivered_part, coalesced: Vec::new() }
        });
        let changes = permit.finish(&answer, took);
        events::PaceChanged {
            platform: delivery.platform,
            robot: delivery.robot,
            event: &delivery.event.id,
            topic: &delivery.event.topic,
            name: subscription.private.name.as_deref().unwrap_or_default(),
            changes: &changes,
            answer: &answer,
            at: now,
        }
        .emit(&parts.telemetry);
        let resume = changes.resume.unwrap_or_else(|| self.resume_now());
        if let Some(next) = next {
            return Ok(AttemptStep::NextMessage(NextMessage { coalesced, ..next }));
        }
        for one in coalesced {
            // If the receiver is gone, its message is redelivered by the broker.
            let omitted = delivery.degradation.omitted;
            let sent = SendOutcome { answer: answer.clone(), resume, omitted };
            let _ = one.notify.send(CoalescedOutcome::Sent(sent));
        }
        Ok(AttemptStep::Settled(self.decide(delivery, &answer, resume, Some(position))))
    }

    /// Renders the message and sends it. A message of which it is known before that the platform
    /// would refuse it for its size is rendered plainer at once, with the same permit.
    async fn send(
        &self,
        delivery: &mut Delivery,
        CurrentAttempt { subscription, asked_at, permit, coalesced }: CurrentAttempt<'_>,
    ) -> Result<Result<MadeAttempt, NotMade>, Unsettled> {
        let parts = &self.parts;
        let ready = loop {
            let said = (!coalesced.is_empty())
                .then(|| coalesced_delivery(delivery, subscription, coalesced));
            let ready = parts
                .sender
                .prepare(said.as_ref().unwrap_or(delivery), subscription, &parts.clock)
                .await;
            match ready {
                Ok(ready) => break ready,
                Err(answer) => {
                    let may_help = !answer.refused_for.is_empty();
                    if !may_help || !self.plainer(delivery, subscription, coalesced, &answer).await
                    {
                        delivery.first_attempt_at.get_or_insert(parts.clock.now());
                        return Ok(Err(NotMade::Unsendable(answer)));
                    }
                }
            }
        };
        // The next session would have to wait for any attempt that starts now.
        if self.stop_waiting.is_cancelled() {
            return Ok(Err(NotMade::Draining));
        }
        let now = parts.clock.now();
        let first = delivery.first_attempt_at.is_none();
        delivery.first_attempt_at.get_or_insert(now);
        let (part, plain_part) = (ready.part, ready.plain_part);
        permit.mark_sent(part.has_next() || plain_part.is_some_and(Part::has_next)).await?;
        let waited = parts.pace.now().since(asked_at);
        let after = first.then(|| now.since(delivery.event.received_at));
        let wait_reason = permit.waited_for();
        events::AttemptStarted { delivery, waited, wait_reason, after, now }.emit(&parts.telemetry);
        let sent = Instant::now();
        let result = Box::pin(parts.sender.attempt(ready, subscription, &parts.clock)).await;
        let took = sent.elapsed();
        Ok(Ok(MadeAttempt { result, took, waited, wait_reason, part, plain_part }))
    }

    /// Makes the delivery plainer after this answer, if the message was refused and is not the
    /// plainest already. Returns whether it is plainer now.
    async fn plainer(
        &self,
        delivery: &mut Delivery,
        subscription: &Subscription,
        coalesced: &[CoalescedDelivery],
        answer: &AttemptOutcome,
    ) -> bool {
        if answer.verdict != Verdict::Refused {
            return false;
        }
        let said =
            (!coalesced.is_empty()).then(|| coalesced_delivery(delivery, subscription, coalesced));
        let said = said.as_ref().unwrap_or(delivery);
        let plainer = self.parts.sender.plainer(said, subscription, answer).await;
        let Some(PlainerMessage { omitted, cause }) = plainer else { return false };
        delivery.degradation.omitted = omitted;
        delivery.degradation.plain_part = Part::default();
        events::MessageDegraded { delivery, cause, answer }.emit(&self.parts.telemetry);
        true
    }

    /// Refuses a message that cannot be rendered for its platform.
    fn unsendable(
        &self,
        delivery: &mut Delivery,
        coalesced: Vec<CoalescedDelivery>,
        answer: AttemptOutcome,
    ) -> Settlement {
        let parts = &self.parts;
        let (none, now) = (Duration::ZERO, parts.clock.now());
        events::AttemptMade {
            delivery,
            answer: &answer,
            took: none,
            waited: none,
            wait_reason: None,
            folded: coalesced.len(),
            now,
        }
        .emit(&parts.telemetry);
        let resume = self.resume_now();
        for one in coalesced {
            let omitted = delivery.degradation.omitted;
            let sent = SendOutcome { answer: answer.clone(), resume, omitted };
            let _ = one.notify.send(CoalescedOutcome::Sent(sent));
        }
        self.decide(delivery, &answer, resume, None)
    }

    /// The settlement of one delivery after this answer.
    pub(super) fn decide(
        &self,
        delivery: &mut Delivery,
        answer: &AttemptOutcome,
        resume: Resume,
        slot: Option<Timestamp>,
    ) -> Settlement {
        if settle::counts_as_attempt(answer.verdict) {
            delivery.attempts += 1;
        }
        let pace = &self.parts.pace;
        let DueTime { at, read_at } = pace.timeline().due_at(resume.at);
        let resume = settle::ResumePosition { at, slot, reason: resume.reason };
        let settlement =
            settle::decide(delivery, answer, &self.parts.retry, read_at, resume, rand::random());
        if let Settlement::Retried { until, reason } = settlement {
            let at = pace.now().after(until.at.since(read_at));
            pace.count_retry(delivery.robot, at, reason);
        }
        settlement
    }

    /// The settlement of a delivery whose task panicked.
    pub(super) fn panicked(&self, delivery: &mut Delivery) -> Settlement {
        let answer = AttemptOutcome::new(
            Verdict::TryAgain { wait: None },
            "internal",
            "a fault in roomcast interrupted the attempt; the log has more",
        );
        self.decide(delivery, &answer, self.resume_now(), None)
    }

    /// Nothing holds the robot or its organisation.
    fn resume_now(&self) -> Resume {
        Resume { at: self.parts.pace.now(), reason: WaitReason::Retry }
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
