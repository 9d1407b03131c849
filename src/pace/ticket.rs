//! The state of a delivery between its request and the decision.
//!
//! Owns that a delivery which stops waiting leaves its robot's queue.
//!
//! Not here: the wait itself (`mod.rs`), and the queue (`robot_queue.rs`).

use std::sync::Arc;

use super::{
    CoalescedDelivery, PaceDecision, Permit,
    host::HostWait,
    robot_queue::{QueueKey, WaitHandle},
    robot_queues::RobotQueues,
};
use crate::domain::{RobotId, Timestamp};

/// The state of an enqueued delivery. Dropping it leaves the queue.
pub struct Ticket {
    pub(super) first: TicketState,
    pub(super) at: Timestamp,
}

impl Ticket {
    /// When it was enqueued, in the pacer's time.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }
}

pub(super) enum TicketState {
    /// It may be sent.
    Granted(Permit, Vec<CoalescedDelivery>),
    /// It waits in its robot's queue.
    InRobotQueue(WaitGuard, Arc<WaitHandle>),
    /// It has the robot's permit and waits for the host.
    AtHost(Permit, Vec<CoalescedDelivery>, HostWait),
    /// The decision is final.
    Decided(PaceDecision),
}

/// A delivery that waits in memory. Dropping it leaves the queue.
pub(super) struct WaitGuard {
    pub(super) pace: Arc<RobotQueues>,
    pub(super) robot: RobotId,
    pub(super) key: QueueKey,
}

impl WaitGuard {
    pub(super) fn cancel_wait(&self) -> bool {
        self.pace
            .with_existing(self.robot, |queue, _, _| queue.cancel_wait(self.key))
            .unwrap_or(false)
    }
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        self.cancel_wait();
    }
}
