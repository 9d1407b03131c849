//! The end of an attempt, and holds.
//!
//! Owns when a robot is put on hold, and when the hold ends.
//!
//! Not here: the length of a hold (`pace/hold.rs`), and the permit that reports the end
//! (`pace/permit.rs`).

use std::time::Duration;

use super::{PacingLimits, RobotQueue};
use crate::{
    domain::{HoldCause, Timestamp, Verdict, WaitReason},
    pace::{
        Deferral, EndedHold, FailureRun, Hold, QueuePosition, Resume, hold::WaitBounds,
        slot_schedule::Slot,
    },
};

/// The longest answer time that the plan expects. A longer one is a fault.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// How an attempt ended.
pub(in crate::pace) struct Finish {
    /// `None` if it was cut off.
    pub(in crate::pace) verdict: Option<Verdict>,
    /// How long the answer took.
    pub(in crate::pace) took: Option<Duration>,
    /// Whether another part of the same message follows.
    pub(in crate::pace) next_part_pending: bool,
    /// The robot's failures in a row, this one included.
    pub(in crate::pace) run: Option<FailureRun>,
}

/// How a delivery with the robot's permit is deferred.
pub(in crate::pace) struct Requeue {
    /// The position that it asked for.
    pub(in crate::pace) asked: QueuePosition,
    /// The position of its permit.
    pub(in crate::pace) position: Timestamp,
    /// When it is due, unless its slot is later.
    pub(in crate::pace) due: Timestamp,
    /// Why it waits.
    pub(in crate::pace) reason: WaitReason,
}

/// The changes that the end of an attempt causes for the robot.
#[derive(Debug, Default, PartialEq)]
pub(in crate::pace) struct Finished {
    pub(in crate::pace) held: Option<Hold>,
    pub(in crate::pace) was_held: bool,
    pub(in crate::pace) lifted: Option<Hold>,
    pub(in crate::pace) resume: Option<Resume>,
}

/// The bounds of a hold; `None` for a used-up month, where the platform decides the wait.
const fn bounds(cause: HoldCause, rules: &PacingLimits<'_>) -> Option<WaitBounds> {
    match cause {
        HoldCause::Throttled => {
            Some(WaitBounds { least: rules.quota.penalty_min, most: rules.quota.penalty_max })
        }
        HoldCause::Security | HoldCause::RobotGone => {
            Some(WaitBounds { least: rules.health.probe_min, most: rules.health.probe_max })
        }
        HoldCause::Failing => Some(rules.breaker.bounds()),
        HoldCause::Budget => None,
    }
}

impl RobotQueue {
    /// The hold that ends last: that of the robot, or that of its platform.
    pub(super) fn effective_hold(&self, rules: &PacingLimits<'_>) -> Option<Hold> {
        let holds = [rules.outage.hold(), self.hold];
        holds.into_iter().flatten().max_by_key(|hold| hold.until)
    }

    /// Records that the message with the permit leaves.
    pub(in crate::pace) fn mark_sent(&mut self, now: Timestamp, next_part_pending: bool) {
        self.permit_outstanding = false;
        self.next_part_pending |= next_part_pending;
        self.left_at = now;
        self.wake_first();
    }

    /// Returns the permit of a message that does not leave.
    pub(in crate::pace) fn refund(&mut self) {
        self.permit_outstanding = false;
        self.window.refund();
        self.wake_first();
    }

    /// Defers a delivery that got the robot's permit but found no rate, concurrency permit or
    /// memory. A new delivery gets its due time as slot. A delivery with a slot keeps it, and the
    /// slots behind it move along, so the order stays. A retry has no slot.
    pub(in crate::pace) fn put_off(&mut self, now: Timestamp, requeue: Requeue) -> Deferral {
        let Requeue { asked, position, due, reason } = requeue;
        let planned = position.after(self.hold_offset).max(now);
        let due = due.max(planned);
        let slot = match asked {
            QueuePosition::Head => None,
            QueuePosition::Tail | QueuePosition::NotBefore(_) => Some(due.before(self.hold_offset)),
            QueuePosition::AtSlot(_) | QueuePosition::After(_) => {
                self.delay(due.since(planned), now);
                Some(position)
            }
        };
        match slot {
            Some(_) => self.count_in_broker(reason),
            None => self.count_retry(due, reason),
        }
        Deferral { due, slot, reason }
    }

