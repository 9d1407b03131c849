//! A session with the broker: its connections, channels and consumers as one value.
//!
//! Owns the rule that any fault ends the whole session. The next one is built anew, and no ack of
//! this one can reach it.
//!
//! Not here: building one session after the other (`app/sessions.rs`), the consumers
//! (`message_stream.rs`), next steps and acks (`step_publisher.rs`).

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use futures_util::future::join_all;
use lapin::Connection;
use tokio::{sync::watch, task::JoinHandle};

use super::{
    BrokerError, declare,
    frame_guard::BodyBudget,
    message_stream::{ConsumerSetup, MessageStream},
    session_end::SessionEnd,
    settings::SessionSettings,
    step_publisher::{BrokerStepPublisher, PublisherHandles},
    topology::Topology,
};
use crate::clock::Clock;

/// The maximum wait for the closing of the connections.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

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
        declare::declare(&consuming, &at, topology, settings.broker.declare).await?;

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
        let PublisherHandles {
            steps,
            receipts,
            blocked,
            connection: publishing,
            storing_receipts,
            headers_max,
        } = publishing;
        let step_publisher = Arc::new(BrokerStepPublisher {
            session: id,
            steps,
            receipts,
            channels,
            ended: ended.clone(),
            acked: AtomicBool::new(false),
            headers_max,
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
