//! Redriving and discarding dead letters. Owns that a letter leaves its queue only after what was to happen to it has happened.
//!
//! Whoever is interrupted between the confirm of a redriven copy and the ack of its letter leaves both behind, for at most
//! one portion of a walk; redriving the letter again then makes a second copy of the same name, which the ledger recognises
//! (`settle::key_of_delivery`).
//!
//! Copies go through a connection of their own: the walk's is not read on while letters are in memory, and the confirms
//! would wait behind the next letters.

use std::{mem, time::Duration};

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
    batches::BYTES_MAX,
    dead_filter::DeadQueue,
    dead_letter::{DeadLetter, Redriven},
    dead_selection::{Chosen, Met, Selection},
    dead_walk::{Walk, size},
    declare,
    error::while_connecting,
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

/// How many letters are acted on before they are acked, and so how many at most an interruption can leave redriven and dead at once.
const PORTION: u16 = 256;

/// Letters are held no longer than this; then others may look at them for a moment.
const HOLD_MAX: Duration = Duration::from_secs(20);

/// So many walks in vain, because others hold what was chosen, end the act.
const VAIN_MAX: u32 = 3;

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
struct Passed {
    /// How many letters left the queue for it, or should have left it before.
    acked: u64,
    /// It ended before it had seen everything.
    early: bool,
    missed: u64,
}

/// Where the copies go.
struct Copies {
    connection: Connection,
    channel: Channel,
}

/// A letter that was chosen, on its way through a pass.
struct Picked {
    tag: u64,
    letter: DeadLetter,
}

/// What is done with letters, and where to.
#[derive(Clone, Copy)]
struct How<'a> {
    acting: &'a Acting<'a>,
    /// Nothing if they are discarded.
    copies: Option<&'a Copies>,
}

/// One walk through a queue of which letters are acted on.
struct Pass<'a> {
    queues: &'a DeadQueues,
    how: How<'a>,
    began: Instant,
    /// How many were acted on before it.
    done_before: u64,
    /// Letters to be acted on together.
    batch: Vec<Picked>,
    /// Letters of this portion that were acted on, without their bodies. They are acked at its end.
    acted: Vec<Picked>,
    /// It is to end before it has seen everything.
    early: bool,
}

impl DeadQueues {
    /// Acts on the chosen letters, and shows each to `done` after the act. Answers how many there were: fewer than were chosen if some are gone
    /// meanwhile, if others hold them, or if it was stopped.
    pub async fn act(
        &self,
        acting: &Acting<'_>,
        mut selection: Selection,
        mut done: impl FnMut(&DeadLetter),
    ) -> Result<u64, BrokerError> {
        let copies = match acting.act {
            Act::Redrive => Some(self.copies().await?),
            Act::Discard => None,
        };
        let how = How { acting, copies: copies.as_ref() };
        let mut rhythm = Rhythm { per_second: acting.per_second, began: Instant::now(), done: 0 };
        // A queue is gone through until nothing of what was acted on is met any more.
        for (queue, chosen) in &mut selection.chosen {
            let (mut vain, mut given_back) = (0, false);
            while vain < VAIN_MAX {
                if !rhythm.rest(acting.stop).await {
                    // What was acted on has to be gone, even so.
                    chosen.waiting.clear();
                }
                let pass = self.pass(*queue, chosen, how, &mut rhythm, &mut done).await?;
                if pass.acked == 0 && !pass.early {
                    // What was chosen and not met is gone, unless others hold it, or the queue is still taking it back.
                    vain = if pass.missed == 0 && !given_back { VAIN_MAX } else { vain + 1 };
                }
                given_back = pass.early;
            }
        }
        if let Some(Copies { connection, .. }) = copies {
            connection.close(200, "done".into()).await.map_err(|error| while_connecting(&self.at, &error))?;
        }
        Ok(rhythm.done)
    }

    async fn copies(&self) -> Result<Copies, BrokerError> {
        let connection = self.address.connect("roomcast redriving").await?;
        let channel = declare::confirming(&connection, &self.at).await?;
        Ok(Copies { connection, channel })
    }

