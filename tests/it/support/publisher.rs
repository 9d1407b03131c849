//! A publisher, and access to queues, by plain AMQP without roomcast's code.
//!
//! Owns how the tests publish.
//!
//! Not here: malformed frames (`raw.rs`), and receivers of receipts (`receipts.rs`).

use std::time::Duration;

use futures_util::future::join_all;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    message::BasicGetMessage,
    options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::FieldTable,
};
use serde_json::Value;
use tokio::task::JoinHandle;

pub struct Publisher {
    _connection: Connection,
    pub(super) channel: Channel,
    pub(super) prefix: String,
}

impl Publisher {
    pub async fn connect(url: &str, prefix: &str) -> Self {
        Self::try_connect(url, prefix).await.unwrap()
    }

    pub async fn try_connect(url: &str, prefix: &str) -> Result<Self, lapin::Error> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { _connection: connection, channel, prefix: prefix.to_owned() })
    }

    pub const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Publishes an event and waits for the confirm.
    pub async fn publish(&self, topic: &str, event: &Value) {
        self.publish_bytes(topic, event.to_string().as_bytes(), BasicProperties::default()).await;
    }

    pub async fn publish_bytes(&self, topic: &str, body: &[u8], properties: BasicProperties) {
        let exchange = format!("{}.publish", self.prefix);
        self.publish_to(&exchange, topic, body, properties).await.unwrap();
    }

    pub async fn publish_to(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), lapin::Error> {
        let confirm = self
            .channel
            .basic_publish(
                exchange.into(),
                key.into(),
                BasicPublishOptions::default(),
                body,
                properties.with_delivery_mode(2),
            )
            .await?
            .await?;
        assert!(confirm.is_ack());
        Ok(())
    }

    /// Publishes many events at once and waits for all confirms. Returns an error if any is
    /// missing.
    pub async fn try_publish_all(
        &self,
        topic: &str,
        events: &[(String, Value)],
    ) -> Result<(), lapin::Error> {
        let mut confirms = Vec::new();
        for (id, event) in events {
            let properties = BasicProperties::default()
                .with_delivery_mode(2)
                .with_message_id(id.as_str().into());
            let exchange = format!("{}.publish", self.prefix);
            let body = event.to_string();
            confirms.push(
                self.channel
                    .basic_publish(
                        exchange.as_str().into(),
                        topic.into(),
                        BasicPublishOptions::default(),
                        body.as_bytes(),
                        properties,
                    )
                    .await?,
            );
        }
        for confirmation in join_all(confirms).await {
            assert!(confirmation?.is_ack());
        }
        Ok(())
    }

    /// A correct publisher: it republishes unconfirmed events with the same `message_id` after the
    /// broker was away.
    pub fn insist(
        url: String,
        prefix: String,
        topic: &'static str,
        events: Vec<(String, Value)>,
    ) -> JoinHandle<()> {
        const BATCH: usize = 100;
        tokio::spawn(async move {
            for batch in events.chunks(BATCH) {
                loop {
                    match Self::try_connect(&url, &prefix).await {
                        Ok(publisher) if publisher.try_publish_all(topic, batch).await.is_ok() => {
                            break;
                        }
                        _ => tokio::time::sleep(Duration::from_millis(200)).await,
                    }
                }
            }
        })
    }

    /// The number of ready messages in a queue. RabbitMQ says 0 if a quorum queue does not answer
    /// within a quarter of a second. So a test waits for a number, and counts with
    /// `Broker::messages` where 0 is what it waits for.
    pub async fn depth(&self, queue: &str) -> u32 {
        self.ready_and_consumers(queue).await.0
    }

    /// The numbers of ready messages and of consumers of a queue.
    pub async fn ready_and_consumers(&self, queue: &str) -> (u32, u32) {
        self.try_ready_and_consumers(queue).await.unwrap()
    }

    /// The same for a queue that may not exist; the error closes the channel.
    pub async fn try_ready_and_consumers(&self, queue: &str) -> Result<(u32, u32), lapin::Error> {
        let options =
            QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
        let name = format!("{}.{queue}", self.prefix);
        let found = self
            .channel
            .queue_declare(name.as_str().into(), options, FieldTable::default())
            .await?;
        Ok((found.message_count(), found.consumer_count()))
    }

    /// Gets a message from a queue.
    pub async fn get(&self, queue: &str) -> Option<BasicGetMessage> {
        let name = format!("{}.{queue}", self.prefix);
        self.channel
            .basic_get(name.as_str().into(), BasicGetOptions { no_ack: true })
            .await
            .unwrap()
    }
}

/// A text header of a message.
pub fn header(message: &BasicGetMessage, name: &str) -> String {
    text_header(&message.delivery.properties, name)
}

pub fn text_header(properties: &BasicProperties, name: &str) -> String {
    let headers = properties.headers().clone().unwrap_or_default();
    match headers.inner().get(name) {
        Some(lapin::types::AMQPValue::LongString(text)) => text.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}
