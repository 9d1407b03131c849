//! The double of the broker: queues, delay tiers, dead letters, unacknowledged messages.
//!
//! Owns what survives every process on the broker's side. It is passive: each call first applies
//! everything that is due.
//!
//! Not here: confirms and the end of a session (`session.rs`).

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    time::Duration,
};

use roomcast::{
    broker::{Argument, Message, Payload, StoredDelivery, Topology},
    domain::{
        DeadReason, Delivery, DeliveryOutcome, DeliveryReceipt, Platform, PublishedMessage,
        SubscriptionId, Timestamp, WaitReason,
    },
    settle::{AckTag, NextStep},
};

use crate::{
    dice::trace,
    time::{MILLI, Micros, moment},
    traffic::{Publication, names_in},
};

/// The most unacknowledged messages of each consumed queue.
#[derive(Clone, Copy)]
pub struct Prefetch {
    pub events: usize,
    pub deliveries: usize,
}

/// Answers are recorded and acknowledged within this time. A crash before that may repeat their
/// deliveries.
pub const RECORDED_WITHIN: Micros = 100 * MILLI;
/// The time until an ack takes effect.
const ACK_TAKES: Micros = MILLI;

/// The content of a message in a queue.
#[derive(Clone, Debug)]
enum Cargo {
    Event { published: PublishedMessage, urgent: bool },
    Delivery(StoredDelivery),
}

#[derive(Clone, Debug)]
struct Stored {
    cargo: Cargo,
    returned: u32,
}

struct Tier {
    ttl: Micros,
    waiting: VecDeque<(Micros, Platform, Stored)>,
}

#[derive(Default)]
struct Channel {
    ready: VecDeque<Stored>,
    tag: u64,
    /// Each with a flag: its ack is on the way.
    unacked: BTreeMap<u64, (Stored, bool)>,
}

/// A dead letter: one delivery, or one event that could not be read.
#[derive(Debug)]
pub struct Letter {
    pub event: u32,
    pub subscription: Option<SubscriptionId>,
    pub reason: DeadReason,
    pub at: Micros,
}

pub struct Broker {
    topology: Topology,
    prefetch: Prefetch,
    /// In the order of [`places`]: each is a queue and the channel that consumes it.
    channels: Vec<Channel>,
    tiers: Vec<Tier>,
    /// The tier of each routing key.
    routes: HashMap<String, usize>,
    publications: VecDeque<Publication>,
    acks: VecDeque<(Micros, usize, u64)>,
    session: u64,
    turn: usize,
    pub letters: Vec<Letter>,
    /// How often each delivery was stored in a tier.
    pub returns: HashMap<(u32, SubscriptionId), u32>,
    /// Why deliveries were stored in a tier, in their order.
    pub waits: Vec<Option<WaitReason>>,
    /// Deliveries whose next step was stored, while the sender got no confirm, or died before it
    /// recorded the confirm.
    pub stored_unknown: HashSet<(u32, SubscriptionId)>,
    /// Events without a `message_id` whose ack was sent and lost. They cannot be recognised when
    /// they return.
    pub acks_lost: HashSet<u32>,
    /// Deliveries whose next step was stored recently, and the time of the confirm.
    pub told: VecDeque<(Micros, (u32, SubscriptionId))>,
    pub unacked_most: usize,
    /// The receipts of each delivery, and of each event that could not be read.
    pub receipts: HashMap<(u32, Option<SubscriptionId>), Vec<DeliveryOutcome>>,
    /// Those of which a receipt was refused. Such a receipt is not sent again.
    pub receipts_refused: HashSet<(u32, Option<SubscriptionId>)>,
}

/// The index of a platform's delivery queue. Index 0 is the urgent queue, the last one is the
/// publish queue.
fn place_of(platform: Platform) -> usize {
    1 + Platform::ALL.into_iter().position(|one| one == platform).unwrap()
}

const URGENT: usize = 0;
const PUBLISH: usize = Platform::COUNT + 1;

impl Stored {
    fn event(&self) -> u32 {
        match &self.cargo {
            Cargo::Event { published, .. } => names_in(&published.body)[0],
            Cargo::Delivery(travelling) => names_in(&travelling.published.body)[0],
        }
    }

