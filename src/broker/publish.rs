//! Publishes one event like any publisher, for the command line.
//!
//! Owns the properties of that event.
//!
//! Not here: storing next steps in a session (`publisher.rs`).

use std::time::Duration;

use lapin::{
    BasicProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};

use super::{
    Address, BrokerError,
    confirm_deadline::confirmed_in_time,
    declare,
    error::{while_connecting, while_declaring},
    properties::{self, short},
    topology::Topology,
};
use crate::domain::{EventId, PublishedMessage, Timestamp, TopicName};

/// An event to publish.
pub struct OutgoingEvent<'a> {
    /// Its topic.
    pub topic: &'a TopicName,
    /// Its id.
    pub id: &'a EventId,
    /// Its body, headers, content type and content encoding.
    pub message: &'a PublishedMessage,
    /// Whether it goes to the urgent exchange.
    pub urgent: bool,
    /// The time of publication, from which its time to live counts.
    pub at: Timestamp,
}

/// Publishes one event and waits for the broker's confirm, at most `confirm_timeout`.
///
/// # Errors
///
/// [`BrokerError::Unconfirmed`] or [`BrokerError::Blocked`] after that time; then it is unknown
/// whether the broker has the event. [`BrokerError::Missing`] if no queue took it.
pub async fn publish(
    address: &Address,
    topology: &Topology,
    event: &OutgoingEvent<'_>,
    confirm_timeout: Duration,
) -> Result<(), BrokerError> {
    let at = address.shown()?;
    let lost = |error: lapin::Error| while_connecting(&at, &error);
    let connection = address.connect("roomcast publish").await?;
    let channel = declare::open(&connection, &at).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(lost)?;
    let exchange = if event.urgent { topology.urgent() } else { topology.publish() };
    let mut properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_message_id(short(event.id.as_str()))
        .with_timestamp(event.at.unix_seconds())
        .with_headers(properties::table(&event.message.headers));
    if let Some(content_type) = &event.message.content_type {
        properties = properties.with_content_type(short(content_type));
    }
    if let Some(content_encoding) = &event.message.content_encoding {
        properties = properties.with_content_encoding(short(content_encoding));
    }
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let publishing = async {
        let confirm = channel.basic_publish(
            short(&exchange),
            short(event.topic.as_str()),
            options,
            &event.message.body,
            properties,
        );
        let confirmed = confirm.await.map_err(lost)?.await;
        confirmed.map_err(|error| while_declaring(&at, &format!("exchange {exchange}"), &error))
    };
    let confirmation = confirmed_in_time(&connection, &at, confirm_timeout, publishing).await??;
    let stored = confirmation.is_ack() && confirmation.take_message().is_none();
    connection.close(200, "published".into()).await.map_err(lost)?;
    if stored {
        Ok(())
    } else {
        Err(BrokerError::Missing { what: format!("a queue behind exchange {exchange}") })
    }
}
