//! The state of one robot's queue, for checkpoints and operators.
//!
//! Owns how many deliveries wait for which reason, and when a queue may be evicted.
//!
//! Not here: the sums over all queues (`pace/status.rs`), and the records (`pace/restore.rs`).

use std::time::Duration;

use super::{PacingLimits, RobotQueue};
use crate::{
    domain::{Platform, RobotId, Timestamp, WaitCounts, WaitReason},
    pace::{Hold, RobotStatus, slot_schedule::Slot},
};

/// How long an expired hold or a count of refusals keeps an idle queue from eviction.
const REMEMBERED: Duration = Duration::from_secs(86_400);

impl RobotQueue {
    /// Counts a delivery that waits in the broker from now on.
    pub(super) fn count_in_broker(&mut self, reason: WaitReason) {
        self.waiting_in_broker[reason] = self.waiting_in_broker[reason].saturating_add(1);
    }

    /// Counts a delivery that has come back from the broker. An earlier process may have stored it
    /// for a reason that this one does not count.
    pub(super) fn count_returned(&mut self, waited_for: Option<WaitReason>) {
        let counts = &mut self.waiting_in_broker;
        let counted = waited_for.filter(|reason| counts[*reason] > 0);
        if let Some(reason) = counted.or_else(|| WaitReason::most_frequent(counts)) {
            counts[reason] = counts[reason].saturating_sub(1);
        }
    }

    /// The known number of deliveries that wait in the broker.
    pub(super) fn in_broker(&self) -> u32 {
        self.waiting_in_broker.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The state for a checkpoint: the messages in flight, the future slots, and the hold.
    pub(in crate::pace) fn snapshot(&self, now: Timestamp) -> (u32, Vec<Slot>, Option<Hold>) {
        (
            self.window.in_flight(),
            self.others.slots().filter(|slot| slot.at > now).collect(),
            self.hold,
        )
    }

    /// The hold, if nothing is sent because of it now.
    pub(in crate::pace) fn hold_at(&self, now: Timestamp) -> Option<Hold> {
        self.hold.filter(|hold| hold.until > now)
    }

    pub(in crate::pace) const fn platform(&self) -> Platform {
        self.platform
    }

    /// Whether the queue may be evicted without loss.
    pub(in crate::pace) fn is_idle(&mut self, now: Timestamp, rules: &PacingLimits<'_>) -> bool {
        self.window.forget(now, rules.quota);
        let long_ago = |at: Timestamp| at.after(REMEMBERED) < now;
        self.window.used() == 0
            && self.waiters.is_empty()
            && self.urgent.last_slot(now).is_none()
            && self.others.last_slot(now).is_none()
            && self.hold.is_none_or(|hold| long_ago(hold.until))
            && (self.consecutive_refusals == 0 || long_ago(self.left_at))
    }

    /// When the first and the last of `messages` new messages would leave. Reserves nothing.
    pub(in crate::pace) fn send_estimate(
        &self,
        now: Timestamp,
        urgent: bool,
        messages: u32,
        rules: &PacingLimits<'_>,
    ) -> (Timestamp, Timestamp) {
        let (mut plan, mut window) =
            (if urgent { &self.urgent } else { &self.others }.clone(), self.window.clone());
        let held_until = self.hold.map_or(now, |hold| hold.until);
        let mut slots = (0..messages.max(1)).map(|_| {
            let (free, _) = plan.next(now, &mut window, rules.quota, self.answer_time);
            let slot = free.max(held_until);
            plan.reserve(Slot { at: slot, reason: WaitReason::RobotQuota }, rules.quota);
            slot
        });
        let first = slots.next().unwrap_or(now);
        (first, slots.last().unwrap_or(first))
    }

    pub(in crate::pace) fn status(
        &self,
        robot: RobotId,
        now: Timestamp,
        rules: &PacingLimits<'_>,
    ) -> RobotStatus {
        let last = self.others.last_slot(now).max(self.urgent.last_slot(now));
        let mut waits = if last.is_some() { self.waiting_in_broker } else { WaitCounts::default() };
        for waiter in self.waiters.values() {
            waits[waiter.reason] = waits[waiter.reason].saturating_add(1);
        }
        RobotStatus {
            robot,
            platform: self.platform,
            used: self.window.used(),
            allowed: rules
                .quota
                .windows
                .iter()
                .max_by_key(|window| window.span)
                .map(|window| window.max),
            in_flight: self.window.in_flight(),
            waiting: waits.values().fold(0, |sum, count| sum.saturating_add(*count)),
            wait_reason: match self.hold {
                Some(hold) => Some(WaitReason::Hold(hold.cause)),
                None => WaitReason::most_frequent(&waits),
            },
            waits,
            drained_in: last.map_or(Duration::ZERO, |last| last.since(now)),
            hold: self.hold,
            held_for: self.hold.map(|hold| hold.until.since(now)).filter(|left| !left.is_zero()),
        }
    }
}
