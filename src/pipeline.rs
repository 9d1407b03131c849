//! The whole job on one page: receive, decode, expand, pace, attempt, settle, record, acknowledge.
//!
//! A pipeline works for one broker session.
//!
//! Owns the order of these steps, and the invariant on every exit: a message is settled, stored and
//! recorded, or it stays unacknowledged and the broker redelivers it.
//!
//! Not here: the waits and attempts of one delivery (`pipeline/delivery.rs`, `attempt.rs`), and the
//! sessions (`app/sessions.rs`).

mod admission_request;
mod attempt;
mod dead_events;
mod delivery;
mod early;
mod expansion;
mod faults;
mod headers;
mod in_flight;
mod intake;
mod memory;
mod readdress;
mod receipts;
mod recipient;
mod recovery;
mod shutdown;
mod stored_delivery;
mod test_message;

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{delivery::DeliveryStart, expansion::Expansion};
pub use self::{
    early::EarlyBudget,
    memory::MemoryBudget,
    recovery::{Recovery, SessionRedeliveries},
    shutdown::ShutdownSettings,
    test_message::TestMessages,
};
use crate::{
    broker::{Message, Payload},
    clock::Clock,
    domain::{
        Delivery, DueTime, LetterId, Platform, PublishedMessage, ReceiptPolicy, Settlement,
        Timestamp, panic_message,
    },
    fanout::{
        self, DecodeContext, Decoder, Recipient, Subscriptions, TopicActivity, Undecodable,
        WithoutSubscription,
    },
    pace::{Pace, PaceLog},
    send::Sender,
    settle::{
        self, AckTag, AckTracker, CommitQueue, DedupIdentity, InFlightRegistry, Ledger, NextStep,
        RetryPolicy, StepPublisher,
    },
    telemetry::{
        Telemetry,
        events::{self, DuplicateReason},
    },
};

/// The parts that all sessions share.
pub struct PipelineContext {
    /// Decodes events.
    pub decoder: Decoder,
    /// Finds subscriptions.
    pub subscriptions: Arc<dyn Subscriptions>,
    /// Decides when a delivery may be sent.
    pub pace: Pace,
    /// Makes attempts.
    pub sender: Sender,
    /// Records settlements.
    pub ledger: Arc<dyn Ledger>,
    /// Records sent messages.
    pub pace_log: Arc<dyn PaceLog>,
    /// Set if the machine went down. Redelivered messages of any session may then have been sent
    /// without a record.
    pub recovery: Option<Recovery>,
    /// How failed attempts are repeated.
    pub retry: RetryPolicy,
    /// For which events receipts are sent.
    pub receipts: ReceiptPolicy,
    /// The source of time.
    pub clock: Clock,
    /// Counts and logs.
    pub telemetry: Arc<Telemetry>,
    /// The memory for deliveries that wait for their slots.
    pub early: EarlyBudget,
    /// The memory for deliveries of new events.
    pub memory: MemoryBudget,
    /// The topics of the events so far.
    pub topics: Arc<TopicActivity>,
    /// What becomes of an event whose topic has no subscription.
    pub without_subscription: WithoutSubscription,
}

/// The job of one session.
pub struct Pipeline {
    /// The parts that all sessions share.
    pub parts: Arc<PipelineContext>,
    /// Stores next steps.
    pub step_publisher: Arc<dyn StepPublisher>,
    /// Records and acknowledges settlements.
    pub commits: CommitQueue,
    /// Cancelled when the session has ended or the daemon drains. All waits then end.
    pub stop_waiting: CancellationToken,
    /// The keys in flight in this session.
    pub in_flight: InFlightRegistry,
    /// The redelivered messages of this session, counted after a crash of the machine.
    pub returned: SessionRedeliveries,
    /// All tasks of this session.
    pub tasks: TaskTracker,
    /// Called when a message cannot be settled, so that the session ends.
    pub on_unsettled: Box<dyn Fn(Unsettled) + Send + Sync>,
}

