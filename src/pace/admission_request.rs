//! The request of a delivery for a permit, and the results without a permit.
//!
//! Owns the types that the pacer exchanges with the pipeline.
//!
//! Not here: the decision with a permit (`pace_decision.rs`), and how it is made
//! (`robot_queue/admission.rs`, `host/queue.rs`).

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Resume;
use crate::domain::{
    AttemptOutcome, Event, FeatureSet, GroupName, OverflowPolicy, Platform, RobotId,
    SubscriptionId, Timestamp, WaitReason,
};

/// The request of a delivery for a permit.
#[derive(Clone, Copy)]
pub struct AdmissionRequest<'a> {
    /// The robot of the delivery.
    pub robot: RobotId,
    /// The platform of the robot.
    pub platform: Platform,
    /// The subscription of the delivery.
    pub subscription: SubscriptionId,
    /// The policy for the subscription's deliveries that the quota delays.
    pub overflow: OverflowPolicy,
    /// The organisation whose monthly quota the delivery uses.
    pub group: Option<&'a GroupName>,
    /// The event to deliver.
    pub event: &'a Arc<Event>,
    /// The position that the delivery asks for.
    pub position: QueuePosition,
    /// Why it was deferred, if it comes back.
    pub waited_for: Option<WaitReason>,
    /// Whether it has a memory permit. With one it waits in memory up to
    /// [`super::PaceLimits::early_max`], else up to `hold_max`.
    pub early: bool,
}

/// The position of a delivery in its robot's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePosition {
    /// It is new: behind all waiting deliveries.
    Tail,
    /// It was deferred with this slot, and has come back.
    AtSlot(Timestamp),
    /// It was deferred until this time for another reason than its robot's quota. It is ordered as
    /// if this time were its slot, and does not leave earlier.
    NotBefore(Timestamp),
    /// It is the next part of a message. The part before had this position, and this part follows
    /// it directly.
    After(Timestamp),
    /// It is a retry: before all waiting deliveries.
    Head,
}

/// When a deferred delivery is due, and why it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deferral {
    /// When it is due, in the pacer's time.
    pub due: Timestamp,
    /// The slot that defines its position in the order; `None` if it has no slot.
    pub slot: Option<Timestamp>,
    /// Why it waits until then.
    pub reason: WaitReason,
}

/// The result of the message that covered a coalesced delivery.
#[derive(Clone, Debug)]
pub struct SendOutcome {
    /// The platform's answer.
    pub answer: AttemptOutcome,
    /// When the robot may be sent to again by the wall clock, and why not earlier.
    pub resume: Resume,
    /// What the message left out because the platform refused it.
    pub omitted: FeatureSet,
}

/// The result for a coalesced delivery.
#[derive(Clone, Debug)]
pub enum CoalescedOutcome {
    /// The message was sent.
    Sent(SendOutcome),
    /// The message is deferred. All deliveries that it covers share one slot.
    Deferred(Deferral),
}

/// A delivery that another delivery's message covers.
pub struct CoalescedDelivery {
    /// The event of the delivery.
    pub event: Arc<Event>,
    /// The channel for the result.
    pub notify: oneshot::Sender<CoalescedOutcome>,
}
