//! The dead queues: look, redrive, discard. Owns that a letter leaves its queue only after what was to happen to it has happened.
//!
//! It works on a connection of its own, so that operators can use it with or without a running daemon. Whoever is interrupted between the confirm of
//! a redriven copy and the ack of its letter leaves both behind, for at most one batch; redriving the letter again then makes a second copy of the
//! same name, which the ledger recognises (`settle::key_of_delivery`).

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use lapin::{
    Channel, Connection, PublisherConfirm,
    message::Delivery,
    options::{BasicAckOptions, BasicPublishOptions, ConfirmSelectOptions},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Address, BrokerError,
    batches::batches,
    dead_filter::DeadQueue,
    dead_letter::{DeadLetter, Redriven},
    dead_selection::{Chosen, Met, Selection},
    dead_walk::{self, Walk},
    error::while_connecting,
    frame_guard::Bodies,
    patience::confirmed_in_time,
    properties,
    topology::Topology,
};

/// What to do with letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Put them back to be tried again.
    Redrive,
    /// Delete them for good.
    Discard,
}

/// How many letters are redriven before their confirms are awaited, and so how many at most an interruption can leave redriven and dead at once.
const BATCH: usize = 256;

/// Letters are held no longer than this; then others may look at them for a moment.
const HOLD_MAX: Duration = Duration::from_secs(20);

/// So many walks in vain, because others hold what was chosen, end the act.
const VAIN_MAX: u32 = 3;

/// The dead queues of one prefix.
pub struct DeadQueues {
    connection: Connection,
    topology: Arc<Topology>,
    at: String,
    confirm_timeout: Duration,
    waiting: Box<dyn Fn() + Send + Sync>,
}

/// What a look came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// How many letters were looked at.
    pub letters: u64,
    /// How many more there are, which somebody else held at the time.
    pub missed: u64,
}

/// How to act.
pub struct Acting<'a> {
    /// What to do.
    pub act: Act,
    /// At most so many letters a second; more than 0.
    pub per_second: Option<f64>,
    /// Ends the act after the batch in hand.
    pub stop: &'a CancellationToken,
}

/// How one walk of an act went.
struct Pass {
    /// How many letters left the queue for it, or should have left it before.
    acked: u64,
    /// It ended before it had seen everything.
    early: bool,
    missed: u64,
}

impl DeadQueues {
    /// Connects.
    pub async fn open(
        address: &Address,
        topology: Arc<Topology>,
        confirm_timeout: Duration,
    ) -> Result<Self, BrokerError> {
        let connection = address.connect("roomcast dead").await?;
        Ok(Self { connection, topology, at: address.shown()?, confirm_timeout, waiting: Box::new(|| ()) })
    }

    /// Connects for a look at everything but bodies, which do not come. It redrives nothing, and awaits no confirm.
    pub(super) async fn open_without_bodies(address: &Address, topology: Arc<Topology>) -> Result<Self, BrokerError> {
        let connection = address.connect_with_room(Bodies::none(), "roomcast dead").await?;
        let (at, confirm_timeout) = (address.shown()?, Duration::MAX);
        Ok(Self { connection, topology, at, confirm_timeout, waiting: Box::new(|| ()) })
    }

    /// Is told whenever others are at a queue, and it takes them long.
    pub fn say_when_waiting(&mut self, waiting: impl Fn() + Send + Sync + 'static) {
        self.waiting = Box::new(waiting);
    }

    /// Says goodbye to the broker.
    pub async fn close(self) -> Result<(), BrokerError> {
        let closed = self.connection.close(200, "done".into()).await;
        closed.map_err(|error| while_connecting(&self.at, &error))
    }

    /// How many letters lie in these queues.
    pub async fn depth(&self, queues: &[DeadQueue]) -> Result<u64, BrokerError> {
        let mut depth = 0;
        for queue in queues {
            depth += u64::from(dead_walk::depth(&self.connection, &self.at, &queue.name(&self.topology)).await?.0);
        }
        Ok(depth)
    }

    /// Shows every letter of these queues to `seen`, the oldest of each queue first, and leaves all at its place.
    pub async fn look(&self, queues: &[DeadQueue], mut seen: impl FnMut(DeadLetter)) -> Result<Looked, BrokerError> {
        let mut looked = Looked::default();
        for queue in queues {
            let (name, lock) = (queue.name(&self.topology), self.topology.dead_lock_queue());
            let walk = Walk::begin(&self.connection, &self.at, &name, &lock, &*self.waiting).await?;
            self.look_along(walk, *queue, &mut looked, &mut seen).await?;
        }
        Ok(looked)
    }

