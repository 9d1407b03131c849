//! The oracle: it judges a run by the publications and arrivals alone.
//!
//! Owns the rules that hold in every run: quota, loss, duplicates, order, probes, receipts. It
//! knows nothing of roomcast's internals.
//!
//! Not here: the expectations of one scenario (`scenarios.rs`, `policies.rs`).

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use roomcast::domain::{DeadReason, DeliveryOutcome as Told, SubscriptionId};

use crate::{
    broker::RECORDED_WITHIN,
    chats::{Chats, Outcome, Request, limits},
    time::{Micros, SECOND},
    traffic::{Kind, Publication},
    world::{Ending, World},
};

/// The totals of a run, to print them and to check that the run was not empty.
#[derive(Debug, Default)]
pub struct Seen {
    pub deliveries: usize,
    pub delivered: usize,
    pub waiting: usize,
    pub returns: usize,
    pub duplicates: usize,
    pub reasons: BTreeMap<Reason, usize>,
    pub letters: usize,
    pub crashes: usize,
    pub sessions_lost: usize,
    pub closed: usize,
}

/// Why a delivery arrived more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    AnswerLost,
    CutShort,
    StoredTwice,
    AckLost,
}

pub struct Oracle<'a> {
    world: &'a World,
    chats: std::sync::MutexGuard<'a, Chats>,
    broker: std::sync::MutexGuard<'a, crate::broker::Broker>,
    events: HashMap<u32, &'a Publication>,
    /// The requests of each delivery, by event and robot, in the order of their start.
    requests: HashMap<(u32, usize), Vec<usize>>,
    /// The violations of each rule. All rules are checked before the run fails.
    complaints: RefCell<BTreeMap<&'static str, Vec<String>>>,
}

/// The most deliveries that one crash or lost session repeats, on average.
const REPEATED_MAX: usize = 50;
/// The most examples printed for each rule.
const SHOWN: usize = 2;

impl<'a> Oracle<'a> {
    pub fn of(world: &'a World) -> Self {
        let mut chats = world.chats.lock().unwrap();
        chats.settle(world.now + SECOND);
        let mut requests = HashMap::<_, Vec<_>>::new();
        for (number, request) in chats.requests.iter().enumerate() {
            for name in &request.names {
                requests.entry((*name, request.chat)).or_default().push(number);
            }
        }
        let events = world.published.iter().map(|one| (one.number, one)).collect();
        let broker = world.broker.lock().unwrap();
        Self { world, chats, broker, events, requests, complaints: RefCell::default() }
    }

    /// Records a violation if a rule does not hold.
    pub fn expect(&self, rule: &'static str, holds: bool, complaint: impl FnOnce() -> String) {
        if !holds {
            self.complaints.borrow_mut().entry(rule).or_default().push(complaint());
        }
    }

    /// Fails if there is any violation, and prints all broken rules.
    pub fn verdict(&self) {
        let complaints = self.complaints.borrow();
        let shown = complaints.iter().map(|(rule, all)| {
            let examples: Vec<_> =
                all.iter().take(SHOWN).map(|one| format!("    {one}\n")).collect();
            format!("{rule}: {} times\n{}", all.len(), examples.concat())
        });
        let shown: Vec<_> = shown.collect();
        assert!(complaints.is_empty(), "rules were broken\n{}", shown.concat());
    }

    /// Checks the rules of every run.
    pub fn judge(&self) -> Seen {
        self.no_window_is_exceeded();
        self.nothing_is_lost_or_invented();
        self.duplicates_have_a_reason();
        self.order_is_kept();
        let seen = self.seen();
        let cut: usize = [Reason::CutShort, Reason::StoredTwice, Reason::AckLost]
            .iter()
            .filter_map(|one| seen.reasons.get(one))
            .sum();
        let most = REPEATED_MAX * (seen.crashes + seen.sessions_lost);
        self.expect("duplicates are bounded", cut <= most, || format!("{seen:?}"));
        println!("seed {}: {seen:?}", self.world.seed.0);
        seen
    }

    fn request(&self, number: usize) -> &Request {
        &self.chats.requests[number]
    }

