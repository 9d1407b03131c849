//! The decision about a delivery that enters its robot's queue: send now, wait in memory, or defer.
//!
//! Owns how the wanted position becomes a slot.
//!
//! Not here: the decision about a delivery that already waits (`RobotQueue::look`), and coalescing
//! (`coalescing.rs`).

use std::sync::Arc;

use super::{PacingLimits, Postponement, Priority, QueueKey, RobotQueue, WaitHandle, Waiter};
use crate::{
    domain::{OverflowPolicy, Timestamp, WaitReason},
    pace::{AdmissionRequest, Deferral, QueuePosition, slot_schedule::Slot},
};

/// The decision about a delivery that enters the queue.
pub(in crate::pace) enum Admission {
    /// Send now. A permit is taken for this position in the order.
    Granted(Timestamp),
    /// Wait in memory under this key.
    Queued(QueueKey),
    /// Leave memory and come back. The second value is the slot if one was reserved, in the pacer's
    /// time.
    Deferred(Deferral, Option<Timestamp>),
    Superseded,
}

/// The range of time in which a delivery may leave, in the pacer's time.
#[derive(Clone, Copy)]
pub(in crate::pace) struct AdmissionBounds {
    /// The earliest time.
    pub(in crate::pace) floor: Timestamp,
    /// The delivery expires at this time.
    pub(in crate::pace) expires: Timestamp,
}

/// How a delivery waits in memory.
struct Parking {
    key: QueueKey,
    /// Whether it waits for the quota, and not only for the message before it.
    overflowed: bool,
    /// The earliest time at which it may leave.
    floor: Timestamp,
    reason: WaitReason,
}

impl RobotQueue {
    /// Decides about a delivery that is new or comes back. Sets `handle` if it has to wait in
    /// memory.
    pub(in crate::pace) fn admit(
        &mut self,
        now: Timestamp,
        limits: AdmissionBounds,
        request: &AdmissionRequest<'_>,
        handle: &mut Option<Arc<WaitHandle>>,
        rules: &PacingLimits<'_>,
    ) -> Admission {
        let AdmissionBounds { floor, .. } = limits;
        match request.position {
            QueuePosition::AtSlot(_) => self.count_returned(request.waited_for),
            QueuePosition::Head | QueuePosition::NotBefore(_) | QueuePosition::After(_) => {
                self.count_returned_without_slot(request.waited_for);
            }
            QueuePosition::Tail => (),
        }
        if request.overflow == OverflowPolicy::Latest && self.is_superseded(request) {
            return Admission::Superseded;
        }
        let slot = match request.position {
            QueuePosition::Tail => return self.admit_fresh(now, limits, request, handle, rules),
            // It may have come back before the older delivery that it replaces.
            QueuePosition::AtSlot(slot) if request.overflow == OverflowPolicy::Latest => {
                self.shared_slot(request, now).map_or(slot, |shared| shared.min(slot))
            }
            QueuePosition::AtSlot(slot) => slot,
            QueuePosition::After(slot) => {
                return self.admit_part(now, limits, slot, request, handle, rules);
            }
            QueuePosition::NotBefore(at) => {
                let at = at.before(self.hold_offset);
                self.shared_slot(request, now).map_or(at, |slot| slot.max(at))
            }
            QueuePosition::Head => Timestamp::default(),
        };
        let key = self.key(request, slot);
        let wanted = self.wanted(key, now);
        let at = wanted.max(self.estimate(now, key, rules)).max(floor);
        let reason = self.wait_reason(now, at, floor, rules);
        if at >= limits.expires {
            return Admission::Deferred(Deferral { due: at, slot: None, reason }, None);
        }
        if at.since(now) <= rules.wait_max(request.early) {
            let parking = Parking { key, overflowed: true, floor, reason };
            return self.park(parking, request, handle);
        }
        if at.since(now) <= rules.early_max {
            return Admission::Deferred(self.wait_in_broker(key, at, reason), None);
        }
        let has_slot = !matches!(request.position, QueuePosition::NotBefore(_)) && wanted > now;
        let wanted = if has_slot { wanted } else { wanted.max(floor) };
        let wait = Postponement { wanted, at, has_slot, reason };
        let (later, booked) = self.postpone(now, key, wait, rules);
        Admission::Deferred(later, booked)
    }

