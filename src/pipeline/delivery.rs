//! One delivery from its robot's queue to its settlement: enqueue, wait for a permit, continue.
//!
//! Owns when a delivery waits in memory and when on the broker, and how it continues after its
//! recipient changed.
//!
//! Not here: the permit (`pace/`), and the attempt once there is a permit (`attempt.rs`).

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use super::{
    Pipeline, Unsettled, admission_request::admission_request, attempt::AttemptStep,
    early::EarlyPermit, readdress::unreadable,
};
use crate::{
    domain::{
        Delivery, DueTime, HoldCause, OverflowPolicy, Settlement, Timestamp, Verdict, WaitReason,
    },
    fanout::Recipient,
    pace::{
        AdmissionRequest, CoalescedOutcome, Deferral, PaceDecision, QueuePosition, Ticket,
        notify_deferred,
    },
    settle::{self, AckTracker, ProgressMark},
    telemetry::events,
};

/// Both clocks count whole milliseconds. A time that has come on one clock has certainly come on
/// the other this much later.
const CLOCK_GRANULARITY: Duration = Duration::from_millis(5);

/// How a delivery starts. Messages are decided one after the other, so the order of arrival is
/// kept.
pub(super) enum DeliveryStart {
    /// It is settled without a wait.
    Settled(Settlement),
    /// It is due after this time, and has no position in the queue before that.
    Sleeping(Duration, MemoryPermit),
    /// It is enqueued at its robot.
    Enqueued(QueuePosition, Ticket, MemoryPermit),
}

/// The memory permit of a delivery that came back. Without it, the delivery waits no longer than a
/// new one.
type MemoryPermit = Option<EarlyPermit>;

impl Pipeline {
    /// Decides how a delivery starts, and enqueues it if it may wait in memory.
    ///
    /// A delivery comes back from a tier a little before its time. With a memory permit for itself
    /// and its body it waits here, so that it is ready at its slot; otherwise it takes a shorter
    /// tier. A delivery with a slot waits in its robot's queue, any other waits for its due time
    /// first.
    ///
    /// A delivery of a new event keeps that event unacknowledged, so it waits here only for a short
    /// time. During quiet hours it waits here only if they end soon, so that it does not block
    /// other deliveries.
    pub(super) fn start(&self, delivery: &Delivery, recipient: &Recipient) -> DeliveryStart {
        self.start_at(delivery, recipient, queue_position(delivery))
    }

    /// Starts a delivery whose subscription has another robot now, as if it were new there. It no
    /// longer counts as the newest of its subscription.
    pub(super) fn start_at_new_robot(
        &self,
        delivery: &Delivery,
        recipient: &Recipient,
    ) -> DeliveryStart {
        let position = match recipient.options.overflow {
            OverflowPolicy::Latest => QueuePosition::NotBefore(self.parts.pace.now()),
            OverflowPolicy::Queue | OverflowPolicy::Digest => QueuePosition::Tail,
        };
        self.start_at(delivery, recipient, position)
    }

    fn start_at(
        &self,
        delivery: &Delivery,
        recipient: &Recipient,
        position: QueuePosition,
    ) -> DeliveryStart {
        let parts = &self.parts;
        // Nothing can be sent, so the delivery neither waits, nor is it coalesced, nor does it
        // supersede a message.
        if let Err(why) = delivery.event.content.for_platform(delivery.platform) {
            return DeliveryStart::Settled(settle::without_content(why));
        }
        let quiet = self.quiet_until(delivery, recipient);
        // A delivery that is due may still have to wait for its robot.
        let room =
            (delivery.hops > 0 && quiet.is_none()).then(|| parts.early.reserve(delivery)).flatten();
        let Some(due) = delivery.due_at.max(quiet) else {
            return self.enqueue(delivery, recipient, position, room);
        };
        let due = DueTime { at: due, read_at: parts.clock.now() };
        let left = due.at.since(due.read_at);
        if left > parts.pace.wait_max(delivery.platform, room.is_some()) {
            let reason =
                if quiet == Some(due.at) { WaitReason::QuietHours } else { reason_of(delivery) };
            let slot = delivery.slot.filter(|_| quiet.is_none());
            return DeliveryStart::Settled(settle::defer(delivery, due, slot, reason));
        }
        if delivery.slot.is_none() && quiet.is_none() && !left.is_zero() {
            return DeliveryStart::Sleeping(left, room);
        }
        self.enqueue(delivery, recipient, position, room)
    }