    /// Shows every letter of this queue to `seen`, unless anybody else is at it.
    pub(super) async fn look_if_free(
        &self,
        queue: DeadQueue,
        mut seen: impl FnMut(DeadLetter),
    ) -> Result<Option<Looked>, BrokerError> {
        let (name, lock) = (queue.name(&self.topology), self.topology.dead_lock_queue());
        let Some(walk) = Walk::begin_if_free(&self.connection, &self.at, &name, &lock).await? else {
            return Ok(None);
        };
        let mut looked = Looked::default();
        self.look_along(walk, queue, &mut looked, &mut seen).await?;
        Ok(Some(looked))
    }

    async fn look_along(
        &self,
        mut walk: Walk<'_>,
        queue: DeadQueue,
        looked: &mut Looked,
        seen: &mut impl FnMut(DeadLetter),
    ) -> Result<(), BrokerError> {
        let mut each = |delivery| {
            looked.letters += 1;
            seen(self.read(queue, delivery));
        };
        while walk.fill(&mut each).await? {}
        looked.missed += walk.end(&self.connection, 0).await?;
        Ok(())
    }

    /// Acts on the chosen letters, and shows each to `done` after the act. Answers how many there were: fewer than were chosen if some are gone
    /// meanwhile, if others hold them, or if it was stopped.
    pub async fn act(
        &self,
        acting: &Acting<'_>,
        mut selection: Selection,
        mut done: impl FnMut(&DeadLetter),
    ) -> Result<u64, BrokerError> {
        // A queue is gone through until nothing of what was acted on is met any more.
        let mut rhythm = Rhythm { per_second: acting.per_second, began: Instant::now(), done: 0 };
        for (queue, chosen) in &mut selection.chosen {
            let mut vain = 0;
            while vain < VAIN_MAX {
                if !rhythm.rest(acting.stop).await {
                    // What was acted on has to be gone, even so.
                    chosen.waiting.clear();
                }
                let pass = self.pass(*queue, chosen, acting, &mut rhythm, &mut done).await?;
                if pass.acked == 0 && !pass.early {
                    // What was chosen and not met is gone, unless others hold it.
                    vain = if pass.missed == 0 { VAIN_MAX } else { vain + 1 };
                }
            }
        }
        Ok(rhythm.done)
    }

    /// Once through a queue.
    async fn pass(
        &self,
        queue: DeadQueue,
        chosen: &mut Chosen,
        acting: &Acting<'_>,
        rhythm: &mut Rhythm,
        done: &mut impl FnMut(&DeadLetter),
    ) -> Result<Pass, BrokerError> {
        let (name, lock) = (queue.name(&self.topology), self.topology.dead_lock_queue());
        let began = Instant::now();
        let mut walk = Walk::begin(&self.connection, &self.at, &name, &lock, &*self.waiting).await?;
        let confirms = walk.channel.confirm_select(ConfirmSelectOptions::default()).await;
        confirms.map_err(|error| while_connecting(&self.at, &error))?;
        let (mut acked, mut early, done_before) = (0, false, rhythm.done);
        loop {
            let (mut picked, mut again) = (Vec::new(), Vec::new());
            let pick = |delivery: Delivery| {
                let tag = delivery.delivery_tag;
                let letter = self.read(queue, delivery);
                match chosen.take(&letter) {
                    Met::Chosen => picked.push((tag, letter)),
                    Met::Acted => again.push(tag),
                    Met::Other => (),
                }
            };
            let more = walk.fill(pick).await?;
            acked += self.ack(&walk.channel, again.into_iter()).await?;
            for batch in batches(&picked, rhythm.batch(), |(_, letter)| letter.published.body.len()) {
                early = early
                    || acting.stop.is_cancelled()
                    || is_held_too_long(rhythm.done > done_before, began.elapsed(), rhythm.wait())
                    || !rhythm.rest(acting.stop).await;
                if early {
                    batch.iter().for_each(|(_, letter)| chosen.put(letter));
                    continue;
                }
                if acting.act == Act::Redrive {
                    self.redrive(&walk.channel, batch).await?;
                }
                let count = self.ack(&walk.channel, batch.iter().map(|(tag, _)| *tag)).await?;
                (acked, rhythm.done) = (acked + count, rhythm.done + count);
                for (_, letter) in batch {
                    chosen.acted_on(letter);
                    done(letter);
                }
            }
            if early || !more {
                break;
            }
        }
        let missed = walk.end(&self.connection, acked).await?;
        Ok(Pass { acked, early, missed })
    }

