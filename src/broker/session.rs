//! One broker session is one value: its connections, their channels, the consumers. Whatever goes wrong with any of them
//! ends the whole; the next session is built anew, and no ack of this one can reach it.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{
    Stream, StreamExt,
    future::{join_all, ready},
    stream::{BoxStream, SelectAll, once, select_all},
};
use lapin::{
    Channel, Connection, Event as ConnectionEvent,
    message::Delivery as AmqpDelivery,
    options::{BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    Address, BrokerError, Carried, Declare, Message,
    consumed::{Consumed, LeftOut},
    declare, envelope,
    error::{while_connecting, while_declaring},
    frame_guard::Bodies,
    patience::Patience,
    properties,
    publisher::{Order, Publisher, Purpose, ReceiptsLine},
    topology::Topology,
};
use crate::{
    clock::Clock,
    domain::{Moment, Platform},
    settle::{AckTag, NextStep, NotStored, Outbox, SessionEnded},
};

/// How long the broker may take to answer a goodbye.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

/// How a session is built.
#[derive(Clone)]
pub struct Settings {
    /// Where the broker is.
    pub address: Address,
    /// What is done about the topology.
    pub declare: Declare,
    /// How many unacked events each queue may have handed over.
    pub prefetch: u16,
    /// How many unacked deliveries that came back each queue may have handed over; many of them wait for their slot.
    pub prefetch_delivery: u16,
    /// How many bytes of bodies each queue may have in memory; one body in any case.
    pub prefetch_size: usize,
    /// The largest body of an event, in bytes. Of larger ones there is one in memory at a time.
    pub body_max: usize,
    /// How long a confirm may take.
    pub confirm_timeout: Duration,
}

impl Settings {
    const fn prefetch_of(&self, source: Source) -> u16 {
        match source {
            Source::Events { .. } => self.prefetch,
            Source::Deliveries => self.prefetch_delivery,
        }
    }
}

/// The end of a session, shared by everything that can bring it about. The first cause counts.
#[derive(Clone, Default)]
pub struct Ended {
    token: CancellationToken,
    cause: Arc<OnceLock<String>>,
}

impl Ended {
    /// Ends the session.
    pub fn end(&self, cause: String) {
        let _ = self.cause.set(cause);
        self.token.cancel();
    }

    /// Waits for the end.
    pub async fn wait(&self) {
        self.token.cancelled().await;
    }

    /// Whether the session has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Why it ended.
    #[must_use]
    pub fn cause(&self) -> String {
        self.cause.get().cloned().unwrap_or_else(|| "it was closed".to_owned())
    }
}

/// A session with the broker.
pub struct Session {
    /// What comes in.
    pub intake: Intake,
    /// What goes out.
    pub outbox: Arc<BrokerOutbox>,
    /// Whether it is over.
    pub ended: Ended,
    /// Whether the broker has asked publishers to stop for a while.
    pub blocked: watch::Receiver<bool>,
    /// Its connections.
    pub connections: Connections,
}

impl Session {
    /// Connects, takes the lock, sees to the topology and starts consuming.
    pub async fn open(
        id: u64,
        settings: &Settings,
        topology: &Arc<Topology>,
        clock: &Clock,
    ) -> Result<Self, BrokerError> {
        let at = settings.address.shown()?;
        let bodies = Bodies::up_to(u64::try_from(settings.body_max).unwrap_or(u64::MAX));
        let room = u64::try_from(settings.prefetch_size).unwrap_or(u64::MAX);
        let consuming = settings.address.connect_with_room(Arc::clone(&bodies), "roomcast consuming").await?;
        let lock = declare::open(&consuming, &at).await?;
        declare::lock(&lock, &at, &topology.lock_queue()).await?;
        declare::declare(&consuming, &at, topology, settings.declare).await?;

        let ended = Ended::default();
        let publishing = Publishing::open(settings, topology, clock, &at, &ended).await?;

        let mut sources = vec![(topology.urgent(), Source::Events { urgent: true })];
        for platform in Platform::ALL {
            sources.push((topology.delivery_queue(platform), Source::Deliveries));
        }
        sources.push((topology.publish(), Source::Events { urgent: false }));
        let (mut channels, mut streams) = (Vec::new(), Vec::new());
        for (place, (queue, source)) in sources.into_iter().enumerate() {
            let channel = declare::open(&consuming, &at).await?;
            let (consumed, left_out) = Consumed::new(channel.clone(), Arc::clone(&bodies), room, clock.clone());
            let deliveries = consume(&channel, &queue, settings.prefetch_of(source), &at).await?;
            let ack_tag = AckTag { session: id, channel: place, tag: 0 };
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
        let intake = Intake { urgent, others: select_all(streams), ended: ended.clone(), lock };
        let Publishing { steps, receipts, blocked, connection: publishing, storing_receipts } = publishing;
        let outbox = Arc::new(BrokerOutbox {
            session: id,
            steps,
            receipts,
            channels,
            ended: ended.clone(),
            acked: AtomicBool::new(false),
        });
        let connections = Connections { consuming, publishing, storing_receipts, ended: ended.clone() };
        Ok(Self { intake, outbox, ended, blocked, connections })
    }
}

/// The connections of one session.
pub struct Connections {
    consuming: Connection,
    publishing: Connection,
    /// It closes the connection for receipts when the session ends.
    storing_receipts: Option<JoinHandle<()>>,
    ended: Ended,
}

impl Connections {
    /// Closes them, which ends the session if it has not ended. What was not acked comes back to the next.
    pub async fn close(self) {
        self.ended.end("it was closed".to_owned());
        let all = [&self.publishing, &self.consuming];
        let closing = join_all(all.map(|connection| connection.close(200, "goodbye".into())));
        let receipts = async {
            if let Some(storing) = self.storing_receipts {
                let _ = storing.await;
            }
        };
        // A broker that is gone answers no goodbye.
        let _ = tokio::time::timeout(GOODBYE_MAX, async { tokio::join!(closing, receipts) }).await;
    }
}

/// What one consumer is handed; the last is why there is no more.
type Incoming = BoxStream<'static, Result<Message, String>>;

/// The messages of one consumer. That it ends is said like a fault, as a stream that has ended is forgotten among others: a queue that is deleted ends its
/// consumer without an error, and so does a consumer timeout from RabbitMQ 4.3 on.
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

/// What comes in: urgent events before all others.
pub struct Intake {
    urgent: Incoming,
    others: SelectAll<Incoming>,
    ended: Ended,
    /// The lock lives as long as this channel's connection.
    #[expect(dead_code, reason = "held, not used")]
    lock: Channel,
}

impl Intake {
    /// The next message; nothing once the session has ended.
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
            // Each stream says why it ends before it does.
            None => None,
        }
    }
}

