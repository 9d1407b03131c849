//! A record of the history: one thing that happened to an event or to one of its deliveries.
//!
//! A record has ids, times, verdicts, codes and the platform's redacted answer. It has no endpoint.
//! The event's text is in the record of its reception, if `history.text` is on, and nowhere else.
//!
//! Owns the shape of a record. Names of closed sets are kept as text, so that a record of a later
//! version is shown with the names that it has.
//!
//! Not here: the form on the disk (`store/history_row.rs`), and the form in the API
//! (`admin/wire/history.rs`).

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use super::HistoryOutcome;
use crate::domain::{EventId, FeatureSet, Part, Platform, RobotId, SubscriptionId, Timestamp};

/// The name of a value of a closed set, perhaps of another version.
pub type Name = Cow<'static, str>;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRecord {
    /// When it happened.
    pub at: Timestamp,
    /// The event: the publisher's `message_id`, or the id that roomcast gave.
    pub event: EventId,
    /// The topic. For an unreadable event it is the routing key, which need not be a valid topic.
    pub topic: Arc<str>,
    /// What happened.
    pub occurrence: Occurrence,
}

/// What happened to an event or to a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// The event was received, and its deliveries began.
    Received {
        /// The number of the topic's subscriptions.
        subscriptions: u32,
        /// How many deliveries began. The other subscriptions rejected the event by their filters,
        /// or had it already.
        deliveries: u32,
        /// The event's text.
        text: RecordText,
    },
    /// The event became a dead letter as a whole.
    GivenUp {
        /// The reason of the dead letter.
        reason: Name,
        /// roomcast's code.
        code: String,
        /// How often the event was redriven.
        generation: u32,
    },
    /// One step of a delivery: an attempt, what became of the delivery, or both.
    Step(Box<DeliveryStep>),
    /// An operator acted on a dead letter.
    Letter(Box<LetterRecord>),
    /// The hold of a robot or of a whole platform began or ended, after an attempt of the event.
    Hold(Box<HoldRecord>),
}

/// The text of an event, as far as the history has it.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum RecordText {
    /// The history keeps no texts, or had no room for this one.
    #[default]
    None,
    /// The text, perhaps cut.
    Text(String),
    /// The key that opens it is gone.
    Erased,
}

/// Texts are in no log line.
impl fmt::Debug for RecordText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Text(_) => "Text",
            Self::Erased => "Erased",
        })
    }
}

/// What an operator did with a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterAction {
    /// It was put back to be tried again.
    Redriven,
    /// It was deleted.
    Discarded,
}

/// An action on a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRecord {
    /// The action.
    pub action: LetterAction,
    /// The letter's id.
    pub letter: String,
    /// Why it was dead.
    pub reason: Name,
    /// The code, of the platform or of roomcast.
    pub code: String,
    /// How often the letter had been redriven before.
    pub generation: u32,
    /// The platform; `None` for an event as a whole, as the next two.
    pub platform: Option<Platform>,
    /// The subscription.
    pub subscription: Option<SubscriptionId>,
    /// The robot.
    pub robot: Option<RobotId>,
}

/// A change of a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRecord {
    /// The platform.
    pub platform: Platform,
    /// The robot; `None` if all robots of the platform are held.
    pub robot: Option<RobotId>,
    /// Why.
    pub cause: Name,
    /// The code of the answer that changed it.
    pub code: String,
    /// The message of that answer, redacted.
    pub detail: String,
    /// Whether it began or ended.
    pub change: HoldChange,
}

/// The beginning or the end of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldChange {
    /// It began.
    Began {
        /// When the next message may be tried.
        until: Timestamp,
    },
    /// It ended: a message got through.
    Ended,
}

