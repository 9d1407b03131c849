//! Publishing one event as any publisher would, for the command line.

use lapin::{
    BasicProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};

use super::{
    Address, BrokerError, declare,
    error::{while_connecting, while_declaring},
    properties::{self, short},
    topology::Topology,
};
use crate::domain::{EventId, Headers, TopicName};

/// Publishes one event and waits until the broker has it.
pub async fn publish(
    address: &Address,
    topology: &Topology,
    topic: &TopicName,
    id: &EventId,
    body: &[u8],
    headers: &Headers,
    urgent: bool,
) -> Result<(), BrokerError> {
    let at = address.shown()?;
    let lost = |error: lapin::Error| while_connecting(&at, &error);
    let connection = address.connect("roomcast publish").await?;
    let channel = declare::open(&connection, &at).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(lost)?;
    let exchange = if urgent { topology.urgent() } else { topology.publish() };
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type(short("application/json"))
        .with_message_id(short(id.as_str()))
        .with_headers(properties::table(headers));
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirmation = channel
        .basic_publish(short(&exchange), short(topic.as_str()), options, body, properties)
        .await
        .map_err(lost)?
        .await
        .map_err(|error| while_declaring(&at, &format!("exchange {exchange}"), &error))?;
    let stored = confirmation.is_ack() && confirmation.take_message().is_none();
    connection.close(200, "published".into()).await.map_err(lost)?;
    if stored { Ok(()) } else { Err(BrokerError::Missing { what: format!("a queue behind exchange {exchange}") }) }
}

/// Looks whether the broker lets us in and whether the topology is there; says what it found in a few words.
///
/// A topology that is not there yet is no mistake: the daemon makes it. One that differs is.
pub async fn check(address: &Address, topology: &Topology) -> Result<String, BrokerError> {
    let at = address.shown()?;
    let connection = address.connect("roomcast check").await?;
    let found = declare::declare(&connection, &at, topology, declare::Declare::Verify).await;
    let _ = connection.close(200, "checked".into()).await;
    match found {
        Ok(()) => Ok(format!("ok, {at}, the topology is there")),
        Err(BrokerError::Missing { what }) => Ok(format!("ok, {at}; {what} is not there yet")),
        Err(error) => Err(error),
    }
}