    /// No robot gets more messages than its platform allows in any window, by arrival times alone.
    pub fn no_window_is_exceeded(&self) {
        let mut arrivals = vec![Vec::new(); self.chats.chats.len()];
        for request in &self.chats.requests {
            let fine = request.outcome != Outcome::TooFast;
            self.expect("never refused for our own speed", fine, || format!("{request:?}"));
            if request.counts() {
                arrivals[request.chat].push(request.arrived_at.unwrap());
            }
        }
        for (chat, mut arrivals) in arrivals.into_iter().enumerate() {
            arrivals.sort_unstable();
            for limit in limits(self.chats.chats[chat].platform) {
                for window in arrivals.windows(limit.most + 1) {
                    let (first, last) = (window[0], window[limit.most]);
                    self.expect("no window is exceeded", last - first >= limit.span, || {
                        format!(
                            "robot {chat}: {} messages within {} µs until {last}",
                            limit.most + 1,
                            last - first
                        )
                    });
                }
            }
        }
    }

    /// Every event ends for each of its robots as one of: delivered, waiting, a dead letter with
    /// its reason.
    pub fn nothing_is_lost_or_invented(&self) {
        let waiting: HashSet<_> = self.broker.waiting().collect();
        let letters: HashMap<(u32, Option<SubscriptionId>), DeadReason> = self
            .broker
            .letters
            .iter()
            .map(|letter| ((letter.event, letter.subscription), letter.reason))
            .collect();
        let mut known = HashSet::new();
        for event in &self.world.published {
            let number = event.number;
            if event.kind == Kind::Broken {
                let buried = letters.get(&(number, None)) == Some(&DeadReason::Undecodable);
                let fine = buried || waiting.contains(&(number, None));
                self.expect("nothing is lost", fine, || {
                    format!("event {number} cannot be read and is no dead letter")
                });
                continue;
            }
            for listed in self.world.directory.listeners(&event.published.routing_key) {
                known.insert((number, listed.robot));
                let delivered = self.accepted(number, listed.robot).next().is_some();
                let whole =
                    letters.get(&(number, None)).filter(|reason| **reason == DeadReason::Poison);
                let letter = letters.get(&(number, Some(listed.id))).or(whole);
                let waits = waiting.contains(&(number, None))
                    || waiting.contains(&(number, Some(listed.id)));
                self.expect("nothing is lost", delivered || waits || letter.is_some(), || {
                    format!("event {number} for robot {}", listed.robot)
                });
                assert!(!delivered || event.kind == Kind::Plain, "an unwelcome message was taken");
                if let (true, Some(reason)) = (delivered, letter) {
                    let told = self
                        .accepted(number, listed.robot)
                        .any(|one| self.request(one).is_answered());
                    let twice = self.broker.stored_unknown.contains(&(number, listed.id));
                    self.expect("what was delivered is not dead", !told || twice, || {
                        format!("event {number} for robot {}: {reason}", listed.robot)
                    });
                }
            }
        }
        for (delivery, requests) in &self.requests {
            let fine = known.contains(delivery);
            self.expect("nothing is invented", fine, || {
                format!("{delivery:?}: {:?}", self.request(requests[0]))
            });
        }
    }

    /// Every end has its receipt, with the true outcome, if receipts were requested. A crash may
    /// repeat a receipt.
    pub fn every_outcome_has_a_receipt(&self) -> usize {
        let mut told = 0;
        for event in &self.world.published {
            let number = event.number;
            let listed = self.world.directory.listeners(&event.published.routing_key);
            let ends = listed.map(|listed| {
                (Some(listed.id), self.accepted(number, listed.robot).next().is_some())
            });
            let ends: Vec<_> =
                if event.kind == Kind::Broken { vec![(None, false)] } else { ends.collect() };
            for (subscription, delivered) in ends {
                let name = (number, subscription);
                let endings = self.broker.receipts.get(&name).map_or(&[][..], Vec::as_slice);
                let excused = self.broker.receipts_refused.contains(&name);
                told += endings.len();
                self.expect("every end is told", !endings.is_empty() || excused, || {
                    format!("{name:?}")
                });
                let dead =
                    self.broker.letters.iter().any(|one| (one.event, one.subscription) == name);
                for ending in endings {
                    let true_of_it = match ending {
                        Told::Delivered => delivered,
                        Told::Dead { .. } => dead,
                        Told::Dropped => false,
                    };
                    self.expect("what is told is true", true_of_it, || {
                        format!("{name:?}: {ending:?}")
                    });
                }
            }
        }
        told
    }

    /// A delivery arrives twice only for one of four reasons. Its answer was lost. The process or
    /// session ended before the answer was recorded. Its next step was stored without a recorded
    /// confirm. The ack of an event without `message_id` was lost.
    pub fn duplicates_have_a_reason(&self) {
        for (delivery, first) in self.duplicates() {
            let reason = self.reason_of(delivery, first);
            self.expect("a duplicate has a reason", reason.is_some(), || {
                format!("{delivery:?}: {:?}", self.request(first))
            });
        }
    }