    /// Whether it is an event without a `message_id`. A delivery always has one.
    fn has_no_name(&self) -> bool {
        matches!(&self.cargo, Cargo::Event { published, .. } if published.message_id.is_none())
    }
}

impl Broker {
    /// A broker with the queues of this topology.
    pub fn new(topology: Topology, prefetch: Prefetch) -> Self {
        Self {
            topology,
            prefetch,
            channels: (0..=PUBLISH).map(|_| Channel::default()).collect(),
            tiers: Vec::new(),
            routes: HashMap::new(),
            publications: VecDeque::new(),
            acks: VecDeque::new(),
            session: 0,
            turn: 0,
            letters: Vec::new(),
            returns: HashMap::new(),
            waits: Vec::new(),
            stored_unknown: HashSet::new(),
            acks_lost: HashSet::new(),
            told: VecDeque::new(),
            unacked_most: 0,
            receipts: HashMap::new(),
            receipts_refused: HashSet::new(),
        }
    }

    /// Plans these publications, each at its time.
    pub fn publish(&mut self, publications: impl IntoIterator<Item = Publication>) {
        self.publications.extend(publications);
        self.publications.make_contiguous().sort_by_key(|one| one.at);
    }

    /// Applies everything that is due by `now`.
    pub fn settle(&mut self, now: Micros) {
        while self.publications.front().is_some_and(|next| next.at <= now) {
            let Publication { published, urgent_exchange: urgent, .. } =
                self.publications.pop_front().unwrap();
            let place = if urgent { URGENT } else { PUBLISH };
            self.channels[place]
                .ready
                .push_back(Stored { cargo: Cargo::Event { published, urgent }, returned: 0 });
        }
        // Within a tier in order; between tiers by the time of expiry.
        while let Some(tier) =
            self.tiers.iter_mut().filter(|tier| tier.due() <= now).min_by_key(|tier| tier.due())
        {
            let (_, platform, stored) = tier.waiting.pop_front().unwrap();
            self.channels[place_of(platform)].ready.push_back(stored);
        }
        while self.acks.front().is_some_and(|(due, ..)| *due <= now) {
            let (_, place, tag) = self.acks.pop_front().unwrap();
            self.channels[place].unacked.remove(&tag);
        }
    }

    /// When something is due next.
    pub fn due(&self) -> Micros {
        let tiers = self.tiers.iter().map(Tier::due);
        let others = [
            self.publications.front().map(|next| next.at),
            self.acks.front().map(|(due, ..)| *due),
        ];
        tiers.chain(others.into_iter().flatten()).min().unwrap_or(Micros::MAX)
    }

    /// Whether all queues except the dead queues are empty.
    pub fn is_empty(&self) -> bool {
        self.publications.is_empty()
            && self
                .channels
                .iter()
                .all(|channel| channel.ready.is_empty() && channel.unacked.is_empty())
            && self.tiers.iter().all(|tier| tier.waiting.is_empty())
    }

    /// The unsettled messages, in flight or in a queue: the event's number, and the subscription of
    /// a stored delivery.
    pub fn waiting(&self) -> impl Iterator<Item = (u32, Option<SubscriptionId>)> {
        let queued = self.channels.iter().flat_map(|channel| {
            channel.ready.iter().chain(channel.unacked.values().map(|(stored, _)| stored))
        });
        let delayed =
            self.tiers.iter().flat_map(|tier| tier.waiting.iter().map(|(.., stored)| stored));
        queued.chain(delayed).map(|stored| match &stored.cargo {
            Cargo::Event { .. } => (stored.event(), None),
            Cargo::Delivery(travelling) => (stored.event(), Some(travelling.subscription)),
        })
    }

    pub fn unacked(&self) -> usize {
        self.channels.iter().map(|channel| channel.unacked.len()).sum()
    }

    /// Opens a session, which consumes every queue from its head.
    pub fn open_session(&mut self) -> u64 {
        self.session += 1;
        self.channels.iter_mut().for_each(|channel| channel.tag = 0);
        self.session
    }

