//! What a delivery asks with, and what it is told.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Permit;
use crate::domain::{Answer, Event, GroupName, Moment, Overflow, Platform, RobotId, SubscriptionId};

/// What a delivery asks with.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The robot it is for.
    pub robot: RobotId,
    /// The platform the robot lives on.
    pub platform: Platform,
    /// The subscription it is for.
    pub subscription: SubscriptionId,
    /// What happens to the subscription's deliveries that have to wait.
    pub overflow: Overflow,
    /// The organisation whose monthly quota it draws on.
    pub group: Option<&'a GroupName>,
    /// What it says.
    pub event: &'a Arc<Event>,
    /// Where it stands among the others.
    pub place: Place,
    /// Whether it has room to wait for up to [`super::Settings::early_max`]; else it waits for up to
    /// `hold_max`.
    pub early: bool,
}

/// Where a delivery stands in its robot's lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It has just come: behind everything that waits.
    Fresh,
    /// It was given this slot earlier, and has come back for it.
    Slot(Moment),
    /// It has waited until this time, for another reason than its robot: in the order as if it were given this slot, and not before it.
    Due(Moment),
    /// It is the next part of a message of which the part before left at this place: right behind that one.
    Behind(Moment),
    /// It was tried and is tried again: before everything that waits.
    Again,
}

/// Whether a delivery may leave.
pub enum Turn {
    /// It may leave now, and says in one message what these others would have said as well.
    Go(Permit, Vec<Folded>),
    /// Its turn is too far away to be waited for in memory.
    Later(Later),
    /// Another delivery's message speaks for it; here comes what became of that. An error says that nothing was sent.
    Spoken(oneshot::Receiver<Spoken>),
    /// A newer message of its subscription takes its place.
    Superseded,
    /// Its organisation's monthly quota is used up, and the setting is not to wait for the next.
    BudgetSpent,
    /// The one who asked does not wait any longer.
    Left,
}

/// When a delivery has to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later {
    /// When.
    pub due: Moment,
    /// The slot it was given, if it was given one: its place in the order.
    pub slot: Option<Moment>,
}

/// What became of the message that spoke for a delivery.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The platform's answer.
    pub answer: Answer,
    /// When the robot may be sent to again.
    pub resume: Moment,
}

/// What a delivery hears that another one speaks for.
#[derive(Clone, Debug)]
pub enum Spoken {
    /// The message was sent.
    Sent(Outcome),
    /// It does not leave now: all of them come back, with one slot.
    Later(Later),
}

/// A delivery that another one speaks for.
pub struct Folded {
    /// What it says.
    pub event: Arc<Event>,
    /// Where it learns what became of it.
    pub tell: oneshot::Sender<Spoken>,
}
