//! Redriving and discarding dead letters.
//!
//! An interruption between the confirm of a redriven copy and the ack of its letter leaves both,
//! for at most 256 letters. A second redrive then makes a copy with the same identity, which the
//! ledger recognises (`settle/identity.rs`).
//!
//! Copies use a connection of their own. The connection of the walk is not read while letters are
//! in memory, and confirms would wait behind the next letters.
//!
//! Owns the rule that a letter leaves its queue only after its action is complete.
//!
//! Not here: the selection of letters (`dead_selection.rs`), the walk (`dead_queue_scan.rs`), the
//! rate and the number of walks (`action_limits.rs`).

use std::mem;

use futures_util::future::join_all;
use lapin::{
    Channel, Connection, PublisherConfirm,
    options::{BasicAckOptions, BasicPublishOptions},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    BrokerError, DeadQueues,
    action_limits::{FruitlessPasses, PORTION, Passed, RateLimiter, is_held_too_long},
    batches::BYTES_MAX,
    confirm_deadline::confirmed_in_time,
    connection::headers_max,
    dead_letter::{DeadLetter, Redriven},
    dead_queue_name::DeadQueue,
    dead_queue_scan::{DeadQueueScan, size},
    dead_selection::{DeadLetterSelection, QueueSelection, SelectionState},
    declare,
    error::while_connecting,
    properties,
    topology::Topology,
};

/// An action on letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterAction {
    /// Publish them again as deliveries or events.
    Redrive,
    /// Delete them.
    Discard,
}

/// The parameters of an action.
pub struct ActionOptions<'a> {
    /// The action.
    pub act: DeadLetterAction,
    /// The maximum rate, in letters per second; greater than 0.
    pub per_second: Option<f64>,
    /// Ends the action after the current batch.
    pub stop: &'a CancellationToken,
}

/// The connection for redriven copies.
struct Copies {
    connection: Connection,
    channel: Channel,
}

/// A selected letter and its delivery tag.
struct Picked {
    tag: u64,
    letter: DeadLetter,
}

/// The action, and the connection for its copies.
#[derive(Clone, Copy)]
struct How<'a> {
    acting: &'a ActionOptions<'a>,
    /// `None` if letters are discarded.
    copies: Option<&'a Copies>,
}

/// One walk of an action through a queue.
struct ActionPass<'a> {
    queues: &'a DeadQueues,
    how: How<'a>,
    began: Instant,
    /// The number of letters processed before this walk.
    done_before: u64,
    /// The letters of the next batch.
    batch: Vec<Picked>,
    /// The processed letters of this consumer, without their bodies. They are acked at its end.
    acted: Vec<Picked>,
    /// Whether it ends before the end of the queue.
    early: bool,
}

impl DeadQueues {
    /// Processes the selected letters, and passes each to `done` afterwards. Returns their number.
    ///
    /// The number is smaller than that of the selection if letters are gone, if other consumers
    /// hold them, or after a stop.
    pub async fn act(
        &self,
        acting: &ActionOptions<'_>,
        mut selection: DeadLetterSelection,
        mut done: impl FnMut(&DeadLetter),
    ) -> Result<u64, BrokerError> {
        let copies = match acting.act {
            DeadLetterAction::Redrive => Some(self.copies().await?),
            DeadLetterAction::Discard => None,
        };
        let how = How { acting, copies: copies.as_ref() };
        let mut rate_limiter = RateLimiter::new(acting.per_second);
        // Walks are repeated until none meets a processed letter, because the broker may lose an
        // ack.
        for (queue, chosen) in &mut selection.chosen {
            let mut fruitless = FruitlessPasses::default();
            loop {
                if !rate_limiter.rest(acting.stop).await {
                    // After a stop too, the processed letters must be gone from the queue.
                    chosen.waiting.clear();
                }
                let pass = self.pass(*queue, chosen, how, &mut rate_limiter, &mut done).await?;
                if fruitless.leaves_queue_after(&pass) {
                    break;
                }
            }
        }
        if let Some(Copies { connection, .. }) = copies {
            connection
                .close(200, "done".into())
                .await
                .map_err(|error| while_connecting(&self.at, &error))?;
        }
        Ok(rate_limiter.done)
    }

    async fn copies(&self) -> Result<Copies, BrokerError> {
        let connection = self.address.connect("roomcast redriving").await?;
        let channel = declare::confirming(&connection, &self.at).await?;
        Ok(Copies { connection, channel })
    }

    /// One walk through a queue.
    async fn pass(
        &self,
        queue: DeadQueue,
        chosen: &mut QueueSelection,
        how: How<'_>,
        rate_limiter: &mut RateLimiter,
        done: &mut impl FnMut(&DeadLetter),
    ) -> Result<Passed, BrokerError> {
        let (name, lock) = (queue.name(&self.topology), self.topology.dead_lock_queue());
        let (began, done_before) = (Instant::now(), rate_limiter.done);
        let mut scan = DeadQueueScan::begin(self.connected(), &name, &lock, &*self.waiting).await?;
        let (batch, acted) = (Vec::new(), Vec::new());
        let mut pass =
            ActionPass { queues: self, how, began, done_before, batch, acted, early: false };
        let mut acked = 0;
        while !pass.early && scan.fetch(PORTION).await? {
            let mut again = Vec::new();
            while let Some(delivery) = scan.next().await? {
                let (tag, bytes) = (delivery.delivery_tag, size(&delivery));
                let letter = self.read(queue, delivery);
                match chosen.take(&letter) {
                    SelectionState::Selected if pass.early => chosen.put(&letter),
                    SelectionState::Selected => {
                        pass.pick(Picked { tag, letter }, &mut scan, chosen, rate_limiter).await?;
                        continue;
                    }
                    SelectionState::AlreadyDone => again.push(tag),
                    SelectionState::Other => (),
                }
                scan.release(bytes);
            }
            pass.act(&mut scan, chosen, rate_limiter).await?;
            let tags = again.into_iter().chain(pass.acted.iter().map(|one| one.tag));
            acked += self.ack(&scan.channel, tags).await?;
            for Picked { letter, .. } in pass.acted.drain(..) {
                chosen.acted_on(&letter);
                done(&letter);
            }
        }
        let early = pass.early;
        let missed = scan.end(acked).await?;
        Ok(Passed { acked, early, missed })
    }

