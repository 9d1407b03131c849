//! How much lies in the daemon's queues, asked for from time to time. It takes nothing out, not even for a moment.

use std::{sync::Arc, time::Duration};

use lapin::{Connection, options::QueueDeclareOptions, types::FieldTable};
use tokio::sync::watch;

use super::{BrokerError, dead_walk::close, declare, error::while_declaring, session::Ended, topology::Topology};

/// How often the queues are asked.
const EVERY: Duration = Duration::from_secs(15);

/// A broker that takes longer for all of them has other worries.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many messages lie ready in each queue, by its name without the prefix; nothing if that is not known.
pub type Depths = Vec<(String, u32)>;

/// Asks until the session ends. What is not known leaves the session as it is: whether it works is for others to say.
pub(super) fn watch(
    connection: &Arc<Connection>,
    at: &str,
    topology: &Arc<Topology>,
    ended: &Ended,
) -> watch::Receiver<Depths> {
    let (tell, depths) = watch::channel(Depths::new());
    let (connection, at, topology, ended) =
        (Arc::clone(connection), at.to_owned(), Arc::clone(topology), ended.clone());
    tokio::spawn(async move {
        while !ended.has_ended() {
            // To its end, as lapin cannot close a connection while a dropped channel still closes.
            let asked = tokio::time::timeout(PATIENCE, ask(&connection, &at, &topology)).await;
            tell.send_replace(match asked {
                Ok(Ok(depths)) => depths,
                Ok(Err(error)) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "the depths of the queues are not known");
                    Depths::new()
                }
                Err(_) => {
                    tracing::debug!("the depths of the queues are not known: the broker does not answer");
                    Depths::new()
                }
            });
            tokio::select! {
                () = ended.wait() => (),
                () = tokio::time::sleep(EVERY) => (),
            }
        }
    });
    depths
}

async fn ask(connection: &Connection, at: &str, topology: &Topology) -> Result<Depths, BrokerError> {
    let (channel, mut depths) = (declare::open(connection, at).await?, Depths::new());
    for queue in topology.queues() {
        let passive = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
        let found = channel.queue_declare(queue.name.as_str().into(), passive, FieldTable::default()).await;
        let found = found.map_err(|error| while_declaring(at, &format!("queue {}", queue.name), &error))?;
        depths.push((topology.without_prefix(&queue.name).to_owned(), found.message_count()));
    }
    close(&channel, at).await?;
    Ok(depths)
}
