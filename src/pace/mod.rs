//! The pacer: when a delivery may be sent, by the robot's windows, the monthly quota, the host's
//! rate and the limit in flight.
//!
//! It decides and waits. It never sends, and never reads a message's content.
//!
//! Owns the promise that no robot gets more messages in any window than its platform allows.
//!
//! Not here: the attempt (`send/`), and the store of the pacer's records (`store/journal.rs`).

mod admission_request;
mod breaker;
mod group_settings;
mod hold;
mod host;
mod monotonic_clock;
mod month;
mod monthly_quota;
mod outage;
mod pace_changes;
mod pace_decision;
mod pace_log;
mod permit;
mod quota;
mod restore;
mod robot_health;
mod robot_queue;
mod robot_queues;
mod robot_status;
mod settings;
mod slot_schedule;
mod status;
mod ticket;
mod window;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use self::{
    host::{HostDecision, HostDeferral},
    monthly_quota::Allowance,
    robot_queue::{
        Admission, AdmissionBounds, PacingLimits, PollResult, Requeue, RobotQueue, WaitHandle,
        WakeReason,
    },
    robot_queues::RobotQueues,
    ticket::{TicketState, WaitGuard},
};
use crate::domain::{Platform, RobotId, Timestamp, WaitReason};

pub use admission_request::{
    AdmissionRequest, CoalescedDelivery, CoalescedOutcome, Deferral, QueuePosition, SendOutcome,
};
pub use breaker::BreakerPolicy;
pub use group_settings::{AtEnd, GroupSettings};
pub use hold::Hold;
pub use monotonic_clock::MonotonicWallClock;
pub use monthly_quota::GroupStatus;
pub use pace_changes::{OutageChange, PaceChanges, Resume};
pub use pace_decision::PaceDecision;
pub use pace_log::{
    AppendFailed, CheckpointDue, PaceLog, PaceLogUnavailable, PaceRecord, RestoredLog,
};
pub use permit::Permit;
pub use quota::{HealthPolicy, PlatformQuota, WindowQuota};
pub use robot_health::{AttemptCount, FailureRun, HourOfAttempts, RobotFailure, RobotHealth};
pub use robot_status::{EndedHold, RobotStatus};
pub use settings::{PaceLimits, PaceSettings};
pub use status::{PlatformOutage, PlatformSummary, SendEstimate};
pub use ticket::Ticket;

/// The pacer of all robots of this process. Clones share its state.
#[derive(Clone)]
pub struct Pace(Arc<RobotQueues>);

impl Pace {
    /// A pacer without any sent message, on the clock of `timeline`. It writes its records to
    /// `pace_log`.
    #[must_use]
    pub fn new(
        settings: PaceSettings,
        pace_log: Arc<dyn PaceLog>,
        timeline: MonotonicWallClock,
    ) -> Self {
        Self(Arc::new(RobotQueues::new(settings, pace_log, timeline)))
    }