    /// Returns the permit of a message that left. `in_group` says that the organisation is known. A
    /// used-up monthly quota then holds the organisation instead of the robot.
    pub(in crate::pace) fn finish(
        &mut self,
        now: Timestamp,
        end: &Finish,
        in_group: bool,
        rules: &PacingLimits<'_>,
    ) -> Finished {
        self.window.finish(now, rules.quota);
        self.next_part_pending &= !end.next_part_pending;
        if let Some(took) = end.took {
            self.answer_time = took.min(ANSWER_TIME_MAX).max(self.answer_time * 7 / 8);
        }
        let mut finished = Finished::default();
        // Any answer shows that the robot can be reached, also one that begins another hold.
        if end.verdict.is_some_and(|verdict| HoldCause::of(verdict) != Some(HoldCause::Failing)) {
            finished.lifted = self.hold.take_if(|hold| hold.cause == HoldCause::Failing);
        }
        finished.was_held = self.hold.is_some();
        if let Some(verdict) = end.verdict {
            match HoldCause::of(verdict) {
                None => {
                    self.consecutive_refusals = 0;
                    finished.lifted = self.hold.take().or(finished.lifted);
                }
                Some(HoldCause::Failing) => finished.held = self.failed(now, end, verdict, rules),
                Some(HoldCause::Budget) if in_group => {
                    self.count_in_broker(WaitReason::MonthlyBudget);
                }
                Some(cause) => {
                    finished.held = self.refused(now, cause, verdict, rules);
                    if let (Some(hold), Verdict::Throttled { .. } | Verdict::BudgetSpent { .. }) =
                        (self.hold, verdict)
                    {
                        self.count_in_broker(WaitReason::Hold(hold.cause));
                    }
                }
            }
        }
        self.wake_first();
        finished.resume = self.resume(now, rules);
        finished
    }

    /// When a delivery may be sent again if a hold decides it, and why not earlier.
    pub(in crate::pace) fn resume(
        &self,
        now: Timestamp,
        rules: &PacingLimits<'_>,
    ) -> Option<Resume> {
        self.effective_hold(rules).filter(|hold| hold.until >= now).map(Resume::from)
    }

    /// Holds the robot after several failures in a row. During an outage, the hold of the platform
    /// is enough.
    fn failed(
        &mut self,
        now: Timestamp,
        end: &Finish,
        verdict: Verdict,
        rules: &PacingLimits<'_>,
    ) -> Option<Hold> {
        let FailureRun { since, failures } = end.run?;
        let fails = self.hold.is_some_and(|hold| hold.cause == HoldCause::Failing);
        if rules.outage.hold().is_some() || (failures < rules.breaker.after && !fails) {
            return None;
        }
        let asked = if let Verdict::TryAgain { wait } = verdict { wait } else { None };
        let held = self.begin_hold(now, HoldCause::Failing, asked, rules.breaker.bounds())?;
        if !fails {
            self.hold = Some(Hold { since, ..held });
        }
        self.hold
    }

    /// Counts a refusal. Refusals for speed hold the robot at once, others after several in a row.
    fn refused(
        &mut self,
        now: Timestamp,
        cause: HoldCause,
        verdict: Verdict,
        rules: &PacingLimits<'_>,
    ) -> Option<Hold> {
        let (asked, bounds) = match verdict {
            Verdict::Throttled { wait } => (wait, bounds(cause, rules)),
            Verdict::BudgetSpent { wait } => (None, Some(WaitBounds { least: wait, most: wait })),
            _ => {
                self.consecutive_refusals = self.consecutive_refusals.saturating_add(1);
                if self.consecutive_refusals < rules.health.after && self.hold.is_none() {
                    return None;
                }
                (None, bounds(cause, rules))
            }
        };
        self.begin_hold(now, cause, asked, bounds?)
    }

