//! One broker session is one value: its connections, their channels, the consumers. Whatever goes wrong with any of them
//! ends the whole; the next session is built anew, and no ack of this one can reach it.

use std::{
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use futures_util::future::join_all;
use lapin::Connection;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    Address, BrokerError, Declare, declare,
    frame_guard::Bodies,
    intake::{Consuming, Intake},
    outbox::{BrokerOutbox, Publishing},
    topology::Topology,
};
use crate::clock::Clock;

/// How long the broker may take to answer a goodbye.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

/// How a session is built.
#[derive(Clone)]
pub struct Settings {
    /// Where the broker is.
    pub address: Address,
    /// What is done about the topology.
    pub declare: Declare,
    /// How many unacked events each queue may have handed over.
    pub prefetch: u16,
    /// How many unacked deliveries that came back each queue may have handed over; many of them wait for their slot.
    pub prefetch_delivery: u16,
    /// How many bytes of bodies each queue may have in memory; one body in any case.
    pub prefetch_size: usize,
    /// The largest body of an event, in bytes. Of larger ones there is one in memory at a time.
    pub body_max: usize,
    /// How long a confirm may take.
    pub confirm_timeout: Duration,
}

/// The end of a session, shared by everything that can bring it about. The first cause counts.
#[derive(Clone, Default)]
pub struct Ended {
    token: CancellationToken,
    cause: Arc<OnceLock<String>>,
}

impl Ended {
    /// Ends the session.
    pub fn end(&self, cause: String) {
        let _ = self.cause.set(cause);
        self.token.cancel();
    }

    /// Waits for the end.
    pub async fn wait(&self) {
        self.token.cancelled().await;
    }

    /// Whether the session has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Why it ended.
    #[must_use]
    pub fn cause(&self) -> String {
        self.cause.get().cloned().unwrap_or_else(|| "it was closed".to_owned())
    }
}

/// A session with the broker.
pub struct Session {
    /// What comes in.
    pub intake: Intake,
    /// What goes out.
    pub outbox: Arc<BrokerOutbox>,
    /// Whether it is over.
    pub ended: Ended,
    /// Whether the broker has asked publishers to stop for a while.
    pub blocked: watch::Receiver<bool>,
    /// Its connections.
    pub connections: Connections,
}

impl Session {
    /// Connects, takes the lock, sees to the topology and starts consuming.
    pub async fn open(
        id: u64,
        settings: &Settings,
        topology: &Arc<Topology>,
        clock: &Clock,
    ) -> Result<Self, BrokerError> {
        let at = settings.address.shown()?;
        let bodies = Bodies::up_to(u64::try_from(settings.body_max).unwrap_or(u64::MAX));
        let consuming = settings.address.connect_with_room(Arc::clone(&bodies), "roomcast consuming").await?;
        let lock = declare::open(&consuming, &at).await?;
        declare::lock(&lock, &at, &topology.lock_queue()).await?;
        declare::declare(&consuming, &at, topology, settings.declare).await?;

        let ended = Ended::default();
        let publishing = Publishing::open(settings, topology, clock, &at, &ended).await?;

        let from = Consuming {
            session: id,
            connection: &consuming,
            at: &at,
            settings,
            topology,
            bodies: &bodies,
            clock,
            ended: &ended,
        };
        let (intake, channels) = from.start(lock).await?;
        let Publishing { steps, receipts, blocked, connection: publishing, storing_receipts } = publishing;
        let outbox = Arc::new(BrokerOutbox {
            session: id,
            steps,
            receipts,
            channels,
            ended: ended.clone(),
            acked: AtomicBool::new(false),
        });
        let connections = Connections { consuming, publishing, storing_receipts, ended: ended.clone() };
        Ok(Self { intake, outbox, ended, blocked, connections })
    }
}

/// The connections of one session.
pub struct Connections {
    consuming: Connection,
    publishing: Connection,
    /// It closes the connection for receipts when the session ends.
    storing_receipts: Option<JoinHandle<()>>,
    ended: Ended,
}

impl Connections {
    /// Closes them, which ends the session if it has not ended. What was not acked comes back to the next.
    pub async fn close(self) {
        self.ended.end("it was closed".to_owned());
        let all = [&self.publishing, &self.consuming];
        let closing = join_all(all.map(|connection| connection.close(200, "goodbye".into())));
        let receipts = async {
            if let Some(storing) = self.storing_receipts {
                let _ = storing.await;
            }
        };
        // A broker that is gone answers no goodbye.
        let _ = tokio::time::timeout(GOODBYE_MAX, async { tokio::join!(closing, receipts) }).await;
    }
}
