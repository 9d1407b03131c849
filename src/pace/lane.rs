//! The lane of one robot: whose turn it is, and when. Decisions only; waiting is done by the room's door.
//!
//! Slots are points in the lane's own time, which stands still while the robot is held: a hold moves everything that is planned, and keeps
//! its order. Lane time is real time less [`Lane::shift`].

mod admission;
mod finish;
mod folding;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, oneshot};

use self::folding::Folding;
pub(super) use self::{
    admission::{Admission, Limits},
    finish::Finish,
};
use super::{Folded, HealthPolicy, Hold, Later, PlatformQuota, Spoken, plan::Plan, window::Window};
use crate::domain::{Event, Moment, Overflow, Platform, SubscriptionId};

/// By what a lane decides.
pub(super) struct Rules<'a> {
    pub(super) quota: &'a PlatformQuota,
    pub(super) health: &'a HealthPolicy,
    /// What has just come waits up to this long in memory.
    pub(super) hold_max: Duration,
    /// What has come back and has room waits up to this long in memory.
    pub(super) early_max: Duration,
    /// A message leaves when the one before it was answered, or this long after it left.
    pub(super) order_gap: Duration,
}

impl Rules<'_> {
    /// How long a delivery waits in memory that has come back.
    pub(super) const fn wait_max(&self, early: bool) -> Duration {
        if early { self.early_max } else { self.hold_max }
    }
}

/// The order in a lane: urgent before others, then what is half said, then by slot, then as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    class: Class,
    whole: bool,
    slot: Moment,
    sequence: u64,
}

impl Key {
    /// The place in the order of whoever waits under this key.
    pub(super) const fn place(self) -> Moment {
        self.slot
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Urgent,
    Other,
}

/// Where a delivery that waits in memory is called.
#[derive(Default)]
pub(super) struct Seat {
    pub(super) call: Notify,
    told: Mutex<Option<Told>>,
}

/// What a delivery that waited is told instead of its turn.
pub(super) enum Told {
    Spoken(oneshot::Receiver<Spoken>),
    Superseded,
}

impl Seat {
    fn tell(&self, told: Told) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        self.call.notify_one();
    }

    pub(super) fn told(&self) -> Option<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct Waiter {
    seat: Arc<Seat>,
    subscription: SubscriptionId,
    overflow: Overflow,
    /// Whether it waits because the quota is used up, and not only for the message before it.
    overflowed: bool,
    /// Before when it must not leave, whatever its slot.
    floor: Moment,
    /// Whether it has room to wait for long.
    early: bool,
    event: Arc<Event>,
}

/// What a delivery that waits in memory is told.
pub(super) enum Look {
    /// Leave now; a permit is taken, for this place in the order, and these are spoken for.
    Go(Moment, Vec<Folded>),
    /// Look again then, or when called.
    Until(Moment),
    /// Look again when called.
    Listen,
    /// Leave memory and come back; the slot is one that was booked now, in real time.
    Later(Later, Option<Moment>),
    /// Something was left at the seat.
    Told,
}

pub(super) struct Lane {
    platform: Platform,
    window: Window,
    urgent: Plan,
    others: Plan,
    shift: Duration,
    waiters: BTreeMap<Key, Waiter>,
    sequence: u64,
    /// The place in the order of the last that was let go.
    last_gone: Moment,
    /// A permit was taken, and its message has not left yet.
    departing: bool,
    /// A message is in the air of which the next part comes behind it.
    followed: bool,
    left_at: Moment,
    answer_time: Duration,
    /// How many refusals for a reason other than speed came in a row.
    strikes: u32,
    hold: Option<Hold>,
    /// How many wait in the broker, as far as is known.
    parked: u32,
    folding: Option<Box<Folding>>,
}

impl Lane {
    pub(super) fn new(platform: Platform) -> Self {
        Self {
            platform,
            window: Window::default(),
            urgent: Plan::default(),
            others: Plan::default(),
            shift: Duration::ZERO,
            waiters: BTreeMap::new(),
            sequence: 0,
            last_gone: Moment::default(),
            departing: false,
            followed: false,
            left_at: Moment::default(),
            answer_time: Duration::ZERO,
            strikes: 0,
            hold: None,
            parked: 0,
            folding: None,
        }
    }

    /// Decides about a delivery that waits in memory.
    pub(super) fn look(&mut self, now: Moment, key: Key, rules: &Rules<'_>) -> Look {
        let Some((floor, early)) = self.waiters.get(&key).map(|waiter| (waiter.floor, waiter.early)) else {
            return Look::Told;
        };
        if let Some(hold) = self.hold
            && hold.until > now
        {
            let (wanted, estimate) = (self.wanted(key, now), self.estimate(now, key, rules));
            let at = wanted.max(estimate);
            if at.since(now) > rules.early_max {
                self.stand_up(key);
                if !key.whole {
                    return Look::Later(Later { due: at, slot: Some(key.slot) }, None);
                }
                let (later, booked) = self.postpone(now, key, (wanted, at), wanted > now, rules);
                return Look::Later(later, booked);
            }
            if at.since(now) > rules.wait_max(early) {
                self.stand_up(key);
                return Look::Later(self.leave(key, at), None);
            }
        }
        if self.waiters.first_key_value().is_some_and(|(first, _)| *first != key) {
            return Look::Listen;
        }
        let wanted = self.wanted(key, now).max(floor);
        if wanted > now {
            return Look::Until(wanted);
        }
        match self.opens_at(now, rules) {
            Some(at) if at <= now => {
                let place = self.let_go(now, key.slot);
                let gone = self.waiters.remove(&key);
                let folded = gone.map(|waiter| self.fold(&waiter)).unwrap_or_default();
                self.call_first();
                Look::Go(place, folded)
            }
            Some(at) => Look::Until(at),
            None => Look::Listen,
        }
    }