    /// Decides about the next part of a message. It keeps the position of the part before, so only
    /// urgent deliveries come between. The slots planned behind it do not move, although it uses
    /// the window.
    fn admit_part(
        &mut self,
        now: Timestamp,
        limits: AdmissionBounds,
        slot: Timestamp,
        request: &AdmissionRequest<'_>,
        handle: &mut Option<Arc<WaitHandle>>,
        rules: &PacingLimits<'_>,
    ) -> Admission {
        let AdmissionBounds { floor, .. } = limits;
        let key = self.key(request, slot);
        let at = self.estimate(now, key, rules).max(floor);
        let reason = self.wait_reason(now, at, floor, rules);
        if at >= limits.expires {
            return Admission::Deferred(Deferral { due: at, slot: Some(slot), reason }, None);
        }
        if at.since(now) > rules.hold_max {
            return Admission::Deferred(self.wait_in_broker(key, at, reason), None);
        }
        self.park(Parking { key, overflowed: true, floor, reason }, request, handle)
    }

    fn admit_fresh(
        &mut self,
        now: Timestamp,
        limits: AdmissionBounds,
        request: &AdmissionRequest<'_>,
        handle: &mut Option<Arc<WaitHandle>>,
        rules: &PacingLimits<'_>,
    ) -> Admission {
        let AdmissionBounds { floor, .. } = limits;
        let (at, slot, booked, overflowed) = match self.shared_slot(request, now) {
            Some(slot) => (slot.after(self.hold_offset), slot, None, true),
            None if floor <= now
                && self.is_next(request, now)
                && self.opens_at(now, rules).is_some_and(|at| at <= now)
                && rules.outage.admits(now) =>
            {
                return Admission::Granted(self.grant(now, now.before(self.hold_offset)));
            }
            None => {
                let held = self.effective_hold(rules).map_or(now, |hold| hold.until);
                let plan = if request.event.urgent { &mut self.urgent } else { &mut self.others };
                let (free, used_up) =
                    plan.next(now, &mut self.window, rules.quota, self.answer_time);
                let held_until = held.max(floor);
                let at = free.max(held_until);
                (at, at.before(self.hold_offset), Some(at), used_up || held_until > now)
            }
        };
        let reason =
            if overflowed { self.wait_reason(now, at, floor, rules) } else { WaitReason::Order };
        if at >= limits.expires {
            return Admission::Deferred(Deferral { due: at, slot: None, reason }, None);
        }
        if let Some(at) = booked {
            let plan = if request.event.urgent { &mut self.urgent } else { &mut self.others };
            plan.reserve(Slot { at, reason }, rules.quota);
        }
        if overflowed {
            self.remember_slot(request, slot);
        }
        if at.since(now) <= rules.hold_max {
            let key = self.key(request, slot);
            return self.park(Parking { key, overflowed, floor, reason }, request, handle);
        }
        self.count_in_broker(reason);
        Admission::Deferred(Deferral { due: at, slot: Some(slot), reason }, booked)
    }

    /// Whether no delivery waits before a new one.
    fn is_next(&self, request: &AdmissionRequest<'_>, now: Timestamp) -> bool {
        let first = self.waiters.first_key_value().map(|(key, _)| key.class);
        if request.event.urgent {
            first != Some(Priority::Urgent) && self.urgent.last_slot(now).is_none()
        } else {
            first.is_none() && self.others.last_slot(now).is_none()
        }
    }

    fn key(&mut self, request: &AdmissionRequest<'_>, slot: Timestamp) -> QueueKey {
        self.sequence += 1;
        let class = if request.event.urgent { Priority::Urgent } else { Priority::Other };
        let whole = !matches!(request.position, QueuePosition::After(_));
        QueueKey { class, whole, slot, sequence: self.sequence }
    }

    fn park(
        &mut self,
        parking: Parking,
        request: &AdmissionRequest<'_>,
        handle: &mut Option<Arc<WaitHandle>>,
    ) -> Admission {
        let Parking { key, overflowed, floor, reason } = parking;
        let handle = Arc::clone(handle.get_or_insert_default());
        let AdmissionRequest { subscription, overflow, early, .. } = *request;
        let event = Arc::clone(request.event);
        self.waiters.insert(
            key,
            Waiter { handle, subscription, overflow, overflowed, floor, early, reason, event },
        );
        Admission::Queued(key)
    }
}
