//! The whole job on one page: receive, decode, expand, pace, attempt, settle, record, acknowledge.
//!
//! A pipeline works for one broker session.
//!
//! Owns the order of these steps, and the invariant on every exit: a message is settled, stored and
//! recorded, or it stays unacknowledged and the broker redelivers it.
//!
//! Not here: the waits and attempts of one delivery (`pipeline/turn.rs`), and the sessions
//! (`app/sessions.rs`).

mod dead_events;
mod early;
mod expansion;
mod faults;
mod intake;
mod lines;
mod memory;
mod opening;
mod receipts;
mod recovery;
mod travelling;
mod turn;

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    early::Early,
    memory::Memory,
    recovery::{Recovery, Returned},
};
use self::{expansion::Expansion, turn::Start};
use crate::{
    broker::{Carried, Message},
    clock::Clock,
    domain::{Delivery, Moment, Platform, Published, Receipts, Settlement, words_of_panic},
    fanout::{self, Decoder, Known, Recipient, Subscriptions, Undecodable},
    pace::Pace,
    send::Sender,
    settle::{self, AckTag, Commits, Hand, Identity, NextStep, Outbox, RetryPolicy, Tally},
    store::{Journal, Ledger},
    telemetry::{Telemetry, events},
};

/// The parts that all sessions share.
pub struct Parts {
    /// Decodes events.
    pub decoder: Decoder,
    /// Finds subscriptions.
    pub subscriptions: Arc<dyn Subscriptions>,
    /// Decides when a delivery may be sent.
    pub pace: Pace,
    /// Makes attempts.
    pub sender: Sender,
    /// Records settlements.
    pub ledger: Arc<Ledger>,
    /// Records sent messages.
    pub journal: Arc<Journal>,
    /// Set if the machine went down. Redelivered messages of any session may then have been sent
    /// without a record.
    pub recovery: Option<Recovery>,
    /// How failed attempts are repeated.
    pub retry: RetryPolicy,
    /// For which events receipts are sent.
    pub receipts: Receipts,
    /// The source of time.
    pub clock: Clock,
    /// Counts and logs.
    pub telemetry: Arc<Telemetry>,
    /// The longest wait in memory of a new delivery.
    pub hold_max: Duration,
    /// The longest wait in memory of a delivery that comes back from a tier, if it gets memory.
    pub early_max: Duration,
    /// The memory for deliveries that wait for their slots.
    pub early: Early,
    /// The memory for deliveries of new events.
    pub memory: Memory,
}

/// The job of one session.
pub struct Pipeline {
    /// The parts that all sessions share.
    pub parts: Arc<Parts>,
    /// Stores next steps.
    pub outbox: Arc<dyn Outbox>,
    /// Records and acknowledges settlements.
    pub commits: Commits,
    /// Cancelled when the session has ended or the daemon drains. All waits then end.
    pub leave: CancellationToken,
    /// The keys in flight in this session.
    pub hand: Hand,
    /// The redelivered messages of this session, counted after a crash of the machine.
    pub returned: Returned,
    /// All tasks of this session.
    pub tasks: TaskTracker,
    /// Called when a message cannot be settled, so that the session ends.
    pub on_stuck: Box<dyn Fn(Stuck) + Send + Sync>,
}

