//! What a delivery is told that asks for its turn, for the first time or again: now, a place in memory, or later.

use std::sync::Arc;

use super::{Class, Key, Lane, Rules, Seat, Waiter};
use crate::{
    domain::{Moment, Overflow},
    pace::{Ask, Later, Place},
};

/// What a delivery that asks for the first time is told.
pub(in crate::pace) enum Admission {
    /// Leave now; a permit is taken, for this place in the order.
    Go(Moment),
    /// Wait in memory, under this key.
    Wait(Key),
    /// Leave memory and come back; if a slot was booked for it, it is this one in real time.
    Later(Later, Option<Moment>),
    Superseded,
}

/// Between which points of the pace's time a delivery may leave.
#[derive(Clone, Copy)]
pub(in crate::pace) struct Limits {
    /// Nothing leaves before this.
    pub(in crate::pace) floor: Moment,
    /// From then on it is not wanted any more.
    pub(in crate::pace) expires: Moment,
}

impl Lane {
    /// Decides about a delivery that has just come, or come back. A seat is made if it has to wait in memory.
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
            // It may have come back before an older one was told of it.
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

    /// Decides about the next part of a message. It keeps the place of the part before, so that nothing comes between them but what is urgent; what is
    /// planned behind it is not moved: it finds the window as it is.
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

    /// Whether nobody waits before a delivery that has just come.
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
