//! The outgoing side of a session: next steps, receipts and acks.
//!
//! Owns the choice of the connection for each of them.
//!
//! Not here: batches and confirms (`publisher.rs`), grouping acks (`consumer_channel.rs`,
//! `ack_coalescer.rs`).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use futures_util::future::join_all;
use lapin::Connection;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use super::{
    BrokerError,
    blocked::watch_blocked,
    confirm_deadline::ConfirmDeadline,
    connection::headers_max,
    consumer_channel::ConsumerChannel,
    declare,
    publisher::{PublishRequest, Publisher, Purpose, ReceiptsConnection},
    session_end::SessionEnd,
    settings::SessionSettings,
    topology::Topology,
};
use crate::{
    clock::Clock,
    settle::{AckTag, NextStep, SessionEnded, StepPublishError, StepPublisher},
};

/// Stores next steps and acks settled messages.
pub struct BrokerStepPublisher {
    pub(super) session: u64,
    pub(super) steps: mpsc::Sender<PublishRequest>,
    /// `None` if receipts are disabled.
    pub(super) receipts: Option<mpsc::Sender<PublishRequest>>,
    pub(super) channels: Vec<Arc<ConsumerChannel>>,
    pub(super) ended: SessionEnd,
    pub(super) acked: AtomicBool,
    /// The most bytes of a publisher's headers in one message.
    pub(super) headers_max: usize,
}

impl BrokerStepPublisher {
    /// Whether the session acked any message, so that it counts as useful.
    #[must_use]
    pub fn has_acked(&self) -> bool {
        self.acked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl StepPublisher for BrokerStepPublisher {
    async fn store(&self, step: Arc<NextStep>) -> Result<(), StepPublishError> {
        let (stored, outcome) = oneshot::channel();
        let over = || StepPublishError::SessionOver(self.ended.cause());
        let receipts = self.receipts.as_ref().filter(|_| matches!(*step, NextStep::Receipt(_)));
        let orders = receipts.unwrap_or(&self.steps);
        tokio::select! {
            biased;
            () = self.ended.wait() => return Err(over()),
            sent = orders.send(PublishRequest { step, stored }) => sent.map_err(|_| over())?,
        }
        outcome.await.map_err(|_| over())?
    }

    fn headers_max(&self) -> usize {
        self.headers_max
    }

    async fn acknowledge(&self, ack_tags: &[AckTag]) -> Result<(), SessionEnded> {
        if self.ended.has_ended() || ack_tags.iter().any(|ack_tag| ack_tag.session != self.session)
        {
            return Err(SessionEnded);
        }
        let frames = self.channels.iter().enumerate().map(|(place, consumed)| {
            let tags = ack_tags
                .iter()
                .filter(|ack_tag| ack_tag.channel == place)
                .map(|ack_tag| ack_tag.tag);
            consumed.ack(tags.collect())
        });
        // At the end of the session, it is unknown which acks reached the broker. So this method
        // promises nothing about them.
        tokio::select! {
            sent = join_all(frames) => {
                if let Some(error) = sent.into_iter().find_map(Result::err) {
                    self.ended.end(super::error::describe(&error));
                }
            }
            () = self.ended.wait() => (),
        }
        if !ack_tags.is_empty() {
            self.acked.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The publishing side of a session.
pub(super) struct PublisherHandles {
    pub(super) steps: mpsc::Sender<PublishRequest>,
    /// `None` if receipts are disabled.
    pub(super) receipts: Option<mpsc::Sender<PublishRequest>>,
    pub(super) blocked: watch::Receiver<bool>,
    pub(super) connection: Arc<Connection>,
    pub(super) storing_receipts: Option<JoinHandle<()>>,
    pub(super) headers_max: usize,
}

impl PublisherHandles {
    /// Opens the connection for publishing. It is not the consuming one, because the broker still
    /// accepts acks on that one while it blocks publishers.
    ///
    /// Receipts have a third connection. The broker stops reading from a connection that sent some
    /// hundreds of messages to a queue that does not answer. No next step may wait for the queue of
    /// another application.
    pub(super) async fn open(
        settings: &SessionSettings,
        topology: &Arc<Topology>,
        clock: &Clock,
        at: &str,
        ended: &SessionEnd,
    ) -> Result<Self, BrokerError> {
        let (tell, blocked) = watch::channel(false);
        let deadline = ConfirmDeadline {
            confirm_timeout: settings.broker.confirm_timeout,
            blocked: blocked.clone(),
            ended: ended.clone(),
        };
        let connection = Arc::new(settings.address.connect("roomcast publishing").await?);
        let headers_max = headers_max(&connection);
        let publisher = |channel, purpose| Publisher {
            channel,
            topology: Arc::clone(topology),
            clock: clock.clone(),
            deadline: deadline.clone(),
            purpose,
            headers_max,
            renewed: None,
        };
        watch_blocked(&connection, tell.clone(), ended.clone(), true);
        let channel = declare::confirming(&connection, at).await?;
        let (steps, _) = publisher(channel, Purpose::Steps(Arc::clone(&connection))).start();
        let (mut receipts, mut storing_receipts) = (None, None);
        if topology.has_receipts() {
            let (line, channel) =
                ReceiptsConnection::open(settings.address.clone(), tell, ended.clone()).await?;
            let (orders, storing) = publisher(channel, Purpose::Receipts(Box::new(line))).start();
            (receipts, storing_receipts) = (Some(orders), Some(storing));
        }
        Ok(Self { steps, receipts, blocked, connection, storing_receipts, headers_max })
    }
}
