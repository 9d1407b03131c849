//! Declares the topology, or verifies it.
//!
//! Owns the translation of the plan into AMQP, and the modes of `broker.declare`.
//!
//! Not here: the plan (`topology/plan.rs`).

use lapin::{
    Channel, Connection, ExchangeKind,
    options::{
        ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};

use super::{
    error::{BrokerError, while_connecting, while_declaring},
    topology::{Argument, ExchangePlan, QueuePlan, Topology},
};

/// The mode in which a start of the daemon treats the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declare {
    /// Creates missing items and verifies existing ones.
    Create,
    /// Verifies that every item exists, and its arguments as far as the user's permissions allow.
    Verify,
    /// Does nothing: the operator is responsible.
    None,
}

/// A channel that is reopened after the broker closes it because of a rejected declaration.
pub(super) struct Declarer<'a> {
    connection: &'a Connection,
    pub(super) channel: Channel,
    pub(super) at: &'a str,
}

/// An exchange or queue of the plan.
pub(super) enum TopologyItem<'a> {
    Exchange(&'a ExchangePlan),
    Queue(&'a QueuePlan),
}

impl TopologyItem<'_> {
    /// The name of the item in errors.
    pub(super) fn what(&self) -> String {
        match self {
            Self::Exchange(plan) => format!("exchange {}", plan.name),
            Self::Queue(plan) => format!("queue {}", plan.name),
        }
    }
}

/// Every exchange, then every queue.
pub(super) fn items<'a>(
    exchanges: &'a [ExchangePlan],
    queues: &'a [QueuePlan],
) -> impl Iterator<Item = TopologyItem<'a>> {
    exchanges.iter().map(TopologyItem::Exchange).chain(queues.iter().map(TopologyItem::Queue))
}

/// Declares or verifies the topology.
pub(super) async fn declare(
    connection: &Connection,
    at: &str,
    topology: &Topology,
    mode: Declare,
) -> Result<(), BrokerError> {
    let mut declaring = Declarer::open(connection, at).await?;
    match mode {
        Declare::None => Ok(()),
        Declare::Create => declaring.create(topology).await,
        Declare::Verify => declaring.verify(topology).await,
    }
}

/// Takes a lock: an exclusive queue that exists until the connection ends or the queue is deleted.
pub(super) async fn lock(channel: &Channel, at: &str, name: &str) -> Result<(), BrokerError> {
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(name.into(), options, FieldTable::default())
        .await
        .map(|_| ())
        .map_err(|error| while_declaring(at, name, &error))
}

impl<'a> Declarer<'a> {
    pub(super) async fn open(connection: &'a Connection, at: &'a str) -> Result<Self, BrokerError> {
        Ok(Self { connection, channel: open(connection, at).await?, at })
    }

    /// Reopens the channel, which the broker closes after a rejection.
    pub(super) async fn reopen(&mut self) -> Result<(), BrokerError> {
        self.channel = open(self.connection, self.at).await?;
        Ok(())
    }

    async fn create(&self, topology: &Topology) -> Result<(), BrokerError> {
        let (exchanges, queues) = (topology.exchanges(), topology.queues());
        for item in items(&exchanges, &queues) {
            self.item(&item, false).await?;
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
                    let what =
                        format!("the binding of queue {} to {}", binding.queue, binding.exchange);
                    while_declaring(self.at, &what, &error)
                })?;
        }
        Ok(())
    }

    async fn verify(&mut self, topology: &Topology) -> Result<(), BrokerError> {
        let (exchanges, queues) = (topology.exchanges(), topology.queues());
        for item in items(&exchanges, &queues) {
            self.compare(&item, Declare::Verify).await?;
        }
        Ok(())
    }

    /// Checks that an item exists as planned. A passive declaration checks the name only. So a
    /// second, active declaration follows, at which the broker compares type and arguments. Under
    /// [`Declare::Verify`] a user without `configure` permission gets the name checked only.
    pub(super) async fn compare(
        &mut self,
        item: &TopologyItem<'_>,
        mode: Declare,
    ) -> Result<(), BrokerError> {
        self.item(item, true).await?;
        if mode == Declare::None {
            return Ok(());
        }
        match self.item(item, false).await {
            Err(BrokerError::Permission { .. }) if mode == Declare::Verify => self.reopen().await,
            compared => compared,
        }
    }

    async fn item(&self, item: &TopologyItem<'_>, passive: bool) -> Result<(), BrokerError> {
        let declared = match item {
            TopologyItem::Exchange(plan) => self.exchange(plan, passive).await,
            TopologyItem::Queue(plan) => self.queue(&plan.name, &plan.arguments, passive).await,
        };
        declared.map_err(|error| while_declaring(self.at, &item.what(), &error))
    }

    async fn exchange(&self, plan: &ExchangePlan, passive: bool) -> Result<(), lapin::Error> {
        let options =
            ExchangeDeclareOptions { durable: true, passive, ..ExchangeDeclareOptions::default() };
        self.channel
            .exchange_declare(
                plan.name.as_str().into(),
                plan.lapin_kind(),
                options,
                table(&plan.arguments),
            )
            .await
    }

    async fn queue(
        &self,
        name: &str,
        arguments: &[(&'static str, Argument)],
        passive: bool,
    ) -> Result<(), lapin::Error> {
        let options =
            QueueDeclareOptions { durable: true, passive, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(name.into(), options, table(arguments)).await.map(|_| ())
    }
}

impl ExchangePlan {
    pub(super) fn lapin_kind(&self) -> ExchangeKind {
        if self.kind == "fanout" { ExchangeKind::Fanout } else { ExchangeKind::Topic }
    }
}

pub(super) async fn open(connection: &Connection, at: &str) -> Result<Channel, BrokerError> {
    connection.create_channel().await.map_err(|error| while_connecting(at, &error))
}

/// A channel in confirm mode.
pub(super) async fn confirming(connection: &Connection, at: &str) -> Result<Channel, BrokerError> {
    let channel = open(connection, at).await?;
    let confirms = channel.confirm_select(ConfirmSelectOptions::default()).await;
    confirms.map_err(|error| while_connecting(at, &error))?;
    Ok(channel)
}

pub(super) fn table(arguments: &[(&'static str, Argument)]) -> FieldTable {
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