    /// Why the delivery of the request `first` arrived again.
    fn reason_of(&self, (event, robot): (u32, usize), first: usize) -> Option<Reason> {
        let Request { arrived_at, known_at, .. } = self.request(first);
        if known_at.is_some() && !self.request(first).is_answered() {
            return Some(Reason::AnswerLost);
        }
        let cut_short = self.world.disturbances.lock().unwrap().iter().any(|one| {
            *arrived_at <= Some(one.at)
                && known_at.is_none_or(|known| one.at < known + RECORDED_WITHIN)
        });
        if cut_short || known_at.is_none() {
            return Some(Reason::CutShort);
        }
        let topic = &self.events[&event].published.routing_key;
        let mut listed =
            self.world.directory.listeners(topic).filter(|listed| listed.robot == robot);
        let twice = listed.any(|listed| self.broker.stored_unknown.contains(&(event, listed.id)));
        // With a `message_id`, every stored copy is recognised.
        if twice && self.events[&event].published.message_id.is_none() {
            return Some(Reason::StoredTwice);
        }
        self.broker.acks_lost.contains(&event).then_some(Reason::AckLost)
    }

    /// Each pair of arrivals of one delivery, named by the first of the two.
    fn duplicates(&self) -> impl Iterator<Item = ((u32, usize), usize)> {
        self.requests.keys().flat_map(|delivery| {
            let accepted: Vec<_> = self.accepted(delivery.0, delivery.1).collect();
            accepted.into_iter().rev().skip(1).map(|first| (*delivery, first))
        })
    }

    /// Messages of one robot leave in the order of publication. Exceptions: further attempts,
    /// another priority, and the end of a process or session in between.
    pub fn order_is_kept(&self) {
        let disturbances = self.world.disturbances.lock().unwrap();
        let mut last = HashMap::<(usize, bool, bool), (u32, usize)>::new();
        for (number, request) in self.chats.requests.iter().enumerate() {
            // The order inside one digest does not matter.
            for name in &request.names.iter().copied().collect::<BTreeSet<_>>() {
                let event = self.events[name];
                let lived = |at: Micros| event.at <= at && at <= request.sent_at;
                if self.requests[&(*name, request.chat)].len() > 1
                    || disturbances.iter().any(|one| lived(one.at))
                {
                    continue;
                }
                let urgent = event.published.priority >= Some(5);
                let before = last
                    .entry((request.chat, urgent, event.urgent_exchange))
                    .or_insert((*name, number));
                self.expect("order is kept within a robot", before.0 <= *name, || {
                    format!(
                        "event {name} left after {}: {:?}, {request:?}",
                        before.0,
                        self.request(before.1)
                    )
                });
                if before.0 <= *name {
                    *before = (*name, number);
                }
            }
        }
    }

    /// A robot that refuses once for speed, or three times in a row for its security setting, gets
    /// one message at a time until it accepts one.
    pub fn probes_go_alone(&self) {
        for chat in 0..self.chats.chats.len() {
            let mut moves = Vec::new();
            for (number, request) in
                self.chats.requests.iter().enumerate().filter(|(_, one)| one.chat == chat)
            {
                moves.push((request.sent_at, 1, number));
                moves.extend(request.known_at.map(|known| (known, 0, number)));
            }
            moves.sort_unstable();
            let (mut held, mut probing, mut strikes) = (false, None, 0);
            for (at, what, number) in moves {
                let request = self.request(number);
                match what {
                    1 if held => {
                        self.expect("probes go alone", probing.is_none(), || {
                            format!("at {at}: {request:?}")
                        });
                        probing = Some(number);
                    }
                    1 => (),
                    _ => {
                        strikes = if request.outcome == Outcome::Ill { strikes + 1 } else { 0 };
                        held |= request.outcome == Outcome::Closed || strikes >= 3;
                        if probing == Some(number) {
                            held =
                                !matches!(request.outcome, Outcome::Accepted | Outcome::Unwelcome);
                            probing = None;
                        }
                    }
                }
            }
        }
    }

