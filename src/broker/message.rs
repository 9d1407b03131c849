//! Messages of the broker in terms of the domain, without lapin's types.
//!
//! Owns when a stored delivery is due after a correction of the wall clock.
//!
//! Not here: the headers (`envelope.rs`), decoding an event (`fanout/decode.rs`).

use std::{sync::Arc, time::Duration};

use crate::{
    domain::{
        Degradation, Delivery, Event, EventId, FeatureSet, Part, Platform, PublishedMessage,
        RobotId, SubscriptionId, Timestamp, WaitReason,
    },
    settle::AckTag,
};

/// A message in flight. It stays on the broker until it is acked.
#[derive(Debug)]
pub struct Message {
    /// The tag for its ack.
    pub ack_tag: AckTag,
    /// Whether the broker delivered it before. Then some of its deliveries may have been made.
    pub redelivered: bool,
    /// The content.
    pub payload: Payload,
}

/// The content of a message.
#[derive(Debug)]
pub enum Payload {
    /// An event as it was published.
    Event {
        /// The message.
        published: PublishedMessage,
        /// Whether it came through the urgent exchange.
        urgent: bool,
        /// The number of redrives of the whole event.
        generation: u32,
    },
    /// One delivery that was deferred, retried or redriven.
    Delivery(Box<StoredDelivery>),
    /// A message on a delivery queue without the headers of a delivery.
    Unreadable {
        /// The message.
        published: PublishedMessage,
        /// The error in its headers.
        why: String,
    },
}

/// A delivery stored on the broker: the event's message and the history, never the endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDelivery {
    /// The message of the event, with the topic as routing key.
    pub published: PublishedMessage,
    /// The event id.
    pub event: EventId,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The platform.
    pub platform: Platform,
    /// The robot at the time of storing; `None` in messages of earlier versions.
    pub robot: Option<RobotId>,
    /// The number of attempts.
    pub attempts: u32,
    /// The number of stays in a delay tier.
    pub hops: u32,
    /// The number of redrives.
    pub generation: u32,
    /// The next part of its text.
    pub part: Part,
    /// What it leaves out because its platform refused it.
    pub degradation: Degradation,
    /// The time of the first attempt.
    pub first_attempt_at: Option<Timestamp>,
    /// The time before which it must not be tried.
    pub due_at: Option<Timestamp>,
    /// The wait that remained when its tier released it; `None` in messages of earlier versions.
    pub left: Option<Duration>,
    /// Its slot in the queue of its robot, if it has one.
    pub slot: Option<Timestamp>,
    /// Why it was stored to wait; `None` in messages of earlier versions, and if a later version
    /// wrote a reason that this one does not know.
    pub wait_reason: Option<WaitReason>,
    /// The time at which the event was received; `None` after a redrive.
    pub received_at: Option<Timestamp>,
    /// The time at which the event expires; `None` after a redrive.
    pub expires_at: Option<Timestamp>,
    /// Whether it is urgent.
    pub urgent: bool,
}

/// The normal delay by a tier and the queue behind it, at most. A longer wait results from a
/// correction of the clock.
const TRANSIT_MAX: Duration = Duration::from_secs(5);

/// When a stored delivery is due.
#[derive(Clone, Copy, Debug)]
pub struct StoredDue {
    /// The time by the wall clock.
    at: Option<Timestamp>,
    /// The rest of its wait when its tier released it. An event's own time has none, because the
    /// wall clock alone measures it.
    left: Option<Duration>,
}

impl StoredDue {
    /// The time before which it must not be tried. If the wall clock was set back, the rest of the
    /// wait counts instead.
    #[must_use]
    pub fn by_clock(self, now: Timestamp) -> Option<Timestamp> {
        match (self.at, self.left.map(|left| now.after(left))) {
            (Some(due), Some(latest)) if due > latest.after(TRANSIT_MAX) => Some(latest),
            (due, _) => due,
        }
    }
}

impl StoredDelivery {
    /// A delivery without history: never tried, with no time to wait for.
    #[must_use]
    pub const fn new(
        published: PublishedMessage,
        event: EventId,
        subscription: SubscriptionId,
        platform: Platform,
    ) -> Self {
        Self {
            published,
            event,
            subscription,
            platform,
            robot: None,
            attempts: 0,
            hops: 0,
            generation: 0,
            part: Part { index: 0, total: None },
            degradation: Degradation {
                omitted: FeatureSet::EMPTY,
                plain_part: Part { index: 0, total: None },
                earlier: FeatureSet::EMPTY,
            },
            first_attempt_at: None,
            due_at: None,
            left: None,
            slot: None,
            wait_reason: None,
            received_at: None,
            expires_at: None,
            urgent: false,
        }
    }

    /// What decides when it is due.
    #[must_use]
    pub fn due(&self) -> StoredDue {
        let is_own_time = self.due_at == self.received_at;
        StoredDue { at: self.due_at, left: self.left.filter(|_| !is_own_time) }
    }

    /// The delivery, with the event read by `decode`. Its robot is updated when the subscription is
    /// found.
    pub fn into_delivery<E>(
        self,
        decode: impl FnOnce(PublishedMessage) -> Result<Event, E>,
    ) -> Result<Delivery, E> {
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
            wait_reason: self.wait_reason,
            generation: self.generation,
            part: self.part,
            degradation: self.degradation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_was_set_back_delays_no_delivery_and_an_events_own_time_is_waited_for() {
        let at = |second: u64| Timestamp::from_unix_millis(1_700_000_000_000 + second * 1000);
        let seconds = Duration::from_secs;
        let (event, subscription) = (EventId::new("e"), SubscriptionId::from_bytes([1; 16]));
        let nothing =
            StoredDelivery::new(PublishedMessage::default(), event, subscription, Platform::WeCom);
        for (what, due, left, received, now, expected) in [
            ("nothing is left", at(65), Some(seconds(5)), at(0), at(61), at(65)),
            ("it came back late", at(65), Some(seconds(5)), at(0), at(300), at(65)),
            ("the clock was set back an hour", at(3665), Some(seconds(5)), at(0), at(60), at(65)),
            ("it is the event's own time", at(3665), Some(seconds(5)), at(3665), at(60), at(3665)),
            ("an earlier version stored it", at(3665), None, at(0), at(60), at(3665)),
        ] {
            let stored = StoredDelivery {
                due_at: Some(due),
                left,
                received_at: Some(received),
                ..nothing.clone()
            };
            assert_eq!(stored.due().by_clock(now), Some(expected), "{what}");
        }
    }
}
