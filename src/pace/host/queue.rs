//! Who leaves next for one host. Decisions only; waiting is done by the file above.
//!
//! A message leaves when the host's rate allows it and its platform has room in the air: both are
//! taken together, so neither is kept while the other is waited for. What has to wait stands in the
//! line of its topic, and the lines take turns: urgent ones first, and within a class one message
//! of each platform, one of each topic.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    concurrency::{Answered, ConcurrencyLimit},
    line::{Class, Line, Seat},
    schedule::TokenSchedule,
};
use crate::domain::TopicName;

/// What is put off because its platform does not answer comes back within this time.
const PUT_OFF_MAX: Duration = Duration::from_secs(30);
/// Two that are put off never come back at the same time, even if the host has no limit.
const APART: Duration = Duration::from_millis(1);

/// What bounds a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pace) struct HostLimits {
    /// How many messages a second may leave for it; none means no limit.
    pub(in crate::pace) rate_per_second: Option<u32>,
    /// How many attempts of each platform may be in the air.
    pub(in crate::pace) in_flight_max: u32,
    /// How long a message may wait in memory for its turn.
    pub(in crate::pace) hold_max: Duration,
}

/// A message that wants to leave.
#[derive(Clone, Copy)]
pub(in crate::pace) struct Entry<'a> {
    /// The number of its platform.
    pub(in crate::pace) platform: usize,
    pub(in crate::pace) urgent: bool,
    pub(in crate::pace) topic: &'a TopicName,
    /// Whether it has just come: then it stands behind everything of its topic that was put off.
    pub(in crate::pace) fresh: bool,
}

/// What a message is told that wants to leave.
pub(super) enum Entered {
    /// Leave now; rate and room are taken.
    Go,
    /// Wait in memory.
    Wait(Ticket),
    /// Come back in this time.
    Later(Duration),
}

/// What a message is told that waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Leave now; rate and room are taken.
    Go,
    /// Look again then, or when called.
    Until(Instant),
    /// Come back in this time; it does not wait any longer.
    Later(Duration),
}

/// The place of a message that waits.
pub(super) struct Ticket {
    platform: usize,
    urgent: bool,
    topic: TopicName,
    /// Its place in its topic's line.
    place: u64,
    deadline: Instant,
    fresh: bool,
    pub(super) seat: Arc<Seat>,
}

/// One platform that is called at this host.
struct Flow {
    limit: ConcurrencyLimit,
    in_flight: u32,
    /// Urgent ones, then the others.
    classes: [Class; 2],
}

impl Flow {
    fn has_room(&self, urgent: bool) -> bool {
        self.in_flight < self.limit.for_class(urgent)
    }
}

pub(super) struct HostQueue {
    limits: HostLimits,
    tokens: TokenSchedule,
    flows: [Flow; 4],
    /// Whose platform's turn it is.
    turn: usize,
    sequence: u64,
    /// Which of those that wait watches the clock for all of them.
    timekeeper: Option<u64>,
}

impl HostQueue {
    pub(super) fn new(limits: HostLimits) -> Self {
        let flow =
            |_| Flow { limit: ConcurrencyLimit::new(limits.in_flight_max), in_flight: 0, classes: Default::default() };
        Self {
            limits,
            tokens: TokenSchedule::new(limits.rate_per_second),
            flows: std::array::from_fn(flow),
            turn: 0,
            sequence: 0,
            timekeeper: None,
        }
    }

    /// Takes on new limits; what waits goes on waiting.
    pub(super) fn change(&mut self, limits: HostLimits) {
        if limits.rate_per_second != self.limits.rate_per_second {
            self.tokens.change(limits.rate_per_second);
        }
        self.flows.iter_mut().for_each(|flow| flow.limit.change(limits.in_flight_max));
        self.limits = limits;
    }

