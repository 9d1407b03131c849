//! The trait that stores next steps and acknowledges messages.
//!
//! Owns the contract between settlement and broker. The broker implements it, and so does a double
//! in simulations.
//!
//! Not here: the implementation (`broker/session.rs`), and the group commit that acknowledges
//! (`group_commit.rs`).

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::{
    DeadReason, Delivery, DeliveryReceipt, DueTime, HEADERS_BYTES_MAX, LetterId, PublishedMessage,
    Timestamp,
};

/// The next step of a message that is not finished here.
#[derive(Clone, Debug)]
pub enum NextStep {
    /// The delivery waits for a later time. Its counters already have the values of its return.
    Defer {
        /// The delivery.
        delivery: Box<Delivery>,
        /// When it is due.
        until: DueTime,
    },
    /// The delivery becomes a dead letter.
    DeadDelivery {
        /// The letter's id.
        letter: LetterId,
        /// The delivery.
        delivery: Box<Delivery>,
        /// The reason.
        reason: DeadReason,
        /// The platform's code, or one of ours.
        code: String,
        /// The platform's text, redacted.
        detail: String,
        /// When it was given up.
        at: Timestamp,
    },
    /// The message is not a readable event, or its handling failed too often.
    DeadEvent {
        /// The letter's id.
        letter: LetterId,
        /// The message as it was received.
        published: Box<PublishedMessage>,
        /// Whether it came through the exchange for urgent events.
        urgent: bool,
        /// The event's id.
        event: String,
        /// How often it was redriven.
        generation: u32,
        /// The reason: it is unreadable, or its handling failed.
        reason: DeadReason,
        /// The kind of mistake.
        code: String,
        /// The place and the mistake, as text.
        detail: String,
        /// When it was given up.
        at: Timestamp,
    },
    /// The receipt of a finished delivery. Publishers bind queues for receipts. Without one, the
    /// broker drops the receipt, and that is not a failure.
    Receipt(Box<DeliveryReceipt>),
}

/// The handle that acknowledges a message. It is valid in one session, and acknowledges nothing in
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckTag {
    /// The session that received the message.
    pub session: u64,
    /// The index of the channel in the session.
    pub channel: usize,
    /// The delivery tag on that channel.
    pub tag: u64,
}

/// The next step is not known to be stored. No message may be acknowledged because of it.
#[derive(Debug, thiserror::Error)]
pub enum StepPublishError {
    /// The session is over or ends soon. The messages that depend on the step are redelivered in
    /// the next one.
    #[error("the broker did not confirm that it stored the message: {0}")]
    SessionOver(String),
    /// A queue refused the message: it is full, or it has no leader. The session continues.
    #[error("a queue did not take the message: {0}")]
    Refused(String),
}

/// The session had already ended. No ack was sent, so all of these messages are redelivered.
#[derive(Debug, thiserror::Error)]
#[error("the session had ended before the messages were acked")]
pub struct SessionEnded;

/// Stores next steps and acknowledges settled messages.
#[async_trait]
pub trait StepPublisher: Send + Sync {
    /// Stores the next step. On success, the broker has confirmed it, and has not returned it
    /// unless it is a receipt.
    ///
    /// # Errors
    ///
    /// The step may not be stored. After [`StepPublishError::Refused`] it may be tried again.
    async fn store(&self, step: Arc<NextStep>) -> Result<(), StepPublishError>;

    /// The most bytes of a publisher's headers that a stored message can have.
    fn headers_max(&self) -> usize {
        HEADERS_BYTES_MAX
    }

    /// Acknowledges messages whose settlement is durable, in as few frames as possible. If the
    /// session ends during the call, some acks may be lost; that is not an error.
    ///
    /// # Errors
    ///
    /// No ack was sent at all.
    async fn acknowledge(&self, ack_tags: &[AckTag]) -> Result<(), SessionEnded>;
}
