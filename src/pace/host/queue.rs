//! The decision which message leaves next for one host. It never waits.
//!
//! A message needs a token of the host's rate and a concurrency permit of its platform. It takes
//! both at once, so it never keeps one while it waits for the other.
//!
//! Owns the order among waiting messages: urgent ones first, then round robin over platforms, then
//! over topics.
//!
//! Not here: the waiting itself (`host.rs`), and the queues of the topics (`topic_queue.rs`).

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    concurrency::{Answered, ConcurrencyLimit},
    token_schedule::TokenSchedule,
    topic_queue::{HostWaitHandle, TopicQueue, TopicRoundRobin},
};
use crate::domain::{Platform, PlatformMap, TopicName, WaitReason};

/// The longest wait that a platform without a free concurrency permit adds to a deferral.
const PUT_OFF_MAX: Duration = Duration::from_secs(30);
/// The shortest distance between two deferred messages, even if the host has no rate.
const SLOT_GAP: Duration = Duration::from_millis(1);

/// The limits of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pace) struct HostLimits {
    /// The messages a second; `None` means no limit.
    pub(in crate::pace) rate_per_second: Option<u32>,
    /// The most attempts in flight, for each platform.
    pub(in crate::pace) in_flight_max: u32,
    /// The longest wait in memory for a permit.
    pub(in crate::pace) hold_max: Duration,
}

/// The request of a message.
#[derive(Clone, Copy)]
pub(in crate::pace) struct HostRequest<'a> {
    pub(in crate::pace) platform: Platform,
    pub(in crate::pace) urgent: bool,
    pub(in crate::pace) topic: &'a TopicName,
    /// Whether it is new. A new message goes behind all deferred messages of its topic.
    pub(in crate::pace) fresh: bool,
}

/// The wait of a message that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pace) struct HostDeferral {
    /// How long it waits.
    pub(in crate::pace) wait: Duration,
    /// Why.
    pub(in crate::pace) reason: WaitReason,
}

/// The decision about a new request.
pub(super) enum HostAdmission {
    /// Send now. The token and the concurrency permit are taken.
    Granted,
    /// Wait in memory.
    Queued(HostTicket),
    /// Come back later.
    Deferred(HostDeferral),
}

/// The decision about a waiting message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HostPollResult {
    /// Send now. The token and the concurrency permit are taken.
    Granted,
    /// Look again at this time, or when woken.
    WaitUntil(Instant),
    /// Come back later. The message has left the queue.
    Deferred(HostDeferral),
}

/// A waiting message.
pub(super) struct HostTicket {
    platform: Platform,
    urgent: bool,
    topic: TopicName,
    /// Its sequence number, unique in the host.
    position: u64,
    deadline: Instant,
    fresh: bool,
    /// Why it waits.
    pub(super) reason: WaitReason,
    pub(super) handle: Arc<HostWaitHandle>,
}

/// The state of one platform at this host.
struct PlatformQueue {
    limit: ConcurrencyLimit,
    in_flight: u32,
    /// The urgent class, then the other.
    classes: [TopicRoundRobin; 2],
}

impl PlatformQueue {
    fn has_room(&self, urgent: bool) -> bool {
        self.in_flight < self.limit.for_class(urgent)
    }

    /// Why a message of this class waits.
    fn reason(&self, urgent: bool) -> WaitReason {
        if self.has_room(urgent) { WaitReason::HostRate } else { WaitReason::InFlightLimit }
    }
}

pub(super) struct HostQueue {
    limits: HostLimits,
    tokens: TokenSchedule,
    flows: PlatformMap<PlatformQueue>,
    /// The index in [`Platform::ALL`] of the platform at which the next round robin starts.
    turn: usize,
    sequence: u64,
    /// The waiting message whose timer serves all of them.
    timekeeper: Option<u64>,
}

impl HostQueue {
    pub(super) fn new(limits: HostLimits) -> Self {
        let flow = |_| PlatformQueue {
            limit: ConcurrencyLimit::new(limits.in_flight_max),
            in_flight: 0,
            classes: Default::default(),
        };
        Self {
            limits,
            tokens: TokenSchedule::new(limits.rate_per_second),
            flows: PlatformMap::from_fn(flow),
            turn: 0,
            sequence: 0,
            timekeeper: None,
        }
    }

