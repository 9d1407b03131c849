//! The state of one robot's queue, for checkpoints and operators.
//!
//! Owns how many deliveries wait for which reason, and when a queue may be evicted.
//!
//! Not here: the sums over all queues (`pace/status.rs`), and the records (`pace/restore.rs`).

use std::time::Duration;

use super::{PacingLimits, RobotQueue};
use crate::{
    domain::{Platform, RobotId, Timestamp, WaitCounts, WaitReason},
    pace::{Hold, RobotHealth, RobotStatus, slot_schedule::Slot},
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

    /// Counts a delivery without a slot of its own that has come back: a retry, or the next part of
    /// a message. An earlier process may have stored it.
    pub(super) fn count_returned_without_slot(&mut self, waited_for: Option<WaitReason>) {
        if let Some(reason) = waited_for {
            self.waiting_in_broker[reason] = self.waiting_in_broker[reason].saturating_sub(1);
        }
    }

    /// Forgets the deliveries in the broker if all are due. Those whose time to live ended there
    /// never come back to be counted.
    pub(in crate::pace) fn forget_returned(&mut self, now: Timestamp) {
        if self.last_return(now).is_none() {
            self.waiting_in_broker = WaitCounts::default();
        }
    }

    /// When the last known delivery comes back from the broker, if any is not due yet.
    fn last_return(&self, now: Timestamp) -> Option<Timestamp> {
        let retry = Some(self.retry_until).filter(|until| *until > now);
        self.others.last_slot(now).max(self.urgent.last_slot(now)).max(retry)
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

    /// The hold of the robot or of its platform, if nothing is sent because of it now.
    pub(in crate::pace) fn hold_at(
        &self,
        now: Timestamp,
        rules: &PacingLimits<'_>,
    ) -> Option<Hold> {
        self.effective_hold(rules).filter(|hold| hold.until > now)
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
            && self.last_return(now).is_none()
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
        let held_until = self.effective_hold(rules).map_or(now, |hold| hold.until);
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
        health: Option<&RobotHealth>,
        rules: &PacingLimits<'_>,
    ) -> RobotStatus {
        let hold = self.effective_hold(rules);
        let last = self.last_return(now);
        let mut waits = if last.is_some() { self.waiting_in_broker } else { WaitCounts::default() };
        for waiter in self.waiters.values() {
            waits[waiter.reason] = waits[waiter.reason].saturating_add(1);
        }
        let waiting = waits.values().fold(0_u32, |sum, count| sum.saturating_add(*count));
        // Nothing leaves before the hold has ended.
        let last = last.max(hold.filter(|_| waiting > 0).map(|hold| hold.until));
        let unknown = waiting > 0 && hold.is_some_and(|hold| hold.cause.ends_at_unknown_time());
        RobotStatus {
            robot,
            platform: self.platform,
            success_share: health.and_then(|health| health.hour.success_share(now)),
            health: health.cloned(),
            used: self.window.used(),
            allowed: rules
                .quota
                .windows
                .iter()
                .max_by_key(|window| window.span)
                .map(|window| window.max),
            in_flight: self.window.in_flight(),
            waiting,
            wait_reason: match hold {
                Some(hold) => Some(WaitReason::Hold(hold.cause)),
                None => WaitReason::most_frequent(&waits),
            },
            waits,
            drained_in: (!unknown).then(|| last.map_or(Duration::ZERO, |last| last.since(now))),
            held_since: hold.map(|hold| hold.since),
            hold,
            held_for: hold.map(|hold| hold.until.since(now)).filter(|left| !left.is_zero()),
        }
    }
}
