//! One delivery from its lane to its settlement: wait for the slot, take the turn, attempt, decide.

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

/// Both clocks count whole milliseconds: what one of them says has come is certain to have come for the other this much later.
const CLOCKS_APART: Duration = Duration::from_millis(5);

/// How a delivery begins. It is decided when its message is taken up, one after the other, so that what came first is first.
pub(super) enum Start {
    /// There is nothing to wait for here.
    Settled(Settlement),
    /// It is not due for so long, and has no place before that.
    Sleeps(Duration, Room),
    /// It has taken its place in its robot's lane.
    Asked(Place, Asked, Room),
}

/// What came of an attempt.
enum Attempt {
    /// The delivery is at its end.
    Settled(Settlement),
    /// A part was delivered, and the next has taken its place.
    Followed(Place, Asked),
    /// The permit, which was for this place in the order, is not for the recipient as it is by now,
    /// and has been given back.
    Moved(Recipient, Moment),
}

/// The room that a delivery takes up which has come back; without it, it waits no longer than one
/// that has just come.
type Room = Option<EarlyRoom>;

impl Pipeline {
    /// Decides how a delivery begins, and takes its place in the lane if it may.
    ///
    /// One that comes back from a tier comes a little early. It waits here if there is room for it and its body, so that it is there when its slot comes, else in a shorter tier. One
    /// with a slot waits in its lane, any other waits out its time first. One that is not due and was never in a tier keeps its event from being
    /// acked, so it waits here only if that is short. In quiet hours it waits until they end: here if that is soon, so that it never stands in the way of
    /// what may leave now.
    pub(super) fn start(&self, delivery: &Delivery, recipient: &Recipient) -> Start {
        self.start_in(delivery, recipient, place(delivery))
    }

    /// The same for a delivery whose subscription has another robot by now: as if it came to that
    /// one at this moment. But it claims to be the newest of its subscription no more.
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
        // One that is due may find that its robot has no time for it yet, and waits for that as well.
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

    /// Decides how a delivery begins for which there is no room in memory: it comes back, with the
    /// place that it was given.
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

    /// Pace, attempt, decide; and again for the recipient as it is by then, whenever it turns out
    /// to be another than before.
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

    /// An attempt, and one for each further part of a text that is too long for one message. It may
    /// have to start again.
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
            // Nobody sleeps twice.
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
                    tally.mark(Mark::Part { subscription: delivery.subscription, at: delivery.part.at - 1 });
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

    /// How a delivery goes on whose permit was not for the recipient as it is by now. With the same
    /// robot it keeps its place.
    fn start_again(&self, delivery: &mut Delivery, recipient: &Recipient, place: Moment) -> Start {
        if (delivery.platform, delivery.robot) == (recipient.platform, recipient.robot) {
            delivery.slot = Some(place);
            return self.start(delivery, recipient);
        }
        delivery.readdress(recipient.platform, recipient.robot);
        self.start_at_new_robot(delivery, recipient)
    }

    /// What becomes of a delivery that does not leave now.
    async fn not_now(&self, delivery: &mut Delivery, turn: Turn) -> Result<Settlement, Stuck> {
        match turn {
            Turn::Later(later) => Ok(settle::defer(delivery, self.wall(later.due), later.slot)),
            Turn::Spoken(hear) => Ok(match hear.await {
                Ok(Spoken::Sent(outcome)) => self.decide(delivery, &outcome.answer, outcome.resume, delivery.slot),
                Ok(Spoken::Later(later)) => settle::defer(delivery, self.wall(later.due), later.slot),
                // Who was to speak for it did not: it asks again.
                Err(_) => self.leave_as_it_is(delivery),
            }),
            Turn::Superseded => Ok(settle::supersede()),
            Turn::BudgetSpent => Ok(settle::out_of_budget()),
            // A permit that is not used comes back by itself.
            Turn::Go(..) | Turn::Left => Ok(self.leave_as_it_is(delivery)),
        }
    }

