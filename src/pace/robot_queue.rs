//! The queue of one robot: which delivery leaves next, and when. It decides and never waits.
//!
//! Slots are points in the queue's own time, which stops while the robot is on hold. So a hold
//! moves the whole plan and keeps its order. The queue's time is the pacer's time minus
//! [`RobotQueue::hold_offset`].
//!
//! Owns the order of one robot's messages, and the invariant that none leaves without a permit of
//! the window.
//!
//! Not here: waiting (`mod.rs`), new requests (`robot_queue/admission.rs`), results and holds
//! (`robot_queue/finish.rs`), what operators see (`robot_queue/status.rs`), the window itself
//! (`window.rs`).

mod admission;
mod coalescing;
mod finish;
mod status;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, oneshot};

use self::coalescing::CoalescingState;
pub(super) use self::{
    admission::{Admission, AdmissionBounds},
    finish::{Finish, Finished, Requeue},
};
use super::{
    BreakerPolicy, CoalescedDelivery, CoalescedOutcome, Deferral, HealthPolicy, Hold,
    PlatformQuota,
    outage::Outage,
    slot_schedule::{Slot, SlotSchedule},
    window::Window,
};
use crate::domain::{
    Event, OverflowPolicy, Platform, SubscriptionId, Timestamp, WaitCounts, WaitReason,
};

/// The limits that a queue applies.
pub(super) struct PacingLimits<'a> {
    pub(super) quota: &'a PlatformQuota,
    pub(super) health: &'a HealthPolicy,
    pub(super) breaker: &'a BreakerPolicy,
    /// The outage of the robot's platform.
    pub(super) outage: &'a Outage,
    /// The longest wait of a new delivery in memory.
    pub(super) hold_max: Duration,
    /// The longest wait in memory of a delivery that comes back and has a memory permit.
    pub(super) early_max: Duration,
    /// A message leaves after the answer to the one before, or this long after that one left.
    pub(super) order_gap: Duration,
}

impl PacingLimits<'_> {
    /// The longest wait in memory of a delivery that comes back. `early` is true if it has a memory
    /// permit.
    pub(super) const fn wait_max(&self, early: bool) -> Duration {
        if early { self.early_max } else { self.hold_max }
    }
}

/// The sort key of a queue: urgent first, then messages with parts already sent, then by slot, then
/// by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueKey {
    class: Priority,
    whole: bool,
    slot: Timestamp,
    sequence: u64,
}