/// Why a message stays unacknowledged. It cannot be settled in this session, and is redelivered in
/// the next.
#[derive(Debug, thiserror::Error)]
pub enum Stuck {
    /// Its next step could not be stored.
    #[error(transparent)]
    NotStored(#[from] settle::NotStored),
    /// The subscriptions could not be read.
    #[error(transparent)]
    Unreadable(#[from] crate::fanout::Unreadable),
    /// The attempt could not be recorded in the journal.
    #[error(transparent)]
    NotNoted(#[from] crate::pace::NotNoted),
}

impl Pipeline {
    /// Handles messages until there are no more or `leave` is cancelled. Then waits until those in
    /// flight are settled.
    pub async fn run(self: Arc<Self>, mut next: impl AsyncFnMut() -> Option<Message>) {
        // Messages of one kind are enqueued at their robots in order of arrival. None of them waits
        // for another kind.
        let mut workers = HashMap::new();
        while let Some(Some(message)) = self.leave.run_until_cancelled(next()).await {
            let worker = workers.entry(Kind::of(&message.carried)).or_insert_with(|| self.in_turn());
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
    async fn watched<T: Default>(self: Arc<Self>, job: impl Future<Output = Result<T, Stuck>>) -> T {
        match AssertUnwindSafe(job).catch_unwind().await {
            Ok(Ok(done)) => return done,
            // A step that a queue refuses while the daemon drains: its message is redelivered, and
            // everything else is still recorded and acknowledged.
            Ok(Err(Stuck::NotStored(settle::NotStored::Refused(_)))) => (),
            Ok(Err(stuck)) => (self.on_stuck)(stuck),
            Err(panic) => events::TaskFailed { cause: &words_of_panic(&*panic) }.emit(),
        }
        T::default()
    }

    /// Starts to handle a message. Returns an event that must be expanded, in turn with other
    /// events.
    async fn message(self: &Arc<Self>, message: Message) -> Result<Option<Expansion>, Stuck> {
        let Message { ack_tag, redelivered, carried } = message;
        match carried {
            Carried::Event { published, urgent, generation } => {
                let published = fanout::named(published);
                let overtakes = fanout::is_urgent(&published, urgent);
                let mut identity =
                    Identity::of_event(&published, overtakes, generation, redelivered, &self.parts.ledger);
                if identity.made.is_none() {
                    identity = match self.hand.take(identity.key) {
                        Ok(in_hand) => identity.holding(in_hand),
                        Err(taken) => {
                            let carried = Carried::Event { published, urgent, generation };
                            self.afterwards(taken, Message { ack_tag, redelivered, carried });
                            return Ok(None);
                        }
                    };
                }
                self.event(published, urgent, identity, redelivered, ack_tag).await
            }
            Carried::Delivery(travelling) => self.travelling(travelling, redelivered, ack_tag).await.map(|()| None),
            Carried::Unreadable { published, why } => {
                let identity = Identity::of_event(&published, false, 0, redelivered, &self.parts.ledger);
                self.bury(published, false, identity, Undecodable { code: "headers", detail: why }, ack_tag);
                Ok(None)
            }
        }
    }

    /// Decodes an event for its expansion.
    async fn event(
        self: &Arc<Self>,
        published: Published,
        urgent: bool,
        identity: Identity,
        redelivered: bool,
        ack_tag: AckTag,
    ) -> Result<Option<Expansion>, Stuck> {
        let parts = &self.parts;
        events::EventReceived { urgent }.emit(&parts.telemetry);
        if parts.ledger.is_closed(identity.key) {
            self.skip(&identity.event, None, "the ledger knows it as settled");
            return self.close(identity, ack_tag).map(|()| None);
        }
        let now = parts.clock.now();
        let (id, redriven) = (identity.event.clone(), identity.generation > 0);
        let known = Known { id, received_at: now, expires_at: None, redriven, urgent, platform: None };
        let event = match parts.decoder.decode(published, known) {
            Ok(event) => Arc::new(event),
            Err(refused) => {
                self.bury(refused.0, urgent, identity, refused.1, ack_tag);
                return Ok(None);
            }
        };
        let since = (now, parts.clock.now());
        Ok(Some(Expansion::new(event, since, identity, redelivered, ack_tag)))
    }

    /// Brings one delivery to its settlement. A panic counts as a failed attempt.
    async fn delivery(
        self: Arc<Self>,
        mut delivery: Delivery,
        mut recipient: Recipient,
        start: Start,
        tally: Arc<Tally>,
    ) -> Result<(), Stuck> {
        let outcome = AssertUnwindSafe(self.outcome(&mut delivery, &mut recipient, start, &tally)).catch_unwind().await;
        let settlement = match outcome {
            Ok(settlement) => settlement?,
            Err(_) => self.panicked(&mut delivery),
        };
        self.settle(delivery, settlement, &tally).await
    }

    /// Stores the next step and the receipt, if there are any. After that the delivery may be
    /// recorded as settled.
    async fn perform(&self, delivery: Delivery, settlement: Settlement) -> Result<(), Stuck> {
        let (settled, now) = (delivery.clone(), self.parts.clock.now());
        let receipt = self.receipt_of(&delivery, &settlement, now);
        let step = match settlement.clone() {
            Settlement::Done | Settlement::Dropped => None,
            Settlement::Deferred { until, slot } => Some(later(delivery, until, slot)),
            Settlement::Retried { until } => Some(later(delivery, until, None)),
            Settlement::Dead { reason, code, detail } => {
                Some(NextStep::DeadDelivery { delivery: Box::new(delivery), reason, code, detail, at: now })
            }
        };
        self.store(step, receipt).await?;
        let stored = self.parts.clock.now();
        events::DeliverySettled { delivery: &settled, settlement: &settlement, now, stored }
            .emit(&self.parts.telemetry);
        Ok(())
    }

    /// Finishes a message without unsettled deliveries.
    fn close(&self, identity: Identity, ack_tag: AckTag) -> Result<(), Stuck> {
        let tally = Arc::new(Tally::new(identity, ack_tag));
        tally.complete();
        self.progressed(&tally);
        Ok(())
    }

    fn progressed(&self, tally: &Arc<Tally>) {
        self.commits.progressed(tally);
    }

    /// After a crash of the machine, counts a redelivered delivery in its robot's window.
    fn recover(&self, delivery: &Delivery, redelivered: bool) {
        if let Some(recovery) = self.parts.recovery.as_ref().filter(|_| redelivered) {
            recovery.count(delivery, &self.returned, &self.parts.pace);
        }
    }

    /// Spawns the task of a delivery that is enqueued. It keeps its memory permit until it is
    /// settled.
    fn set_out(
        self: &Arc<Self>,
        delivery: Delivery,
        recipient: Recipient,
        start: Start,
        tally: &Arc<Tally>,
        room: Option<OwnedSemaphorePermit>,
    ) {
        // Boxed, because thousands of these futures wait, and each wrapper would copy an unboxed
        // one.
        let job = Box::pin(Arc::clone(self).delivery(delivery, recipient, start, Arc::clone(tally)));
        self.beside(async move {
            let _room = room;
            job.await
        });
    }

    /// Spawns a job for which the next message does not wait.
    fn beside(self: &Arc<Self>, job: impl Future<Output = Result<(), Stuck>> + Send + 'static) {
        self.tasks.spawn(Arc::clone(self).watched(job));
    }
}

/// The messages that start one after the other. A robot belongs to one platform, so its deliveries
/// keep their order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Event { urgent: bool },
    Delivery { platform: Platform, urgent: bool },
    Unreadable,
}

impl Kind {
    fn of(carried: &Carried) -> Self {
        match carried {
            Carried::Event { urgent, .. } => Self::Event { urgent: *urgent },
            Carried::Delivery(one) => Self::Delivery { platform: one.platform, urgent: one.urgent },
            Carried::Unreadable { .. } => Self::Unreadable,
        }
    }
}

/// The next step of a delivery that waits on the broker.
fn later(mut delivery: Delivery, until: Moment, slot: Option<Moment>) -> NextStep {
    delivery.hops += 1;
    delivery.slot = slot;
    NextStep::Later { delivery: Box::new(delivery), until }
}
