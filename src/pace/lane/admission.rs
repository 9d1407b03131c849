//! The decision about a delivery that enters its robot's queue: send now, wait in memory, or defer.
//!
//! Owns how the wanted position becomes a slot.
//!
//! Not here: the decision about a delivery that already waits (`Lane::look`), and coalescing
//! (`folding.rs`).

use std::sync::Arc;

use super::{Class, Key, Lane, Rules, Seat, Waiter};
use crate::{
    domain::{Moment, Overflow},
    pace::{Ask, Later, Place},
};

/// The decision about a delivery that enters the queue.
pub(in crate::pace) enum Admission {
    /// Send now. A permit is taken for this position in the order.
    Go(Moment),
    /// Wait in memory under this key.
    Wait(Key),
    /// Leave memory and come back. The second value is the slot if one was reserved, in the pacer's
    /// time.
    Later(Later, Option<Moment>),
    Superseded,
}

/// The range of time in which a delivery may leave, in the pacer's time.
#[derive(Clone, Copy)]
pub(in crate::pace) struct Limits {
    /// The earliest time.
    pub(in crate::pace) floor: Moment,
    /// The delivery expires at this time.
    pub(in crate::pace) expires: Moment,
}

impl Lane {
    /// Decides about a delivery that is new or comes back. Sets `seat` if it has to wait in memory.
    pub(in crate::pace) fn admit(
        &mut self,
        now: Moment,
        limits: Limits,
        ask: &Ask<'_>,
        seat: &mut Option<Arc<Seat>>,
        rules: &Rules<'_>,
    ) -> Admission {
        let Limits { floor, .. } = limits;
        if matches!(ask.place, Place::Slot(_)) {
            self.parked = self.parked.saturating_sub(1);
        }
        if ask.overflow == Overflow::Latest && self.is_superseded(ask) {
            return Admission::Superseded;
        }
        let slot = match ask.place {
            Place::Fresh => return self.admit_fresh(now, limits, ask, seat, rules),
            // It may have come back before the older delivery that it replaces.
            Place::Slot(slot) if ask.overflow == Overflow::Latest => {
                self.shared_slot(ask, now).map_or(slot, |shared| shared.min(slot))
            }
            Place::Slot(slot) => slot,
            Place::Behind(slot) => return self.admit_part(now, limits, (slot, ask), seat, rules),
            Place::Due(at) => {
                let at = at.before(self.shift);
                self.shared_slot(ask, now).map_or(at, |slot| slot.max(at))
            }
            Place::Again => Moment::default(),
        };
        let key = self.key(ask, slot);
        let wanted = self.wanted(key, now);
        let at = wanted.max(self.estimate(now, key, rules)).max(floor);
        if at >= limits.expires {
            return Admission::Later(Later { due: at, slot: None }, None);
        }
        if at.since(now) <= rules.wait_max(ask.early) {
            return self.sit_down(key, (true, floor), ask, seat);
        }
        if at.since(now) <= rules.early_max {
            return Admission::Later(self.leave(key, at), None);
        }
        let has_slot = !matches!(ask.place, Place::Due(_)) && wanted > now;
        let wanted = if has_slot { wanted } else { wanted.max(floor) };
        let (later, booked) = self.postpone(now, key, (wanted, at), has_slot, rules);
        Admission::Later(later, booked)
    }

    /// Decides about the next part of a message. It keeps the position of the part before, so only
    /// urgent deliveries come between. The slots planned behind it do not move, although it uses
    /// the window.
    fn admit_part(
        &mut self,
        now: Moment,
        limits: Limits,
        (slot, ask): (Moment, &Ask<'_>),
        seat: &mut Option<Arc<Seat>>,
        rules: &Rules<'_>,
    ) -> Admission {
        let Limits { floor, .. } = limits;
        let key = self.key(ask, slot);
        let at = self.estimate(now, key, rules).max(floor);
        if at >= limits.expires || at.since(now) > rules.hold_max {
            return Admission::Later(Later { due: at, slot: Some(slot) }, None);
        }
        self.sit_down(key, (true, floor), ask, seat)
    }

    fn admit_fresh(
        &mut self,
        now: Moment,
        limits: Limits,
        ask: &Ask<'_>,
        seat: &mut Option<Arc<Seat>>,
        rules: &Rules<'_>,
    ) -> Admission {
        let Limits { floor, .. } = limits;
        let (at, slot, booked, overflowed) = match self.shared_slot(ask, now) {
            Some(slot) => (slot.after(self.shift), slot, None, true),
            None if floor <= now && self.is_next(ask, now) && self.opens_at(now, rules).is_some_and(|at| at <= now) => {
                return Admission::Go(self.let_go(now, now.before(self.shift)));
            }
            None => {
                let plan = if ask.event.urgent { &mut self.urgent } else { &mut self.others };
                let (free, used_up) = plan.next(now, &mut self.window, rules.quota, self.answer_time);
                let held_until = self.hold.map_or(now, |hold| hold.until).max(floor);
                let at = free.max(held_until);
                (at, at.before(self.shift), Some(at), used_up || held_until > now)
            }
        };
        if at >= limits.expires {
            return Admission::Later(Later { due: at, slot: None }, None);
        }
        if let Some(at) = booked {
            let plan = if ask.event.urgent { &mut self.urgent } else { &mut self.others };
            plan.book(at, rules.quota);
        }
        if overflowed {
            self.remember_slot(ask, slot);
        }
        if at.since(now) <= rules.hold_max {
            let key = self.key(ask, slot);
            return self.sit_down(key, (overflowed, floor), ask, seat);
        }
        self.parked = self.parked.saturating_add(1);
        Admission::Later(Later { due: at, slot: Some(slot) }, booked)
    }

    /// Whether no delivery waits before a new one.
    fn is_next(&self, ask: &Ask<'_>, now: Moment) -> bool {
        let first = self.waiters.first_key_value().map(|(key, _)| key.class);
        if ask.event.urgent {
            first != Some(Class::Urgent) && self.urgent.horizon(now).is_none()
        } else {
            first.is_none() && self.others.horizon(now).is_none()
        }
    }

    fn key(&mut self, ask: &Ask<'_>, slot: Moment) -> Key {
        self.sequence += 1;
        let class = if ask.event.urgent { Class::Urgent } else { Class::Other };
        let whole = !matches!(ask.place, Place::Behind(_));
        Key { class, whole, slot, sequence: self.sequence }
    }

    fn sit_down(
        &mut self,
        key: Key,
        (overflowed, floor): (bool, Moment),
        ask: &Ask<'_>,
        seat: &mut Option<Arc<Seat>>,
    ) -> Admission {
        let seat = Arc::clone(seat.get_or_insert_default());
        let Ask { subscription, overflow, early, .. } = *ask;
        let event = Arc::clone(ask.event);
        self.waiters.insert(key, Waiter { seat, subscription, overflow, overflowed, floor, early, event });
        Admission::Wait(key)
    }
}
