//! One delivery from its robot's queue to its settlement: wait for a permit, attempt, decide.
//!
//! Owns when a delivery waits in memory and when on the broker, and how it continues after its
//! recipient changed.
//!
//! Not here: the permit (`pace/`), the HTTP request (`send/`), and the decision about an answer
//! (`settle/decide.rs`).

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use super::{Pipeline, Stuck, early::EarlyRoom, opening::Current};
use crate::{
    domain::{Answer, Delivery, Moment, Overflow, Settlement, Verdict},
    fanout::Recipient,
    pace::{Ask, Asked, Folded, Outcome, Permit, Place, Spoken, Turn},
    platforms,
    send::Attempted,
    settle::{self, Mark, Tally},
    telemetry::events,
};

/// Both clocks count whole milliseconds. A time that has come on one clock has certainly come on
/// the other this much later.
const CLOCKS_APART: Duration = Duration::from_millis(5);

/// How a delivery starts. Messages are decided one after the other, so the order of arrival is
/// kept.
pub(super) enum Start {
    /// It is settled without a wait.
    Settled(Settlement),
    /// It is due after this time, and has no position in the queue before that.
    Sleeps(Duration, Room),
    /// It is enqueued at its robot.
    Asked(Place, Asked, Room),
}

/// The result of an attempt.
enum Attempt {
    /// The delivery is settled.
    Settled(Settlement),
    /// A part was delivered, and the next one is enqueued.
    Followed(Place, Asked),
    /// The recipient changed so that the permit was not valid for it. The permit was returned; the
    /// value is its position in the order.
    Moved(Recipient, Moment),
}

