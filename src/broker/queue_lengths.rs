//! The lengths of the daemon's queues, and whether the queues are consumed.
//!
//! Owns the rule that asking never disturbs a session: it uses its own connection and takes no
//! message out of a queue.
//!
//! Not here: the number of dead letters by reason (`dead_count.rs`).

use std::{sync::Arc, time::Duration};

use lapin::{Connection, options::QueueDeclareOptions, types::FieldTable};

use super::{
    Address, BrokerError, dead_queue_scan::close, declare, error::while_declaring,
    topology::Topology,
};
use crate::domain::QueueStats;

/// The maximum time for all queues together.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks for the lengths of a topology's queues.
pub struct QueueLengths {
    address: Address,
    topology: Arc<Topology>,
    /// `None` before the first question and after a failed one.
    connection: Option<Connection>,
}

impl QueueLengths {
    /// A gauge that is not connected yet.
    #[must_use]
    pub const fn new(address: Address, topology: Arc<Topology>) -> Self {
        Self { address, topology, connection: None }
    }

    /// The lengths of all queues. A missing queue is left out.
    pub async fn measure(&mut self) -> Result<Vec<QueueStats>, BrokerError> {
        let at = self.address.shown()?;
        // After a fault, dropping the old connection closes it.
        let connection =
            match self.connection.take().filter(|connection| connection.status().connected()) {
                Some(connection) => connection,
                None => self.address.connect("roomcast watching").await?,
            };
        let seen = match tokio::time::timeout(
            ANSWER_TIMEOUT,
            read_lengths(&connection, &at, &self.topology),
        )
        .await
        {
            Ok(seen) => seen?,
            Err(_) => {
                return Err(BrokerError::Unreachable {
                    at,
                    why: "it does not report the lengths of its queues".to_owned(),
                });
            }
        };
        self.connection = Some(connection);
        Ok(seen)
    }

    /// Closes the connection, if there is one.
    pub async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            // A broker that is gone does not answer a close.
            let _ =
                tokio::time::timeout(ANSWER_TIMEOUT, connection.close(200, "goodbye".into())).await;
        }
    }
}

async fn read_lengths(
    connection: &Connection,
    at: &str,
    topology: &Topology,
) -> Result<Vec<QueueStats>, BrokerError> {
    let (mut channel, mut seen, consumed) =
        (declare::open(connection, at).await?, Vec::new(), topology.consumed_queues());
    for queue in topology.queues() {
        let passive =
            QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
        let found =
            channel.queue_declare(queue.name.as_str().into(), passive, FieldTable::default()).await;
        match found.map_err(|error| while_declaring(at, &format!("queue {}", queue.name), &error)) {
            Ok(found) => seen.push(QueueStats {
                name: topology.without_prefix(&queue.name).to_owned(),
                ready: found.message_count(),
                consumers: consumed.contains(&queue.name).then(|| found.consumer_count()),
            }),
            // The broker has closed the channel.
            Err(BrokerError::Missing { .. }) => channel = declare::open(connection, at).await?,
            Err(error) => return Err(error),
        }
    }
    close(&channel, at).await?;
    Ok(seen)
}
