//! Publishing one event as any publisher would, for the command line.

use std::time::Duration;

use lapin::{
    BasicProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};

use super::{
    Address, BrokerError, declare,
    error::{while_connecting, while_declaring},
    patience::confirmed_in_time,
    properties::{self, short},
    topology::Topology,
};
use crate::domain::{EventId, Headers, Moment, TopicName};

/// One event, and how to publish it.
pub struct Outgoing<'a> {
    /// Its topic.
    pub topic: &'a TopicName,
    /// Its name.
    pub id: &'a EventId,
    /// What it says.
    pub body: &'a [u8],
    /// What goes along.
    pub headers: &'a Headers,
    /// Whether it overtakes others.
    pub urgent: bool,
    /// When it is published: its time to live counts from then.
    pub at: Moment,
}

/// Publishes one event and waits until the broker has it, at most for `confirm_timeout`. Whether it has it is not known then.
pub async fn publish(
    address: &Address,
    topology: &Topology,
    event: &Outgoing<'_>,
    confirm_timeout: Duration,
) -> Result<(), BrokerError> {
    let at = address.shown()?;
    let lost = |error: lapin::Error| while_connecting(&at, &error);
    let connection = address.connect("roomcast publish").await?;
    let channel = declare::open(&connection, &at).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(lost)?;
    let exchange = if event.urgent { topology.urgent() } else { topology.publish() };
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type(short("application/json"))
        .with_message_id(short(event.id.as_str()))
        .with_timestamp(event.at.unix_seconds())
        .with_headers(properties::table(event.headers));
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let publishing = async {
        let confirm =
            channel.basic_publish(short(&exchange), short(event.topic.as_str()), options, event.body, properties);
        let confirmed = confirm.await.map_err(lost)?.await;
        confirmed.map_err(|error| while_declaring(&at, &format!("exchange {exchange}"), &error))
    };
    let confirmation = confirmed_in_time(&connection, &at, confirm_timeout, publishing).await??;
    let stored = confirmation.is_ack() && confirmation.take_message().is_none();
    connection.close(200, "published".into()).await.map_err(lost)?;
    if stored { Ok(()) } else { Err(BrokerError::Missing { what: format!("a queue behind exchange {exchange}") }) }
}