    /// The number of the newest session.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// Closes the connections of the session. Unacknowledged messages return to the heads of their
    /// queues, in order. Acks on the way arrive or not.
    pub fn end_session(&mut self, acks_arrive: bool) {
        if acks_arrive {
            self.settle_acks();
        }
        self.acks.clear();
        for channel in &mut self.channels {
            while let Some((_, (mut stored, acked))) = channel.unacked.pop_last() {
                if acked && stored.has_no_name() {
                    self.acks_lost.insert(stored.event());
                }
                stored.returned += 1;
                channel.ready.push_front(stored);
            }
        }
    }

    /// The process dies. Its last confirms were not recorded.
    pub fn crash(&mut self, now: Micros, acks_arrive: bool) {
        let last = std::mem::take(&mut self.told)
            .into_iter()
            .filter(|(at, _)| at + RECORDED_WITHIN >= now);
        self.stored_unknown.extend(last.map(|(_, name)| name));
        self.end_session(acks_arrive);
    }

    fn settle_acks(&mut self) {
        for (_, place, tag) in std::mem::take(&mut self.acks) {
            self.channels[place].unacked.remove(&tag);
        }
    }

    /// Delivers the next message: urgent ones first, then from each queue by turns.
    pub fn take(&mut self, now: Micros) -> Option<Message> {
        self.settle(now);
        let others = (0..PUBLISH).map(|step| URGENT + 1 + (self.turn + step) % PUBLISH);
        let place = std::iter::once(URGENT).chain(others).find(|place| {
            let channel = &self.channels[*place];
            let events = matches!(*place, URGENT | PUBLISH);
            let prefetch = if events { self.prefetch.events } else { self.prefetch.deliveries };
            !channel.ready.is_empty() && channel.unacked.len() < prefetch
        })?;
        if place != URGENT {
            self.turn = place % PUBLISH;
        }
        let (session, channel) = (self.session, &mut self.channels[place]);
        let stored = channel.ready.pop_front().unwrap();
        channel.tag += 1;
        let ack_tag = AckTag { session, channel: place, tag: channel.tag };
        let payload = match stored.cargo.clone() {
            Cargo::Event { published, urgent } => {
                Payload::Event { published, urgent, generation: 0 }
            }
            Cargo::Delivery(travelling) => Payload::Delivery(Box::new(travelling)),
        };
        let redelivered = stored.returned > 0;
        trace(stored.event(), now, || {
            format!("is handed over: {ack_tag:?}, redelivered {redelivered}")
        });
        channel.unacked.insert(ack_tag.tag, (stored, false));
        self.unacked_most = self.unacked_most.max(self.unacked());
        Some(Message { ack_tag, redelivered, payload })
    }

    /// Accepts acks, which take effect a moment later.
    pub fn ack(&mut self, ack_tags: &[AckTag], now: Micros) {
        for ack_tag in ack_tags {
            assert_eq!(ack_tag.session, self.session, "an ack of another session");
            let unacked = self.channels[ack_tag.channel].unacked.get_mut(&ack_tag.tag);
            let again = unacked.is_none_or(|(_, acked)| std::mem::replace(acked, true));
            assert!(!again, "acked twice: {ack_tag:?}");
            let event = self.channels[ack_tag.channel].unacked[&ack_tag.tag].0.event();
            trace(event, now, || format!("is acked: {ack_tag:?}"));
            self.acks.push_back((now + ACK_TAKES, ack_tag.channel, ack_tag.tag));
        }
    }

