//! What has to be known after a crash so that no window is exceeded, and the door through which it is written down.

use std::time::Duration;

use super::HoldCause;
use crate::domain::{GroupName, Moment, Platform, RobotId};

/// One thing to remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A new page begins.
    Page,
    /// What is in the air is written down again on this page, and what was left open on the pages before is not open any more.
    Restated,
    /// A message is about to leave for a robot.
    Begun {
        /// Which robot.
        robot: RobotId,
        /// On which platform.
        platform: Platform,
        /// When.
        at: Moment,
    },
    /// It was answered, or given up.
    Answered {
        /// Which robot.
        robot: RobotId,
        /// On which platform.
        platform: Platform,
        /// When.
        at: Moment,
    },
    /// A slot was given to a delivery that waits in the broker.
    Booked {
        /// Of which robot.
        robot: RobotId,
        /// On which platform.
        platform: Platform,
        /// Which slot.
        slot: Moment,
    },
    /// A robot is left alone.
    Held {
        /// Which robot.
        robot: RobotId,
        /// On which platform.
        platform: Platform,
        /// Since when.
        at: Moment,
        /// Why.
        cause: HoldCause,
        /// Until when.
        until: Moment,
        /// How long the wait is.
        wait: Duration,
    },
    /// A robot is not left alone any longer.
    Lifted {
        /// Which robot.
        robot: RobotId,
        /// On which platform.
        platform: Platform,
        /// Since when.
        at: Moment,
    },
    /// So much of an organisation's monthly quota is used.
    Spent {
        /// Which organisation.
        group: GroupName,
        /// When the month began.
        month: Moment,
        /// How many calls were counted in it.
        used: u64,
        /// Until when the platform is taken to refuse, if it has said that the quota is used up.
        refused_until: Option<Moment>,
    },
}

/// It was not written down.
#[derive(Debug, thiserror::Error)]
#[error("what is sent to robots cannot be written down, so nothing is sent")]
pub struct NotNoted(#[source] pub std::io::Error);

/// Writes notes where they survive the end of the process at any moment. Quick: it is called on the async threads.
pub trait Notebook: Send + Sync {
    /// Writes a note down.
    fn note(&self, note: &Note) -> Result<(), NotNoted>;
}
