//! The recorded progress of a message before it is settled.
//!
//! Owns the meaning of the marks in the ledger. Their hashes are a file format and must not change.
//!
//! Not here: their storage (`ledger.rs`), which never interprets them.

use std::collections::HashSet;

use super::{LedgerMark, digest::digest};
use crate::domain::{RobotId, SubscriptionId};

/// The robot of a delivery, and the subscription that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryTarget {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The robot.
    pub robot: RobotId,
}

/// One recorded fact about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressMark {
    /// A delivery is settled.
    Settled(SubscriptionId),
    /// A part of a delivery was delivered, and others follow.
    Part {
        /// The subscription of the delivery.
        subscription: SubscriptionId,
        /// The robot that received it. Another robot has not.
        robot: RobotId,
        /// The index of the part, counted from 0.
        index: u32,
    },
    /// A delivery was delivered completely. Its receipt may be missing.
    Delivered(SubscriptionId),
    /// An attempt failed. Its next step may not be stored.
    Attempt {
        /// The subscription of the delivery.
        subscription: SubscriptionId,
        /// The robot to which it was made.
        robot: RobotId,
        /// The index of the part, counted from 0.
        part: u32,
        /// The number of the attempt, counted from 1.
        number: u32,
    },
    /// The handling of the message panicked. The number counts from 1.
    HandlingFault(u32),
}

impl ProgressMark {
    /// The subscription of the delivery; `None` if the mark is about the whole message.
    #[must_use]
    pub const fn subscription(self) -> Option<SubscriptionId> {
        match self {
            Self::Settled(subscription)
            | Self::Delivered(subscription)
            | Self::Part { subscription, .. }
            | Self::Attempt { subscription, .. } => Some(subscription),
            Self::HandlingFault(_) => None,
        }
    }

    /// The mark in the form of earlier versions. Those did not name the robot, so it counts for
    /// any.
    fn of_any_robot(self) -> Option<LedgerMark> {
        match self {
            Self::Part { subscription, index: at, .. } => {
                Some(LedgerMark(digest(b"part", &[subscription.as_bytes(), &at.to_be_bytes()])))
            }
            Self::Attempt { subscription, part, number, .. } => {
                let parts: [&[u8]; 3] =
                    [subscription.as_bytes(), &part.to_be_bytes(), &number.to_be_bytes()];
                Some(LedgerMark(digest(b"attempt", &parts)))
            }
            Self::Settled(_) | Self::Delivered(_) | Self::HandlingFault(_) => None,
        }
    }
}

impl From<ProgressMark> for LedgerMark {
    fn from(mark: ProgressMark) -> Self {
        match mark {
            ProgressMark::Settled(subscription) => Self(*subscription.as_bytes()),
            ProgressMark::Part { subscription, robot, index: at } => Self(digest(
                b"part.2",
                &[subscription.as_bytes(), robot.as_bytes(), &at.to_be_bytes()],
            )),
            ProgressMark::Delivered(subscription) => {
                Self(digest(b"receipt", &[subscription.as_bytes()]))
            }
            ProgressMark::HandlingFault(number) => Self(digest(b"fault", &[&number.to_be_bytes()])),
            ProgressMark::Attempt { subscription, robot, part, number } => {
                let (part, number) = (part.to_be_bytes(), number.to_be_bytes());
                Self(digest(
                    b"attempt.2",
                    &[subscription.as_bytes(), robot.as_bytes(), &part, &number],
                ))
            }
        }
    }
}

/// The recorded progress of a redelivered message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompletedMarks(HashSet<LedgerMark>);

impl CompletedMarks {
    /// Whether this mark is recorded.
    #[must_use]
    pub fn contains(&self, mark: ProgressMark) -> bool {
        !self.0.is_empty()
            && (self.0.contains(&mark.into())
                || mark.of_any_robot().is_some_and(|mark| self.0.contains(&mark)))
    }

    /// Whether no mark is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next part of a delivery for its robot. The message carries part `from`.
    #[must_use]
    pub fn next_part(&self, of: DeliveryTarget, from: u32) -> u32 {
        let DeliveryTarget { subscription, robot } = of;
        (from..)
            .find(|at| !self.contains(ProgressMark::Part { subscription, robot, index: *at }))
            .unwrap_or(from)
    }

    /// The number of failed attempts of a part with its robot, if its message carries the number
    /// `said`.
    #[must_use]
    pub fn attempts(&self, of: DeliveryTarget, part: u32, said: u32) -> u32 {
        let DeliveryTarget { subscription, robot } = of;
        let is_made = |made: &u32| {
            let attempt = |number| ProgressMark::Attempt { subscription, robot, part, number };
            made.checked_add(1).is_some_and(|number| self.contains(attempt(number)))
        };
        (said..).find(|made| !is_made(made)).unwrap_or(said)
    }

