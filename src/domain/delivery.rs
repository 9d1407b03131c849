//! Deliveries: one event for one subscription.
//!
//! Owns the history of a delivery (attempts, hops, slot, part), and how much of it survives a
//! change of robot.
//!
//! Not here: the possible settlements of a delivery (`settlement.rs`).

use std::sync::Arc;

use super::{Event, FeatureSet, Platform, RobotId, SubscriptionId, Timestamp, WaitReason};

/// The progress of a delivery whose text is split into parts because it is too long for one
/// message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The next part to send, counted from 0. It is also the number of parts already delivered.
    pub index: u32,
    /// The number of parts, if it is known.
    pub total: Option<u32>,
}

impl Part {
    /// Whether another part follows this one.
    #[must_use]
    pub fn has_next(self) -> bool {
        self.total.is_some_and(|of| self.index + 1 < of)
    }
}

/// How far a delivered message brought its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// The whole delivery is delivered.
    Complete,
    /// A part is delivered, and the next one follows.
    Part,
    /// A part is delivered in a part, and the rest of it follows.
    PlainPart,
}

/// What a delivery leaves out because its platform refused it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Degradation {
    /// The features that the current part leaves out.
    pub omitted: FeatureSet,
    /// The next message of the current part, if the part without these features needs several.
    pub plain_part: Part,
    /// The features that earlier parts left out.
    pub earlier: FeatureSet,
}

impl Degradation {
    /// All features that any part leaves out.
    #[must_use]
    pub const fn all(self) -> FeatureSet {
        self.omitted.and(self.earlier)
    }
}

/// One event for one subscription, with its history so far.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The event to deliver.
    pub event: Arc<Event>,
    /// The subscription that receives it.
    pub subscription: SubscriptionId,
    /// The platform of the robot.
    pub platform: Platform,
    /// The robot that receives it.
    pub robot: RobotId,
    /// The attempts of the current part. Refusals for a quota and deferrals do not count.
    pub attempts: u32,
    /// How often the delivery was stored in a delay tier, for any reason. Event, subscription,
    /// generation and hops together identify one message on the broker.
    pub hops: u32,
    /// When the first attempt was made.
    pub first_attempt_at: Option<Timestamp>,
    /// The delivery must not be tried before this time.
    pub due_at: Option<Timestamp>,
    /// The slot of the delivery in its robot's queue, if it has one.
    pub slot: Option<Timestamp>,
    /// Why it was stored to wait the last time; `None` if it never was, or if an earlier version
    /// stored it.
    pub wait_reason: Option<WaitReason>,
    /// How often the delivery was redriven from a dead queue.
    pub generation: u32,
    /// The part of the text to send next.
    pub part: Part,
    /// What it leaves out because its platform refused it.
    pub degradation: Degradation,
}

impl Delivery {
    /// A delivery that was never tried.
    #[must_use]
    pub fn fresh(
        event: &Arc<Event>,
        subscription: SubscriptionId,
        platform: Platform,
        robot: RobotId,
    ) -> Self {
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
            wait_reason: None,
            generation: 0,
            part: Part::default(),
            degradation: Degradation::default(),
        }
    }

    /// Whether something of it was sent that the rest follows: an earlier part, or a message that
    /// the platform refused for a part of it.
    #[must_use]
    pub const fn is_begun(&self) -> bool {
        self.part.index > 0 || !self.degradation.omitted.is_empty()
    }

    /// Moves on after the message that `part` and `plain_part` describe was delivered. Returns
    /// whether another message follows.
    pub fn advance(&mut self, plain_part: Option<Part>) -> Advance {
        if plain_part.is_some_and(Part::has_next) {
            self.degradation.plain_part.index += 1;
            return Advance::PlainPart;
        }
        if !self.part.has_next() {
            return Advance::Complete;
        }
        self.part.index += 1;
        let earlier = self.degradation.all();
        self.degradation = Degradation { earlier, ..Degradation::default() };
        Advance::Part
    }

    /// Moves the delivery to the robot that its subscription has now. Slot, attempts and parts of
    /// the old robot do not count for the new one. The event's own time still does.
    pub fn readdress(&mut self, platform: Platform, robot: RobotId) {
        let own_time = self.event.received_at;
        (self.platform, self.robot) = (platform, robot);
        (self.attempts, self.slot, self.part) = (0, None, Part::default());
        self.degradation = Degradation::default();
        self.wait_reason = None;
        self.due_at = self.due_at.filter(|due| *due == own_time);
    }
}
