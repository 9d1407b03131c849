//! The consumers of one session, and the reading of their messages.
//!
//! Owns two rules: urgent events come first, and the end of any consumer ends the session.
//!
//! Not here: acks and bodies of one consumer (`consumer_channel.rs`), the headers of a delivery
//! (`envelope.rs`).

use std::{sync::Arc, time::Duration};

use futures_util::{
    Stream, StreamExt,
    future::ready,
    stream::{BoxStream, SelectAll, once, select_all},
};
use lapin::{
    Channel, Connection,
    message::Delivery as AmqpDelivery,
    options::{BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use tokio::time::Instant;

use super::{
    BrokerError, Message, Payload,
    consumer_channel::{ConsumerChannel, SkippedBody},
    declare, envelope,
    error::{while_connecting, while_declaring},
    frame_guard::BodyBudget,
    properties,
    session_end::SessionEnd,
    settings::SessionSettings,
    topology::Topology,
};
use crate::{clock::Clock, domain::Platform, settle::AckTag};

/// The parameters of the consumers of one session.
pub(super) struct ConsumerSetup<'a> {
    /// The number of the session.
    pub(super) session: u64,
    pub(super) connection: &'a Connection,
    /// Host and port for errors.
    pub(super) at: &'a str,
    pub(super) settings: &'a SessionSettings,
    pub(super) topology: &'a Topology,
    pub(super) bodies: &'a Arc<BodyBudget>,
    pub(super) clock: &'a Clock,
    pub(super) ended: &'a SessionEnd,
}

impl ConsumerSetup<'_> {
    /// Starts a consumer for each queue, on a channel of its own. Also returns the channels for
    /// acks, at the positions that [`AckTag`] names.
    pub(super) async fn start(
        self,
        lock: Channel,
    ) -> Result<(MessageStream, Vec<Arc<ConsumerChannel>>), BrokerError> {
        let Self { session, connection, at, settings, topology, bodies, clock, ended } = self;
        let room = u64::try_from(settings.broker.prefetch_size).unwrap_or(u64::MAX);
        let mut sources = vec![(topology.urgent(), ConsumerKind::Events { urgent: true })];
        for platform in Platform::ALL {
            sources.push((topology.delivery_queue(platform), ConsumerKind::Deliveries));
        }
        sources.push((topology.publish(), ConsumerKind::Events { urgent: false }));
        let (mut channels, mut streams) = (Vec::new(), Vec::new());
        for (place, (queue, source)) in sources.into_iter().enumerate() {
            let channel = declare::open(connection, at).await?;
            let (consumed, left_out) =
                ConsumerChannel::new(channel.clone(), Arc::clone(bodies), room);
            let deliveries = consume(&channel, &queue, source.prefetch(settings), at).await?;
            let ack_tag = AckTag { session, channel: place, tag: 0 };
            let (taken, clock) = (Arc::clone(&consumed), clock.clone());
            let taking = move |delivery: AmqpDelivery| {
                let (tag, left_out) = (delivery.delivery_tag, taken.on_delivery(&delivery));
                let message = message(delivery, source, ack_tag);
                let Some(size) = left_out else { return Some(message) };
                let due = Instant::now() + due(&message, &clock);
                taken.ask_for(SkippedBody { tag, size, due });
                None
            };
            streams.push(incoming(deliveries, taking, queue));
            tokio::spawn(Arc::clone(&consumed).schedule_redelivery(left_out, ended.clone()));
            channels.push(consumed);
        }
        let urgent = streams.remove(0);
        Ok((
            MessageStream { urgent, others: select_all(streams), ended: ended.clone(), lock },
            channels,
        ))
    }
}

#[derive(Clone, Copy)]
enum ConsumerKind {
    Events { urgent: bool },
    Deliveries,
}

impl ConsumerKind {
    const fn prefetch(self, settings: &SessionSettings) -> u16 {
        match self {
            Self::Events { .. } => settings.broker.prefetch,
            Self::Deliveries => settings.broker.prefetch_delivery,
        }
    }
}

/// The messages of one consumer; the last item is the cause of its end.
type ConsumerStream = BoxStream<'static, Result<Message, String>>;

/// The messages of one consumer, then an error.
///
/// [`SelectAll`] silently drops a stream that ends, so the end must be an item. A consumer ends
/// without an error if its queue is deleted, and at a consumer timeout from RabbitMQ 4.3 on.
fn incoming(
    deliveries: impl Stream<Item = Result<AmqpDelivery, lapin::Error>> + Send + 'static,
    taking: impl Fn(AmqpDelivery) -> Option<Message> + Send + 'static,
    queue: String,
) -> ConsumerStream {
    let end = format!("the broker cancelled the consumer of queue {queue}: was the queue deleted?");
    let messages = deliveries.filter_map(move |one| {
        ready(one.map(&taking).map_err(|error| super::error::describe(&error)).transpose())
    });
    messages.chain(once(ready(Err(end)))).boxed()
}

/// The incoming messages, urgent events first.
pub struct MessageStream {
    urgent: ConsumerStream,
    others: SelectAll<ConsumerStream>,
    ended: SessionEnd,
    /// The lock exists as long as the connection of this channel.
    #[expect(dead_code, reason = "held, not used")]
    lock: Channel,
}

impl MessageStream {
    /// The next message, or `None` after the end of the session.
    pub async fn next(&mut self) -> Option<Message> {
        let next = tokio::select! {
            biased;
            () = self.ended.wait() => return None,
            next = self.urgent.next() => next,
            next = self.others.next() => next,
        };
        match next {
            Some(Ok(message)) => Some(message),
            Some(Err(cause)) => {
                self.ended.end(cause);
                None
            }
            // The last item of each stream has ended the session already.
            None => None,
        }
    }
}

async fn consume(
    channel: &Channel,
    queue: &str,
    prefetch: u16,
    at: &str,
) -> Result<lapin::Consumer, BrokerError> {
    let what = format!("queue {queue}");
    channel
        .basic_qos(prefetch, BasicQosOptions::default())
        .await
        .map_err(|error| while_connecting(at, &error))?;
    channel
        .basic_consume(
            queue.into(),
            "roomcast".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .map_err(|error| while_declaring(at, &what, &error))
}

fn message(delivery: AmqpDelivery, source: ConsumerKind, ack_tag: AckTag) -> Message {
    let ack_tag = AckTag { tag: delivery.delivery_tag, ..ack_tag };
    let key = delivery.routing_key.to_string();
    let (published, ours) = properties::decode_properties(key, delivery.data, &delivery.properties);
    let payload = match source {
        ConsumerKind::Events { urgent } => {
            let generation = envelope::count(&ours, envelope::GENERATION).unwrap_or_default();
            Payload::Event { published, urgent, generation }
        }
        ConsumerKind::Deliveries => match envelope::read(published, &ours) {
            Ok(stored) => Payload::Delivery(Box::new(stored)),
            Err(unreadable) => {
                let (published, why) = *unreadable;
                Payload::Unreadable { published, why }
            }
        },
    };
    Message { ack_tag, redelivered: delivery.redelivered, payload }
}

/// How long a message must not be tried; its body may be missing. An event is due at once.
fn due(message: &Message, clock: &Clock) -> Duration {
    let now = clock.now();
    match &message.payload {
        Payload::Delivery(one) => one.due().by_clock(now).unwrap_or_default().since(now),
        Payload::Event { .. } | Payload::Unreadable { .. } => Duration::ZERO,
    }
}