    /// A message wants to leave.
    pub(super) fn enter(&mut self, now: Instant, entry: &Entry<'_>) -> Entered {
        self.dispatch(now);
        let behind = entry.fresh && self.line(entry).and_then(Line::horizon).is_some_and(|at| at > now);
        // After that, whatever else waits does so for room that this one does not need.
        if !behind && self.tokens.free_at(now) <= now && self.flow(entry.platform).has_room(entry.urgent) {
            self.tokens.take(now);
            self.flow_mut(entry.platform).in_flight += 1;
            return Entered::Go;
        }
        if behind || self.estimate(now, entry) > self.limits.hold_max {
            return Entered::Later(self.put_off(now, entry));
        }
        self.sequence += 1;
        let (place, seat) = (self.sequence, Arc::<Seat>::default());
        self.class_mut(entry.platform, entry.urgent).wait(entry.topic, place, Arc::clone(&seat));
        Entered::Wait(Ticket {
            platform: entry.platform,
            urgent: entry.urgent,
            topic: entry.topic.clone(),
            place,
            deadline: now + self.limits.hold_max,
            fresh: entry.fresh,
            seat,
        })
    }

    /// Decides about a message that waits.
    pub(super) fn look(&mut self, now: Instant, ticket: &Ticket) -> Look {
        self.dispatch(now);
        if ticket.seat.is_granted() {
            return Look::Go;
        }
        if ticket.deadline <= now {
            self.leave(now, ticket);
            let Ticket { platform, urgent, ref topic, fresh, .. } = *ticket;
            return Look::Later(self.put_off(now, &Entry { platform, urgent, topic, fresh }));
        }
        let (free, this) = (self.tokens.free_at(now), Some(ticket.place));
        if free <= now {
            // It waits for room, of which it is told.
            self.timekeeper = self.timekeeper.filter(|keeper| Some(*keeper) != this);
            return Look::Until(ticket.deadline);
        }
        self.timekeeper = self.timekeeper.or(this);
        Look::Until(if self.timekeeper == this { free.min(ticket.deadline) } else { ticket.deadline })
    }

    /// A message does not wait any longer. What was granted to it meanwhile comes back.
    pub(super) fn leave(&mut self, now: Instant, ticket: &Ticket) {
        if ticket.seat.is_granted() {
            return self.give_back(now, ticket.platform);
        }
        self.class_mut(ticket.platform, ticket.urgent).leave(now, &ticket.topic, ticket.place);
        if self.timekeeper == Some(ticket.place) {
            self.timekeeper = None;
        }
        self.dispatch(now);
    }

    /// An attempt has ended, or was cut off.
    pub(super) fn finish(&mut self, now: Instant, platform: usize, answer: Option<Answered>) {
        let flow = self.flow_mut(platform);
        flow.in_flight = flow.in_flight.saturating_sub(1);
        if let Some(answer) = answer {
            flow.limit.answered(answer);
        }
        self.dispatch(now);
    }

    /// A message that might have left does not.
    pub(super) fn give_back(&mut self, now: Instant, platform: usize) {
        self.tokens.give_back();
        self.finish(now, platform, None);
    }

    /// When a message that does not wait in memory had better come back. Those of one topic come
    /// back one after the other, as its share of the rate allows; while their platform does not
    /// answer, the later the longer it has not.
    pub(super) fn put_off(&mut self, now: Instant, entry: &Entry<'_>) -> Duration {
        let flow = self.flow(entry.platform);
        let pause = if flow.has_room(entry.urgent) {
            self.estimate(now, entry)
        } else {
            self.limits.hold_max.saturating_mul(flow.limit.shrunk()).min(PUT_OFF_MAX)
        };
        let last = self.line(entry).and_then(|line| if entry.fresh { line.horizon() } else { line.again() });
        let from = last.map_or(now, |last| last.max(now)).max(now + pause.max(self.limits.hold_max));
        let at = from + (self.tokens.interval() * self.sharing(entry, from)).max(APART);
        self.class_mut(entry.platform, entry.urgent).put_off(entry.topic, entry.fresh, at);
        at.duration_since(now)
    }

