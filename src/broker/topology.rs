//! The plan of exchanges, queues and bindings. Pure: it names everything once and talks to nobody.
//!
//! Arguments are part of the public interface: RabbitMQ refuses a queue that exists with others, so what is written here
//! can only ever be added to by version.

use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::{DeadReason, DeliveryReceipt, Moment, Platform};

/// What the plan depends on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The prefix of every name; 1–64 of `A-Z a-z 0-9 - _ .`.
    pub prefix: String,
    /// The delay tiers, ascending.
    pub tiers: Vec<Duration>,
    /// After how many redeliveries without an outcome the broker itself gives a message up as poison; positive.
    pub delivery_limit: u32,
    /// Whether there are delivery receipts, and so an exchange for them.
    pub receipts: bool,
}

/// Looking at a dead letter returns it to its queue, and returns count towards the limit, so this one is out of reach.
const DEAD_DELIVERY_LIMIT: i64 = 1_000_000_000;

/// The way back from a tier, through the broker into a lane, is given this long.
const BACK_BEFORE_SLOT: Duration = Duration::from_millis(500);

/// An argument of an exchange or queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
}

/// One exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangePlan {
    /// Its name.
    pub name: String,
    /// `topic` or `fanout`.
    pub kind: &'static str,
    /// Its arguments.
    pub arguments: Vec<(&'static str, Argument)>,
}

/// One queue; every one is durable and of the quorum type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuePlan {
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<(&'static str, Argument)>,
}

/// One binding of a queue to an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingPlan {
    /// From this exchange.
    pub exchange: String,
    /// To this queue.
    pub queue: String,
    /// For messages with such a routing key.
    pub key: String,
}

/// Every name the daemon uses on the broker, and the plan to make them.
#[derive(Clone, Debug)]
pub struct Topology {
    settings: Settings,
}