/// Why a message stays unacknowledged. It cannot be settled in this session, and is redelivered in
/// the next.
#[derive(Debug, thiserror::Error)]
pub enum Unsettled {
    /// Its next step could not be stored.
    #[error(transparent)]
    StepNotStored(#[from] settle::StepPublishError),
    /// The subscriptions could not be read.
    #[error(transparent)]
    SubscriptionsUnavailable(#[from] crate::fanout::SubscriptionsUnavailable),
    /// The ledger could not be read.
    #[error(transparent)]
    LedgerUnavailable(#[from] settle::LedgerUnavailable),
    /// The attempt could not be recorded in the journal.
    #[error(transparent)]
    PaceLogFailed(#[from] crate::pace::AppendFailed),
}

impl Pipeline {
    /// Handles messages until there are no more or `stop_waiting` is cancelled. Then waits until
    /// those in flight are settled.
    pub async fn run(self: Arc<Self>, mut next: impl AsyncFnMut() -> Option<Message>) {
        // Messages of one kind are enqueued at their robots in order of arrival. None of them waits
        // for another kind.
        let mut workers = HashMap::new();
        while let Some(Some(message)) = self.stop_waiting.run_until_cancelled(next()).await {
            let worker = workers
                .entry(MessageKind::of(&message.payload))
                .or_insert_with(|| self.start_sequential_worker());
            // The worker lives until this loop ends.
            let _ = worker.send(message);
        }
        drop(workers);
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Runs a task. A failure of broker or store ends the session, so the message stays
    /// unacknowledged and is redelivered. A panic ends nothing else, because it is a fault of one
    /// message.
    async fn supervise<T: Default>(
        self: Arc<Self>,
        job: impl Future<Output = Result<T, Unsettled>>,
    ) -> T {
        match AssertUnwindSafe(job).catch_unwind().await {
            Ok(Ok(done)) => return done,
            // A step that a queue refuses while the daemon drains: its message is redelivered, and
            // everything else is still recorded and acknowledged.
            Ok(Err(Unsettled::StepNotStored(settle::StepPublishError::Refused(_)))) => (),
            Ok(Err(unsettled)) => (self.on_unsettled)(unsettled),
            Err(panic) => events::TaskFailed { cause: &panic_message(&*panic) }.emit(),
        }
        T::default()
    }

    /// Starts to handle a message. Returns an event that must be expanded, in turn with other
    /// events.
    async fn dispatch_message(
        self: &Arc<Self>,
        message: Message,
    ) -> Result<Option<Expansion>, Unsettled> {
        let Message { ack_tag, redelivered, payload } = message;
        match payload {
            Payload::Event { published, urgent, generation } => {
                let published = self.parts.decoder.ensure_message_id(published);
                let overtakes = fanout::is_urgent(&published, urgent);
                let mut identity = DedupIdentity::of_event(
                    &published,
                    overtakes,
                    generation,
                    redelivered,
                    &*self.parts.ledger,
                )
                .await?;
                if identity.generated.is_none() {
                    identity = match self.in_flight.register(identity.key) {
                        Ok(in_flight_guard) => {
                            identity.register(in_flight_guard, &*self.parts.ledger).await?
                        }
                        Err(taken) => {
                            let payload = Payload::Event { published, urgent, generation };
                            self.dispatch_when_released(
                                taken,
                                Message { ack_tag, redelivered, payload },
                            );
                            return Ok(None);
                        }
                    };
                }
                self.dispatch_event(published, urgent, identity, redelivered, ack_tag).await
            }
            Payload::Delivery(stored) => {
                self.resume_stored_delivery(stored, redelivered, ack_tag).await.map(|()| None)
            }
            Payload::Unreadable { published, why } => {
                let ledger = &*self.parts.ledger;
                let identity =
                    DedupIdentity::of_event(&published, false, 0, redelivered, ledger).await?;
                self.dead_letter_event(
                    published,
                    false,
                    identity,
                    Undecodable { code: "headers", detail: why },
                    ack_tag,
                );
                Ok(None)
            }
        }
    }

    /// Decodes an event for its expansion.
    async fn dispatch_event(
        self: &Arc<Self>,
        mut published: PublishedMessage,
        urgent: bool,
        identity: DedupIdentity,
        redelivered: bool,
        ack_tag: AckTag,
    ) -> Result<Option<Expansion>, Unsettled> {
        let parts = &self.parts;
        events::EventReceived { urgent }.emit(&parts.telemetry);
        if identity.is_closed {
            self.log_duplicate(&identity.event, None, DuplicateReason::Settled);
            return self.finish_empty(identity, ack_tag).map(|()| None);
        }
        if let Err(refused) = self.fit_headers(&mut published, &identity.event).await? {
            self.dead_letter_event(published, urgent, identity, refused, ack_tag);
            return Ok(None);
        }
        let now = parts.clock.now();
        let (id, redriven) = (identity.event.clone(), identity.generation > 0);
        let known = DecodeContext { redriven, urgent, ..DecodeContext::new(id, now) };
        let event = match parts.decoder.decode(published, known) {
            Ok(event) => Arc::new(event),
            Err(refused) => {
                self.dead_letter_event(refused.0, urgent, identity, refused.1, ack_tag);
                return Ok(None);
            }
        };
        let decoded = parts.clock.now();
        Ok(Some(Expansion::new(event, now, decoded, identity, redelivered, ack_tag)))
    }

    /// Brings one delivery to its settlement. A panic counts as a failed attempt.
    async fn delivery(
        self: Arc<Self>,
        mut delivery: Delivery,
        mut recipient: Recipient,
        start: DeliveryStart,
        tracker: Arc<AckTracker>,
    ) -> Result<(), Unsettled> {
        let outcome =
            AssertUnwindSafe(self.run_delivery(&mut delivery, &mut recipient, start, &tracker))
                .catch_unwind()
                .await;
        let settlement = match outcome {
            Ok(settlement) => settlement?,
            Err(_) => self.panicked(&mut delivery),
        };
        self.settle(delivery, settlement, &tracker).await
    }

    /// Stores the next step and the receipt, if there are any. After that the delivery may be
    /// recorded as settled.
    async fn store_outcome(
        &self,
        delivery: Delivery,
        settlement: Settlement,
    ) -> Result<(), Unsettled> {
        let (settled, now) = (delivery.clone(), self.parts.clock.now());
        let receipt = self.receipt_of(&delivery, &settlement, now);
        let delivery = Delivery { wait_reason: settlement.wait_reason(), ..delivery };
        let mut letter = None;
        let step = match settlement.clone() {
            Settlement::Done | Settlement::Dropped => None,
            Settlement::Deferred { until, slot, .. } => Some(deferred_step(delivery, until, slot)),
            Settlement::Retried { until, .. } => Some(deferred_step(delivery, until, None)),
            Settlement::Dead { reason, code, detail } => Some(NextStep::DeadDelivery {
                letter: *letter.insert(LetterId::random()),
                delivery: Box::new(delivery),
                reason,
                code,
                detail,
                at: now,
            }),
        };
        self.store(step, receipt).await?;
        let stored = self.parts.clock.now();
        let (delivery, settlement) = (&settled, &settlement);
        events::DeliverySettled { delivery, settlement, letter, now, stored }
            .emit(&self.parts.telemetry);
        Ok(())
    }

    /// Finishes a message without unsettled deliveries.
    fn finish_empty(&self, identity: DedupIdentity, ack_tag: AckTag) -> Result<(), Unsettled> {
        let tracker = Arc::new(AckTracker::new(identity, ack_tag));
        tracker.complete();
        self.commit_progress(&tracker);
        Ok(())
    }

    fn commit_progress(&self, tracker: &Arc<AckTracker>) {
        self.commits.commit_progress(tracker);
    }

    /// After a crash of the machine, counts a redelivered delivery in its robot's window.
    fn recover(&self, delivery: &Delivery, redelivered: bool) {
        if let Some(recovery) = self.parts.recovery.as_ref().filter(|_| redelivered) {
            recovery.count(delivery, &self.returned, &self.parts.pace);
        }
    }

    /// Spawns the task of a delivery that is enqueued. It keeps its memory permit until it is
    /// settled.
    fn spawn_delivery(
        self: &Arc<Self>,
        delivery: Delivery,
        recipient: Recipient,
        start: DeliveryStart,
        tracker: &Arc<AckTracker>,
        room: Option<OwnedSemaphorePermit>,
    ) {
        // Boxed, because thousands of these futures wait, and each wrapper would copy an unboxed
        // one.
        let job =
            Box::pin(Arc::clone(self).delivery(delivery, recipient, start, Arc::clone(tracker)));
        self.spawn(async move {
            let _room = room;
            job.await
        });
    }

    /// Spawns a job for which the next message does not wait.
    fn spawn(self: &Arc<Self>, job: impl Future<Output = Result<(), Unsettled>> + Send + 'static) {
        self.tasks.spawn(Arc::clone(self).supervise(job));
    }
}

/// The messages that start one after the other. A robot belongs to one platform, so its deliveries
/// keep their order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum MessageKind {
    Event { urgent: bool },
    Delivery { platform: Platform, urgent: bool },
    Unreadable,
}

impl MessageKind {
    fn of(payload: &Payload) -> Self {
        match payload {
            Payload::Event { urgent, .. } => Self::Event { urgent: *urgent },
            Payload::Delivery(one) => Self::Delivery { platform: one.platform, urgent: one.urgent },
            Payload::Unreadable { .. } => Self::Unreadable,
        }
    }
}

/// The next step of a delivery that waits on the broker.
fn deferred_step(mut delivery: Delivery, until: DueTime, slot: Option<Timestamp>) -> NextStep {
    delivery.hops += 1;
    delivery.slot = slot;
    NextStep::Defer { delivery: Box::new(delivery), until }
}