    /// Forgets topics of which nothing waits and nothing comes back any more.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.flows.iter_mut().flat_map(|flow| &mut flow.classes).for_each(|class| class.forget(now));
    }

    /// How many may be in the air for a platform, urgent ones included.
    pub(super) fn in_flight_limit(&self, platform: usize) -> u32 {
        self.flow(platform).limit.for_class(true)
    }

    /// Lets leave whoever may, in turn.
    fn dispatch(&mut self, now: Instant) {
        while self.tokens.free_at(now) <= now {
            let Some((sequence, seat)) = self.next() else { break };
            self.tokens.take(now);
            if self.timekeeper == Some(sequence) {
                self.timekeeper = None;
            }
            seat.grant();
        }
        if self.timekeeper.is_none() && self.tokens.free_at(now) > now {
            let mut waiting = self.flows.iter().flat_map(|flow| &flow.classes);
            if let Some(seat) = waiting.find_map(Class::last) {
                seat.call.notify_one();
            }
        }
    }

    /// Whose turn it is among those whose platform has room.
    fn next(&mut self) -> Option<(u64, Arc<Seat>)> {
        for urgent in [true, false] {
            for step in 0..self.flows.len() {
                let platform = (self.turn + step) % self.flows.len();
                let flow = self.flow_mut(platform);
                if flow.has_room(urgent)
                    && let Some(next) = class_of(&mut flow.classes, urgent).next()
                {
                    flow.in_flight += 1;
                    self.turn = platform + 1;
                    return Some(next);
                }
            }
        }
        None
    }

    /// How long a message would wait for its turn, if its platform has room.
    fn estimate(&self, now: Instant, entry: &Entry<'_>) -> Duration {
        let counts = |urgent: bool| {
            let of = |(number, flow): (usize, &Flow)| {
                let class = flow.classes.get(usize::from(!urgent));
                class
                    .filter(|_| number == entry.platform || flow.has_room(urgent))
                    .map_or((0, 0), |class| (class.waiting(), class.topics_waiting()))
            };
            let each = self.flows.iter().enumerate().map(of);
            each.fold((0, 0), |(waiting, topics), one| (waiting + one.0, topics + one.1))
        };
        let own = self.line(entry).map_or(0, |line| line.waiting());
        let (waiting, topics) = counts(entry.urgent);
        let ahead = waiting.min((own + 1) * (topics + 1)) + if entry.urgent { 0 } else { counts(true).0 };
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        self.tokens.free_at(now).duration_since(now) + self.tokens.interval().saturating_mul(ahead)
    }

    /// Between how many topics the rate is shared at a time to come.
    fn sharing(&self, entry: &Entry<'_>, at: Instant) -> u32 {
        let others = self.flows.iter().enumerate().map(|(number, flow)| {
            let own = (number == entry.platform).then_some(entry.topic);
            flow.classes.get(usize::from(!entry.urgent)).map_or(0, |class| class.coming_after(at, own))
        });
        u32::try_from(others.sum::<usize>()).unwrap_or(u32::MAX).saturating_add(1)
    }

    fn line(&self, entry: &Entry<'_>) -> Option<&Line> {
        self.flow(entry.platform).classes.get(usize::from(!entry.urgent))?.line(entry.topic)
    }

    fn class_mut(&mut self, platform: usize, urgent: bool) -> &mut Class {
        class_of(&mut self.flow_mut(platform).classes, urgent)
    }

    #[expect(clippy::indexing_slicing, reason = "a platform's number is less than how many there are")]
    fn flow(&self, platform: usize) -> &Flow {
        &self.flows[platform % 4]
    }

    #[expect(clippy::indexing_slicing, reason = "a platform's number is less than how many there are")]
    fn flow_mut(&mut self, platform: usize) -> &mut Flow {
        &mut self.flows[platform % 4]
    }
}

fn class_of([first, second]: &mut [Class; 2], urgent: bool) -> &mut Class {
    if urgent { first } else { second }
}
