//! A check of the broker from outside: everything a session of the daemon would be refused, found without making or changing anything.
//!
//! What exists is compared as a session does it. Whether something that is missing could be made is asked with an argument that the broker refuses: it
//! looks at permissions first, and makes nothing. Bindings cannot be seen over AMQP, nor whether a queue may be read without reading it.

use lapin::{
    options::{ExchangeDeclareOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use super::{
    Address, BrokerError, Declare,
    declare::{Declaring, Item, items, table},
    error::while_declaring,
    topology::Topology,
};

/// Tries to connect and looks at the topology, without changing anything. Says what it found.
pub async fn check(address: &Address, topology: &Topology, declare: Declare) -> Result<String, BrokerError> {
    let at = address.shown()?;
    let connection = address.connect("roomcast check").await?;
    let found = look(&mut Declaring::open(&connection, &at).await?, topology, declare).await;
    let _ = connection.close(200, "checked".into()).await;
    let missing = found?;
    let unseen = "bindings cannot be seen from here";
    Ok(match missing.as_slice() {
        [] => format!("ok, {at}, the topology is there; {unseen}"),
        [one] => format!("ok, {at}; {one} is not there yet, the daemon makes it; {unseen}"),
        [first, rest @ ..] => {
            format!("ok, {at}; {first} and {} more are not there yet, the daemon makes them; {unseen}", rest.len())
        }
    })
}

/// What is missing and would be made.
async fn look(
    declaring: &mut Declaring<'_>,
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

/// Whether something that is missing could be made, which it is not.
async fn could_make(declaring: &mut Declaring<'_>, item: &Item<'_>) -> Result<(), BrokerError> {
    let refused = match item {
        Item::Exchange(plan) => {
            let mut arguments = table(&plan.arguments);
            // It has to be a name.
            arguments.insert("alternate-exchange".into(), AMQPValue::LongLongInt(0));
            let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            let name = plan.name.as_str().into();
            declaring.channel.exchange_declare(name, plan.lapin_kind(), options, arguments).await
        }
        Item::Queue(plan) => {
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            let name = plan.name.as_str().into();
            declaring.channel.queue_declare(name, options, impossible(table(&plan.arguments))).await.map(|_| ())
        }
    };
    declaring.refused_for_its_argument(&item.what(), refused).await
}

/// Whether a daemon could take its lock. One that runs already holds it.
async fn could_lock(declaring: &mut Declaring<'_>, name: &str) -> Result<(), BrokerError> {
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    let refused = declaring.channel.queue_declare(name.into(), options, impossible(FieldTable::default())).await;
    match declaring.refused_for_its_argument(&format!("queue {name}"), refused.map(|_| ())).await {
        Err(BrokerError::Locked { .. }) => Ok(()),
        other => other,
    }
}

/// No queue can live for less than no time.
fn impossible(mut arguments: FieldTable) -> FieldTable {
    arguments.insert("x-expires".into(), AMQPValue::LongLongInt(-1));
    arguments
}

impl Declaring<'_> {
    async fn refused_for_its_argument(&mut self, what: &str, refused: lapin::Result<()>) -> Result<(), BrokerError> {
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