    /// Sets new limits. Waiting messages stay in their queues.
    pub(super) fn change(&mut self, limits: HostLimits) {
        if limits.rate_per_second != self.limits.rate_per_second {
            self.tokens.change(limits.rate_per_second);
        }
        self.flows.values_mut().for_each(|flow| flow.limit.change(limits.in_flight_max));
        self.limits = limits;
    }

    /// Decides about a new request.
    pub(super) fn acquire(&mut self, now: Instant, entry: &HostRequest<'_>) -> HostAdmission {
        self.dispatch(now);
        let behind = entry.fresh
            && self.line(entry).and_then(TopicQueue::horizon).is_some_and(|at| at > now);
        // `dispatch` has granted all it can. So the remaining messages wait for concurrency permits
        // that this message does not need.
        if !behind
            && self.tokens.free_at(now) <= now
            && self.flows.get(entry.platform).has_room(entry.urgent)
        {
            self.tokens.take(now);
            self.flows.get_mut(entry.platform).in_flight += 1;
            return HostAdmission::Granted;
        }
        if behind || self.estimate(now, entry) > self.limits.hold_max {
            return HostAdmission::Deferred(self.put_off(now, entry));
        }
        let reason = self.flows.get(entry.platform).reason(entry.urgent);
        self.sequence += 1;
        let (position, handle) = (self.sequence, Arc::<HostWaitHandle>::default());
        self.class_mut(entry.platform, entry.urgent).wait(
            entry.topic,
            position,
            Arc::clone(&handle),
        );
        HostAdmission::Queued(HostTicket {
            platform: entry.platform,
            urgent: entry.urgent,
            topic: entry.topic.clone(),
            position,
            deadline: now + self.limits.hold_max,
            fresh: entry.fresh,
            reason,
            handle,
        })
    }

    /// Decides about a waiting message.
    pub(super) fn poll(&mut self, now: Instant, ticket: &HostTicket) -> HostPollResult {
        self.dispatch(now);
        if ticket.handle.is_granted() {
            return HostPollResult::Granted;
        }
        if ticket.deadline <= now {
            self.leave(now, ticket);
            let HostTicket { platform, urgent, ref topic, fresh, .. } = *ticket;
            return HostPollResult::Deferred(
                self.put_off(now, &HostRequest { platform, urgent, topic, fresh }),
            );
        }
        let (free, this) = (self.tokens.free_at(now), Some(ticket.position));
        if free <= now {
            // It waits for a concurrency permit, and a grant will wake it.
            self.timekeeper = self.timekeeper.filter(|keeper| Some(*keeper) != this);
            return HostPollResult::WaitUntil(ticket.deadline);
        }
        self.timekeeper = self.timekeeper.or(this);
        HostPollResult::WaitUntil(if self.timekeeper == this {
            free.min(ticket.deadline)
        } else {
            ticket.deadline
        })
    }

    /// Removes a message that stopped waiting. A permit that was granted meanwhile is returned.
    pub(super) fn leave(&mut self, now: Instant, ticket: &HostTicket) {
        if ticket.handle.is_granted() {
            return self.refund(now, ticket.platform);
        }
        self.class_mut(ticket.platform, ticket.urgent).leave(now, &ticket.topic, ticket.position);
        if self.timekeeper == Some(ticket.position) {
            self.timekeeper = None;
        }
        self.dispatch(now);
    }

    /// Records the end of an attempt; `None` if it was cut off.
    pub(super) fn finish(&mut self, now: Instant, platform: Platform, answer: Option<Answered>) {
        let flow = self.flows.get_mut(platform);
        flow.in_flight = flow.in_flight.saturating_sub(1);
        if let Some(answer) = answer {
            flow.limit.answered(answer);
        }
        self.dispatch(now);
    }

    /// Returns a permit that was not used.
    pub(super) fn refund(&mut self, now: Instant, platform: Platform) {
        self.tokens.refund();
        self.finish(now, platform, None);
    }

    /// How long to defer a message. The messages of one topic come back one after the other, at the
    /// topic's share of the rate. If the platform has no free permit, the deferral grows as the
    /// limit in flight shrinks.
    pub(super) fn put_off(&mut self, now: Instant, entry: &HostRequest<'_>) -> HostDeferral {
        let flow = self.flows.get(entry.platform);
        let reason = flow.reason(entry.urgent);
        let pause = if flow.has_room(entry.urgent) {
            self.estimate(now, entry)
        } else {
            self.limits.hold_max.saturating_mul(flow.limit.shrunk()).min(PUT_OFF_MAX)
        };
        let last = self
            .line(entry)
            .and_then(|line| if entry.fresh { line.horizon() } else { line.again() });
        let from =
            last.map_or(now, |last| last.max(now)).max(now + pause.max(self.limits.hold_max));
        let at = from + (self.tokens.interval() * self.sharing(entry, from)).max(SLOT_GAP);
        self.class_mut(entry.platform, entry.urgent).put_off(entry.topic, entry.fresh, at);
        HostDeferral { wait: at.duration_since(now), reason }
    }