    /// Once through a queue.
    async fn pass(
        &self,
        queue: DeadQueue,
        chosen: &mut Chosen,
        how: How<'_>,
        rhythm: &mut Rhythm,
        done: &mut impl FnMut(&DeadLetter),
    ) -> Result<Passed, BrokerError> {
        let (name, lock) = (queue.name(&self.topology), self.topology.dead_lock_queue());
        let (began, done_before) = (Instant::now(), rhythm.done);
        let mut walk = Walk::begin(self.connected(), &name, &lock, &*self.waiting).await?;
        let (batch, acted) = (Vec::new(), Vec::new());
        let mut pass = Pass { queues: self, how, began, done_before, batch, acted, early: false };
        let mut acked = 0;
        while !pass.early && walk.ask(PORTION).await? {
            let mut again = Vec::new();
            while let Some(delivery) = walk.next().await? {
                let (tag, bytes) = (delivery.delivery_tag, size(&delivery));
                let letter = self.read(queue, delivery);
                match chosen.take(&letter) {
                    Met::Chosen if pass.early => chosen.put(&letter),
                    Met::Chosen => {
                        pass.pick(Picked { tag, letter }, &mut walk, chosen, rhythm).await?;
                        continue;
                    }
                    Met::Acted => again.push(tag),
                    Met::Other => (),
                }
                walk.release(bytes);
            }
            pass.act(&mut walk, chosen, rhythm).await?;
            let tags = again.into_iter().chain(pass.acted.iter().map(|one| one.tag));
            acked += self.ack(&walk.channel, tags).await?;
            for Picked { letter, .. } in pass.acted.drain(..) {
                chosen.acted_on(&letter);
                done(&letter);
            }
        }
        let early = pass.early;
        let missed = walk.end(acked).await?;
        Ok(Passed { acked, early, missed })
    }

    async fn ack(&self, channel: &Channel, tags: impl Iterator<Item = u64>) -> Result<u64, BrokerError> {
        let acks = join_all(tags.map(|tag| channel.basic_ack(tag, BasicAckOptions::default()))).await;
        let count = u64::try_from(acks.len()).unwrap_or(u64::MAX);
        let sent: Result<(), _> = acks.into_iter().collect();
        sent.map(|()| count).map_err(|error| while_connecting(&self.at, &error))
    }

    /// Puts the copies of a batch back. Only after the broker has confirmed all of them may their letters leave the queue.
    async fn redrive(&self, copies: &Copies, batch: &[Picked]) -> Result<(), BrokerError> {
        let lost = |error: lapin::Error| while_connecting(&self.at, &error);
        let redriving = async {
            let mut confirms = Vec::with_capacity(batch.len());
            for one in batch {
                confirms.push(self.republish(&copies.channel, &one.letter).await?);
            }
            Ok::<_, lapin::Error>(join_all(confirms).await)
        };
        let confirmations = confirmed_in_time(&copies.connection, &self.at, self.confirm_timeout, redriving).await?;
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
}

impl Pass<'_> {
    /// Takes a letter to be acted on, and acts if there are enough. Its body is released then.
    async fn pick(
        &mut self,
        mut one: Picked,
        walk: &mut Walk<'_>,
        chosen: &mut Chosen,
        rhythm: &mut Rhythm,
    ) -> Result<(), BrokerError> {
        if self.how.acting.act == Act::Discard {
            // Nobody needs its body.
            release(walk, &mut one.letter);
        }
        let body = |one: &Picked| one.letter.published.body.len();
        let bytes = self.batch.iter().map(body).sum::<usize>();
        if bytes > 0 && bytes.saturating_add(body(&one)) > BYTES_MAX {
            self.act(walk, chosen, rhythm).await?;
        }
        let large = body(&one) >= BYTES_MAX;
        self.batch.push(one);
        if large || self.batch.len() >= rhythm.batch() {
            self.act(walk, chosen, rhythm).await?;
        }
        Ok(())
    }

    /// Acts on the batch, unless it is time to give letters back.
    async fn act(&mut self, walk: &mut Walk<'_>, chosen: &mut Chosen, rhythm: &mut Rhythm) -> Result<(), BrokerError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let has_acted = rhythm.done > self.done_before;
        self.early = self.early
            || self.how.acting.stop.is_cancelled()
            || is_held_too_long(has_acted, self.began.elapsed(), rhythm.wait())
            || !rhythm.rest(self.how.acting.stop).await;
        let mut batch = mem::take(&mut self.batch);
        if self.early {
            batch.iter().for_each(|one| chosen.put(&one.letter));
        } else if let Some(copies) = self.how.copies {
            self.queues.redrive(copies, &batch).await?;
        }
        batch.iter_mut().for_each(|one| release(walk, &mut one.letter));
        if !self.early {
            rhythm.done += u64::try_from(batch.len()).unwrap_or(u64::MAX);
            self.acted.append(&mut batch);
        }
        Ok(())
    }
}

/// Drops the body of a letter.
fn release(walk: &mut Walk<'_>, letter: &mut DeadLetter) {
    let body = mem::take(&mut letter.published.body);
    walk.release(u64::try_from(body.len()).unwrap_or(u64::MAX));
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
        self.per_second.map_or(PORTION.into(), |rate| (rate / 2.0).clamp(1.0, PORTION.into()) as usize)
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
