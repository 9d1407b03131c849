//! A test message: one attempt for a subscription, outside of any event.
//!
//! Owns that it takes the way of every attempt: the robot's queue, the permit, the journal, the
//! sender, the holds. Nothing of it is stored on the broker, so it becomes no dead letter and is
//! not repeated.
//!
//! Not here: the words of the message (`platforms/test_content.rs`), and those about its outcome
//! (`admin/test_message.rs`).

use std::sync::Arc;

use async_trait::async_trait;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use super::PipelineContext;
use crate::{
    admin::ports::{SubscriptionTest, TestFailure, TestOutcome},
    domain::{
        Delivery, Event, EventId, Mentions, OverflowPolicy, PublishedMessage, Subscription,
        SubscriptionId,
    },
    fanout::{OpenedRecipient, Recipient, SubscriptionsUnavailable},
    pace::{AdmissionRequest, AppendFailed, Deferral, PaceDecision, Permit, QueuePosition},
    platforms,
    send::AttemptResult,
    telemetry::{events, with_causes},
};

/// How many test messages may be on their way at once.
const TESTS_MAX: usize = 8;

/// Sends test messages with the parts of the daemon.
pub struct TestMessages {
    parts: Arc<PipelineContext>,
    stop: CancellationToken,
    places: Arc<Semaphore>,
}

impl TestMessages {
    /// Test messages until `stop`.
    #[must_use]
    pub fn new(parts: Arc<PipelineContext>, stop: CancellationToken) -> Self {
        Self { parts, stop, places: Arc::new(Semaphore::new(TESTS_MAX)) }
    }
}

#[async_trait]
impl SubscriptionTest for TestMessages {
    async fn test(&self, subscription: SubscriptionId) -> Result<TestOutcome, TestFailure> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| TestFailure::Busy)?;
        let (parts, stop) = (Arc::clone(&self.parts), self.stop.clone());
        // A task of its own, so that a caller that hangs up does not end an attempt.
        let sending = tokio::spawn(async move {
            let _place = place;
            send_test(&parts, subscription, &stop).await
        });
        // A panic was logged when it happened.
        sending.await.unwrap_or_else(|panicked| Err(TestFailure::Failed(panicked.to_string())))
    }
}

impl From<SubscriptionsUnavailable> for TestFailure {
    fn from(failure: SubscriptionsUnavailable) -> Self {
        Self::Failed(with_causes(&failure))
    }
}

impl From<AppendFailed> for TestFailure {
    fn from(failure: AppendFailed) -> Self {
        Self::Failed(with_causes(&failure))
    }
}

async fn send_test(
    parts: &PipelineContext,
    id: SubscriptionId,
    stop: &CancellationToken,
) -> Result<TestOutcome, TestFailure> {
    let recipient = parts.subscriptions.find(id).await?.ok_or(TestFailure::NotActive)?;
    let event = Arc::new(test_event(parts, &recipient).await?);
    let delivery = Delivery::fresh(&event, id, recipient.platform, recipient.robot);
    let request = AdmissionRequest {
        robot: recipient.robot,
        platform: recipient.platform,
        subscription: id,
        // It is neither coalesced with other deliveries nor replaced by them.
        overflow: OverflowPolicy::Queue,
        group: recipient.options.group.as_ref(),
        event: &event,
        // It must not wait behind a backlog, because an operator waits for its answer.
        position: QueuePosition::Head,
        waited_for: None,
        early: false,
    };
    let ticket = parts.pace.enqueue(&request);
    match parts.pace.wait_for_permit(&request, ticket, stop).await {
        PaceDecision::Granted(permit, _) => attempt(parts, delivery, &recipient, permit).await,
        PaceDecision::Deferred(deferral) => {
            leave_queue(parts, &request, deferral);
            let until = parts.pace.timeline().wall_at(deferral.due);
            Ok(TestOutcome::Waits { reason: deferral.reason, until })
        }
        PaceDecision::BudgetExhausted => Ok(TestOutcome::OutOfBudget),
        PaceDecision::Cancelled | PaceDecision::Coalesced(_) | PaceDecision::Superseded => {
            Err(TestFailure::Stopping)
        }
    }
}

