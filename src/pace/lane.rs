//! The queue of one robot: which delivery leaves next, and when. It decides and never waits.
//!
//! Slots are points in the queue's own time, which stops while the robot is on hold. So a hold
//! moves the whole plan and keeps its order. The queue's time is the pacer's time minus
//! [`Lane::shift`].
//!
//! Owns the order of one robot's messages, and the invariant that none leaves without a permit of
//! the window.
//!
//! Not here: waiting (`mod.rs`), new requests (`lane/admission.rs`), results and holds
//! (`lane/finish.rs`), the window itself (`window.rs`).

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

/// The limits that a queue applies.
pub(super) struct Rules<'a> {
    pub(super) quota: &'a PlatformQuota,
    pub(super) health: &'a HealthPolicy,
    /// The longest wait of a new delivery in memory.
    pub(super) hold_max: Duration,
    /// The longest wait in memory of a delivery that comes back and has a memory permit.
    pub(super) early_max: Duration,
    /// A message leaves after the answer to the one before, or this long after that one left.
    pub(super) order_gap: Duration,
}

impl Rules<'_> {
    /// The longest wait in memory of a delivery that comes back. `early` is true if it has a memory
    /// permit.
    pub(super) const fn wait_max(&self, early: bool) -> Duration {
        if early { self.early_max } else { self.hold_max }
    }
}

/// The sort key of a queue: urgent first, then messages with parts already sent, then by slot, then
/// by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    class: Class,
    whole: bool,
    slot: Moment,
    sequence: u64,
}

impl Key {
    /// The position in the order of the delivery with this key.
    pub(super) const fn place(self) -> Moment {
        self.slot
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Urgent,
    Other,
}

/// The wake-up handle of a delivery that waits in memory.
#[derive(Default)]
pub(super) struct Seat {
    pub(super) call: Notify,
    told: Mutex<Option<Told>>,
}

/// Why a waiting delivery gets no permit of its own.
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
    /// Whether it waits for the quota, and not only for the message before it.
    overflowed: bool,
    /// The earliest time at which it may leave, whatever its slot.
    floor: Moment,
    /// Whether it has a memory permit, and so may wait up to `early_max`.
    early: bool,
    event: Arc<Event>,
}

/// The decision about a delivery that waits in memory.
pub(super) enum Look {
    /// Send now. A permit is taken for this position, and the message covers the coalesced
    /// deliveries.
    Go(Moment, Vec<Folded>),
    /// Look again at this time, or when woken.
    Until(Moment),
    /// Look again when woken.
    Listen,
    /// Leave memory and come back. The second value is a slot that was reserved just now, in the
    /// pacer's time.
    Later(Later, Option<Moment>),
    /// The wake-up handle holds a reason.
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
    /// The position of the last message that got a permit.
    last_gone: Moment,
    /// A permit is taken, and its message has not left yet.
    departing: bool,
    /// A message in flight is followed by another part.
    followed: bool,
    left_at: Moment,
    answer_time: Duration,
    /// The number of consecutive refusals for a reason other than speed.
    strikes: u32,
    hold: Option<Hold>,
    /// The known number of deliveries that wait in the broker.
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

    /// Removes the delivery with this key. Returns whether it was still waiting.
    pub(super) fn stand_up(&mut self, key: Key) -> bool {
        let waited = self.waiters.remove(&key).is_some();
        self.call_first();
        waited
    }

    /// When the next message may leave; `None` while that depends on an answer.
    fn opens_at(&mut self, now: Moment, rules: &Rules<'_>) -> Option<Moment> {
        if let Some(hold) = self.hold {
            if hold.until > now {
                return Some(hold.until);
            }
            // One message at a time probes whether the platform accepts messages again.
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

    /// Takes a permit. Returns its position in the order, which is unique.
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

    /// The earliest time at which the delivery with this key may leave.
    fn wanted(&self, key: Key, now: Moment) -> Moment {
        if key.slot == Moment::default() { now } else { key.slot.after(self.shift) }
    }

    /// When the delivery with this key could leave, behind those before it in memory. Deliveries
    /// that share a slot to be coalesced count as one.
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

    /// Defers a delivery that has no memory permit for a wait until its turn. It keeps its position
    /// in the order.
    fn leave(&mut self, key: Key, at: Moment) -> Later {
        let slot = (key.slot != Moment::default()).then_some(key.slot);
        self.parked = self.parked.saturating_add(slot.is_some().into());
        Later { due: at, slot }
    }

    /// Defers a delivery that came back. If it came in time, it keeps its slot, and the plan moves
    /// with it. If it came late or has no slot, it gets a slot behind all others.
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

    /// Stops the queue's time for this long.
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
