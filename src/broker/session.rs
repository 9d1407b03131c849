//! A session with the broker: its connections, channels and consumers as one value.
//!
//! Owns the rule that any fault ends the whole session. The next one is built anew, and no ack of
//! this one can reach it.
//!
//! Not here: building one session after the other (`app/sessions.rs`), the consumers (`intake.rs`),
//! next steps and acks (`step_publisher.rs`).

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
    frame_guard::BodyBudget,
    message_stream::{ConsumerSetup, MessageStream},
    step_publisher::{BrokerStepPublisher, PublisherHandles},
    topology::Topology,
};
use crate::clock::Clock;

/// The maximum wait for the closing of the connections.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The settings of a session.
#[derive(Clone)]
pub struct SessionSettings {
    /// The address of the broker.
    pub address: Address,
    /// The treatment of the topology.
    pub declare: Declare,
    /// The prefetch of each queue of events, in messages.
    pub prefetch: u16,
    /// The prefetch of each queue of deliveries, in messages. Many of them wait in memory for their
    /// slot.
    pub prefetch_delivery: u16,
    /// The maximum size of the bodies in memory for each queue, in bytes; one body is always
    /// allowed.
    pub prefetch_size: usize,
    /// The maximum body of an event, in bytes. At most one larger body is in memory.
    pub body_max: usize,
    /// The maximum wait for a confirm.
    pub confirm_timeout: Duration,
}

/// The end of a session, shared by all its parts. The first cause is kept.
#[derive(Clone, Default)]
pub struct SessionEnd {
    token: CancellationToken,
    cause: Arc<OnceLock<String>>,
}

impl SessionEnd {
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

    /// The cause of the end.
    #[must_use]
    pub fn cause(&self) -> String {
        self.cause.get().cloned().unwrap_or_else(|| "it was closed".to_owned())
    }
}

/// A session with the broker.
pub struct BrokerSession {
    /// The incoming messages.
    pub intake: MessageStream,
    /// The outgoing steps and acks.
    pub step_publisher: Arc<BrokerStepPublisher>,
    /// The end of the session.
    pub ended: SessionEnd,
    /// Whether the broker blocks publishers at this moment.
    pub blocked: watch::Receiver<bool>,
    /// Its connections.
    pub connections: Connections,
}

impl BrokerSession {
    /// Connects, takes the lock, declares or verifies the topology, and starts the consumers.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Locked`] if another daemon uses the prefix, and the errors of connecting and
    /// declaring.
    pub async fn open(
        id: u64,
        settings: &SessionSettings,
        topology: &Arc<Topology>,
        clock: &Clock,
    ) -> Result<Self, BrokerError> {
        let at = settings.address.shown()?;
        let bodies = BodyBudget::up_to(u64::try_from(settings.body_max).unwrap_or(u64::MAX));
        let consuming =
            settings.address.connect_with_room(Arc::clone(&bodies), "roomcast consuming").await?;
        let lock = declare::open(&consuming, &at).await?;
        declare::lock(&lock, &at, &topology.lock_queue()).await?;
        declare::declare(&consuming, &at, topology, settings.declare).await?;

        let ended = SessionEnd::default();
        let publishing = PublisherHandles::open(settings, topology, clock, &at, &ended).await?;

        let from = ConsumerSetup {
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
        let PublisherHandles { steps, receipts, blocked, connection: publishing, storing_receipts } =
            publishing;
        let step_publisher = Arc::new(BrokerStepPublisher {
            session: id,
            steps,
            receipts,
            channels,
            ended: ended.clone(),
            acked: AtomicBool::new(false),
        });
        let connections =
            Connections { consuming, publishing, storing_receipts, ended: ended.clone() };
        Ok(Self { intake, step_publisher, ended, blocked, connections })
    }
}

/// The connections of one session.
pub struct Connections {
    consuming: Connection,
    publishing: Arc<Connection>,
    /// The task that stores receipts. It closes its connection when the session ends.
    storing_receipts: Option<JoinHandle<()>>,
    ended: SessionEnd,
}

impl Connections {
    /// Closes the connections, which ends the session. The next session receives the unacked
    /// messages.
    pub async fn close(self) {
        self.ended.end("it was closed".to_owned());
        let all = [&*self.publishing, &self.consuming];
        let closing = join_all(all.map(|connection| connection.close(200, "goodbye".into())));
        let receipts = async {
            if let Some(storing) = self.storing_receipts {
                let _ = storing.await;
            }
        };
        // A broker that is gone does not answer a close.
        let _ =
            tokio::time::timeout(CLOSE_TIMEOUT, async { tokio::join!(closing, receipts) }).await;
    }
}