    /// Stores a next step.
    pub fn store(&mut self, step: &NextStep, now: Micros) {
        match step {
            NextStep::Defer { delivery, until } => {
                let wait = until.wait(moment(now));
                let length = self.topology.tier_for(wait, delivery.slot);
                let key = Topology::delay_key(length, delivery.platform);
                let left = wait.saturating_sub(length);
                let tier = self.tier(key);
                let due = now + self.tiers[tier].ttl;
                let (event, subscription) = name_of(delivery);
                trace(event, now, || {
                    format!(
                        "for {subscription} waits for {until:?} in a tier until {due}: {delivery:?}"
                    )
                });
                *self.returns.entry(name_of(delivery)).or_default() += 1;
                self.waits.push(delivery.wait_reason);
                let stored = Stored {
                    cargo: Cargo::Delivery(travelling(delivery, until.at, left)),
                    returned: 0,
                };
                self.tiers[tier].waiting.push_back((due, delivery.platform, stored));
            }
            NextStep::DeadDelivery { delivery, reason, .. } => {
                let (event, subscription) = name_of(delivery);
                self.letters.push(Letter {
                    event,
                    subscription: Some(subscription),
                    reason: *reason,
                    at: now,
                });
            }
            NextStep::DeadEvent { published, reason, .. } => {
                let event = names_in(&published.body)[0];
                self.letters.push(Letter { event, subscription: None, reason: *reason, at: now });
            }
            NextStep::Receipt(receipt) => {
                let (event, subscription) = name_of_receipt(receipt);
                let dead = matches!(receipt.ending, DeliveryOutcome::Dead { .. });
                let stored = |letter: &Letter| (letter.event, letter.subscription);
                let letter = self.letters.iter().any(|one| stored(one) == (event, subscription));
                assert!(letter || !dead, "a receipt tells of a letter that is not stored yet");
                self.receipts
                    .entry((event, subscription))
                    .or_default()
                    .push(receipt.ending.clone());
            }
        }
    }

    /// The tier for this key, by the topology's own bindings.
    fn tier(&mut self, key: String) -> usize {
        if let Some(tier) = self.routes.get(&key) {
            return *tier;
        }
        let exchange = self.topology.delay();
        let binding = self.topology.bindings().into_iter().find(|binding| {
            let (pattern, words) = (binding.key.split('.'), key.split('.'));
            binding.exchange == exchange
                && pattern.clone().count() == words.clone().count()
                && pattern.zip(words).all(|(wanted, word)| wanted == "*" || wanted == word)
        });
        let binding = binding.unwrap_or_else(|| panic!("{key} is not routed to any tier"));
        let plan =
            self.topology.queues().into_iter().find(|queue| queue.name == binding.queue).unwrap();
        let ttl = plan.arguments.iter().find_map(|(name, value)| match (*name, value) {
            ("x-message-ttl", Argument::Int(millis)) => {
                Some(u64::try_from(*millis).unwrap() * MILLI)
            }
            _ => None,
        });
        let ttl = ttl.unwrap_or_else(|| panic!("{} has no time to live", plan.name));
        let known = self.tiers.iter().position(|tier| tier.ttl == ttl);
        let tier = known.unwrap_or_else(|| {
            self.tiers.push(Tier { ttl, waiting: VecDeque::new() });
            self.tiers.len() - 1
        });
        self.routes.insert(key, tier);
        tier
    }
}

impl Tier {
    fn due(&self) -> Micros {
        self.waiting.front().map_or(Micros::MAX, |(due, ..)| *due)
    }
}

/// The event's number and the subscription.
pub fn name_of(delivery: &Delivery) -> (u32, SubscriptionId) {
    (names_in(&delivery.event.published.body)[0], delivery.subscription)
}

/// The same for a receipt. An event that could not be read has no subscription.
pub fn name_of_receipt(receipt: &DeliveryReceipt) -> (u32, Option<SubscriptionId>) {
    let number = receipt.correlation_id.as_deref().expect("every publisher sets it");
    (number.parse().unwrap(), receipt.subscription)
}

/// The stored form of a delivery: the content of the real message's headers, and the event's own
/// message.
fn travelling(delivery: &Delivery, until: Timestamp, left: Duration) -> StoredDelivery {
    let mut published = delivery.event.published.clone();
    published.routing_key = delivery.event.topic.as_str().to_owned();
    published.message_id = Some(delivery.event.id.as_str().to_owned());
    StoredDelivery {
        published,
        event: delivery.event.id.clone(),
        subscription: delivery.subscription,
        platform: delivery.platform,
        robot: Some(delivery.robot),
        attempts: delivery.attempts,
        hops: delivery.hops,
        slot: delivery.slot,
        wait_reason: delivery.wait_reason,
        generation: delivery.generation,
        part: delivery.part,
        degradation: delivery.degradation,
        first_attempt_at: delivery.first_attempt_at,
        due_at: Some(until),
        left: Some(left),
        received_at: Some(delivery.event.received_at),
        expires_at: Some(delivery.event.expires_at),
        urgent: delivery.event.urgent,
    }
}