impl QueueKey {
    /// The position in the order of the delivery with this key.
    pub(super) const fn position(self) -> Timestamp {
        self.slot
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Priority {
    Urgent,
    Other,
}

/// The wake-up handle of a delivery that waits in memory.
#[derive(Default)]
pub(super) struct WaitHandle {
    pub(super) call: Notify,
    wake_reason: Mutex<Option<WakeReason>>,
}

/// Why a waiting delivery gets no permit of its own.
pub(super) enum WakeReason {
    Coalesced(oneshot::Receiver<CoalescedOutcome>),
    Superseded,
}

impl WaitHandle {
    fn wake(&self, wake_reason: WakeReason) {
        *self.wake_reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(wake_reason);
        self.call.notify_one();
    }

    pub(super) fn wake_reason(&self) -> Option<WakeReason> {
        self.wake_reason.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct Waiter {
    handle: Arc<WaitHandle>,
    subscription: SubscriptionId,
    overflow: OverflowPolicy,
    /// Whether it waits for the quota, and not only for the message before it.
    overflowed: bool,
    /// The earliest time at which it may leave, whatever its slot.
    floor: Timestamp,
    /// Whether it has a memory permit, and so may wait up to `early_max`.
    early: bool,
    /// Why it waits.
    reason: WaitReason,
    event: Arc<Event>,
}

/// The wait of a delivery that came back and is deferred again.
struct Postponement {
    /// When its slot allows it to leave.
    wanted: Timestamp,
    /// When it can leave.
    at: Timestamp,
    /// Whether it keeps its slot.
    has_slot: bool,
    reason: WaitReason,
}

/// The decision about a delivery that waits in memory.
pub(super) enum PollResult {
    /// Send now. A permit is taken for this position, and the message covers the coalesced
    /// deliveries. The reason is that of the wait.
    Granted { position: Timestamp, coalesced: Vec<CoalescedDelivery>, reason: Option<WaitReason> },
    /// Look again at this time, or when woken.
    WaitUntil(Timestamp),
    /// Look again when woken.
    WaitForWake,
    /// Leave memory and come back. The second value is a slot that was reserved just now, in the
    /// pacer's time.
    Deferred(Deferral, Option<Timestamp>),
    /// The wake-up handle holds a reason.
    Woken,
}

pub(super) struct RobotQueue {
    platform: Platform,
    window: Window,
    urgent: SlotSchedule,
    others: SlotSchedule,
    hold_offset: Duration,
    waiters: BTreeMap<QueueKey, Waiter>,
    sequence: u64,
    /// The position of the last message that got a permit.
    last_gone: Timestamp,
    /// A permit is taken, and its message has not left yet.
    permit_outstanding: bool,
    /// A message in flight is followed by another part.
    next_part_pending: bool,
    left_at: Timestamp,
    answer_time: Duration,
    /// The number of consecutive refusals for a reason other than speed.
    consecutive_refusals: u32,
    hold: Option<Hold>,
    /// The known numbers of deliveries that wait in the broker.
    waiting_in_broker: WaitCounts,
    /// Its message was the last to probe during the outage of its platform.
    probed_in_vain: bool,
    /// When the last known delivery without a slot of its own is due: a retry, or the next part of
    /// a message.
    retry_until: Timestamp,
    coalescing: Option<Box<CoalescingState>>,
}

impl RobotQueue {
    pub(super) fn new(platform: Platform) -> Self {
        Self {
            platform,
            window: Window::default(),
            urgent: SlotSchedule::default(),
            others: SlotSchedule::default(),
            hold_offset: Duration::ZERO,
            waiters: BTreeMap::new(),
            sequence: 0,
            last_gone: Timestamp::default(),
            permit_outstanding: false,
            next_part_pending: false,
            left_at: Timestamp::default(),
            answer_time: Duration::ZERO,
            consecutive_refusals: 0,
            hold: None,
            waiting_in_broker: WaitCounts::default(),
            probed_in_vain: false,
            retry_until: Timestamp::default(),
            coalescing: None,
        }
    }

    /// Decides about a delivery that waits in memory.
    pub(super) fn poll(
        &mut self,
        now: Timestamp,
        key: QueueKey,
        rules: &PacingLimits<'_>,
    ) -> PollResult {
        let Some((floor, early)) =
            self.waiters.get(&key).map(|waiter| (waiter.floor, waiter.early))
        else {
            return PollResult::Woken;
        };
        if let Some(hold) = self.effective_hold(rules)
            && hold.until > now
        {
            let (wanted, estimate) = (self.wanted(key, now), self.estimate(now, key, rules));
            let (at, reason) = (wanted.max(estimate), WaitReason::Hold(hold.cause));
            if at.since(now) > rules.early_max {
                self.cancel_wait(key);
                if !key.whole {
                    return PollResult::Deferred(self.wait_in_broker(key, at, reason), None);
                }
                let wait = Postponement { wanted, at, has_slot: wanted > now, reason };
                let (later, booked) = self.postpone(now, key, wait, rules);
                return PollResult::Deferred(later, booked);
            }
            if at.since(now) > rules.wait_max(early) {
                self.cancel_wait(key);
                return PollResult::Deferred(self.wait_in_broker(key, at, reason), None);
            }
        }
        if self.waiters.first_key_value().is_some_and(|(first, _)| *first != key) {
            return PollResult::WaitForWake;
        }
        let wanted = self.wanted(key, now).max(floor);
        if wanted > now {
            return PollResult::WaitUntil(wanted);
        }
        match self.opens_at(now, rules) {
            // Another robot's message has begun to probe, so the next poll waits for it.
            Some(at) if at <= now && !rules.outage.admits(now) => self.poll(now, key, rules),
            Some(at) if at <= now => {
                let position = self.grant(now, key.slot);
                let gone = self.waiters.remove(&key);
                let reason = gone.as_ref().map(|waiter| waiter.reason);
                let coalesced = gone.map(|waiter| self.coalesce(&waiter)).unwrap_or_default();
                self.wake_first();
                PollResult::Granted { position, coalesced, reason }
            }
            Some(at) => PollResult::WaitUntil(at),
            None => PollResult::WaitForWake,
        }
    }

    /// Removes the delivery with this key. Returns whether it was still waiting.
    pub(super) fn cancel_wait(&mut self, key: QueueKey) -> bool {
        let waited = self.waiters.remove(&key).is_some();
        self.wake_first();
        waited
    }

    /// When the next message may leave; `None` while that depends on an answer.
    fn opens_at(&mut self, now: Timestamp, rules: &PacingLimits<'_>) -> Option<Timestamp> {
        if let Some(hold) = self.hold {
            if hold.until > now {
                return Some(hold.until);
            }
            // One message at a time probes whether the platform accepts messages again.
            if self.window.in_flight() > 0 {
                return None;
            }
        }
        if let Some(opens) = rules.outage.opens_at(now, self.probed_in_vain) {
            return Some(opens);
        }
        let free = self.window.free_at(now, rules.quota)?;
        if !rules.quota.is_limited() || rules.order_gap.is_zero() {
            return Some(free);
        }
        if self.permit_outstanding || self.next_part_pending {
            return None;
        }
        let gap = if self.window.in_flight() > 0 { rules.order_gap } else { Duration::ZERO };
        Some(free.max(self.left_at.after(gap)))
    }

    /// Takes a permit. Returns its position in the order, which is unique.
    fn grant(&mut self, now: Timestamp, slot: Timestamp) -> Timestamp {
        let planned = slot.after(self.hold_offset);
        self.urgent.used(planned);
        self.others.used(planned);
        self.window.take();
        self.permit_outstanding = true;
        if self.left_at > now {
            self.left_at = now;
        }
        self.last_gone = slot.max(self.last_gone.after(Duration::from_millis(1)));
        self.last_gone
    }

    /// The earliest time at which the delivery with this key may leave.
    fn wanted(&self, key: QueueKey, now: Timestamp) -> Timestamp {
        if key.slot == Timestamp::default() { now } else { key.slot.after(self.hold_offset) }
    }

    /// When the delivery with this key could leave, behind those before it in memory. Deliveries
    /// that share a slot to be coalesced count as one.
    fn estimate(&mut self, now: Timestamp, key: QueueKey, rules: &PacingLimits<'_>) -> Timestamp {
        let free = self.window.free_at(now, rules.quota).unwrap_or(now);
        let base = free.max(self.effective_hold(rules).map_or(now, |hold| hold.until));
        let Some(longest) = rules.quota.longest() else { return base };
        let (mut ahead, mut bundle) = (0_u32, None);
        for (before, waiter) in self.waiters.range(..key) {
            let of = (waiter.overflow == OverflowPolicy::Digest)
                .then_some((before.slot, waiter.subscription));
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
    fn wait_in_broker(&mut self, key: QueueKey, at: Timestamp, reason: WaitReason) -> Deferral {
        let slot = (key.slot != Timestamp::default()).then_some(key.slot);
        match slot.filter(|_| key.whole) {
            Some(_) => self.count_in_broker(reason),
            None => self.count_retry(at, reason),
        }
        Deferral { due: at, slot, reason }
    }

    /// Defers a delivery that came back. If it came in time, it keeps its slot, and the plan moves
    /// with it. If it came late or has no slot, it gets a slot behind all others.
    fn postpone(
        &mut self,
        now: Timestamp,
        key: QueueKey,
        wait: Postponement,
        rules: &PacingLimits<'_>,
    ) -> (Deferral, Option<Timestamp>) {
        let Postponement { wanted, at, has_slot, reason } = wait;
        self.count_in_broker(reason);
        if has_slot {
            self.delay(at.since(wanted), now);
            return (Deferral { due: at, slot: Some(key.slot), reason }, None);
        }
        let held_until = self.effective_hold(rules).map_or(now, |hold| hold.until);
        let plan = if key.class == Priority::Urgent { &mut self.urgent } else { &mut self.others };
        let (free, _) = plan.next(now, &mut self.window, rules.quota, self.answer_time);
        let at = free.max(held_until).max(wanted);
        plan.reserve(Slot { at, reason }, rules.quota);
        (Deferral { due: at, slot: Some(at.before(self.hold_offset)), reason }, Some(at))
    }

    /// Why a delivery waits that can leave at `at`. `floor` is the end of a used-up month.
    fn wait_reason(
        &self,
        now: Timestamp,
        at: Timestamp,
        floor: Timestamp,
        rules: &PacingLimits<'_>,
    ) -> WaitReason {
        match self.effective_hold(rules) {
            _ if floor > now && at <= floor => WaitReason::MonthlyBudget,
            Some(hold) if hold.until > now => WaitReason::Hold(hold.cause),
            _ if at <= now => WaitReason::Order,
            _ => WaitReason::RobotQuota,
        }
    }

    /// Stops the queue's time for this long.
    fn delay(&mut self, by: Duration, now: Timestamp) {
        self.hold_offset = self.hold_offset.saturating_add(by);
        self.urgent.shift_later(by, now);
        self.others.shift_later(by, now);
    }

    pub(super) fn wake_first(&self) {
        if let Some((_, first)) = self.waiters.first_key_value() {
            first.handle.call.notify_one();
        }
    }
}