/// The memory permit of a delivery that came back. Without it, the delivery waits no longer than a
/// new one.
type Room = Option<EarlyRoom>;

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
    pub(super) fn start(&self, delivery: &Delivery, recipient: &Recipient) -> Start {
        self.start_in(delivery, recipient, place(delivery))
    }

    /// Starts a delivery whose subscription has another robot now, as if it were new there. It no
    /// longer counts as the newest of its subscription.
    pub(super) fn start_at_new_robot(&self, delivery: &Delivery, recipient: &Recipient) -> Start {
        let place = match recipient.options.overflow {
            Overflow::Latest => Place::Due(self.parts.pace.now()),
            Overflow::Queue | Overflow::Digest => Place::Fresh,
        };
        self.start_in(delivery, recipient, place)
    }

    fn start_in(&self, delivery: &Delivery, recipient: &Recipient, place: Place) -> Start {
        let parts = &self.parts;
        let quiet = self.quiet_until(delivery, recipient);
        // A delivery that is due may still have to wait for its robot.
        let room = (delivery.hops > 0 && quiet.is_none()).then(|| parts.early.room(delivery)).flatten();
        let Some(due) = delivery.due_at.max(quiet) else { return self.ask(delivery, recipient, place, room) };
        let left = due.since(parts.clock.now());
        if left > if room.is_some() { parts.early_max } else { parts.hold_max } {
            return Start::Settled(settle::defer(delivery, due, delivery.slot.filter(|_| quiet.is_none())));
        }
        if delivery.slot.is_none() && quiet.is_none() && !left.is_zero() {
            return Start::Sleeps(left, room);
        }
        self.ask(delivery, recipient, place, room)
    }

    /// Decides how a delivery without memory starts: it is deferred, and keeps its position.
    pub(super) fn without_room(&self, delivery: &Delivery, recipient: &Recipient, start: Start) -> Start {
        match start {
            Start::Settled(settlement) => Start::Settled(settlement),
            Start::Sleeps(left, _) => {
                Start::Settled(settle::defer(delivery, self.parts.clock.now().after(left), delivery.slot))
            }
            Start::Asked(place, asked, room) => {
                let asked = self.parts.pace.put_off(&asking(delivery, recipient, place), asked);
                Start::Asked(place, asked, room)
            }
        }
    }

    fn ask(&self, delivery: &Delivery, recipient: &Recipient, place: Place, room: Room) -> Start {
        if let Some(expired) = settle::expire(delivery, self.parts.clock.now()) {
            return Start::Settled(expired);
        }
        let quiet = self.quiet_until(delivery, recipient);
        let place = match quiet.max(delivery.due_at).filter(|_| quiet.is_some()) {
            Some(due) => Place::Due(self.parts.pace.timeline().at_wall(due.after(CLOCKS_APART))),
            None => place,
        };
        let early = delivery.hops == 0 || room.is_some();
        let asked = self.parts.pace.ask(&Ask { early, ..asking(delivery, recipient, place) });
        Start::Asked(place, asked, room)
    }

    /// Waits for a permit, makes the attempt, decides. Repeats that for the new recipient whenever
    /// the recipient has changed.
    pub(super) async fn outcome(
        &self,
        delivery: &mut Delivery,
        recipient: &mut Recipient,
        mut start: Start,
        tally: &Arc<Tally>,
    ) -> Result<Settlement, Stuck> {
        loop {
            match self.attempts(delivery, recipient, start, tally).await? {
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
        start: Start,
        tally: &Arc<Tally>,
    ) -> Result<ControlFlow<Settlement, Start>, Stuck> {
        let start = match start {
            Start::Sleeps(left, room) => {
                if self.leave.run_until_cancelled(tokio::time::sleep(left)).await.is_none() {
                    let due = delivery.due_at.unwrap_or_else(|| self.parts.clock.now());
                    return Ok(ControlFlow::Break(settle::defer(delivery, due, None)));
                }
                self.ask(delivery, recipient, place(delivery), room)
            }
            start => start,
        };
        let (mut place, mut asked, _room) = match start {
            Start::Asked(place, asked, room) => (place, asked, room),
            Start::Settled(settlement) => return Ok(ControlFlow::Break(settlement)),
            // A delivery waits for its due time only once, so this case does not occur.
            Start::Sleeps(..) => return Ok(ControlFlow::Break(self.leave_as_it_is(delivery))),
        };
        loop {
            let asked_at = asked.at();
            let turn = {
                let ask = asking(delivery, recipient, place);
                self.parts.pace.turn(&ask, asked, &self.leave).await
            };
            let Turn::Go(permit, folded) = turn else {
                return self.not_now(delivery, turn).await.map(ControlFlow::Break);
            };
            match self.attempt(delivery, recipient, asked_at, (permit, folded)).await? {
                Attempt::Settled(settlement) => return Ok(ControlFlow::Break(settlement)),
                Attempt::Followed(next, asked_next) => {
                    let (subscription, robot) = (delivery.subscription, delivery.robot);
                    tally.mark(Mark::Part { subscription, robot, at: delivery.part.at - 1 });
                    self.progressed(tally);
                    (place, asked) = (next, asked_next);
                }
                Attempt::Moved(fresh, place) => {
                    *recipient = fresh;
                    return Ok(ControlFlow::Continue(self.start_again(delivery, recipient, place)));
                }
            }
        }
    }

    /// The new start of a delivery whose permit was not valid for its changed recipient. With the
    /// same robot it keeps its position.
    fn start_again(&self, delivery: &mut Delivery, recipient: &Recipient, place: Moment) -> Start {
        if (delivery.platform, delivery.robot) == (recipient.platform, recipient.robot) {
            delivery.slot = Some(place);
            return self.start(delivery, recipient);
        }
        delivery.readdress(recipient.platform, recipient.robot);
        self.start_at_new_robot(delivery, recipient)
    }

    /// The settlement of a delivery that got no permit.
    async fn not_now(&self, delivery: &mut Delivery, turn: Turn) -> Result<Settlement, Stuck> {
        match turn {
            Turn::Later(later) => Ok(settle::defer(delivery, self.wall(later.due), later.slot)),
            Turn::Spoken(hear) => Ok(match hear.await {
                Ok(Spoken::Sent(outcome)) => self.decide(delivery, &outcome.answer, outcome.resume, delivery.slot),
                Ok(Spoken::Later(later)) => settle::defer(delivery, self.wall(later.due), later.slot),
                // The covering message was not sent. The delivery asks again after the tiers.
                Err(_) => self.leave_as_it_is(delivery),
            }),
            Turn::Superseded => Ok(settle::supersede()),
            Turn::BudgetSpent => Ok(settle::out_of_budget()),
            // An unused permit is returned on drop.
            Turn::Go(..) | Turn::Left => Ok(self.leave_as_it_is(delivery)),
        }
    }

    /// Makes one attempt for this delivery and those coalesced into it.
    async fn attempt(
        &self,
        delivery: &mut Delivery,
        recipient: &mut Recipient,
        asked_at: Moment,
        (mut permit, folded): (Permit, Vec<Folded>),
    ) -> Result<Attempt, Stuck> {
        let parts = &self.parts;
        if let Some(expired) = settle::expire(delivery, parts.clock.now()) {
            return Ok(Attempt::Settled(expired));
        }
        let subscription = match self.current(delivery, recipient).await? {
            Current::Open(subscription) => subscription,
            Current::Moved(fresh) => return Ok(Attempt::Moved(fresh, permit.place())),
            Current::Settled(settlement) => return Ok(Attempt::Settled(settlement)),
        };
        // A message whose first part is sent is completed, even in quiet hours.
        if delivery.part.at == 0
            && let Some(end) = recipient.options.quiet_until(&delivery.event, parts.clock.now())
        {
            return Ok(Attempt::Settled(settle::defer(delivery, end, None)));
        }
        let said = (!folded.is_empty()).then(|| said_for(delivery, &folded));
        let (part, (Attempted { answer, skew }, took)) = {
            let ready = parts.sender.prepare(said.as_ref().unwrap_or(delivery), &subscription, &parts.clock).await;
            // The next session would have to wait for any attempt that starts now.
            if self.leave.is_cancelled() {
                return Ok(Attempt::Settled(self.leave_as_it_is(delivery)));
            }
            let now = parts.clock.now();
            let first = delivery.first_attempt_at.is_none();
            delivery.first_attempt_at.get_or_insert(now);
            match ready {
                Ok(ready) => {
                    let part = ready.part;
                    permit.leaves(part.is_followed())?;
                    let waited = parts.pace.now().since(asked_at);
                    let after = first.then(|| now.since(delivery.event.received_at));
                    events::DeliveryLeft { delivery, waited, after, now }.emit(&parts.telemetry);
                    let attempted = Box::pin(parts.sender.attempt(ready, &subscription, &parts.clock)).await;
                    (part, (attempted, parts.clock.now().since(now)))
                }
                // No message is sent. Dropping the permit returns it.
                Err(answer) => return Ok(Attempt::Settled(self.unsendable(delivery, folded, answer))),
            }
        };
        if let Some(seconds) = skew {
            events::ClockSkewed { platform: delivery.platform, seconds }.emit(&parts.telemetry);
        }
        let now = parts.clock.now();
        events::AttemptMade { delivery, answer: &answer, took, folded: folded.len(), now }.emit(&parts.telemetry);
        let place = permit.place();
        if folded.is_empty() {
            delivery.part = part;
        }
        // The next part is enqueued before the permit is returned, so that no other message comes
        // between.
        let followed = answer.verdict == Verdict::Delivered && folded.is_empty() && part.is_followed();
        let next = followed.then(|| {
            delivery.part.at += 1;
            (delivery.attempts, delivery.slot) = (0, Some(place));
            let place = Place::Behind(place);
            (place, parts.pace.ask(&asking(delivery, recipient, place)))
        });
        let changes = permit.finish(answer.verdict, took);
        events::PaceChanged { platform: delivery.platform, robot: delivery.robot, changes: &changes, answer: &answer }
            .emit(&parts.telemetry);
        let resume = changes.resume.map_or_else(|| parts.clock.now(), |at| self.wall(at));
        for one in folded {
            // If the receiver is gone, its message is redelivered by the broker.
            let _ = one.tell.send(Spoken::Sent(Outcome { answer: answer.clone(), resume }));
        }
        Ok(match next {
            Some((place, asked)) => Attempt::Followed(place, asked),
            None => Attempt::Settled(self.decide(delivery, &answer, resume, Some(place))),
        })
    }

    /// Refuses a message that cannot be rendered for its platform.
    fn unsendable(&self, delivery: &mut Delivery, folded: Vec<Folded>, answer: Answer) -> Settlement {
        let parts = &self.parts;
        let (took, now) = (Duration::ZERO, parts.clock.now());
        events::AttemptMade { delivery, answer: &answer, took, folded: folded.len(), now }.emit(&parts.telemetry);
        for one in folded {
            let _ = one.tell.send(Spoken::Sent(Outcome { answer: answer.clone(), resume: now }));
        }
        self.decide(delivery, &answer, now, None)
    }

    /// The settlement of one delivery after this answer.
    fn decide(&self, delivery: &mut Delivery, answer: &Answer, resume: Moment, slot: Option<Moment>) -> Settlement {
        if settle::counts_as_attempt(answer.verdict) {
            delivery.attempts += 1;
        }
        let now = self.parts.clock.now();
        settle::decide(delivery, answer, &self.parts.retry, now, (resume, slot), rand::random())
    }

    /// Returns a delivery to the broker unchanged. It keeps its position.
    pub(super) fn leave_as_it_is(&self, delivery: &Delivery) -> Settlement {
        let received = || self.parts.pace.timeline().at_wall(delivery.event.received_at);
        let slot = delivery.slot.or_else(|| (place(delivery) == Place::Fresh).then(received));
        settle::defer(delivery, self.parts.clock.now(), slot)
    }

    /// The settlement of a delivery whose task panicked.
    pub(super) fn panicked(&self, delivery: &mut Delivery) -> Settlement {
        let answer = Answer {
            verdict: Verdict::TryAgain { wait: None },
            code: "internal".to_owned(),
            detail: "a fault in roomcast interrupted the attempt; the log has more".to_owned(),
        };
        self.decide(delivery, &answer, self.parts.clock.now(), None)
    }

    /// The end of the quiet hours for which a delivery waits; `None` if there are none, or if it
    /// leaves after them anyway.
    fn quiet_until(&self, delivery: &Delivery, recipient: &Recipient) -> Option<Moment> {
        if delivery.part.at > 0 {
            return None;
        }
        let end = recipient.options.quiet_until(&delivery.event, self.parts.clock.now())?;
        (delivery.slot.is_none() || delivery.due_at < Some(end)).then_some(end)
    }

    /// Converts the pacer's time to the wall clock.
    fn wall(&self, at: Moment) -> Moment {
        self.parts.pace.timeline().wall_at(at)
    }
}

/// The request of a delivery for a permit.
fn asking<'a>(delivery: &'a Delivery, recipient: &'a Recipient, place: Place) -> Ask<'a> {
    Ask {
        robot: delivery.robot,
        platform: delivery.platform,
        subscription: delivery.subscription,
        // A message with parts already sent is neither coalesced nor superseded.
        overflow: if delivery.part.at > 0 { Overflow::Queue } else { recipient.options.overflow },
        group: recipient.options.group.as_ref(),
        event: &delivery.event,
        place,
        early: true,
    }
}

/// The position of a delivery in its robot's queue. A delivery that waited for its event's time
/// counts as new.
fn place(delivery: &Delivery) -> Place {
    match (delivery.slot, delivery.hops) {
        (Some(slot), _) if delivery.part.at > 0 => Place::Behind(slot),
        (Some(slot), _) => Place::Slot(slot),
        (None, 0) => Place::Fresh,
        (None, _) if delivery.due_at == Some(delivery.event.received_at) => Place::Fresh,
        (None, _) => Place::Again,
    }
}

/// The delivery of the digest that covers all of these.
fn said_for(delivery: &Delivery, folded: &[Folded]) -> Delivery {
    let others: Vec<_> = folded.iter().map(|one| &one.event).collect();
    Delivery { event: Arc::new(platforms::digest(delivery.platform, &delivery.event, &others)), ..delivery.clone() }
}