    /// Begins or lengthens a hold.
    fn begin_hold(
        &mut self,
        now: Timestamp,
        cause: HoldCause,
        asked: Option<Duration>,
        bounds: WaitBounds,
    ) -> Option<Hold> {
        // Answers of attempts that were in flight when the hold began do not lengthen it.
        if self.hold.is_some_and(|hold| hold.until > now) {
            return None;
        }
        let hold = Hold::after(self.hold.as_ref(), cause, asked, bounds, now);
        self.hold = Some(hold);
        self.delay(hold.wait, now);
        self.waiters.values().for_each(|waiter| waiter.handle.call.notify_one());
        Some(hold)
    }

    /// Ends the hold. Returns that hold, and the deliveries that still wait in the broker.
    pub(in crate::pace) fn release(&mut self, now: Timestamp) -> Option<EndedHold> {
        let hold = self.hold.take()?;
        let ended = self.ended(hold, now);
        let left = hold.until.since(now);
        self.hold_offset = self.hold_offset.saturating_sub(left);
        self.urgent.shift_earlier(left, now);
        self.others.shift_earlier(left, now);
        self.consecutive_refusals = 0;
        self.waiters.values().for_each(|waiter| waiter.handle.call.notify_one());
        Some(ended)
    }

    /// A hold that ends at `now`, with the deliveries that still wait in the broker.
    pub(in crate::pace) fn ended(&self, hold: Hold, now: Timestamp) -> EndedHold {
        // Deliveries were deferred until the end of the hold, or until their slot.
        let last = [self.others.last_slot(now), self.urgent.last_slot(now)]
            .into_iter()
            .flatten()
            .fold(hold.until, Timestamp::max);
        let waiting_in_broker = if last > now { self.in_broker() } else { 0 };
        let back_within = if waiting_in_broker > 0 { last.since(now) } else { Duration::ZERO };
        EndedHold { platform: self.platform, hold, waiting_in_broker, back_within }
    }

    /// Lets a message of another robot probe next, if one waits.
    pub(in crate::pace) fn yield_next_probe(&mut self) {
        self.probed_in_vain = true;
    }

    /// Stops the queue's time until the hold of its platform ends, as a hold of its own does.
    pub(in crate::pace) fn hold_back(&mut self, until: Timestamp, now: Timestamp) {
        self.probed_in_vain = false;
        let stopped = self.hold.map_or(now, |hold| hold.until.max(now));
        self.delay(until.since(stopped), now);
    }

    /// The platform answers again, so a failing robot may be probed at once.
    pub(in crate::pace) fn outage_ended(&mut self, now: Timestamp) {
        if let Some(hold) = self.hold.as_mut().filter(|hold| hold.cause == HoldCause::Failing) {
            hold.until = hold.until.min(now);
        }
    }

    /// Counts a delivery without a slot of its own that comes back at `until`, and waits for this
    /// reason.
    pub(in crate::pace) fn count_retry(&mut self, until: Timestamp, reason: WaitReason) {
        self.retry_until = self.retry_until.max(until);
        self.count_in_broker(reason);
    }

    /// Counts a message that was sent at `at`, or may have been.
    pub(in crate::pace) fn charge(&mut self, at: Timestamp, rules: &PacingLimits<'_>) {
        self.window.charge(at, rules.quota);
    }

    /// Restores a slot that an earlier process reserved.
    pub(in crate::pace) fn restore_slot(&mut self, slot: Slot, rules: &PacingLimits<'_>) {
        self.others.reserve(slot, rules.quota);
        self.count_in_broker(slot.reason);
    }

    /// Restores a hold of an earlier process. If the current bounds shorten it, the plan moves with
    /// its end.
    pub(in crate::pace) fn restore_hold(
        &mut self,
        hold: Hold,
        now: Timestamp,
        rules: &PacingLimits<'_>,
    ) {
        let today = bounds(hold.cause, rules).map_or(hold, |bounds| hold.restored(bounds, now));
        let earlier = hold.until.since(today.until);
        if !earlier.is_zero() {
            self.urgent.shift_earlier(earlier, now);
            self.others.shift_earlier(earlier, now);
        }
        self.hold = Some(today);
    }
}