    /// How often the handling of the message panicked.
    #[must_use]
    pub fn faults(&self) -> u32 {
        (0..)
            .find(|known: &u32| {
                !self.contains(ProgressMark::HandlingFault(known.saturating_add(1)))
            })
            .unwrap_or_default()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = LedgerMark> {
        self.0.iter().copied()
    }
}

impl From<HashSet<LedgerMark>> for CompletedMarks {
    fn from(marks: HashSet<LedgerMark>) -> Self {
        Self(marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done<const N: usize>(marks: [ProgressMark; N]) -> CompletedMarks {
        CompletedMarks(marks.map(LedgerMark::from).into())
    }

    const SUBSCRIPTION: SubscriptionId = SubscriptionId::from_bytes([1; 16]);
    const ROBOT: RobotId = RobotId::from_bytes([8; 16]);
    const OURS: DeliveryTarget = DeliveryTarget { subscription: SUBSCRIPTION, robot: ROBOT };

    const fn part(at: u32) -> ProgressMark {
        ProgressMark::Part { subscription: SUBSCRIPTION, robot: ROBOT, index: at }
    }

    const fn attempt(part: u32, number: u32) -> ProgressMark {
        ProgressMark::Attempt { subscription: SUBSCRIPTION, robot: ROBOT, part, number }
    }

    #[test]
    fn parts_and_attempts_are_counted_from_the_headers_of_the_message() {
        let known = done([part(0), part(1), attempt(2, 1), attempt(2, 2), attempt(2, 4)]);
        assert_eq!([0, 1, 2, 3].map(|from| known.next_part(OURS, from)), [2, 2, 2, 3]);
        assert_eq!([0, 1, 2, 3, 9].map(|said| known.attempts(OURS, 2, said)), [2, 2, 2, 4, 9]);
        assert_eq!(known.attempts(OURS, 0, 0), 0);
        assert!(known.contains(part(0)) && !known.contains(ProgressMark::Settled(SUBSCRIPTION)));
        assert_eq!(
            (
                known.faults(),
                done([ProgressMark::HandlingFault(1), ProgressMark::HandlingFault(2)]).faults()
            ),
            (0, 2)
        );
        assert_eq!(CompletedMarks::default().attempts(OURS, 0, 3), 3);
    }

    #[test]
    fn a_step_of_one_robot_is_not_one_of_another_robot_or_subscription() {
        let known = done([part(0), attempt(1, 1)]);
        assert_eq!((known.next_part(OURS, 0), known.attempts(OURS, 1, 0)), (1, 1));
        for other in [
            DeliveryTarget { robot: RobotId::from_bytes([9; 16]), ..OURS },
            DeliveryTarget { subscription: SubscriptionId::from_bytes([2; 16]), ..OURS },
        ] {
            assert_eq!(
                (known.next_part(other, 0), known.attempts(other, 1, 0)),
                (0, 0),
                "{other:?}"
            );
        }
    }

    #[test]
    fn marks_stay_what_they_were_for_the_ledgers_of_earlier_versions() {
        let form = |mark: ProgressMark| hex::encode(LedgerMark::from(mark).0);
        assert_eq!(form(ProgressMark::Settled(SUBSCRIPTION)), "01".repeat(16));
        assert_eq!(
            form(part(3)),
            hex::encode(digest(b"part.2", &[&[1; 16], &[8; 16], &[0, 0, 0, 3]]))
        );
        let attempted = digest(b"attempt.2", &[&[1; 16], &[8; 16], &[0, 0, 0, 3], &[0, 0, 0, 2]]);
        assert_eq!(form(attempt(3, 2)), hex::encode(attempted));
        assert_eq!(
            form(ProgressMark::Delivered(SUBSCRIPTION)),
            hex::encode(digest(b"receipt", &[&[1; 16]]))
        );
        // The marks of earlier versions name no robot.
        let before = [
            digest(b"part", &[&[1; 16], &[0, 0, 0, 0]]),
            digest(b"attempt", &[&[1; 16], &[0, 0, 0, 1], &[0, 0, 0, 1]]),
        ];
        let known = CompletedMarks(before.map(LedgerMark).into());
        assert_eq!((known.next_part(OURS, 0), known.attempts(OURS, 1, 0)), (1, 1));
        assert!(
            !known.contains(part(1))
                && !known.contains(attempt(1, 2))
                && !known.contains(attempt(0, 1))
        );
    }
}
