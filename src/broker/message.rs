//! What the broker hands over, in our own terms.

use std::sync::Arc;

use crate::{
    domain::{Delivery, Event, EventId, Moment, Part, Platform, Published, RobotId, SubscriptionId},
    settle::AckTag,
};

/// A message in hand. It stays on the broker until it is acked.
#[derive(Debug)]
pub struct Message {
    /// With what it is acked.
    pub ack_tag: AckTag,
    /// Whether the broker handed it over before; then some of its deliveries may have been made.
    pub redelivered: bool,
    /// What it carries.
    pub carried: Carried,
}

/// What a message carries.
#[derive(Debug)]
pub enum Carried {
    /// An event as a publisher published it.
    Event {
        /// The message.
        published: Published,
        /// Whether it came through the urgent exchange.
        urgent: bool,
        /// How often it was redriven as a whole.
        generation: u32,
    },
    /// One delivery that was deferred, retried or redriven.
    Delivery(Box<Travelling>),
    /// A message on a delivery queue whose headers are not those of a delivery.
    Unreadable {
        /// The message.
        published: Published,
        /// What is wrong with its headers.
        why: String,
    },
}

/// A delivery as it travels alone: the event's message and its history, never the endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Travelling {
    /// The event's message; its routing key is the topic again.
    pub published: Published,
    /// The event's name.
    pub event: EventId,
    /// For whom.
    pub subscription: SubscriptionId,
    /// On which platform.
    pub platform: Platform,
    /// To which robot it was to go when it was stored; nothing if its message does not say so, as
    /// those of earlier versions.
    pub robot: Option<RobotId>,
    /// How many attempts were made.
    pub attempts: u32,
    /// How often it was put into a delay tier.
    pub hops: u32,
    /// How often it was redriven.
    pub generation: u32,
    /// Which part of its text comes next.
    pub part: Part,
    /// When the first attempt was made.
    pub first_attempt_at: Option<Moment>,
    /// Before when it must not be tried.
    pub due_at: Option<Moment>,
    /// Its place in its robot's order, if it was given one.
    pub slot: Option<Moment>,
    /// When the event was first received; a redriven delivery begins anew.
    pub received_at: Option<Moment>,
    /// When the event expires; a redriven delivery begins anew.
    pub expires_at: Option<Moment>,
    /// Whether it overtakes what is not urgent.
    pub urgent: bool,
}

impl Travelling {
    /// The delivery, once `decode` has read the event. For which robot it is by now is known when
    /// the subscription is found.
    pub fn into_delivery<E>(self, decode: impl FnOnce(Published) -> Result<Event, E>) -> Result<Delivery, E> {
        Ok(Delivery {
            event: Arc::new(decode(self.published)?),
            subscription: self.subscription,
            platform: self.platform,
            robot: self.robot.unwrap_or_else(|| RobotId::from_bytes([0; 16])),
            attempts: self.attempts,
            hops: self.hops,
            first_attempt_at: self.first_attempt_at,
            due_at: self.due_at,
            slot: self.slot,
            generation: self.generation,
            part: self.part,
        })
    }
}