/// The event of a test message. It lives as long as a new delivery waits in memory, so it reserves
/// no later slot.
async fn test_event(parts: &PipelineContext, recipient: &Recipient) -> Result<Event, TestFailure> {
    let subscription = open(parts, recipient).await?;
    let Subscription { platform, endpoint, options, topic, .. } = &*subscription;
    let language = platforms::language(*platform, endpoint.expose(), options);
    let now = parts.clock.now();
    Ok(Event {
        id: EventId::from_bytes(EventId::random_bytes()),
        topic: topic.clone(),
        content: platforms::test_content(language),
        urgent: true,
        received_at: now,
        expires_at: now.after(parts.pace.wait_max(*platform, false)),
        published: PublishedMessage::default(),
    })
}

async fn open(
    parts: &PipelineContext,
    recipient: &Recipient,
) -> Result<Box<Subscription>, TestFailure> {
    match parts.subscriptions.open(recipient).await? {
        OpenedRecipient::Subscription(subscription) => Ok(subscription),
        OpenedRecipient::Replaced => Err(TestFailure::Changed),
        OpenedRecipient::Damaged(_) => Err(TestFailure::Damaged),
    }
}

/// Gives up the place of a delivery that was deferred, as if it had come back and expired.
/// Otherwise the pacer would count it as waiting for ever.
fn leave_queue(parts: &PipelineContext, request: &AdmissionRequest<'_>, deferral: Deferral) {
    let Some(slot) = deferral.slot else { return };
    let expired = Event { expires_at: request.event.received_at, ..(**request.event).clone() };
    let returned = AdmissionRequest {
        event: &Arc::new(expired),
        position: QueuePosition::AtSlot(slot),
        waited_for: Some(deferral.reason),
        ..*request
    };
    drop(parts.pace.enqueue(&returned));
}

/// Makes the attempt. The permit is marked as sent before the request leaves.
async fn attempt(
    parts: &PipelineContext,
    delivery: Delivery,
    recipient: &Recipient,
    mut permit: Permit,
) -> Result<TestOutcome, TestFailure> {
    let mut subscription = open(parts, recipient).await?;
    // A test must not ring the phones of a whole group.
    subscription.private.mentions = Mentions::default();
    let ready = match parts.sender.prepare(&delivery, &subscription, &parts.clock).await {
        Ok(ready) => ready,
        // No message is sent. Dropping the permit returns it.
        Err(answer) => return Ok(TestOutcome::Unsendable(answer)),
    };
    permit.mark_sent(false).await?;
    let now = parts.clock.now();
    let waited = now.since(delivery.event.received_at);
    let wait_reason = permit.waited_for();
    let (delivery, after) = (&delivery, None);
    events::AttemptStarted { delivery, waited, wait_reason, after, now }.emit(&parts.telemetry);
    let sent = Instant::now();
    let sending = Box::pin(parts.sender.attempt(ready, &subscription, &parts.clock));
    let AttemptResult { answer, skew } = sending.await;
    let (took, platform) = (sent.elapsed(), delivery.platform);
    if let Some(seconds) = skew {
        events::ClockSkewed { platform, seconds }.emit(&parts.telemetry);
    }
    let now = parts.clock.now();
    let folded = 0;
    events::AttemptMade { delivery, answer: &answer, took, waited, wait_reason, folded, now }
        .emit(&parts.telemetry);
    let changes = permit.finish(&answer, took);
    events::PaceChanged {
        at: now,
        event: &delivery.event.id,
        platform,
        robot: delivery.robot,
        topic: &delivery.event.topic,
        name: subscription.private.name.as_deref().unwrap_or_default(),
        changes: &changes,
        answer: &answer,
    }
    .emit(&parts.telemetry);
    Ok(TestOutcome::Answered { answer, took })
}
