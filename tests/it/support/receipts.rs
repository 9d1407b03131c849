//! A receiver of delivery receipts, by plain AMQP without roomcast's code.
//!
//! Owns how the tests bind queues to the exchange of receipts.
//!
//! Not here: the tests of receipts (`tests/it/receipts.rs`).

use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use lapin::{
    Channel, Connection, ConnectionProperties,
    message::Delivery,
    options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use serde_json::Value;

use super::publisher::text_header;

/// A queue bound to the exchange of receipts, and its messages so far.
pub struct Receipts {
    _connection: Connection,
    seen: Arc<Mutex<Vec<Receipt>>>,
}

/// One receipt.
#[derive(Clone)]
pub struct Receipt {
    pub key: String,
    pub body: Value,
    message: Arc<Delivery>,
}

impl Receipts {
    /// Binds a queue for receipts with this routing key. The daemon must have run once, so that the
    /// exchange exists.
    pub async fn bound(url: &str, prefix: &str, key: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare("".into(), options, FieldTable::default()).await.unwrap();
        bind(&channel, queue.name().as_str(), prefix, key).await;
        Self::of_queue(connection, channel, queue.name().as_str()).await
    }

    /// Consumes an existing queue.
    pub async fn kept(url: &str, queue: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self::of_queue(connection, channel, queue).await
    }

    async fn of_queue(connection: Connection, channel: Channel, queue: &str) -> Self {
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consuming =
            channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
        let mut consumer = consuming.await.unwrap();
        let seen = Arc::<Mutex<Vec<Receipt>>>::default();
        let sink = Arc::clone(&seen);
        tokio::spawn(async move {
            let _channel = channel;
            while let Some(Ok(message)) = consumer.next().await {
                let body = serde_json::from_slice(&message.data).unwrap();
                let key = message.routing_key.to_string();
                sink.lock().unwrap().push(Receipt { key, body, message: Arc::new(message) });
            }
        });
        Self { _connection: connection, seen }
    }

    pub fn all(&self) -> Vec<Receipt> {
        self.seen.lock().unwrap().clone()
    }

    /// The receipts of one event.
    pub fn of(&self, event: &str) -> Vec<Receipt> {
        self.all().into_iter().filter(|one| one.body["event"] == event).collect()
    }
}

impl Receipt {
    pub fn header(&self, name: &str) -> String {
        text_header(&self.message.properties, name)
    }

    /// The event's `correlation_id`.
    pub fn correlation_id(&self) -> String {
        self.message
            .properties
            .correlation_id()
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    pub fn is_persistent(&self) -> bool {
        *self.message.properties.delivery_mode() == Some(2)
    }
}

/// Declares a queue with room for one message, which rejects more, bound to all receipts.
pub async fn bind_a_full_queue(channel: &Channel, prefix: &str) {
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    declare(channel, prefix, "full", arguments).await;
}

/// Declares a queue that keeps all receipts over a restart of the broker; returns its name.
pub async fn bind_a_queue(channel: &Channel, prefix: &str, kind: &str) -> String {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
    declare(channel, prefix, kind, arguments).await
}

async fn declare(channel: &Channel, prefix: &str, name: &str, arguments: FieldTable) -> String {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let name = format!("{prefix}.{name}");
    channel.queue_declare(name.as_str().into(), options, arguments).await.unwrap();
    bind(channel, &name, prefix, "#").await;
    name
}

async fn bind(channel: &Channel, queue: &str, prefix: &str, key: &str) {
    let exchange = format!("{prefix}.outcome");
    let options = QueueBindOptions::default();
    channel
        .queue_bind(
            queue.into(),
            exchange.as_str().into(),
            key.into(),
            options,
            FieldTable::default(),
        )
        .await
        .unwrap();
}