    /// Decides how a delivery without memory starts: it is deferred, and keeps its position.
    pub(super) fn without_room(
        &self,
        delivery: &Delivery,
        recipient: &Recipient,
        start: DeliveryStart,
    ) -> DeliveryStart {
        match start {
            DeliveryStart::Settled(settlement) => DeliveryStart::Settled(settlement),
            DeliveryStart::Sleeping(left, _) => {
                let (slot, reason) = (delivery.slot, reason_of(delivery));
                DeliveryStart::Settled(settle::defer(delivery, self.due_in(left), slot, reason))
            }
            DeliveryStart::Enqueued(position, ticket, room) => {
                let ticket = self
                    .parts
                    .pace
                    .put_off(&admission_request(delivery, recipient, position), ticket);
                DeliveryStart::Enqueued(position, ticket, room)
            }
        }
    }

    fn enqueue(
        &self,
        delivery: &Delivery,
        recipient: &Recipient,
        position: QueuePosition,
        room: MemoryPermit,
    ) -> DeliveryStart {
        if let Some(expired) = settle::expire(delivery, self.parts.clock.now()) {
            return DeliveryStart::Settled(expired);
        }
        let quiet = self.quiet_until(delivery, recipient);
        let position = match quiet.max(delivery.due_at).filter(|_| quiet.is_some()) {
            Some(due) => QueuePosition::NotBefore(
                self.parts.pace.timeline().at_wall(due.after(CLOCK_GRANULARITY)),
            ),
            None => position,
        };
        let early = delivery.hops == 0 || room.is_some();
        let ticket = self.parts.pace.enqueue(&AdmissionRequest {
            early,
            ..admission_request(delivery, recipient, position)
        });
        DeliveryStart::Enqueued(position, ticket, room)
    }

    /// Waits for a permit, makes the attempt, decides. Repeats that for the new recipient whenever
    /// the recipient has changed.
    pub(super) async fn run_delivery(
        &self,
        delivery: &mut Delivery,
        recipient: &mut Recipient,
        mut start: DeliveryStart,
        tracker: &Arc<AckTracker>,
    ) -> Result<Settlement, Unsettled> {
        loop {
            match self.attempts(delivery, recipient, start, tracker).await? {
                ControlFlow::Break(settlement) => return Ok(settlement),
                ControlFlow::Continue(next) => start = next,
            }
        }
    }

    /// Makes an attempt, and one for each further part of a long text. The result may be a new
    /// start.
    async fn attempts(
        &self,
        delivery: &mut Delivery,
        recipient: &mut Recipient,
        start: DeliveryStart,
        tracker: &Arc<AckTracker>,
    ) -> Result<ControlFlow<Settlement, DeliveryStart>, Unsettled> {
        let start = match start {
            DeliveryStart::Sleeping(left, room) => {
                if self.stop_waiting.run_until_cancelled(tokio::time::sleep(left)).await.is_none() {
                    let at = delivery.due_at.unwrap_or_else(|| self.parts.clock.now());
                    let due = DueTime { at, read_at: at.before(left) };
                    return Ok(ControlFlow::Break(settle::defer(
                        delivery,
                        due,
                        None,
                        reason_of(delivery),
                    )));
                }
                self.enqueue(delivery, recipient, queue_position(delivery), room)
            }
            start => start,
        };
        let (mut position, mut ticket, _room) = match start {
            DeliveryStart::Enqueued(position, ticket, room) => (position, ticket, room),
            DeliveryStart::Settled(settlement) => return Ok(ControlFlow::Break(settlement)),
            // A delivery waits for its due time only once, so this case does not occur.
            DeliveryStart::Sleeping(..) => {
                let again = self.requeue_unchanged(delivery, reason_of(delivery));
                return Ok(ControlFlow::Break(again));
            }
        };
        // The deliveries that a refused message covers, until its plainer form is sent.
        let mut covered = Vec::new();
        loop {
            let asked_at = ticket.at();
            let turn = {
                let ask = admission_request(delivery, recipient, position);
                self.parts.pace.wait_for_permit(&ask, ticket, &self.stop_waiting).await
            };
            let PaceDecision::Granted(permit, mut coalesced) = turn else {
                if let PaceDecision::Deferred(later) = &turn {
                    notify_deferred(covered, *later);
                }
                return self.resolve_denied(delivery, turn).await.map(ControlFlow::Break);
            };
            coalesced.append(&mut covered);
            match self.attempt(delivery, recipient, asked_at, permit, coalesced).await? {
                AttemptStep::Settled(settlement) => return Ok(ControlFlow::Break(settlement)),
                AttemptStep::NextMessage(next) => {
                    let (subscription, robot) = (delivery.subscription, delivery.robot);
                    if let Some(index) = next.delivered_part {
                        tracker.record_mark(ProgressMark::Part { subscription, robot, index });
                        self.commit_progress(tracker);
                    }
                    (position, ticket, covered) = (next.position, next.ticket, next.coalesced);
                }
                AttemptStep::Readdressed(fresh, position) => {
                    *recipient = fresh;
                    return Ok(ControlFlow::Continue(
                        self.start_again(delivery, recipient, position),
                    ));
                }
            }
        }
    }