impl Topology {
    /// The topology under these settings.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    fn name(&self, rest: &str) -> String {
        format!("{}.{rest}", self.settings.prefix)
    }

    /// A name without the prefix.
    #[must_use]
    pub fn without_prefix<'a>(&self, name: &'a str) -> &'a str {
        name.strip_prefix(&self.settings.prefix).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name)
    }

    /// Where publishers publish, with the topic as routing key; also the name of its queue.
    #[must_use]
    pub fn publish(&self) -> String {
        self.name("publish")
    }

    /// Where urgent events are published; also the name of its queue.
    #[must_use]
    pub fn urgent(&self) -> String {
        self.name("publish.urgent")
    }

    /// Through which deliveries come back to be tried.
    #[must_use]
    pub fn delivery(&self) -> String {
        self.name("delivery")
    }

    /// The queue of the deliveries for one platform.
    #[must_use]
    pub fn delivery_queue(&self, platform: Platform) -> String {
        self.name(&format!("delivery.{platform}"))
    }

    /// Where deliveries wait.
    #[must_use]
    pub fn delay(&self) -> String {
        self.name("delay")
    }

    /// Where what was given up ends.
    #[must_use]
    pub fn dead(&self) -> String {
        self.name("dead")
    }

    /// The queue of the dead letters of one platform.
    #[must_use]
    pub fn dead_queue(&self, platform: Platform) -> String {
        self.name(&format!("dead.{platform}"))
    }

    /// The queue of the events that could not be read.
    #[must_use]
    pub fn dead_event_queue(&self) -> String {
        self.name("dead.event")
    }

    /// Whether there are delivery receipts.
    #[must_use]
    pub const fn has_receipts(&self) -> bool {
        self.settings.receipts
    }

    /// Where delivery receipts are published, for whoever binds a queue.
    #[must_use]
    pub fn outcome(&self) -> String {
        self.name("outcome")
    }

    /// The exclusive queue that keeps a second daemon away.
    #[must_use]
    pub fn lock_queue(&self) -> String {
        self.name("lock")
    }

    /// The exclusive queue of whoever goes through a dead queue, so that nobody else does at the same time.
    #[must_use]
    pub fn dead_lock_queue(&self) -> String {
        self.name("dead.lock")
    }

    /// Where a message goes that an exchange for publishers could not route; also the name of its queue.
    #[must_use]
    pub fn unrouted(&self) -> String {
        self.name("unrouted")
    }

    /// The routing key of a delivery that waits `wait`: the longest tier that does not overshoot, or the shortest
    /// there is. One with a slot is to be back half a second before: who comes when its slot does finds that others have left.
    #[must_use]
    pub fn delay_key(&self, wait: Duration, slot: Option<Moment>, platform: Platform) -> String {
        let wait = slot.map_or(wait, |_| wait.saturating_sub(BACK_BEFORE_SLOT));
        let fits = self.settings.tiers.iter().rev().find(|tier| **tier <= wait);
        let tier = fits.or_else(|| self.settings.tiers.first()).copied().unwrap_or_default();
        format!("{}.{platform}", tier_name(tier))
    }

    /// The routing key of a delivery that is redriven at once.
    #[must_use]
    pub fn redrive_key(platform: Platform) -> String {
        format!("redrive.{platform}")
    }

    /// The routing key of a dead delivery.
    #[must_use]
    pub fn dead_key(platform: Platform, reason: DeadReason) -> String {
        format!("{platform}.{reason}")
    }

    /// The routing key of a dead event.
    #[must_use]
    pub fn dead_event_key(reason: DeadReason) -> String {
        format!("event.{reason}")
    }

    /// The routing key of a delivery receipt: platform (or `event`, of one that could not be read), outcome, topic. The topic comes last as it may have
    /// dots; what is beyond the 255 bytes of a routing key is cut off.
    #[must_use]
    pub fn outcome_key(receipt: &DeliveryReceipt) -> String {
        let platform = receipt.platform.map_or("event", Platform::as_str);
        format!("{platform}.{}.{}", receipt.ending.as_str(), receipt.topic)
    }

    /// Every exchange.
    #[must_use]
    pub fn exchanges(&self) -> Vec<ExchangePlan> {
        let unrouted = || vec![("alternate-exchange", Argument::Text(self.unrouted()))];
        let exchange = |name, kind, arguments| ExchangePlan { name, kind, arguments };
        let mut exchanges = vec![
            exchange(self.unrouted(), "fanout", vec![]),
            exchange(self.publish(), "topic", unrouted()),
            exchange(self.urgent(), "topic", unrouted()),
            exchange(self.delivery(), "topic", vec![]),
            exchange(self.delay(), "topic", vec![]),
            exchange(self.dead(), "topic", vec![]),
        ];
        if self.settings.receipts {
            exchanges.push(exchange(self.outcome(), "topic", vec![]));
        }
        exchanges
    }

    /// Every queue.
    #[must_use]
    pub fn queues(&self) -> Vec<QueuePlan> {
        let poison_event = Self::dead_event_key(DeadReason::Poison);
        let mut queues =
            vec![self.consumed(self.publish(), &poison_event), self.consumed(self.urgent(), &poison_event)];
        for platform in Platform::ALL {
            let poison = Self::dead_key(platform, DeadReason::Poison);
            queues.push(self.consumed(self.delivery_queue(platform), &poison));
            queues.push(kept(self.dead_queue(platform)));
        }
        queues.push(kept(self.dead_event_queue()));
        queues.push(kept(self.unrouted()));
        queues.extend(self.settings.tiers.iter().map(|tier| self.tier(*tier)));
        queues
    }

    /// Every binding.
    #[must_use]
    pub fn bindings(&self) -> Vec<BindingPlan> {
        let bind = |exchange: String, queue: String, key: &str| BindingPlan { exchange, queue, key: key.to_owned() };
        let mut bindings = vec![
            bind(self.publish(), self.publish(), "#"),
            bind(self.urgent(), self.urgent(), "#"),
            bind(self.unrouted(), self.unrouted(), ""),
            bind(self.dead(), self.dead_event_queue(), "event.*"),
        ];
        for platform in Platform::ALL {
            bindings.push(bind(self.delivery(), self.delivery_queue(platform), &format!("*.{platform}")));
            bindings.push(bind(self.dead(), self.dead_queue(platform), &format!("{platform}.*")));
        }
        for tier in &self.settings.tiers {
            let name = tier_name(*tier);
            bindings.push(bind(self.delay(), self.name(&format!("delay.{name}")), &format!("{name}.*")));
        }
        bindings
    }

    /// The plan as RabbitMQ definitions, for operators who import their topology.
    #[must_use]
    pub fn definitions(&self, vhost: &str) -> Value {
        let table = |arguments: &[(&'static str, Argument)]| -> Value {
            arguments
                .iter()
                .map(|(key, value)| {
                    let value = match value {
                        Argument::Text(text) => json!(text),
                        Argument::Int(number) => json!(number),
                    };
                    ((*key).to_owned(), value)
                })
                .collect()
        };
        let exchanges: Vec<_> = self
            .exchanges()
            .iter()
            .map(|e| json!({"name": e.name, "vhost": vhost, "type": e.kind, "durable": true, "auto_delete": false, "internal": false, "arguments": table(&e.arguments)}))
            .collect();
        let queues: Vec<_> = self
            .queues()
            .iter()
            .map(|q| json!({"name": q.name, "vhost": vhost, "durable": true, "auto_delete": false, "arguments": table(&q.arguments)}))
            .collect();
        let bindings: Vec<_> = self
            .bindings()
            .iter()
            .map(|b| json!({"source": b.exchange, "vhost": vhost, "destination": b.queue, "destination_type": "queue", "routing_key": b.key, "arguments": {}}))
            .collect();
        json!({"exchanges": exchanges, "queues": queues, "bindings": bindings})
    }

    /// A queue the daemon consumes: the broker's own dead-lettering is its safety net against messages that crash it.
    fn consumed(&self, name: String, poison_key: &str) -> QueuePlan {
        let mut arguments = vec![quorum(), ("x-delivery-limit", Argument::Int(self.settings.delivery_limit.into()))];
        arguments.extend(dead_lettering(self.dead()));
        arguments.push(("x-dead-letter-routing-key", Argument::Text(poison_key.to_owned())));
        QueuePlan { name, arguments }
    }

    /// A delay tier: what expires goes to the delivery exchange with the key it came with.
    fn tier(&self, tier: Duration) -> QueuePlan {
        let millis = i64::try_from(tier.as_millis()).unwrap_or(i64::MAX);
        let mut arguments = vec![quorum(), ("x-message-ttl", Argument::Int(millis))];
        arguments.extend(dead_lettering(self.delivery()));
        QueuePlan { name: self.name(&format!("delay.{}", tier_name(tier))), arguments }
    }
}

