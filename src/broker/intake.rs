//! The consumers of one session, and the reading of their messages.
//!
//! Owns two rules: urgent events come first, and the end of any consumer ends the session.
//!
//! Not here: acks and bodies of one consumer (`consumed.rs`), the headers of a delivery
//! (`envelope.rs`).

use std::sync::Arc;

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

use super::{
    BrokerError, Carried, Ended, Message, Settings,
    consumed::{Consumed, LeftOut},
    declare, envelope,
    error::{while_connecting, while_declaring},
    frame_guard::Bodies,
    properties,
    topology::Topology,
};
use crate::{
    clock::Clock,
    domain::{Moment, Platform},
    settle::AckTag,
};

/// The parameters of the consumers of one session.
pub(super) struct Consuming<'a> {
    /// The number of the session.
    pub(super) session: u64,
    pub(super) connection: &'a Connection,
    /// Host and port for errors.
    pub(super) at: &'a str,
    pub(super) settings: &'a Settings,
    pub(super) topology: &'a Topology,
    pub(super) bodies: &'a Arc<Bodies>,
    pub(super) clock: &'a Clock,
    pub(super) ended: &'a Ended,
}

impl Consuming<'_> {
    /// Starts a consumer for each queue, on a channel of its own. Also returns the channels for
    /// acks, at the positions that [`AckTag`] names.
    pub(super) async fn start(self, lock: Channel) -> Result<(Intake, Vec<Arc<Consumed>>), BrokerError> {
        let Self { session, connection, at, settings, topology, bodies, clock, ended } = self;
        let room = u64::try_from(settings.prefetch_size).unwrap_or(u64::MAX);
        let mut sources = vec![(topology.urgent(), Source::Events { urgent: true })];
        for platform in Platform::ALL {
            sources.push((topology.delivery_queue(platform), Source::Deliveries));
        }
        sources.push((topology.publish(), Source::Events { urgent: false }));
        let (mut channels, mut streams) = (Vec::new(), Vec::new());
        for (place, (queue, source)) in sources.into_iter().enumerate() {
            let channel = declare::open(connection, at).await?;
            let (consumed, left_out) = Consumed::new(channel.clone(), Arc::clone(bodies), room, clock.clone());
            let deliveries = consume(&channel, &queue, source.prefetch(settings), at).await?;
            let ack_tag = AckTag { session, channel: place, tag: 0 };
            let (taken, clock) = (Arc::clone(&consumed), clock.clone());
            let taking = move |delivery: AmqpDelivery| {
                let (tag, left_out) = (delivery.delivery_tag, taken.came(&delivery));
                let message = message(delivery, source, ack_tag);
                let Some(size) = left_out else { return Some(message) };
                taken.ask_for(LeftOut { tag, size, due: due(&message, clock.now()) });
                None
            };
            streams.push(incoming(deliveries, taking, queue));
            tokio::spawn(Arc::clone(&consumed).ask_again(left_out, ended.clone()));
            channels.push(consumed);
        }
        let urgent = streams.remove(0);
        Ok((Intake { urgent, others: select_all(streams), ended: ended.clone(), lock }, channels))
    }
}

#[derive(Clone, Copy)]
enum Source {
    Events { urgent: bool },
    Deliveries,
}

impl Source {
    const fn prefetch(self, settings: &Settings) -> u16 {
        match self {
            Self::Events { .. } => settings.prefetch,
            Self::Deliveries => settings.prefetch_delivery,
        }
    }
}

/// The messages of one consumer; the last item is the cause of its end.
type Incoming = BoxStream<'static, Result<Message, String>>;

/// The messages of one consumer, then an error.
///
/// [`SelectAll`] silently drops a stream that ends, so the end must be an item. A consumer ends
/// without an error if its queue is deleted, and at a consumer timeout from RabbitMQ 4.3 on.
fn incoming(
    deliveries: impl Stream<Item = Result<AmqpDelivery, lapin::Error>> + Send + 'static,
    taking: impl Fn(AmqpDelivery) -> Option<Message> + Send + 'static,
    queue: String,
) -> Incoming {
    let end = format!("the broker cancelled the consumer of queue {queue}: was the queue deleted?");
    let messages = deliveries
        .filter_map(move |one| ready(one.map(&taking).map_err(|error| super::error::words(&error)).transpose()));
    messages.chain(once(ready(Err(end)))).boxed()
}

/// The incoming messages, urgent events first.
pub struct Intake {
    urgent: Incoming,
    others: SelectAll<Incoming>,
    ended: Ended,
    /// The lock exists as long as the connection of this channel.
    #[expect(dead_code, reason = "held, not used")]
    lock: Channel,
}

impl Intake {
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

async fn consume(channel: &Channel, queue: &str, prefetch: u16, at: &str) -> Result<lapin::Consumer, BrokerError> {
    let what = format!("queue {queue}");
    channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(|error| while_connecting(at, &error))?;
    channel
        .basic_consume(queue.into(), "roomcast".into(), BasicConsumeOptions::default(), FieldTable::default())
        .await
        .map_err(|error| while_declaring(at, &what, &error))
}

fn message(delivery: AmqpDelivery, source: Source, ack_tag: AckTag) -> Message {
    let ack_tag = AckTag { tag: delivery.delivery_tag, ..ack_tag };
    let key = delivery.routing_key.to_string();
    let (published, ours) = properties::take_apart(key, delivery.data, &delivery.properties);
    let carried = match source {
        Source::Events { urgent } => {
            let generation = envelope::count(&ours, envelope::GENERATION).unwrap_or_default();
            Carried::Event { published, urgent, generation }
        }
        Source::Deliveries => match envelope::read(published, &ours) {
            Ok(travelling) => Carried::Delivery(Box::new(travelling)),
            Err(unreadable) => {
                let (published, why) = *unreadable;
                Carried::Unreadable { published, why }
            }
        },
    };
    Message { ack_tag, redelivered: delivery.redelivered, carried }
}

/// The time before which a message must not be tried; its body may be missing. An event is due at
/// once.
fn due(message: &Message, now: Moment) -> Moment {
    match &message.carried {
        Carried::Delivery(one) => one.due(now).unwrap_or_default(),
        Carried::Event { .. } | Carried::Unreadable { .. } => Moment::default(),
    }
}