    async fn ack(
        &self,
        channel: &Channel,
        tags: impl Iterator<Item = u64>,
    ) -> Result<u64, BrokerError> {
        let acks =
            join_all(tags.map(|tag| channel.basic_ack(tag, BasicAckOptions::default()))).await;
        let count = u64::try_from(acks.len()).unwrap_or(u64::MAX);
        let sent: Result<(), _> = acks.into_iter().collect();
        sent.map(|()| count).map_err(|error| while_connecting(&self.at, &error))
    }

    /// Publishes the copies of a batch. Its letters may leave the queue only after the confirms of
    /// all copies.
    async fn redrive(&self, copies: &Copies, batch: &[Picked]) -> Result<(), BrokerError> {
        let lost = |error: lapin::Error| while_connecting(&self.at, &error);
        let redriving = async {
            let mut confirms = Vec::with_capacity(batch.len());
            for one in batch {
                confirms.push(self.republish(copies, &one.letter).await?);
            }
            Ok::<_, lapin::Error>(join_all(confirms).await)
        };
        let confirmations =
            confirmed_in_time(&copies.connection, &self.at, self.confirm_timeout, redriving)
                .await?;
        for confirmation in confirmations.map_err(lost)? {
            let confirmation = confirmation.map_err(lost)?;
            // One refused or returned copy fails the whole batch: no letter of it is acked, and all
            // stay dead.
            if !confirmation.is_ack() || confirmation.take_message().is_some() {
                return Err(BrokerError::NotRedriven);
            }
        }
        Ok(())
    }

    async fn republish(
        &self,
        copies: &Copies,
        letter: &DeadLetter,
    ) -> Result<PublisherConfirm, lapin::Error> {
        let (published, headers_max) = (&letter.published, headers_max(&copies.connection));
        let (exchange, key, properties) = match letter.redriven() {
            Redriven::Delivery(platform, headers) => (
                self.topology.delivery(),
                Topology::redrive_key(platform),
                properties::encode_properties(
                    published,
                    headers,
                    &Uuid::now_v7().to_string(),
                    headers_max,
                ),
            ),
            Redriven::Event { urgent, headers } => (
                if urgent { self.topology.urgent() } else { self.topology.publish() },
                published.routing_key.clone(),
                properties::encode_properties(published, headers, &letter.event, headers_max),
            ),
        };
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        copies
            .channel
            .basic_publish(
                properties::short(&exchange),
                properties::short(&key),
                options,
                &published.body,
                properties,
            )
            .await
    }
}

impl ActionPass<'_> {
    /// Adds a letter to the batch, and processes the batch if it is full. Then its body is
    /// released.
    async fn pick(
        &mut self,
        mut one: Picked,
        scan: &mut DeadQueueScan<'_>,
        chosen: &mut QueueSelection,
        rate_limiter: &mut RateLimiter,
    ) -> Result<(), BrokerError> {
        if self.how.acting.act == DeadLetterAction::Discard {
            // A discarded letter needs no body.
            release(scan, &mut one.letter);
        }
        let body = |one: &Picked| one.letter.published.body.len();
        let bytes = self.batch.iter().map(body).sum::<usize>();
        if bytes > 0 && bytes.saturating_add(body(&one)) > BYTES_MAX {
            self.act(scan, chosen, rate_limiter).await?;
        }
        let large = body(&one) >= BYTES_MAX;
        self.batch.push(one);
        if large || self.batch.len() >= rate_limiter.batch() {
            self.act(scan, chosen, rate_limiter).await?;
        }
        Ok(())
    }

    /// Processes the batch, unless the walk has to end early.
    async fn act(
        &mut self,
        scan: &mut DeadQueueScan<'_>,
        chosen: &mut QueueSelection,
        rate_limiter: &mut RateLimiter,
    ) -> Result<(), BrokerError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let has_acted = rate_limiter.done > self.done_before;
        self.early = self.early
            || self.how.acting.stop.is_cancelled()
            || is_held_too_long(has_acted, self.began.elapsed(), rate_limiter.wait())
            || !rate_limiter.rest(self.how.acting.stop).await;
        let mut batch = mem::take(&mut self.batch);
        if self.early {
            batch.iter().for_each(|one| chosen.put(&one.letter));
        } else if let Some(copies) = self.how.copies {
            self.queues.redrive(copies, &batch).await?;
        }
        batch.iter_mut().for_each(|one| release(scan, &mut one.letter));
        if !self.early {
            rate_limiter.done += u64::try_from(batch.len()).unwrap_or(u64::MAX);
            self.acted.append(&mut batch);
        }
        Ok(())
    }
}

/// Drops the body of a letter and releases its room.
fn release(scan: &mut DeadQueueScan<'_>, letter: &mut DeadLetter) {
    let body = mem::take(&mut letter.published.body);
    scan.release(u64::try_from(body.len()).unwrap_or(u64::MAX));
}
