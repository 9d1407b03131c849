//! Stores next steps and receipts on the broker.
//!
//! lapin can attach a returned message to the wrong one of several confirms in flight. So steps are
//! published in batches, and all confirms of a batch are awaited. Then returned messages are
//! matched by the message id that each step gets for itself.
//!
//! Owns the rule when a step counts as stored: the broker confirmed it and did not return it.
//!
//! Not here: the time limit of confirms (`confirm_deadline.rs`), the headers (`envelope.rs`,
//! `outcome.rs`).

use std::{borrow::Cow, collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::join_all;
use lapin::{Channel, Confirmation, Connection, PublisherConfirm, options::BasicPublishOptions};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::Instant,
};
use uuid::Uuid;

use super::{
    Address, BrokerError,
    batches::batches,
    blocked::watch_blocked,
    confirm_deadline::{ConfirmDeadline, ConfirmError},
    declare,
    envelope::{self, DeadEvent},
    outcome, properties,
    session_end::SessionEnd,
    topology::Topology,
};
use crate::{
    clock::Clock,
    domain::{DeadCause, Headers, PublishedMessage, Timestamp},
    settle::{NextStep, StepPublishError},
};

/// The number of steps in a batch. With a few hundred confirms in flight the broker reaches its
/// full throughput.
const BATCH_MAX: usize = 512;

/// The capacity of the queue of steps. When it is full, deliveries wait.
const REQUESTS_MAX: usize = 4096;

/// The shortest time between two channels that are opened after refusals.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// The delay before the connection for receipts is opened again.
const REOPEN_AFTER: Duration = Duration::from_millis(500);

/// A step to store, and the channel for its result.
pub(super) struct PublishRequest {
    pub(super) step: Arc<NextStep>,
    pub(super) stored: oneshot::Sender<Result<(), StepPublishError>>,
}

pub(super) struct Publisher {
    pub(super) channel: Channel,
    pub(super) topology: Arc<Topology>,
    pub(super) clock: Clock,
    pub(super) deadline: ConfirmDeadline,
    pub(super) purpose: Purpose,
    /// The most bytes of a publisher's headers in one message.
    pub(super) headers_max: usize,
    /// The time of the last [`Publisher::renew_channel`].
    pub(super) renewed: Option<Instant>,
}

/// The kind of messages that a publisher stores.
pub(super) enum Purpose {
    /// Next steps. A fault of the connection, or a step that is routed to no queue, ends the
    /// session; the next session declares the topology again. A refusal concerns its own queue
    /// alone.
    Steps(Arc<Connection>),
    /// Receipts. They go to queues of other applications, which must not stop the daemon. So they
    /// have a connection of their own, which the publisher reopens.
    Receipts(Box<ReceiptsConnection>),
}

/// The connection for receipts, and the settings to open it again.
pub(super) struct ReceiptsConnection {
    connection: Connection,
    address: Address,
    tell_blocked: watch::Sender<bool>,
    ended: SessionEnd,
}

impl ReceiptsConnection {
    /// Opens the connection, and a channel for the publisher.
    pub(super) async fn open(
        address: Address,
        tell_blocked: watch::Sender<bool>,
        ended: SessionEnd,
    ) -> Result<(Self, Channel), BrokerError> {
        let connection = address.connect("roomcast receipts").await?;
        // The loss of this connection does not end the session.
        watch_blocked(&connection, tell_blocked.clone(), ended.clone(), false);
        let channel = declare::confirming(&connection, &address.shown()?).await?;
        Ok((Self { connection, address, tell_blocked, ended }, channel))
    }

    async fn reopened(&self) -> Result<(Self, Channel), BrokerError> {
        Self::open(self.address.clone(), self.tell_blocked.clone(), self.ended.clone()).await
    }
}

impl Publisher {
    /// Starts a task that stores the orders sent to the returned channel.
    pub(super) fn start(self) -> (mpsc::Sender<PublishRequest>, JoinHandle<()>) {
        let (orders, waiting) = mpsc::channel(REQUESTS_MAX);
        (orders, tokio::spawn(self.run(waiting)))
    }