    /// Whoever waited under this key does not any longer; says whether it still did.
    pub(super) fn stand_up(&mut self, key: Key) -> bool {
        let waited = self.waiters.remove(&key).is_some();
        self.call_first();
        waited
    }

    /// When the lane is open for the first that waits; unknown while that depends on an answer.
    fn opens_at(&mut self, now: Moment, rules: &Rules<'_>) -> Option<Moment> {
        if let Some(hold) = self.hold {
            if hold.until > now {
                return Some(hold.until);
            }
            // One message at a time tries whether the platform listens again.
            if self.window.in_flight() > 0 {
                return None;
            }
        }
        let free = self.window.free_at(now, rules.quota)?;
        if !rules.quota.is_limited() || rules.order_gap.is_zero() {
            return Some(free);
        }
        if self.departing || self.followed {
            return None;
        }
        let gap = if self.window.in_flight() > 0 { rules.order_gap } else { Duration::ZERO };
        Some(free.max(self.left_at.after(gap)))
    }

    /// Takes a permit; gives the place in the order, which no other has.
    fn let_go(&mut self, now: Moment, slot: Moment) -> Moment {
        let planned = slot.after(self.shift);
        self.urgent.used(planned);
        self.others.used(planned);
        self.window.take();
        self.departing = true;
        if self.left_at > now {
            self.left_at = now;
        }
        self.last_gone = slot.max(self.last_gone.after(Duration::from_millis(1)));
        self.last_gone
    }

    /// When a delivery under this key may leave at the earliest.
    fn wanted(&self, key: Key, now: Moment) -> Moment {
        if key.slot == Moment::default() { now } else { key.slot.after(self.shift) }
    }

    /// When a delivery under this key could leave, with those before it in memory. What shares a slot to be folded counts as one.
    fn estimate(&mut self, now: Moment, key: Key, rules: &Rules<'_>) -> Moment {
        let free = self.window.free_at(now, rules.quota).unwrap_or(now);
        let base = free.max(self.hold.map_or(now, |hold| hold.until));
        let Some(longest) = rules.quota.longest() else { return base };
        let (mut ahead, mut bundle) = (0_u32, None);
        for (before, waiter) in self.waiters.range(..key) {
            let of = (waiter.overflow == Overflow::Digest).then_some((before.slot, waiter.subscription));
            if of.is_none() || of != bundle {
                ahead = ahead.saturating_add(1);
            }
            bundle = of;
        }
        if bundle.is_some_and(|(slot, _)| slot == key.slot) {
            ahead = ahead.saturating_sub(1);
        }
        let cycle = longest.span + rules.quota.margin + self.answer_time;
        base.after(cycle.saturating_mul(ahead / longest.max.max(1)))
    }

    /// Lets a delivery go for which there is no room until its turn comes. It comes back to its place
    /// in the order.
    fn leave(&mut self, key: Key, at: Moment) -> Later {
        let slot = (key.slot != Moment::default()).then_some(key.slot);
        self.parked = self.parked.saturating_add(slot.is_some().into());
        Later { due: at, slot }
    }

    /// Puts a delivery that has come back off. If it came in time, it keeps its slot, and everything planned moves with it; one that came late, or
    /// without a slot, is given one behind all others.
    fn postpone(
        &mut self,
        now: Moment,
        key: Key,
        (wanted, at): (Moment, Moment),
        has_slot: bool,
        rules: &Rules<'_>,
    ) -> (Later, Option<Moment>) {
        self.parked = self.parked.saturating_add(1);
        if has_slot {
            self.delay(at.since(wanted), now);
            return (Later { due: at, slot: Some(key.slot) }, None);
        }
        let plan = if key.class == Class::Urgent { &mut self.urgent } else { &mut self.others };
        let (free, _) = plan.next(now, &mut self.window, rules.quota, self.answer_time);
        let at = free.max(self.hold.map_or(now, |hold| hold.until)).max(wanted);
        plan.book(at, rules.quota);
        (Later { due: at, slot: Some(at.before(self.shift)) }, Some(at))
    }

    /// The lane's time stands still for so long.
    fn delay(&mut self, by: Duration, now: Moment) {
        self.shift = self.shift.saturating_add(by);
        self.urgent.later(by, now);
        self.others.later(by, now);
    }

    fn call_first(&self) {
        if let Some((_, first)) = self.waiters.first_key_value() {
            first.seat.call.notify_one();
        }
    }
}
