//! The slots of one robot: when its waiting deliveries can leave.
//!
//! Slots spread deliveries over the windows, so that a delivery that comes back can leave without a
//! further wait.
//!
//! Owns the order and the distance of slots. That no window is exceeded does not depend on slots.
//!
//! Not here: the windows (`window.rs`).

use std::{collections::VecDeque, time::Duration};

use super::{quota::PlatformQuota, window::Window};
use crate::domain::{Timestamp, WaitReason};

/// The smallest distance of two slots. No two slots of one robot are equal, because slots define
/// the order of messages.
const SLOT_GAP: Duration = Duration::from_millis(1);

/// One slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// When its delivery can leave.
    pub(super) at: Timestamp,
    /// Why its delivery waits for it.
    pub(super) reason: WaitReason,
}

/// The last unused slots, as many as the largest window allows. Older slots do not affect the next
/// one.
#[derive(Clone, Debug, Default)]
pub(super) struct SlotSchedule {
    slots: VecDeque<Slot>,
    last: Timestamp,
}

impl SlotSchedule {
    /// The next slot, and whether it lies in the future because the quota is used up. Assumes that
    /// all messages in flight are answered now, that a message leaves at each reserved slot, and
    /// that an answer takes `answer_time`. Only [`SlotSchedule::reserve`] reserves the slot.
    pub(super) fn next(
        &mut self,
        now: Timestamp,
        window: &mut Window,
        quota: &PlatformQuota,
        answer_time: Duration,
    ) -> (Timestamp, bool) {
        self.forget(now, quota);
        window.forget(now, quota);
        let in_flight = usize::try_from(window.in_flight()).unwrap_or(usize::MAX);
        let free = quota.windows.iter().fold(now, |latest, one| {
            let back = usize::try_from(one.max).unwrap_or(usize::MAX);
            // The message `max` places before the planned one. It is planned, in flight, or
            // answered.
            let blocking = match back.checked_sub(self.slots.len()).filter(|left| *left > 0) {
                None => self
                    .slots
                    .len()
                    .checked_sub(back)
                    .and_then(|position| self.slots.get(position))
                    .map(|slot| slot.at),
                Some(left) if left <= in_flight => Some(now),
                Some(left) => window.back(left.saturating_sub(in_flight)),
            };
            latest.max(blocking.map_or(now, |at| at.after(one.span + quota.margin + answer_time)))
        });
        (if self.last >= free { self.last.after(SLOT_GAP) } else { free }, free > now)
    }

    /// Reserves a slot.
    pub(super) fn reserve(&mut self, slot: Slot, quota: &PlatformQuota) {
        self.slots.push_back(slot);
        while self.slots.len() > quota.most().max(1) {
            self.slots.pop_front();
        }
        self.last = self.last.max(slot.at);
    }

    /// Removes the slot of a message that leaves. From now on the window counts it.
    pub(super) fn used(&mut self, slot: Timestamp) {
        if let Ok(position) = self.slots.binary_search_by_key(&slot, |one| one.at) {
            self.slots.remove(position);
        }
    }

    /// The last reserved slot, if it lies in the future.
    pub(super) fn last_slot(&self, now: Timestamp) -> Option<Timestamp> {
        (self.last > now).then_some(self.last)
    }

    /// Moves all slots later by `by`.
    pub(super) fn shift_later(&mut self, by: Duration, now: Timestamp) {
        self.slots.iter_mut().for_each(|slot| slot.at = slot.at.after(by));
        if self.last > now {
            self.last = self.last.after(by);
        }
        self.last = self.last.max(self.slots.back().map(|slot| slot.at).unwrap_or_default());
    }

    /// Moves all future slots earlier by `by`, but not before `now`.
    pub(super) fn shift_earlier(&mut self, by: Duration, now: Timestamp) {
        let all = self.slots.iter_mut().map(|slot| &mut slot.at).chain([&mut self.last]);
        all.filter(|at| **at > now).for_each(|at| *at = at.before(by).max(now));
    }

    /// The reserved slots, for a checkpoint.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.slots.iter().copied()
    }

    /// Removes slots that have passed unused, because their message expired or was dropped.
    fn forget(&mut self, now: Timestamp, quota: &PlatformQuota) {
        let longest = quota.longest().map(|window| window.span).unwrap_or_default();
        while self.slots.front().is_some_and(|slot| slot.at.after(longest + quota.margin) <= now) {
            self.slots.pop_front();
        }
        if self.slots.is_empty() {
            self.slots = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::quota::quota;

    const T0: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

    fn at(at: Timestamp) -> Slot {
        Slot { at, reason: WaitReason::RobotQuota }
    }

    fn planned(quota: &PlatformQuota, count: usize, answer_time: u64) -> Vec<u128> {
        let (mut plan, mut window) = (SlotSchedule::default(), Window::default());
        let slots = (0..count).map(|_| {
            let (slot, _) = plan.next(T0, &mut window, quota, Duration::from_millis(answer_time));
            plan.reserve(at(slot), quota);
            slot.since(T0).as_millis()
        });
        slots.collect()
    }

    #[test]
    fn slots_fill_the_quota_of_each_window_in_turn_and_no_two_are_the_same() {
        assert_eq!(planned(&quota(&[(2, 1000)]), 6, 0), [0, 1, 1000, 1001, 2000, 2001]);
        assert_eq!(planned(&quota(&[(2, 1000)]), 4, 30), [0, 1, 1030, 1031]);
        assert_eq!(
            planned(&quota(&[(2, 100), (3, 1000)]), 7, 0),
            [0, 1, 100, 1000, 1001, 1100, 2000]
        );
        assert_eq!(planned(&quota(&[]), 3, 0), [0, 1, 2]);
    }

    #[test]
    fn a_plan_that_moves_keeps_its_order_and_its_distances() {
        let quota = quota(&[(1, 1000)]);
        let (mut plan, mut window) = (SlotSchedule::default(), Window::default());
        let (first, used_up) = plan.next(T0, &mut window, &quota, Duration::ZERO);
        assert!(!used_up);
        plan.reserve(at(first.after(Duration::from_secs(5))), &quota);
        plan.shift_later(Duration::from_secs(60), T0);
        let (next, used_up) = plan.next(T0, &mut window, &quota, Duration::ZERO);
        assert!(used_up);
        assert_eq!(next.since(T0).as_secs(), 66);
        plan.shift_earlier(Duration::from_secs(600), T0);
        assert_eq!(plan.last_slot(T0), None);
    }
}