    /// Stores steps until the session ends.
    async fn run(mut self, mut orders: mpsc::Receiver<PublishRequest>) {
        let (mut waiting, ended) = (Vec::with_capacity(BATCH_MAX), self.deadline.ended.clone());
        loop {
            if waiting.is_empty() {
                let received = tokio::select! {
                    received = orders.recv_many(&mut waiting, BATCH_MAX) => received,
                    () = ended.wait() => 0,
                };
                if received == 0 {
                    break;
                }
            }
            let size = batches(&waiting, BATCH_MAX, |order| body_size(&order.step))
                .next()
                .map_or(0, <[_]>::len);
            let batch: Vec<PublishRequest> = waiting.drain(..size).collect();
            let outcome = self.stored(&batch).await;
            if let Err(cause) = &outcome {
                self.deadline.ended.end(cause.clone());
            }
            for (place, order) in batch.into_iter().enumerate() {
                let stored = match &outcome {
                    Ok(refused) if refused.contains(&place) => Err(self.refused(&order.step)),
                    Ok(_) => Ok(()),
                    Err(cause) => Err(StepPublishError::SessionOver(cause.clone())),
                };
                // The receiver may be gone with its session. The broker delivers its message again
                // then.
                let _ = order.stored.send(stored);
            }
            if outcome.is_err() {
                break;
            }
            if outcome.is_ok_and(|refused| !refused.is_empty())
                && let Err(error) = self.renew_channel().await
            {
                self.deadline.ended.end(error.to_string());
                break;
            }
        }
        // The messages of the remaining steps are delivered again. Their waiters must learn this
        // before the connection is closed.
        drop((waiting, orders));
        if let Purpose::Receipts(line) = &self.purpose {
            // A session's end limits the wait for this task. A connection that is gone does not
            // answer a close.
            let _ = line.connection.close(200, "goodbye".into()).await;
        }
    }