    async fn ack(&self, channel: &Channel, tags: impl Iterator<Item = u64>) -> Result<u64, BrokerError> {
        let acks = join_all(tags.map(|tag| channel.basic_ack(tag, BasicAckOptions::default()))).await;
        let count = u64::try_from(acks.len()).unwrap_or(u64::MAX);
        let sent: Result<(), _> = acks.into_iter().collect();
        sent.map(|()| count).map_err(|error| while_connecting(&self.at, &error))
    }

    /// Puts the copies of a batch back. Only after the broker has confirmed all of them may their letters leave the queue.
    async fn redrive(&self, channel: &Channel, batch: &[(u64, DeadLetter)]) -> Result<(), BrokerError> {
        let lost = |error: lapin::Error| while_connecting(&self.at, &error);
        let redriving = async {
            let mut confirms = Vec::with_capacity(batch.len());
            for (_, letter) in batch {
                confirms.push(self.republish(channel, letter).await?);
            }
            Ok::<_, lapin::Error>(join_all(confirms).await)
        };
        let confirmations = confirmed_in_time(&self.connection, &self.at, self.confirm_timeout, redriving).await?;
        for confirmation in confirmations.map_err(lost)? {
            let confirmation = confirmation.map_err(lost)?;
            // One refused or returned copy condemns its batch: nothing of it is acked, and all of it stays dead.
            if !confirmation.is_ack() || confirmation.take_message().is_some() {
                return Err(BrokerError::NotRedriven);
            }
        }
        Ok(())
    }

    async fn republish(&self, channel: &Channel, letter: &DeadLetter) -> Result<PublisherConfirm, lapin::Error> {
        let published = &letter.published;
        let (exchange, key, properties) = match letter.redriven() {
            Redriven::Delivery(platform, headers) => (
                self.topology.delivery(),
                Topology::redrive_key(platform),
                properties::put_together(published, headers, &Uuid::now_v7().to_string()),
            ),
            Redriven::Event { urgent, headers } => (
                if urgent { self.topology.urgent() } else { self.topology.publish() },
                published.routing_key.clone(),
                properties::put_together(published, headers, &letter.event),
            ),
        };
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        channel
            .basic_publish(properties::short(&exchange), properties::short(&key), options, &published.body, properties)
            .await
    }

    fn read(&self, queue: DeadQueue, delivery: Delivery) -> DeadLetter {
        DeadLetter::read(&self.topology, queue, delivery.data, &delivery.properties)
    }
}

/// Whether letters go back that were held so long and would have to wait for so long. Not before one of them was acted on: where the first
/// that is meant lies far behind, every walk takes long to reach it, and none would ever act.
fn is_held_too_long(has_acted: bool, held: Duration, wait: Duration) -> bool {
    has_acted && held + wait > HOLD_MAX
}

/// Spreads an act over time.
struct Rhythm {
    per_second: Option<f64>,
    began: Instant,
    done: u64,
}

impl Rhythm {
    /// How many letters are acted on at a time: twice a second, if there is a rate.
    fn batch(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
        self.per_second.map_or(BATCH, |rate| (rate / 2.0).clamp(1.0, BATCH as f64) as usize)
    }

    /// How long the next batch has to wait.
    fn wait(&self) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^52 letters")]
        let due = self.per_second.and_then(|rate| Duration::try_from_secs_f64(self.done as f64 / rate).ok());
        due.unwrap_or_default().saturating_sub(self.began.elapsed())
    }

    /// Waits for the next batch's turn; whether it came.
    async fn rest(&self, stop: &CancellationToken) -> bool {
        let wait = self.wait();
        if wait.is_zero() {
            return !stop.is_cancelled();
        }
        stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_not_held_for_long_but_each_walk_acts_at_least_once() {
        let second = Duration::from_secs(1);
        for (what, has_acted, held, wait, too_long) in [
            ("just begun", true, second, second, false),
            ("held long", true, HOLD_MAX + second, Duration::ZERO, true),
            ("the next has to wait long", true, second, HOLD_MAX, true),
            ("the first was far behind", false, HOLD_MAX * 10, Duration::ZERO, false),
        ] {
            assert_eq!(is_held_too_long(has_acted, held, wait), too_long, "{what}");
        }
    }
}
