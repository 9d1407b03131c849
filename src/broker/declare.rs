//! Makes the topology, or checks it. Owns the translation of the plan into AMQP; the plan is `topology.rs`.

use lapin::{
    Channel, Connection, ExchangeKind,
    options::{ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use super::{
    error::{BrokerError, while_connecting, while_declaring},
    topology::{Argument, Topology},
};

/// What the daemon does about the topology when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declare {
    /// Creates what is missing and checks what exists.
    Create,
    /// Checks that everything exists, and with the arguments of the plan as far as the user's permissions allow to tell.
    Verify,
    /// Neither: someone else answers for it.
    None,
}

/// A channel that is reopened when the broker closes it over a refused declaration.
struct Declaring<'a> {
    connection: &'a Connection,
    channel: Channel,
    at: &'a str,
}

/// Declares or checks the topology.
pub(super) async fn declare(
    connection: &Connection,
    at: &str,
    topology: &Topology,
    mode: Declare,
) -> Result<(), BrokerError> {
    let channel = open(connection, at).await?;
    let mut declaring = Declaring { connection, channel, at };
    match mode {
        Declare::None => Ok(()),
        Declare::Create => declaring.create(topology).await,
        Declare::Verify => declaring.verify(topology).await,
    }
}

/// Takes a lock, for as long as the connection lives or until its queue is deleted.
pub(super) async fn lock(channel: &Channel, at: &str, name: &str) -> Result<(), BrokerError> {
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    channel
        .queue_declare(name.into(), options, FieldTable::default())
        .await
        .map(|_| ())
        .map_err(|error| while_declaring(at, name, &error))
}

impl Declaring<'_> {
    async fn create(&self, topology: &Topology) -> Result<(), BrokerError> {
        self.exchanges(topology, false).await?;
        for queue in topology.queues() {
            self.queue(&queue.name, &queue.arguments, false)
                .await
                .map_err(|error| while_declaring(self.at, &format!("queue {}", queue.name), &error))?;
        }
        for binding in topology.bindings() {
            self.channel
                .queue_bind(
                    binding.queue.as_str().into(),
                    binding.exchange.as_str().into(),
                    binding.key.as_str().into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await
                .map_err(|error| {
                    let what = format!("the binding of queue {} to {}", binding.queue, binding.exchange);
                    while_declaring(self.at, &what, &error)
                })?;
        }
        Ok(())
    }

    /// A passive declaration looks at names only, so each queue is declared again in earnest: it exists by then, and
    /// the broker compares the arguments. Who may not declare (no `configure` permission) gets the names checked.
    async fn verify(&mut self, topology: &Topology) -> Result<(), BrokerError> {
        self.exchanges(topology, true).await?;
        for queue in topology.queues() {
            let what = format!("queue {}", queue.name);
            for passive in [true, false] {
                let declared = self.queue(&queue.name, &queue.arguments, passive).await;
                match declared.map_err(|error| while_declaring(self.at, &what, &error)) {
                    Err(BrokerError::Permission { .. }) if !passive => {
                        self.channel = open(self.connection, self.at).await?;
                    }
                    other => other?,
                }
            }
        }
        Ok(())
    }

    async fn exchanges(&self, topology: &Topology, passive: bool) -> Result<(), BrokerError> {
        for exchange in topology.exchanges() {
            let kind = if exchange.kind == "fanout" { ExchangeKind::Fanout } else { ExchangeKind::Topic };
            let options = ExchangeDeclareOptions { durable: true, passive, ..ExchangeDeclareOptions::default() };
            self.channel
                .exchange_declare(exchange.name.as_str().into(), kind, options, table(&exchange.arguments))
                .await
                .map_err(|error| while_declaring(self.at, &format!("exchange {}", exchange.name), &error))?;
        }
        Ok(())
    }

    async fn queue(
        &self,
        name: &str,
        arguments: &[(&'static str, Argument)],
        passive: bool,
    ) -> Result<(), lapin::Error> {
        let options = QueueDeclareOptions { durable: true, passive, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(name.into(), options, table(arguments)).await.map(|_| ())
    }
}

pub(super) async fn open(connection: &Connection, at: &str) -> Result<Channel, BrokerError> {
    connection.create_channel().await.map_err(|error| while_connecting(at, &error))
}

/// A channel on which the broker confirms what is published.
pub(super) async fn confirming(connection: &Connection, at: &str) -> Result<Channel, BrokerError> {
    let channel = open(connection, at).await?;
    let confirms = channel.confirm_select(ConfirmSelectOptions::default()).await;
    confirms.map_err(|error| while_connecting(at, &error))?;
    Ok(channel)
}

fn table(arguments: &[(&'static str, Argument)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
            Argument::Int(number) => AMQPValue::LongLongInt(*number),
        };
        table.insert((*key).into(), value);
    }
    table
}