fn quorum() -> (&'static str, Argument) {
    ("x-queue-type", Argument::Text("quorum".to_owned()))
}

/// Dead-lettering that waits for the target's confirm. It needs both keys: without `reject-publish` the broker falls back
/// to at-most-once without a word, which was seen to lose messages when the broker is killed.
fn dead_lettering(exchange: String) -> [(&'static str, Argument); 3] {
    [
        ("x-dead-letter-exchange", Argument::Text(exchange)),
        ("x-dead-letter-strategy", Argument::Text("at-least-once".to_owned())),
        ("x-overflow", Argument::Text("reject-publish".to_owned())),
    ]
}

/// A queue nobody consumes for good.
fn kept(name: String) -> QueuePlan {
    QueuePlan { name, arguments: vec![quorum(), ("x-delivery-limit", Argument::Int(DEAD_DELIVERY_LIMIT))] }
}

/// The name of a tier in queue names and routing keys: whole hours, minutes or seconds, else milliseconds.
fn tier_name(tier: Duration) -> String {
    let millis = tier.as_millis();
    match millis {
        m if m % 3_600_000 == 0 => format!("{}h", m / 3_600_000),
        m if m % 60_000 == 0 => format!("{}m", m / 60_000),
        m if m % 1000 == 0 => format!("{}s", m / 1000),
        m => format!("{m}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology() -> Topology {
        Topology::new(Settings {
            prefix: "roomcast".into(),
            tiers: [1, 5, 60, 7200].map(Duration::from_secs).to_vec(),
            delivery_limit: 1000,
            receipts: false,
        })
    }

    #[test]
    fn a_topology_without_receipts_is_what_it_was_before_there_were_any() {
        let without = topology();
        let with = Topology::new(Settings { receipts: true, ..without.settings.clone() });
        assert!(without.exchanges().iter().all(|exchange| exchange.name != "roomcast.outcome"));
        let more: Vec<_> = with.exchanges().into_iter().filter(|one| !without.exchanges().contains(one)).collect();
        assert_eq!(more, [ExchangePlan { name: "roomcast.outcome".into(), kind: "topic", arguments: vec![] }]);
        assert_eq!((with.queues(), with.bindings()), (without.queues(), without.bindings()));
    }

    #[test]
    fn a_delay_goes_to_the_longest_tier_that_does_not_overshoot() {
        for (millis, key) in
            [(0, "1s"), (999, "1s"), (1000, "1s"), (4999, "1s"), (5000, "5s"), (61_000, "1m"), (90_000_000, "2h")]
        {
            let wait = Duration::from_millis(millis);
            assert_eq!(topology().delay_key(wait, None, Platform::Lark), format!("{key}.lark"));
        }
    }

    #[test]
    fn a_delivery_with_a_slot_is_back_before_it_comes() {
        for (millis, key) in [(0, "1s"), (5000, "1s"), (5499, "1s"), (5500, "5s"), (60_499, "5s"), (60_500, "1m")] {
            let (wait, slot) = (Duration::from_millis(millis), Some(Moment::default()));
            assert_eq!(topology().delay_key(wait, slot, Platform::Lark), format!("{key}.lark"));
        }
    }

    #[test]
    fn every_queue_is_a_quorum_queue_and_every_one_that_dead_letters_does_so_at_least_once() {
        for queue in topology().queues() {
            let argument = |key| queue.arguments.iter().find(|(k, _)| *k == key).map(|(_, value)| value.clone());
            let text = |text: &str| Some(Argument::Text(text.into()));
            assert_eq!(argument("x-queue-type"), text("quorum"), "{}", queue.name);
            if argument("x-dead-letter-exchange").is_some() {
                assert_eq!(argument("x-dead-letter-strategy"), text("at-least-once"), "{}", queue.name);
                assert_eq!(argument("x-overflow"), text("reject-publish"), "{}", queue.name);
            }
            if let Some(Argument::Int(limit)) = argument("x-delivery-limit") {
                assert!(limit > 0);
            }
        }
    }

    #[test]
    fn every_binding_joins_an_exchange_and_a_queue_of_the_plan() {
        let topology = topology();
        for binding in topology.bindings() {
            assert!(topology.exchanges().iter().any(|e| e.name == binding.exchange), "{binding:?}");
            assert!(topology.queues().iter().any(|q| q.name == binding.queue), "{binding:?}");
        }
        for queue in topology.queues() {
            assert!(topology.bindings().iter().any(|b| b.queue == queue.name), "{} is unbound", queue.name);
        }
    }
}