/// What goes out: next steps, and acks for what is settled.
pub struct BrokerOutbox {
    session: u64,
    steps: mpsc::Sender<Order>,
    /// Nothing, if nobody is told anything.
    receipts: Option<mpsc::Sender<Order>>,
    channels: Vec<Arc<Consumed>>,
    ended: Ended,
    acked: AtomicBool,
}

impl BrokerOutbox {
    /// Whether anything was acked: the session was good for something.
    #[must_use]
    pub fn has_acked(&self) -> bool {
        self.acked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Outbox for BrokerOutbox {
    async fn store(&self, step: NextStep) -> Result<(), NotStored> {
        let (stored, outcome) = oneshot::channel();
        let over = || NotStored::Over(self.ended.cause());
        let receipts = self.receipts.as_ref().filter(|_| matches!(step, NextStep::Receipt(_)));
        let orders = receipts.unwrap_or(&self.steps);
        tokio::select! {
            biased;
            () = self.ended.wait() => return Err(over()),
            sent = orders.send(Order { step, stored }) => sent.map_err(|_| over())?,
        }
        outcome.await.map_err(|_| over())?
    }

    async fn acknowledge(&self, ack_tags: &[AckTag]) -> Result<(), SessionEnded> {
        if self.ended.has_ended() || ack_tags.iter().any(|ack_tag| ack_tag.session != self.session) {
            return Err(SessionEnded);
        }
        let frames = self.channels.iter().enumerate().map(|(place, consumed)| {
            let tags = ack_tags.iter().filter(|ack_tag| ack_tag.channel == place).map(|ack_tag| ack_tag.tag);
            consumed.ack(tags.collect())
        });
        // Some may have reached the broker when the session ends, and some not: what comes back is not known, so nothing is promised about it.
        tokio::select! {
            sent = join_all(frames) => {
                if let Some(error) = sent.into_iter().find_map(Result::err) {
                    self.ended.end(super::error::words(&error));
                }
            }
            () = self.ended.wait() => (),
        }
        if !ack_tags.is_empty() {
            self.acked.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Source {
    Events { urgent: bool },
    Deliveries,
}

/// Where messages are stored.
struct Publishing {
    steps: mpsc::Sender<Order>,
    /// Nothing, if nobody is told anything.
    receipts: Option<mpsc::Sender<Order>>,
    blocked: watch::Receiver<bool>,
    connection: Connection,
    storing_receipts: Option<JoinHandle<()>>,
}

impl Publishing {
    /// A connection beside the one that consumes, so that a broker that blocks publishers still takes acks. Receipts have one of their own: the broker stops
    /// reading from whoever has sent a few hundred messages to a queue that does not answer, and no next step may wait for a queue of somebody else's.
    async fn open(
        settings: &Settings,
        topology: &Arc<Topology>,
        clock: &Clock,
        at: &str,
        ended: &Ended,
    ) -> Result<Self, BrokerError> {
        let (tell, blocked) = watch::channel(false);
        let patience =
            Patience { confirm_timeout: settings.confirm_timeout, blocked: blocked.clone(), ended: ended.clone() };
        let publisher = |channel, purpose| Publisher {
            channel,
            topology: Arc::clone(topology),
            clock: clock.clone(),
            patience: patience.clone(),
            purpose,
        };
        let connection = settings.address.connect("roomcast publishing").await?;
        watch_blocked(&connection, tell.clone(), ended.clone(), true);
        let (steps, _) = publisher(declare::confirming(&connection, at).await?, Purpose::Steps).start();
        let (mut receipts, mut storing_receipts) = (None, None);
        if topology.has_receipts() {
            let (line, channel) = ReceiptsLine::open(settings.address.clone(), tell, ended.clone()).await?;
            let (orders, storing) = publisher(channel, Purpose::Receipts(Box::new(line))).start();
            (receipts, storing_receipts) = (Some(orders), Some(storing));
        }
        Ok(Self { steps, receipts, blocked, connection, storing_receipts })
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

/// Before when a message is not to be tried; it may have come without its body. An event is due when it comes.
fn due(message: &Message, now: Moment) -> Moment {
    match &message.carried {
        Carried::Delivery(one) => one.due(now).unwrap_or_default(),
        Carried::Event { .. } | Carried::Unreadable { .. } => Moment::default(),
    }
}

/// Follows whether the broker blocks publishers, and ends the session with the connection if that is `vital`. A connection is told so when it publishes, so
/// what one of them hears goes for all: the alarm is the whole broker's.
pub(super) fn watch_blocked(connection: &Connection, tell: watch::Sender<bool>, ended: Ended, vital: bool) {
    let mut events = connection.events_listener().boxed();
    tokio::spawn(async move {
        let mut told = false;
        loop {
            let event = tokio::select! {
                () = ended.wait() => return,
                event = events.next() => event,
            };
            let blocked = match event {
                Some(ConnectionEvent::ConnectionBlocked(_)) => true,
                Some(ConnectionEvent::ConnectionUnblocked) => false,
                Some(ConnectionEvent::Error(error)) if vital => {
                    ended.end(super::error::words(&error));
                    return;
                }
                // It will not hear the end of an alarm that it was told of.
                Some(ConnectionEvent::Error(_)) | None if told => false,
                Some(ConnectionEvent::Error(_)) | None => return,
                Some(_) => continue,
            };
            told = blocked;
            tell.send_if_modified(|known| std::mem::replace(known, blocked) != blocked);
        }
    });
}