    /// Enqueues a delivery at its robot. Requests are served in the order of calls, so call it in
    /// the order in which deliveries arrived. [`Pace::wait_for_permit`] waits for the decision.
    /// Never blocks.
    #[must_use]
    pub fn enqueue(&self, request: &AdmissionRequest<'_>) -> Ticket {
        // A used-up month moves the slots of new deliveries behind its end, so that they come back
        // one after the other.
        let floor = match request.group.map(|group| self.0.allowance(group, false)) {
            None | Some(Allowance::Open) => Timestamp::default(),
            Some(Allowance::Until(due)) => due,
            Some(Allowance::Dead) => {
                return Ticket {
                    first: TicketState::Decided(PaceDecision::BudgetExhausted),
                    at: self.now(),
                };
            }
        };
        let limits =
            AdmissionBounds { floor, expires: self.0.timeline.at_wall(request.event.expires_at) };
        let (mut handle, mut at) = (None, Timestamp::default());
        let act = |queue: &mut RobotQueue, now, rules: &PacingLimits<'_>| {
            at = now;
            queue.admit(now, limits, request, &mut handle, rules)
        };
        let admission = self.0.with_queue(request.robot, request.platform, act);
        let first = match (admission, handle) {
            (Admission::Granted(position), _) => {
                self.enter_host_queue(request, self.permit(request, position), Vec::new())
            }
            (Admission::Queued(key), Some(handle)) => TicketState::InRobotQueue(
                WaitGuard { pace: Arc::clone(&self.0), robot: request.robot, key },
                handle,
            ),
            (Admission::Deferred(later, booked), _) => {
                TicketState::Decided(self.defer(request, later, booked))
            }
            (Admission::Superseded, _) => TicketState::Decided(PaceDecision::Superseded),
            // `admit` sets the wake-up handle of every delivery that waits, so this case does not
            // occur.
            (Admission::Queued(_), None) => TicketState::Decided(PaceDecision::Cancelled),
        };
        Ticket { first, at }
    }

    /// Waits for the decision about an enqueued delivery, at most until `stop_waiting` is
    /// cancelled.
    ///
    /// Cancel safe: a delivery that stops waiting leaves nothing but an unused slot.
    pub async fn wait_for_permit(
        &self,
        request: &AdmissionRequest<'_>,
        asked: Ticket,
        stop_waiting: &CancellationToken,
    ) -> PaceDecision {
        match asked.first {
            TicketState::InRobotQueue(waiting, handle) => {
                self.wait(request, &waiting, &handle, stop_waiting).await
            }
            first => self.wait_for_host(request, first, stop_waiting).await,
        }
    }

    /// Defers an enqueued delivery for which there is no memory. It keeps its position.
    #[must_use]
    pub fn put_off(&self, request: &AdmissionRequest<'_>, asked: Ticket) -> Ticket {
        let wait = || HostDeferral {
            reason: WaitReason::MemoryFull,
            ..self.0.host(request.platform).put_off(&RobotQueues::entry(request))
        };
        let turn = match asked.first {
            TicketState::Granted(permit, coalesced) | TicketState::AtHost(permit, coalesced, _) => {
                self.release_and_defer(request, permit, coalesced, wait())
            }
            TicketState::InRobotQueue(waiting, handle) => match waiting.cancel_wait() {
                true => {
                    PaceDecision::Deferred(self.requeue(request, waiting.key.position(), wait()))
                }
                false => resolve_wake(&handle),
            },
            TicketState::Decided(turn) => turn,
        };
        Ticket { first: TicketState::Decided(turn), at: asked.at }
    }

    async fn wait(
        &self,
        request: &AdmissionRequest<'_>,
        waiting: &WaitGuard,
        handle: &WaitHandle,
        stop_waiting: &CancellationToken,
    ) -> PaceDecision {
        let key = waiting.key;
        loop {
            let poll = self.0.with_queue(request.robot, request.platform, |queue, now, rules| {
                queue.poll(now, key, rules)
            });
            let until = match poll {
                PollResult::Granted { position, coalesced, reason } => {
                    let mut permit = self.permit(request, position);
                    permit.note_wait(reason);
                    let first = self.enter_host_queue(request, permit, coalesced);
                    return self.wait_for_host(request, first, stop_waiting).await;
                }
                PollResult::Deferred(later, booked) => return self.defer(request, later, booked),
                PollResult::Woken => return resolve_wake(handle),
                PollResult::WaitUntil(at) => Some(self.0.timeline.instant(at)),
                PollResult::WaitForWake => None,
            };
            tokio::select! {
                biased;
                () = stop_waiting.cancelled() => {
                    if waiting.cancel_wait() {
                        return PaceDecision::Cancelled;
                    }
                    return resolve_wake(handle);
                }
                () = handle.call.notified() => (),
                () = sleep(until) => (),
            }
        }
    }

    /// Uses a permit of the robot's windows to ask for the monthly quota and the host. Both are
    /// asked in the order in which deliveries arrive here.
    fn enter_host_queue(
        &self,
        request: &AdmissionRequest<'_>,
        mut permit: Permit,
        coalesced: Vec<CoalescedDelivery>,
    ) -> TicketState {
        if let Some(turn) = self.out_of_budget(request, permit.position()) {
            if let PaceDecision::Deferred(later) = turn {
                notify_deferred(coalesced, later);
            }
            return TicketState::Decided(turn);
        }
        permit.charge_group(request.group.cloned());
        match self.0.host(request.platform).acquire(&RobotQueues::entry(request)) {
            HostDecision::Granted(host) => TicketState::Granted(permit.with_host(host), coalesced),
            HostDecision::Queued(wait) => {
                permit.note_wait(Some(wait.reason()));
                TicketState::AtHost(permit, coalesced, wait)
            }
            HostDecision::Deferred(wait) => {
                TicketState::Decided(self.release_and_defer(request, permit, coalesced, wait))
            }
        }
    }

    /// Waits for the host.
    async fn wait_for_host(
        &self,
        request: &AdmissionRequest<'_>,
        first: TicketState,
        stop_waiting: &CancellationToken,
    ) -> PaceDecision {
        match first {
            TicketState::Granted(permit, coalesced) => PaceDecision::Granted(permit, coalesced),
            TicketState::AtHost(permit, coalesced, wait) => {
                match wait.wait_for_permit(stop_waiting).await {
                    Some(HostDecision::Granted(host)) => {
                        PaceDecision::Granted(permit.with_host(host), coalesced)
                    }
                    Some(HostDecision::Deferred(wait)) => {
                        self.release_and_defer(request, permit, coalesced, wait)
                    }
                    Some(HostDecision::Queued(_)) | None => PaceDecision::Cancelled,
                }
            }
            TicketState::Decided(turn) => turn,
            // `wait_for_permit` handles this case before.
            TicketState::InRobotQueue(..) => PaceDecision::Cancelled,
        }
    }

    /// Defers a delivery for which the host has no token or concurrency permit, with the deliveries
    /// coalesced into it. Dropping `permit` returns it.
    fn release_and_defer(
        &self,
        request: &AdmissionRequest<'_>,
        permit: Permit,
        coalesced: Vec<CoalescedDelivery>,
        wait: HostDeferral,
    ) -> PaceDecision {
        let later = self.requeue(request, permit.position(), wait);
        notify_deferred(coalesced, later);
        PaceDecision::Deferred(later)
    }

    fn requeue(
        &self,
        request: &AdmissionRequest<'_>,
        position: Timestamp,
        HostDeferral { wait, reason }: HostDeferral,
    ) -> Deferral {
        self.0.with_queue(request.robot, request.platform, |queue, now, _| {
            let due = now.after(wait);
            queue.put_off(now, Requeue { asked: request.position, position, due, reason })
        })
    }

    /// Defers a delivery. A reserved slot is recorded, so that the next process knows it.
    fn defer(
        &self,
        request: &AdmissionRequest<'_>,
        later: Deferral,
        booked: Option<Timestamp>,
    ) -> PaceDecision {
        if let Some(slot) = booked {
            self.0.append(&PaceRecord::SlotReserved {
                robot: request.robot,
                platform: request.platform,
                slot,
                reason: later.reason,
            });
        }
        PaceDecision::Deferred(later)
    }

    /// Wraps a permit of the robot's windows. It is returned on drop.
    fn permit(&self, request: &AdmissionRequest<'_>, position: Timestamp) -> Permit {
        Permit::new(Arc::clone(&self.0), request.robot, request.platform, position)
    }

    /// Reserves a call of the monthly quota; `None` if that succeeds. Otherwise the delivery keeps
    /// its position.
    fn out_of_budget(
        &self,
        request: &AdmissionRequest<'_>,
        position: Timestamp,
    ) -> Option<PaceDecision> {
        match self.0.allowance(request.group?, true) {
            Allowance::Open => None,
            Allowance::Until(due) => {
                let reason = WaitReason::MonthlyBudget;
                Some(PaceDecision::Deferred(Deferral { due, slot: Some(position), reason }))
            }
            Allowance::Dead => Some(PaceDecision::BudgetExhausted),
        }
    }

    /// Counts a message that another process may have sent to this robot at `at`, if `at` is still
    /// within a window.
    pub fn charge(&self, robot: RobotId, platform: Platform, at: Timestamp) {
        if !self.is_in_window(platform, at) {
            return;
        }
        self.0.with_queue(robot, platform, |queue, _, rules| queue.charge(at, rules));
    }

    /// Ends the hold of a robot. Deliveries in memory are woken; those in the broker come back at
    /// their due time.
    #[must_use]
    pub fn release(&self, robot: RobotId) -> Option<EndedHold> {
        self.0.release(robot)
    }

    /// Counts a delivery that an attempt failed for, and that is tried again at `until`, in the
    /// pacer's time. It waits for this reason.
    pub fn count_retry(&self, robot: RobotId, until: Timestamp, reason: WaitReason) {
        self.0.with_existing(robot, |queue, _, _| queue.count_retry(until, reason));
    }

    /// Sets new limits. Reserved slots stay.
    pub fn configure(&self, settings: PaceSettings) {
        self.0.configure(settings);
    }

    /// How long a delivery may wait in memory: `pace.early_max` with a permit for that, else
    /// `pace.hold_max`.
    #[must_use]
    pub fn wait_max(&self, platform: Platform, early: bool) -> Duration {
        self.0.with_limits(platform, |limits| limits.wait_max(early))
    }

    /// The pacer's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.timeline.now()
    }

    /// The pacer's clock, and its relation to the wall clock.
    #[must_use]
    pub fn timeline(&self) -> &MonotonicWallClock {
        &self.0.timeline
    }
}

/// Tells the deliveries that a message covers that it is deferred.
pub fn notify_deferred(coalesced: Vec<CoalescedDelivery>, later: Deferral) {
    for one in coalesced {
        // If the receiver is gone, its message is redelivered by the broker.
        let _ = one.notify.send(CoalescedOutcome::Deferred(later));
    }
}

fn resolve_wake(handle: &WaitHandle) -> PaceDecision {
    match handle.wake_reason() {
        Some(WakeReason::Coalesced(hear)) => PaceDecision::Coalesced(hear),
        Some(WakeReason::Superseded) => PaceDecision::Superseded,
        None => PaceDecision::Cancelled,
    }
}

async fn sleep(until: Option<tokio::time::Instant>) {
    match until {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
