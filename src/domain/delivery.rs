//! Deliveries: one event for one subscription.

use std::sync::Arc;

use super::{Event, Moment, Platform, RobotId, SubscriptionId};

/// How far a delivery has come whose text is too long for one message and is split into parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The part to be sent next, counted from 0: so many were delivered.
    pub at: u32,
    /// How many parts there are, if that is known.
    pub of: Option<u32>,
}

impl Part {
    /// Whether another part follows this one.
    #[must_use]
    pub fn is_followed(self) -> bool {
        self.of.is_some_and(|of| self.at + 1 < of)
    }
}

/// One event for one subscription, with its history so far.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What is delivered.
    pub event: Arc<Event>,
    /// For whom.
    pub subscription: SubscriptionId,
    /// On which platform.
    pub platform: Platform,
    /// To which robot.
    pub robot: RobotId,
    /// How many attempts of its present part were made and failed. A deferral does not change it.
    pub attempts: u32,
    /// How often it was put into a delay tier, for whatever reason; together with the event, the subscription and the
    /// generation it names one message on the broker.
    pub hops: u32,
    /// When the first attempt was made.
    pub first_attempt_at: Option<Moment>,
    /// Before when it must not be tried.
    pub due_at: Option<Moment>,
    /// Its place in its robot's order, if it was given one.
    pub slot: Option<Moment>,
    /// How often it was redriven from a dead queue.
    pub generation: u32,
    /// Which part of its text comes next.
    pub part: Part,
}

impl Delivery {
    /// A delivery that was never tried.
    #[must_use]
    pub fn fresh(event: &Arc<Event>, subscription: SubscriptionId, platform: Platform, robot: RobotId) -> Self {
        Self {
            event: Arc::clone(event),
            subscription,
            platform,
            robot,
            attempts: 0,
            hops: 0,
            first_attempt_at: None,
            due_at: None,
            slot: None,
            generation: 0,
            part: Part::default(),
        }
    }

    /// Its subscription has another robot by now. What was planned for the old one, tried with it
    /// and delivered to it does not count for the new one; only the event's own time does.
    pub fn readdress(&mut self, platform: Platform, robot: RobotId) {
        let own_time = self.event.received_at;
        (self.platform, self.robot) = (platform, robot);
        (self.attempts, self.slot, self.part) = (0, None, Part::default());
        self.due_at = self.due_at.filter(|due| *due == own_time);
    }
}