    /// One attempt, for this delivery and those it speaks for.
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
        // What is half said is said to its end.
        if delivery.part.at == 0
            && let Some(end) = recipient.options.quiet_until(&delivery.event, parts.clock.now())
        {
            return Ok(Attempt::Settled(settle::defer(delivery, end, None)));
        }
        let said = (!folded.is_empty()).then(|| said_for(delivery, &folded));
        let (part, (Attempted { answer, skew }, took)) = {
            let ready = parts.sender.prepare(said.as_ref().unwrap_or(delivery), &subscription, &parts.clock).await;
            // What leaves from now on would be waited for by whatever comes next.
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
                // Nothing leaves; the permit comes back by itself.
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
        // It takes its place before the permit is back, so that nothing comes between.
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
            // Who does not listen any longer comes back by itself.
            let _ = one.tell.send(Spoken::Sent(Outcome { answer: answer.clone(), resume }));
        }
        Ok(match next {
            Some((place, asked)) => Attempt::Followed(place, asked),
            None => Attempt::Settled(self.decide(delivery, &answer, resume, Some(place))),
        })
    }

    /// A message that cannot be written for its platform is refused before it leaves.
    fn unsendable(&self, delivery: &mut Delivery, folded: Vec<Folded>, answer: Answer) -> Settlement {
        let parts = &self.parts;
        let (took, now) = (Duration::ZERO, parts.clock.now());
        events::AttemptMade { delivery, answer: &answer, took, folded: folded.len(), now }.emit(&parts.telemetry);
        for one in folded {
            let _ = one.tell.send(Spoken::Sent(Outcome { answer: answer.clone(), resume: now }));
        }
        self.decide(delivery, &answer, now, None)
    }

    /// What an answer means for one delivery.
    fn decide(&self, delivery: &mut Delivery, answer: &Answer, resume: Moment, slot: Option<Moment>) -> Settlement {
        if settle::counts_as_attempt(answer.verdict) {
            delivery.attempts += 1;
        }
        let now = self.parts.clock.now();
        settle::decide(delivery, answer, &self.parts.retry, now, (resume, slot), rand::random())
    }

    /// A delivery that nobody has time for any longer goes back to the broker, to its place in the order.
    pub(super) fn leave_as_it_is(&self, delivery: &Delivery) -> Settlement {
        let received = || self.parts.pace.timeline().at_wall(delivery.event.received_at);
        let slot = delivery.slot.or_else(|| (place(delivery) == Place::Fresh).then(received));
        settle::defer(delivery, self.parts.clock.now(), slot)
    }

    /// A delivery whose task panicked.
    pub(super) fn panicked(&self, delivery: &mut Delivery) -> Settlement {
        let answer = Answer {
            verdict: Verdict::TryAgain { wait: None },
            code: "internal".to_owned(),
            detail: "a fault in roomcast interrupted the attempt; the log has more".to_owned(),
        };
        self.decide(delivery, &answer, self.parts.clock.now(), None)
    }

    /// When the quiet hours end for which a delivery has to wait; nothing if there are none, or its turn is behind them anyway.
    fn quiet_until(&self, delivery: &Delivery, recipient: &Recipient) -> Option<Moment> {
        if delivery.part.at > 0 {
            return None;
        }
        let end = recipient.options.quiet_until(&delivery.event, self.parts.clock.now())?;
        (delivery.slot.is_none() || delivery.due_at < Some(end)).then_some(end)
    }

    /// The wall clock's time for a time of the pace, which no correction of the wall clock moves.
    fn wall(&self, at: Moment) -> Moment {
        self.parts.pace.timeline().wall_at(at)
    }
}

/// What a delivery asks with.
fn asking<'a>(delivery: &'a Delivery, recipient: &'a Recipient, place: Place) -> Ask<'a> {
    Ask {
        robot: delivery.robot,
        platform: delivery.platform,
        subscription: delivery.subscription,
        // What is half said is neither folded nor superseded.
        overflow: if delivery.part.at > 0 { Overflow::Queue } else { recipient.options.overflow },
        group: recipient.options.group.as_ref(),
        event: &delivery.event,
        place,
        early: true,
    }
}

/// Where a delivery stands in its lane. One that has waited for its event's time is as if it came now.
fn place(delivery: &Delivery) -> Place {
    match (delivery.slot, delivery.hops) {
        (Some(slot), _) if delivery.part.at > 0 => Place::Behind(slot),
        (Some(slot), _) => Place::Slot(slot),
        (None, 0) => Place::Fresh,
        (None, _) if delivery.due_at == Some(delivery.event.received_at) => Place::Fresh,
        (None, _) => Place::Again,
    }
}

/// The delivery of the one message that says what all of these would have said.
fn said_for(delivery: &Delivery, folded: &[Folded]) -> Delivery {
    let others: Vec<_> = folded.iter().map(|one| &one.event).collect();
    Delivery { event: Arc::new(platforms::digest(delivery.platform, &delivery.event, &others)), ..delivery.clone() }
}
