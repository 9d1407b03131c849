//! Dead letters by the thousand, published to their queue as the daemon does it, and consumed by
//! plain AMQP.
//!
//! Owns their shape.
//!
//! Not here: the tests of large dead queues (`tests/it/dead_many.rs`).

use std::time::Duration;

use futures_util::{StreamExt, future::join_all};
use lapin::{
    BasicProperties,
    options::{BasicConsumeOptions, BasicPublishOptions},
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};

use super::{publisher::Publisher, until};

const SOON: Duration = Duration::from_secs(30);

/// A dead letter for a WeCom robot.
pub struct Letter {
    pub id: String,
    pub reason: &'static str,
    pub event: String,
    pub subscription: String,
    pub body: Vec<u8>,
    pub dead_at: jiff::Timestamp,
}

impl Letter {
    /// The letter with this number. Its event's text is `m<number>`. Every second letter is
    /// expired, the others are exhausted.
    pub fn number(number: usize, subscription: &str) -> Self {
        Self {
            id: uuid::Uuid::now_v7().to_string(),
            reason: if number.is_multiple_of(2) { "expired" } else { "exhausted" },
            event: format!("event-{number}"),
            subscription: subscription.to_owned(),
            body: json!({"message": format!("m{number}")}).to_string().into_bytes(),
            dead_at: jiff::Timestamp::now(),
        }
    }

    fn properties(&self) -> BasicProperties {
        let mut headers = FieldTable::default();
        let text = |text: &str| AMQPValue::LongString(text.into());
        for (name, value) in [
            ("reason", text(self.reason)),
            ("code", text("made_up")),
            ("detail", text("made up by a test")),
            ("platform", text("wecom")),
            ("topic", text("ops")),
            ("event", text(&self.event)),
            ("subscription", text(&self.subscription)),
            ("robot", text(&"ab".repeat(16))),
            ("attempts", AMQPValue::LongLongInt(3)),
            ("generation", AMQPValue::LongLongInt(0)),
            ("dead-at", text(&self.dead_at.to_string())),
        ] {
            headers.insert(format!("x-roomcast-{name}").as_str().into(), value);
        }
        let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
        properties.with_message_id(self.id.as_str().into())
    }
}

impl Publisher {
    /// Publishes letters to the dead queue, many at a time.
    pub async fn bury(&self, letters: &[Letter]) {
        let exchange = format!("{}.dead", self.prefix);
        for some in letters.chunks(2000) {
            let mut confirms = Vec::new();
            for letter in some {
                let key = format!("wecom.{}", letter.reason);
                let options =
                    BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
                let publishing = self.channel.basic_publish(
                    exchange.as_str().into(),
                    key.as_str().into(),
                    options,
                    &letter.body,
                    letter.properties(),
                );
                confirms.push(publishing.await.unwrap());
            }
            for confirmation in join_all(confirms).await {
                let confirmation = confirmation.unwrap();
                assert!(confirmation.is_ack() && confirmation.take_message().is_none());
            }
        }
    }

    /// Empties a queue that has messages; returns their ids and bodies, in order.
    pub async fn drain(&self, queue: &str) -> Vec<(String, Vec<u8>)> {
        until("the queue says what it has", SOON, || async { self.depth(queue).await > 0 }).await;
        let (name, count) = (format!("{}.{queue}", self.prefix), self.depth(queue).await);
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consuming = self.channel.basic_consume(
            name.as_str().into(),
            "drain".into(),
            options,
            FieldTable::default(),
        );
        let messages: Vec<_> =
            consuming.await.unwrap().take(usize::try_from(count).unwrap()).collect().await;
        let apart = |message: Result<lapin::message::Delivery, lapin::Error>| {
            let message = message.unwrap();
            (message.properties.message_id().as_ref().unwrap().to_string(), message.data)
        };
        messages.into_iter().map(apart).collect()
    }
}

/// The numbers of the events that a chat shows, in order.
pub fn numbers(shown: &[String]) -> Vec<usize> {
    let mut numbers: Vec<_> =
        shown.iter().map(|text| text.trim_start_matches('m').parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

/// Lines of JSON, parsed.
pub fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