    /// Publishes a batch and waits for all its confirms; returns the places that were not stored.
    ///
    /// If the connection for receipts was lost, it is unknown which of them the broker took. So the
    /// batch is published once more.
    async fn stored(&mut self, batch: &[PublishRequest]) -> Result<HashSet<usize>, String> {
        let began = Instant::now();
        loop {
            match self.store(batch).await {
                Err(cause) if !self.is_mandatory() && !self.deadline.ended.has_ended() => {
                    tracing::warn!(
                        cause,
                        "the connection for delivery receipts was lost; it is opened again"
                    );
                    if !self.reopened(began).await {
                        // At the end of the session no queue has refused these receipts, so their
                        // messages are delivered again.
                        let ended = &self.deadline.ended;
                        return if ended.has_ended() {
                            Err(ended.cause())
                        } else {
                            Ok((0..batch.len()).collect())
                        };
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// Reopens the connection for receipts. Returns `false` at the end of the session or when the
    /// time for the confirms is over.
    async fn reopened(&mut self, began: Instant) -> bool {
        let Purpose::Receipts(line) = &self.purpose else { return false };
        let deadline = &self.deadline;
        let opening = async {
            loop {
                if let Ok(opened) = line.reopened().await {
                    return opened;
                }
                tokio::time::sleep(REOPEN_AFTER).await;
            }
        };
        tokio::select! {
            (line, channel) = opening => {
                (self.purpose, self.channel) = (Purpose::Receipts(Box::new(line)), channel);
                true
            }
            () = deadline.ended.wait() => false,
            () = tokio::time::sleep_until(began + deadline.confirm_timeout) => false,
        }
    }

    /// Opens another channel after a refusal, once a second at most. RabbitMQ's channel goes on to
    /// refuse a message for a quorum queue that was full, also when the queue's limit was raised.
    ///
    /// A broker that blocks publishers answers nothing until it has room, so the wait ends with the
    /// session too.
    async fn renew_channel(&mut self) -> Result<(), BrokerError> {
        let Purpose::Steps(connection) = &self.purpose else { return Ok(()) };
        if self.renewed.is_some_and(|at| at.elapsed() < RENEW_EVERY) {
            return Ok(());
        }
        let renewing = async {
            let fresh = declare::confirming(connection, "the broker").await?;
            // All confirms of the old channel are there, so its close changes nothing.
            let _ = self.channel.close(200, "goodbye".into()).await;
            Ok(fresh)
        };
        let fresh = tokio::select! {
            fresh = renewing => fresh?,
            () = self.deadline.ended.wait() => return Ok(()),
        };
        (self.channel, self.renewed) = (fresh, Some(Instant::now()));
        Ok(())
    }

    const fn is_mandatory(&self) -> bool {
        matches!(self.purpose, Purpose::Steps(_))
    }

    fn refused(&self, step: &NextStep) -> StepPublishError {
        if !self.is_mandatory() {
            return StepPublishError::Refused("it is full, or did not answer in time".to_owned());
        }
        let (exchange, key, ..) = self.address(step, self.clock.now());
        StepPublishError::Refused(format!(
            "the broker refused it, exchange {exchange}, routing key {key}"
        ))
    }

    /// Publishes a batch once and waits for all its confirms; returns the places that were not
    /// stored.
    async fn store(&self, batch: &[PublishRequest]) -> Result<HashSet<usize>, String> {
        let ids: Vec<String> = batch.iter().map(|order| message_id(&order.step)).collect();
        let published = async {
            let mut confirms = Vec::with_capacity(batch.len());
            for (order, id) in batch.iter().zip(&ids) {
                confirms.push(self.publish(&order.step, id).await?);
            }
            Ok::<_, lapin::Error>(join_all(confirms).await)
        };
        let confirmations = match self.deadline.in_time(published).await {
            Ok(confirmations) => confirmations.map_err(|error| super::error::describe(&error))?,
            // It is unknown which receipts the broker took.
            Err(ConfirmError::TimedOut(_)) if !self.is_mandatory() => {
                return Ok((0..batch.len()).collect());
            }
            Err(ConfirmError::TimedOut(cause) | ConfirmError::SessionEnded(cause)) => {
                return Err(cause);
            }
        };
        let mut refused = HashSet::new();
        for (place, confirmation) in confirmations.into_iter().enumerate() {
            let confirmation = confirmation.map_err(|error| super::error::describe(&error))?;
            if !matches!(confirmation, Confirmation::Ack(_)) {
                refused.insert(place);
            }
            if let Some(returned) = confirmation.take_message() {
                let id =
                    returned.delivery.properties.message_id().as_ref().map(ToString::to_string);
                let step = ids
                    .iter()
                    .zip(batch)
                    .find_map(|(known, order)| (Some(known) == id.as_ref()).then_some(&order.step));
                return Err(match step {
                    Some(step) => {
                        let (exchange, key, ..) = self.address(step, self.clock.now());
                        format!(
                            "no queue is bound to exchange {exchange} for the routing key {key}"
                        )
                    }
                    None => "the broker returned a message that was not published".to_owned(),
                });
            }
        }
        Ok(refused)
    }

    async fn publish(&self, step: &NextStep, id: &str) -> Result<PublisherConfirm, lapin::Error> {
        let (exchange, key, headers, published) = self.address(step, self.clock.now());
        let options = BasicPublishOptions {
            mandatory: self.is_mandatory(),
            ..BasicPublishOptions::default()
        };
        self.channel
            .basic_publish(
                properties::short(&exchange),
                properties::short(&key),
                options,
                &published.body,
                properties::encode_properties(&published, headers, id, self.headers_max),
            )
            .await
    }

    fn address<'a>(
        &self,
        step: &'a NextStep,
        now: Timestamp,
    ) -> (String, String, Headers, Cow<'a, PublishedMessage>) {
        match step {
            NextStep::Defer { delivery, until } => {
                let wait = until.wait(now);
                let tier = self.topology.tier_for(wait, delivery.slot);
                (
                    self.topology.delay(),
                    Topology::delay_key(tier, delivery.platform),
                    envelope::of_delivery(delivery, until.at, wait.saturating_sub(tier)),
                    Cow::Borrowed(&delivery.event.published),
                )
            }
            NextStep::DeadDelivery { delivery, reason, code, detail, at, .. } => (
                self.topology.dead(),
                Topology::dead_key(delivery.platform, *reason),
                envelope::of_dead_delivery(
                    delivery,
                    DeadCause { reason: *reason, code, detail },
                    *at,
                ),
                Cow::Borrowed(&delivery.event.published),
            ),
            NextStep::DeadEvent {
                published,
                urgent,
                event,
                generation,
                reason,
                code,
                detail,
                at,
                ..
            } => (
                self.topology.dead(),
                Topology::dead_event_key(*reason),
                envelope::of_dead_event(
                    &DeadEvent { published, urgent: *urgent, event, generation: *generation },
                    DeadCause { reason: *reason, code, detail },
                    *at,
                ),
                Cow::Borrowed(published),
            ),
            NextStep::Receipt(receipt) => {
                let (published, headers) = outcome::message(receipt);
                (
                    self.topology.outcome(),
                    Topology::outcome_key(receipt),
                    headers,
                    Cow::Owned(published),
                )
            }
        }
    }
}

/// The id of the message that stores a step. That of a dead letter is the letter's, also if a queue
/// refused it before; that of another step is new each time.
fn message_id(step: &NextStep) -> String {
    match step {
        NextStep::DeadDelivery { letter, .. } | NextStep::DeadEvent { letter, .. } => {
            letter.to_string()
        }
        NextStep::Defer { .. } | NextStep::Receipt(_) => Uuid::now_v7().to_string(),
    }
}

/// The size of a step's body, in bytes.
fn body_size(step: &NextStep) -> usize {
    match step {
        NextStep::Defer { delivery, .. } | NextStep::DeadDelivery { delivery, .. } => {
            delivery.event.published.body.len()
        }
        NextStep::DeadEvent { published, .. } => published.body.len(),
        // A receipt is small.
        NextStep::Receipt(_) => 0,
    }
}