    /// The refused messages in each period in which another sender had used up a robot's quota.
    pub fn refused_while_closed(&self) -> Vec<usize> {
        let count = |chat: usize, (from, to): (Micros, Micros)| {
            let refused = self
                .chats
                .requests
                .iter()
                .filter(|one| one.chat == chat && one.outcome == Outcome::Closed);
            refused.filter(|one| (from..to).contains(&one.arrived_at.unwrap())).count()
        };
        let chats = self.chats.chats.iter().enumerate();
        chats
            .flat_map(|(chat, one)| one.closed.iter().map(move |closed| count(chat, *closed)))
            .collect()
    }

    /// The number of requests for an event at a robot.
    pub fn attempts(&self, event: u32, robot: usize) -> usize {
        self.requests.get(&(event, robot)).map_or(0, Vec::len)
    }

    /// The number of requests of a robot with this outcome.
    pub fn count(&self, robot: usize, outcome: Outcome) -> usize {
        self.chats.requests.iter().filter(|one| one.chat == robot && one.outcome == outcome).count()
    }

    /// The number of requests with this outcome that were sent from this time on.
    pub fn sent_with(&self, outcome: Outcome, from: Micros) -> usize {
        let sent = |one: &&Request| one.outcome == outcome && one.sent_at >= from;
        self.chats.requests.iter().filter(sent).count()
    }

    /// The events of each message that a robot accepted, in the order of their start.
    pub fn messages(&self, robot: usize) -> Vec<&[u32]> {
        let requests = self
            .chats
            .requests
            .iter()
            .filter(|one| one.chat == robot && one.outcome == Outcome::Accepted);
        requests.map(|one| one.names.as_slice()).collect()
    }

    /// The times at which a robot accepted messages.
    pub fn arrivals(&self, robot: usize) -> Vec<Micros> {
        let requests = self
            .chats
            .requests
            .iter()
            .filter(|one| one.chat == robot && one.outcome == Outcome::Accepted);
        let mut arrivals: Vec<_> = requests.filter_map(|one| one.arrived_at).collect();
        arrivals.sort_unstable();
        arrivals
    }

    /// The time from publication to first arrival, for each delivery of a robot.
    pub fn latencies(&self, robot: usize) -> Vec<Micros> {
        let deliveries = self.requests.keys().filter(|(_, one)| *one == robot);
        let first = |event: u32| {
            self.accepted(event, robot).filter_map(|one| self.request(one).arrived_at).min()
        };
        deliveries
            .filter_map(|(event, _)| Some(first(*event)?.saturating_sub(self.events[event].at)))
            .collect()
    }

    /// How often a delivery went through a tier, on average over all deliveries.
    pub fn returns_per_delivery(&self) -> f64 {
        let seen = self.seen();
        seen.returns as f64 / seen.deliveries as f64
    }

    pub fn letters(&self, reason: DeadReason) -> Vec<(u32, Micros)> {
        let letters = self.broker.letters.iter().filter(|letter| letter.reason == reason);
        letters.map(|letter| (letter.event, letter.at)).collect()
    }

    pub fn event(&self, number: u32) -> &Publication {
        self.events[&number]
    }

    fn accepted(&self, event: u32, robot: usize) -> impl Iterator<Item = usize> {
        let requests = self.requests.get(&(event, robot)).into_iter().flatten().copied();
        requests.filter(|number| self.request(*number).outcome == Outcome::Accepted)
    }

    pub fn seen(&self) -> Seen {
        let events = self.world.published.iter().filter(|event| event.kind != Kind::Broken);
        let heard = events
            .map(|event| self.world.directory.listeners(&event.published.routing_key).count());
        let delivered = self
            .requests
            .keys()
            .filter(|(event, robot)| self.accepted(*event, *robot).next().is_some());
        let ends = self.world.disturbances.lock().unwrap().clone();
        let mut reasons = BTreeMap::new();
        for reason in
            self.duplicates().filter_map(|(delivery, first)| self.reason_of(delivery, first))
        {
            *reasons.entry(reason).or_default() += 1;
        }
        Seen {
            deliveries: heard.sum(),
            delivered: delivered.count(),
            waiting: self.broker.waiting().count(),
            returns: self.broker.returns.values().sum::<u32>() as usize,
            duplicates: self.duplicates().count(),
            reasons,
            letters: self.broker.letters.len(),
            crashes: ends.iter().filter(|one| one.what == Ending::Crash).count(),
            sessions_lost: ends.iter().filter(|one| one.what == Ending::Session).count(),
            closed: self.chats.requests.iter().filter(|one| one.outcome == Outcome::Closed).count(),
        }
    }
}
