//! The seam through which next steps are stored: implemented by the broker room, and by a double in simulations.

use async_trait::async_trait;

use crate::domain::{DeadReason, Delivery, DeliveryReceipt, Moment, Published};

/// What becomes of a message that cannot be done now.
#[derive(Clone, Debug)]
pub enum NextStep {
    /// The delivery comes back at its time. Its counts are already those it comes back with.
    Later {
        /// The delivery.
        delivery: Box<Delivery>,
        /// When it is due.
        until: Moment,
    },
    /// The delivery is given up.
    DeadDelivery {
        /// The delivery.
        delivery: Box<Delivery>,
        /// Why.
        reason: DeadReason,
        /// The platform's code, or ours.
        code: String,
        /// The platform's words, redacted.
        detail: String,
        /// When it was given up.
        at: Moment,
    },
    /// The message is no event that could be read, or none that we could handle.
    DeadEvent {
        /// The message as it came.
        published: Box<Published>,
        /// Whether it came through the exchange for what is urgent.
        urgent: bool,
        /// The event's name.
        event: String,
        /// How often it was redriven.
        generation: u32,
        /// Why: it cannot be read, or we failed in handling it.
        reason: DeadReason,
        /// What kind of mistake.
        code: String,
        /// The place and the mistake.
        detail: String,
        /// When it was given up.
        at: Moment,
    },
    /// The end of a delivery is told. It is for whoever has bound a queue: if nobody has, it is kept nowhere, and that is no failure.
    Receipt(Box<DeliveryReceipt>),
}

/// By what a message in hand is acked once it is settled. It belongs to one session, and acks nothing in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckTag {
    /// Which session received it.
    pub session: u64,
    /// On which of the session's channels.
    pub channel: usize,
    /// Its delivery tag on that channel.
    pub tag: u64,
}

/// The next step is not known to be stored. Nothing may be acked on the strength of it.
#[derive(Debug, thiserror::Error)]
pub enum NotStored {
    /// The session is over, or will be: what depends on the step comes back in the next.
    #[error("the broker did not confirm that it stored the message: {0}")]
    Over(String),
    /// A receipt was not taken by a queue that somebody else has bound. The session goes on, and so does everything else.
    #[error("a queue bound to the exchange for receipts did not take one: {0}")]
    Refused(String),
}

/// The session had ended already: no ack was sent, so all of these messages come back.
#[derive(Debug, thiserror::Error)]
#[error("the session had ended before the messages were acked")]
pub struct SessionEnded;

/// Stores next steps and acks what is settled.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Stores the next step. When it returns, the broker has confirmed it and, unless it is a receipt, has not returned it. Only receipts are
    /// [`NotStored::Refused`].
    async fn store(&self, step: NextStep) -> Result<(), NotStored>;

    /// Acks messages whose settlement is durable, as few frames as possible. An error means that certainly none was acked; if the session
    /// ends on the way, it is not known which were, and that is no error.
    async fn acknowledge(&self, ack_tags: &[AckTag]) -> Result<(), SessionEnded>;
}