    /// Removes topics that have neither waiting nor deferred messages.
    pub(super) fn evict_idle(&mut self, now: Instant) {
        self.flows
            .values_mut()
            .flat_map(|flow| &mut flow.classes)
            .for_each(|class| class.forget(now));
    }

    /// The most attempts in flight for a platform, the urgent share included.
    pub(super) fn in_flight_limit(&self, platform: Platform) -> u32 {
        self.flows.get(platform).limit.for_class(true)
    }

    /// Grants permits in order, as long as there are tokens and free concurrency permits.
    fn dispatch(&mut self, now: Instant) {
        while self.tokens.free_at(now) <= now {
            let Some((sequence, handle)) = self.next() else { break };
            self.tokens.take(now);
            if self.timekeeper == Some(sequence) {
                self.timekeeper = None;
            }
            handle.grant();
        }
        if self.timekeeper.is_none() && self.tokens.free_at(now) > now {
            let mut waiting = self.flows.values().flat_map(|flow| &flow.classes);
            if let Some(handle) = waiting.find_map(TopicRoundRobin::last) {
                handle.call.notify_one();
            }
        }
    }

    /// Takes the next message of a platform with a free concurrency permit.
    fn next(&mut self) -> Option<(u64, Arc<HostWaitHandle>)> {
        for urgent in [true, false] {
            let round = Platform::ALL.into_iter().enumerate().cycle().skip(self.turn);
            for (index, platform) in round.take(Platform::COUNT) {
                let flow = self.flows.get_mut(platform);
                if flow.has_room(urgent)
                    && let Some(next) = class_of(&mut flow.classes, urgent).next()
                {
                    flow.in_flight += 1;
                    self.turn = (index + 1) % Platform::COUNT;
                    return Some(next);
                }
            }
        }
        None
    }

    /// The estimated wait for a token, if the platform has a free concurrency permit.
    fn estimate(&self, now: Instant, entry: &HostRequest<'_>) -> Duration {
        let counts = |urgent: bool| {
            let of = |(platform, flow): (Platform, &PlatformQueue)| {
                let class = flow.classes.get(usize::from(!urgent));
                class
                    .filter(|_| platform == entry.platform || flow.has_room(urgent))
                    .map_or((0, 0), |class| (class.waiting(), class.topics_waiting()))
            };
            let each = self.flows.iter().map(of);
            each.fold((0, 0), |(waiting, topics), one| (waiting + one.0, topics + one.1))
        };
        let own = self.line(entry).map_or(0, |line| line.waiting());
        let (waiting, topics) = counts(entry.urgent);
        let ahead =
            waiting.min((own + 1) * (topics + 1)) + if entry.urgent { 0 } else { counts(true).0 };
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        self.tokens.free_at(now).duration_since(now) + self.tokens.interval().saturating_mul(ahead)
    }

    /// The number of topics that share the rate at a future time, at least 1.
    fn sharing(&self, entry: &HostRequest<'_>, at: Instant) -> u32 {
        let others = self.flows.iter().map(|(platform, flow)| {
            let own = (platform == entry.platform).then_some(entry.topic);
            flow.classes
                .get(usize::from(!entry.urgent))
                .map_or(0, |class| class.coming_after(at, own))
        });
        u32::try_from(others.sum::<usize>()).unwrap_or(u32::MAX).saturating_add(1)
    }

    fn line(&self, entry: &HostRequest<'_>) -> Option<&TopicQueue> {
        self.flows.get(entry.platform).classes.get(usize::from(!entry.urgent))?.line(entry.topic)
    }

    fn class_mut(&mut self, platform: Platform, urgent: bool) -> &mut TopicRoundRobin {
        class_of(&mut self.flows.get_mut(platform).classes, urgent)
    }
}

fn class_of([first, second]: &mut [TopicRoundRobin; 2], urgent: bool) -> &mut TopicRoundRobin {
    if urgent { first } else { second }
}
