//! What the broker hands over, in our own terms.

use std::{sync::Arc, time::Duration};

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
    /// How much of its wait was left when its tier let it go; nothing if its message does not say so.
    pub left: Option<Duration>,
    /// Its place in its robot's order, if it was given one.
    pub slot: Option<Moment>,
    /// When the event was first received; a redriven delivery begins anew.
    pub received_at: Option<Moment>,
    /// When the event expires; a redriven delivery begins anew.
    pub expires_at: Option<Moment>,
    /// Whether it overtakes what is not urgent.
    pub urgent: bool,
}

/// A tier and the queue behind it may hold a delivery up by about so much. A wait that is longer by
/// more was made so by a step of the clock.
const HELD_UP_MAX: Duration = Duration::from_secs(5);

impl Travelling {
    /// Before when it must not be tried: by the time that has passed, if the wall clock was set back
    /// meanwhile. An event's own time is one of the wall clock, whatever becomes of that.
    #[must_use]
    pub fn due(&self, now: Moment) -> Option<Moment> {
        let is_own_time = self.due_at == self.received_at;
        let latest = self.left.filter(|_| !is_own_time).map(|left| now.after(left));
        match (self.due_at, latest) {
            (Some(due), Some(latest)) if due > latest.after(HELD_UP_MAX) => Some(latest),
            (due, _) => due,
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_was_set_back_delays_no_delivery_and_an_events_own_time_is_waited_for() {
        let at = |second: u64| Moment::from_unix_millis(1_700_000_000_000 + second * 1000);
        let seconds = Duration::from_secs;
        for (what, due, left, received, now, expected) in [
            ("nothing is left", at(65), Some(seconds(5)), at(0), at(61), at(65)),
            ("it came back late", at(65), Some(seconds(5)), at(0), at(300), at(65)),
            ("the clock was set back an hour", at(3665), Some(seconds(5)), at(0), at(60), at(65)),
            ("it is the event's own time", at(3665), Some(seconds(5)), at(3665), at(60), at(3665)),
            ("an earlier version stored it", at(3665), None, at(0), at(60), at(3665)),
        ] {
            let travelling = Travelling { due_at: Some(due), left, received_at: Some(received), ..travelling() };
            assert_eq!(travelling.due(now), Some(expected), "{what}");
        }
    }

    fn travelling() -> Travelling {
        Travelling {
            published: Published::default(),
            event: EventId::new("e"),
            subscription: SubscriptionId::from_bytes([1; 16]),
            platform: Platform::WeCom,
            robot: None,
            attempts: 0,
            hops: 1,
            generation: 0,
            part: Part { at: 0, of: None },
            first_attempt_at: None,
            due_at: None,
            left: None,
            slot: None,
            received_at: None,
            expires_at: None,
            urgent: false,
        }
    }
}
