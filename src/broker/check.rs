//! A check of the broker from outside: finds the errors that would stop a session of the daemon.
//!
//! Existing items are compared as a session does it. Whether a missing item could be created is
//! asked with an argument that the broker rejects: it checks permissions first, and creates
//! nothing.
//!
//! Owns the promise that the broker stays unchanged. AMQP does not show bindings, nor whether a
//! queue may be read without reading from it.
//!
//! Not here: creating the topology (`declare.rs`).

use lapin::{
    options::{ExchangeDeclareOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use super::{
    Address, BrokerError, Declare,
    declare::{Declarer, TopologyItem, items, table},
    error::while_declaring,
    topology::Topology,
};

/// Connects and compares the topology with the broker. Changes nothing. Returns a sentence for
/// operators.
pub async fn check(
    address: &Address,
    topology: &Topology,
    declare: Declare,
) -> Result<String, BrokerError> {
    let at = address.shown()?;
    let connection = address.connect("roomcast check").await?;
    let found = look(&mut Declarer::open(&connection, &at).await?, topology, declare).await;
    let _ = connection.close(200, "checked".into()).await;
    let missing = found?;
    let unseen = "bindings cannot be seen from here";
    Ok(match missing.as_slice() {
        [] => format!("ok, {at}, the topology is there; {unseen}"),
        [one] => format!("ok, {at}; {one} is not there yet, the daemon makes it; {unseen}"),
        [first, rest @ ..] => {
            format!(
                "ok, {at}; {first} and {} more are not there yet, the daemon makes them; {unseen}",
                rest.len()
            )
        }
    })
}

/// The missing items that the daemon would create.
async fn look(
    declaring: &mut Declarer<'_>,
    topology: &Topology,
    declare: Declare,
) -> Result<Vec<String>, BrokerError> {
    let mut missing = Vec::new();
    let (exchanges, queues) = (topology.exchanges(), topology.queues());
    for item in items(&exchanges, &queues) {
        match declaring.compare(&item, declare).await {
            Err(BrokerError::Missing { what }) if declare == Declare::Create => {
                declaring.reopen().await?;
                could_make(declaring, &item).await?;
                missing.push(what);
            }
            compared => compared?,
        }
    }
    could_lock(declaring, &topology.lock_queue()).await?;
    Ok(missing)
}

/// Checks that a missing item could be created, without creating it.
async fn could_make(
    declaring: &mut Declarer<'_>,
    item: &TopologyItem<'_>,
) -> Result<(), BrokerError> {
    let refused = match item {
        TopologyItem::Exchange(plan) => {
            let mut arguments = table(&plan.arguments);
            // Invalid, because the value must be a name.
            arguments.insert("alternate-exchange".into(), AMQPValue::LongLongInt(0));
            let options =
                ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            let name = plan.name.as_str().into();
            declaring.channel.exchange_declare(name, plan.lapin_kind(), options, arguments).await
        }
        TopologyItem::Queue(plan) => {
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            let name = plan.name.as_str().into();
            declaring
                .channel
                .queue_declare(name, options, impossible(table(&plan.arguments)))
                .await
                .map(|_| ())
        }
    };
    declaring.refused_for_its_argument(&item.what(), refused).await
}

/// Checks that a daemon could take its lock. A lock held by a running daemon is fine.
async fn could_lock(declaring: &mut Declarer<'_>, name: &str) -> Result<(), BrokerError> {
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let refused = declaring
        .channel
        .queue_declare(name.into(), options, impossible(FieldTable::default()))
        .await;
    match declaring.refused_for_its_argument(&format!("queue {name}"), refused.map(|_| ())).await {
        Err(BrokerError::Locked { .. }) => Ok(()),
        other => other,
    }
}

/// Makes the arguments of a queue invalid: a negative time is rejected.
fn impossible(mut arguments: FieldTable) -> FieldTable {
    arguments.insert("x-expires".into(), AMQPValue::LongLongInt(-1));
    arguments
}

impl Declarer<'_> {
    async fn refused_for_its_argument(
        &mut self,
        what: &str,
        refused: lapin::Result<()>,
    ) -> Result<(), BrokerError> {
        let Err(error) = refused else { return Ok(()) };
        let refusal = while_declaring(self.at, what, &error);
        self.reopen().await?;
        match refusal {
            BrokerError::Mismatch { ref why, .. } if why.contains("inequivalent") => Err(refusal),
            BrokerError::Mismatch { .. } => Ok(()),
            refusal => Err(refusal),
        }
    }
}
