//! The whole job on one page: receive, decode, expand, pace, attempt, settle, record, ack.
//!
//! A pipeline works for one broker session. Every way out of it leaves a message either settled, with its next step
//! stored and recorded, or unacked, so that the broker hands it over again.

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

/// What every session's pipeline shares.
pub struct Parts {
    /// Reads events.
    pub decoder: Decoder,
    /// Finds who subscribed.
    pub subscriptions: Arc<dyn Subscriptions>,
    /// Says when a delivery may leave.
    pub pace: Pace,
    /// Makes attempts.
    pub sender: Sender,
    /// Remembers what is settled.
    pub ledger: Arc<Ledger>,
    /// Remembers what was sent.
    pub journal: Arc<Journal>,
    /// What comes back, in whichever session, may have been sent before without a note of it, if the machine went down.
    pub recovery: Option<Recovery>,
    /// How failed attempts are repeated.
    pub retry: RetryPolicy,
    /// Of which events the ends of deliveries are told.
    pub receipts: Receipts,
    /// What time it is.
    pub clock: Clock,
    /// Counts and logs.
    pub telemetry: Arc<Telemetry>,
    /// A wait up to this long is waited out in memory.
    pub hold_max: Duration,
    /// What has come back from a tier waits up to this long in memory, if there is room.
    pub early_max: Duration,
    /// Room for what waits for its slot.
    pub early: Early,
    /// Room for deliveries of events in memory.
    pub memory: Memory,
}

/// The job, for one session.
pub struct Pipeline {
    /// What all sessions share.
    pub parts: Arc<Parts>,
    /// Where next steps are stored.
    pub outbox: Arc<dyn Outbox>,
    /// Where settlements are recorded and acked.
    pub commits: Commits,
    /// Cancelled when the session has ended or the daemon drains: nobody waits any longer.
    pub leave: CancellationToken,
    /// Which deliveries of this session are in hand.
    pub hand: Hand,
    /// What came back in this session, if the machine went down before.
    pub returned: Returned,
    /// Every task of this session.
    pub tasks: TaskTracker,
    /// Told when a message cannot be settled, so that the session ends.
    pub on_stuck: Box<dyn Fn(Stuck) + Send + Sync>,
}

/// Why a message stays unacked: it cannot be brought to an end in this session. It comes back in the next.
#[derive(Debug, thiserror::Error)]
pub enum Stuck {
    /// Its next step could not be stored.
    #[error(transparent)]
    NotStored(#[from] settle::NotStored),
    /// The subscriptions could not be read.
    #[error(transparent)]
    Unreadable(#[from] crate::fanout::Unreadable),
    /// What is about to be sent could not be written down.
    #[error(transparent)]
    NotNoted(#[from] crate::pace::NotNoted),
}

impl Pipeline {
    /// Takes messages until there are no more or it is time to leave, then waits until what is in hand is settled.
    pub async fn run(self: Arc<Self>, mut next: impl AsyncFnMut() -> Option<Message>) {
        // The messages of each kind take their places in the lanes in the order in which they came;
        // none waits for those of another kind.
        let mut workers = HashMap::new();
        while let Some(Some(message)) = self.leave.run_until_cancelled(next()).await {
            let worker = workers.entry(Kind::of(&message.carried)).or_insert_with(|| self.in_turn());
            // It is there until this loop ends.
            let _ = worker.send(message);
        }
        drop(workers);
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Runs a task. What it cannot do, because broker or store fail, ends the session: what it held stays unacked, and comes back. Nothing ends for a
    /// panic, which is a fault in one message.
    async fn watched<T: Default>(self: Arc<Self>, job: impl Future<Output = Result<T, Stuck>>) -> T {
        match AssertUnwindSafe(job).catch_unwind().await {
            Ok(Ok(done)) => return done,
            Ok(Err(stuck)) => (self.on_stuck)(stuck),
            Err(panic) => events::TaskFailed { cause: &words_of_panic(&*panic) }.emit(),
        }
        T::default()
    }

    /// Begins with a message. Gives an event back that is to be expanded, for its turn among others.
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

    /// An event: decode, expand, and let every delivery go its way.
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

    /// One delivery from here to its settlement. A panic on the way is settled like any attempt that failed.
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

    /// Stores the next step and the receipt, if there are any. After this the delivery may be recorded as settled.
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

    /// A message with nothing left to settle.
    fn close(&self, identity: Identity, ack_tag: AckTag) -> Result<(), Stuck> {
        let tally = Arc::new(Tally::new(identity, ack_tag));
        tally.complete();
        self.progressed(&tally);
        Ok(())
    }

    fn progressed(&self, tally: &Arc<Tally>) {
        self.commits.progressed(tally);
    }

    /// Where the machine went down, what comes back may have been sent before: its robot's window counts it.
    fn recover(&self, delivery: &Delivery, redelivered: bool) {
        if let Some(recovery) = self.parts.recovery.as_ref().filter(|_| redelivered) {
            recovery.count(delivery, &self.returned, &self.parts.pace);
        }
    }

    /// Lets a delivery go its way beside the others, once it has its place. It takes up room in memory until it is settled.
    fn set_out(
        self: &Arc<Self>,
        delivery: Delivery,
        recipient: Recipient,
        start: Start,
        tally: &Arc<Tally>,
        room: Option<OwnedSemaphorePermit>,
    ) {
        // On the heap, where it stays: thousands of them wait, and each wrapping would copy them.
        let job = Box::pin(Arc::clone(self).delivery(delivery, recipient, start, Arc::clone(tally)));
        self.beside(async move {
            let _room = room;
            job.await
        });
    }

    /// Does something that the next message does not wait for.
    fn beside(self: &Arc<Self>, job: impl Future<Output = Result<(), Stuck>> + Send + 'static) {
        self.tasks.spawn(Arc::clone(self).watched(job));
    }
}

/// Which messages are begun one after the other. A robot is on one platform, so its deliveries keep
/// their order.
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

/// The next step of a delivery that waits for its time in the broker.
fn later(mut delivery: Delivery, until: Moment, slot: Option<Moment>) -> NextStep {
    delivery.hops += 1;
    delivery.slot = slot;
    NextStep::Later { delivery: Box::new(delivery), until }
}