/// One step of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryStep {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The platform of the robot.
    pub platform: Platform,
    /// The robot.
    pub robot: RobotId,
    /// How often the delivery was redriven.
    pub generation: u32,
    /// How often it was stored in a delay tier before.
    pub hops: u32,
    /// The attempts that count, of the current part.
    pub attempts: u32,
    /// The part of the text.
    pub part: Part,
    /// What its messages left out because the platform refused it.
    pub omitted: FeatureSet,
    /// The attempt, if one was made.
    pub attempt: Option<AttemptRecord>,
    /// What became of the delivery, if this step decided it.
    pub end: Option<StepEnd>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// When it ended.
    pub at: Timestamp,
    /// How long the platform took to answer.
    pub took: Duration,
    /// How long the delivery waited in memory before.
    pub waited: Duration,
    /// Why it waited in memory, if it did.
    pub waited_for: Option<Name>,
    /// The meaning of the answer.
    pub verdict: Name,
    /// The platform's code, or roomcast's.
    pub code: String,
    /// The platform's message, redacted.
    pub detail: String,
    /// The other deliveries of the same message.
    pub coalesced: Coalesced,
}

/// The other deliveries of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coalesced {
    /// The message also covers this many other deliveries; 0 for most messages.
    Covers(u32),
    /// The message of another delivery of the same robot covers this one.
    IsCovered,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepEnd {
    /// The platform accepted it.
    Delivered,
    /// It waits on the broker.
    Waits {
        /// When it may be tried.
        until: Timestamp,
        /// Why it waits.
        reason: Name,
        /// Whether an attempt failed, so that the next one is a retry.
        is_retry: bool,
    },
    /// It is a dead letter.
    Dead {
        /// The reason.
        reason: Name,
        /// The platform's code, or roomcast's.
        code: String,
        /// The platform's message, redacted.
        detail: String,
    },
    /// Its subscription was removed or paused.
    Dropped,
}

impl HistoryRecord {
    /// What the record says, in one word.
    #[must_use]
    pub fn outcome(&self) -> HistoryOutcome {
        match &self.occurrence {
            Occurrence::Received { subscriptions: 0, .. } => HistoryOutcome::Unheard,
            Occurrence::Received { .. } => HistoryOutcome::Received,
            Occurrence::GivenUp { .. } => HistoryOutcome::GivenUp,
            Occurrence::Step(step) => match &step.end {
                None => HistoryOutcome::Attempted,
                Some(StepEnd::Delivered) => HistoryOutcome::Delivered,
                Some(StepEnd::Waits { is_retry: true, .. }) => HistoryOutcome::Retried,
                Some(StepEnd::Waits { is_retry: false, .. }) => HistoryOutcome::Deferred,
                Some(StepEnd::Dead { .. }) => HistoryOutcome::Dead,
                Some(StepEnd::Dropped) => HistoryOutcome::Dropped,
            },
            Occurrence::Letter(letter) => match letter.action {
                LetterAction::Redriven => HistoryOutcome::Redriven,
                LetterAction::Discarded => HistoryOutcome::Discarded,
            },
            Occurrence::Hold(hold) => match hold.change {
                HoldChange::Began { .. } => HistoryOutcome::Held,
                HoldChange::Ended => HistoryOutcome::Released,
            },
        }
    }

    /// The subscription that the record is about.
    #[must_use]
    pub fn subscription(&self) -> Option<SubscriptionId> {
        match &self.occurrence {
            Occurrence::Step(step) => Some(step.subscription),
            Occurrence::Letter(letter) => letter.subscription,
            Occurrence::Received { .. } | Occurrence::GivenUp { .. } | Occurrence::Hold(_) => None,
        }
    }

    /// The robot that the record is about.
    #[must_use]
    pub fn robot(&self) -> Option<RobotId> {
        match &self.occurrence {
            Occurrence::Step(step) => Some(step.robot),
            Occurrence::Letter(letter) => letter.robot,
            Occurrence::Hold(hold) => hold.robot,
            Occurrence::Received { .. } | Occurrence::GivenUp { .. } => None,
        }
    }

    /// The step of a delivery, if the record is one.
    #[must_use]
    pub fn step(&self) -> Option<&DeliveryStep> {
        match &self.occurrence {
            Occurrence::Step(step) => Some(step),
            _ => None,
        }
    }
}
