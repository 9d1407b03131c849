//! The dead queues: look, redrive, discard. Owns that looking changes nothing, and that a letter leaves its queue only
//! after what was to happen to it has happened.
//!
//! It works on a connection of its own, so that operators can use it with or without a running daemon.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::join_all};
use lapin::{
    Channel, Connection,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions,
        QueueDeclareOptions,
    },
    types::FieldTable,
};
use uuid::Uuid;

use super::{
    Address, BrokerError,
    dead_letter::{DeadLetter, Filter},
    declare,
    error::{while_connecting, while_declaring},
    properties,
    topology::Topology,
};
use crate::domain::{Moment, Platform};

/// What to do with the letters that a filter picks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Look at them.
    Look,
    /// Put them back to be tried again.
    Redrive,
    /// Delete them for good.
    Discard,
}

/// A queue that has letters and hands out none for this long has no more to hand out: others hold them.
const QUIET: Duration = Duration::from_secs(2);

/// How many letters are redriven before their confirms are awaited.
const BATCH: usize = 256;

/// The dead queues of one prefix.
pub struct DeadQueues {
    connection: Connection,
    topology: Arc<Topology>,
    at: String,
}

impl DeadQueues {
    /// Connects.
    pub async fn open(address: &Address, topology: Arc<Topology>) -> Result<Self, BrokerError> {
        let connection = address.connect("roomcast dead").await?;
        Ok(Self { connection, topology, at: address.shown()? })
    }

    /// Goes once through the dead queues of `platform` (or through all, and that of events), acts on what the filter picks, at most `limit`
    /// letters, and shows each of them to `seen` after the act. Answers how many there were.
    pub async fn walk(
        &self,
        platform: Option<Platform>,
        filter: &Filter,
        act: Act,
        limit: usize,
        now: Moment,
        mut seen: impl FnMut(DeadLetter),
    ) -> Result<usize, BrokerError> {
        let queues = match platform {
            Some(platform) => vec![self.topology.dead_queue(platform)],
            None => Platform::ALL
                .map(|platform| self.topology.dead_queue(platform))
                .into_iter()
                .chain([self.topology.dead_event_queue()])
                .collect(),
        };
        let mut acted = 0;
        for queue in queues {
            let picks = |letter: &DeadLetter| filter.matches(letter, now);
            acted += self.walk_queue(&queue, picks, act, limit - acted, &mut seen).await?;
        }
        Ok(acted)
    }

    async fn walk_queue(
        &self,
        queue: &str,
        picks: impl Fn(&DeadLetter) -> bool,
        act: Act,
        limit: usize,
        seen: &mut impl FnMut(DeadLetter),
    ) -> Result<usize, BrokerError> {
        let lost = |error: lapin::Error| while_connecting(&self.at, &error);
        // What is not acked on this channel goes back to its place when the channel closes, however that comes about.
        let channel = declare::open(&self.connection, &self.at).await?;
        let passive = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
        let ready = channel
            .queue_declare(queue.into(), passive, FieldTable::default())
            .await
            .map_err(|error| while_declaring(&self.at, &format!("queue {queue}"), &error))?
            .message_count();
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(lost)?;
        let mut letters = channel
            .basic_consume(queue.into(), "roomcast-dead".into(), BasicConsumeOptions::default(), FieldTable::default())
            .await
            .map_err(lost)?;
        let (mut acted, mut batch) = (0, Vec::new());
        for place in 0..ready {
            if acted + batch.len() >= limit {
                break;
            }
            let Ok(Some(next)) = tokio::time::timeout(QUIET, letters.next()).await else {
                break;
            };
            let delivery = next.map_err(lost)?;
            let letter = DeadLetter::read(delivery.data, &delivery.properties, place.into());
            if picks(&letter) {
                batch.push((delivery.delivery_tag, letter));
            }
            if batch.len() >= BATCH {
                acted += self.act(&channel, act, &mut batch, seen).await?;
            }
        }
        acted += self.act(&channel, act, &mut batch, seen).await?;
        channel.basic_cancel("roomcast-dead".into(), BasicCancelOptions::default()).await.map_err(lost)?;
        channel.close(200, "looked".into()).await.map_err(lost)?;
        Ok(acted)
    }

    /// Acts on a batch: what is redriven leaves its queue only after the broker has confirmed the copy.
    async fn act(
        &self,
        channel: &Channel,
        act: Act,
        batch: &mut Vec<(u64, DeadLetter)>,
        seen: &mut impl FnMut(DeadLetter),
    ) -> Result<usize, BrokerError> {
        let lost = |error: lapin::Error| while_connecting(&self.at, &error);
        if act == Act::Redrive {
            let mut confirms = Vec::with_capacity(batch.len());
            for (_, letter) in batch.iter() {
                confirms.push(self.republish(channel, letter).await.map_err(lost)?);
            }
            for confirmation in join_all(confirms).await {
                let confirmation = confirmation.map_err(lost)?;
                // One refused or returned copy condemns its batch: nothing of it is acked, and all of it stays dead.
                if !confirmation.is_ack() || confirmation.take_message().is_some() {
                    return Err(BrokerError::Missing { what: "the queue a redriven letter belongs to".to_owned() });
                }
            }
        }
        if act != Act::Look {
            let acks = batch.iter().map(|(tag, _)| channel.basic_ack(*tag, BasicAckOptions::default()));
            join_all(acks).await.into_iter().collect::<Result<(), _>>().map_err(lost)?;
        }
        let count = batch.len();
        batch.drain(..).for_each(|(_, letter)| seen(letter));
        Ok(count)
    }

    async fn republish(&self, channel: &Channel, letter: &DeadLetter) -> Result<lapin::PublisherConfirm, lapin::Error> {
        let published = &letter.published;
        let (exchange, key, properties) = match letter.redriven() {
            Some((platform, headers)) => (
                self.topology.delivery(),
                Topology::redrive_key(platform),
                properties::put_together(published, headers, &Uuid::now_v7().to_string()),
            ),
            None => (
                self.topology.publish(),
                published.routing_key.clone(),
                properties::put_together(published, Vec::new(), &letter.event),
            ),
        };
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        channel
            .basic_publish(properties::short(&exchange), properties::short(&key), options, &published.body, properties)
            .await
    }
}