    /// The new start of a delivery whose permit was not valid for its changed recipient. With the
    /// same robot it keeps its position.
    fn start_again(
        &self,
        delivery: &mut Delivery,
        recipient: &Recipient,
        position: Timestamp,
    ) -> DeliveryStart {
        if (delivery.platform, delivery.robot) == (recipient.platform, recipient.robot) {
            delivery.slot = Some(position);
            return self.start(delivery, recipient);
        }
        match self.readdress(delivery, recipient) {
            Ok(()) => self.start_at_new_robot(delivery, recipient),
            Err(why) => DeliveryStart::Settled(unreadable(why)),
        }
    }

    /// The settlement of a delivery that got no permit.
    async fn resolve_denied(
        &self,
        delivery: &mut Delivery,
        turn: PaceDecision,
    ) -> Result<Settlement, Unsettled> {
        match turn {
            PaceDecision::Deferred(later) => Ok(self.defer_until_turn(delivery, later)),
            PaceDecision::Coalesced(hear) => Ok(match hear.await {
                Ok(CoalescedOutcome::Sent(outcome)) => {
                    if matches!(outcome.answer.verdict, Verdict::Delivered | Verdict::Refused) {
                        delivery.degradation.omitted = outcome.omitted;
                    }
                    let (answer, now) = (&outcome.answer, self.parts.clock.now());
                    events::AttemptCovered { delivery, answer, now }.emit(&self.parts.telemetry);
                    self.decide(delivery, &outcome.answer, outcome.resume, delivery.slot)
                }
                Ok(CoalescedOutcome::Deferred(later)) => self.defer_until_turn(delivery, later),
                // The covering message was not sent. The delivery asks again after the tiers.
                Err(_) => self.requeue_unchanged(delivery, WaitReason::Order),
            }),
            PaceDecision::Superseded => Ok(settle::supersede()),
            PaceDecision::BudgetExhausted => Ok(settle::out_of_budget()),
            // An unused permit is returned on drop.
            PaceDecision::Granted(..) | PaceDecision::Cancelled => {
                Ok(self.requeue_unchanged(delivery, WaitReason::Draining))
            }
        }
    }

    /// The settlement of a delivery that the pacer defers.
    fn defer_until_turn(&self, delivery: &Delivery, later: Deferral) -> Settlement {
        let due = self.parts.pace.timeline().due_at(later.due);
        if later.reason == WaitReason::Hold(HoldCause::Failing) {
            return settle::defer_failing(delivery, due, later.slot, &self.parts.retry);
        }
        settle::defer(delivery, due, later.slot, later.reason)
    }

    /// Returns a delivery to the broker unchanged. It keeps its position.
    pub(super) fn requeue_unchanged(&self, delivery: &Delivery, reason: WaitReason) -> Settlement {
        // The wall clock may have been set back since, and no position lies ahead.
        let pace = &self.parts.pace;
        let received = || pace.timeline().at_wall(delivery.event.received_at).min(pace.now());
        let slot = delivery
            .slot
            .or_else(|| (queue_position(delivery) == QueuePosition::Tail).then(received));
        settle::defer(delivery, self.due_in(Duration::ZERO), slot, reason)
    }

    /// The end of the quiet hours for which a delivery waits; `None` if there are none, or if it
    /// leaves after them anyway.
    fn quiet_until(&self, delivery: &Delivery, recipient: &Recipient) -> Option<Timestamp> {
        if delivery.part.index > 0 {
            return None;
        }
        let end = recipient.options.quiet_until(&delivery.event, self.parts.clock.now())?;
        (delivery.slot.is_none() || delivery.due_at < Some(end)).then_some(end)
    }

    /// The time after this wait, by the wall clock.
    fn due_in(&self, wait: Duration) -> DueTime {
        let read_at = self.parts.clock.now();
        DueTime { at: read_at.after(wait), read_at }
    }
}

/// Why a delivery waits for its due time.
fn reason_of(delivery: &Delivery) -> WaitReason {
    if delivery.due_at == Some(delivery.event.received_at) {
        WaitReason::NotBefore
    } else {
        delivery.wait_reason.unwrap_or(WaitReason::Unknown)
    }
}

/// The position of a delivery in its robot's queue. A delivery that waited for its event's time
/// counts as new.
fn queue_position(delivery: &Delivery) -> QueuePosition {
    match (delivery.slot, delivery.hops) {
        (Some(slot), _) if delivery.is_begun() => QueuePosition::After(slot),
        (Some(slot), _) => QueuePosition::AtSlot(slot),
        (None, 0) => QueuePosition::Tail,
        (None, _) if delivery.due_at == Some(delivery.event.received_at) => QueuePosition::Tail,
        (None, _) => QueuePosition::Head,
    }
}
