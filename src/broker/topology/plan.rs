//! The exchanges, queues and bindings with their arguments. Pure.
//!
//! Owns these arguments. They are public: RabbitMQ refuses to declare an existing queue with
//! different arguments, so a later version can only add items.
//!
//! Not here: the names (`topology.rs`), declaring the plan (`declare.rs`).

use std::time::Duration;

use serde_json::{Value, json};

use super::{Topology, tier_name};
use crate::domain::{DeadReason, Platform};

/// The delivery limit of dead queues. A walk returns every letter, and each return counts, so the
/// limit must be out of reach.
const DEAD_DELIVERY_LIMIT: i64 = 1_000_000_000;

/// An argument of an exchange or queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A text.
    Text(String),
    /// An integer.
    Int(i64),
}

/// An exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangePlan {
    /// Its name.
    pub name: String,
    /// `topic` or `fanout`.
    pub kind: &'static str,
    /// Its arguments.
    pub arguments: Vec<(&'static str, Argument)>,
}

/// A durable quorum queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuePlan {
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<(&'static str, Argument)>,
}

/// A binding of a queue to an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingPlan {
    /// The exchange.
    pub exchange: String,
    /// The queue.
    pub queue: String,
    /// The routing key, or its pattern.
    pub key: String,
}

impl Topology {
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
        let mut queues = vec![
            self.consumed(self.publish(), &poison_event),
            self.consumed(self.urgent(), &poison_event),
        ];
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
        let bind = |exchange: String, queue: String, key: &str| BindingPlan {
            exchange,
            queue,
            key: key.to_owned(),
        };
        let mut bindings = vec![
            bind(self.publish(), self.publish(), "#"),
            bind(self.urgent(), self.urgent(), "#"),
            bind(self.unrouted(), self.unrouted(), ""),
            bind(self.dead(), self.dead_event_queue(), "event.*"),
        ];
        for platform in Platform::ALL {
            bindings.push(bind(
                self.delivery(),
                self.delivery_queue(platform),
                &format!("*.{platform}"),
            ));
            bindings.push(bind(self.dead(), self.dead_queue(platform), &format!("{platform}.*")));
        }
        for tier in &self.settings.tiers {
            let name = tier_name(*tier);
            bindings.push(bind(
                self.delay(),
                self.name(&format!("delay.{name}")),
                &format!("{name}.*"),
            ));
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
            .map(|e| {
                json!({
                    "name": e.name, "vhost": vhost, "type": e.kind, "durable": true,
                    "auto_delete": false, "internal": false, "arguments": table(&e.arguments)
                })
            })
            .collect();
        let queues: Vec<_> = self
            .queues()
            .iter()
            .map(|q| {
                json!({
                    "name": q.name, "vhost": vhost, "durable": true, "auto_delete": false,
                    "arguments": table(&q.arguments)
                })
            })
            .collect();
        let bindings: Vec<_> = self
            .bindings()
            .iter()
            .map(|b| {
                json!({
                    "source": b.exchange, "vhost": vhost, "destination": b.queue,
                    "destination_type": "queue", "routing_key": b.key, "arguments": {}
                })
            })
            .collect();
        json!({"exchanges": exchanges, "queues": queues, "bindings": bindings})
    }

    /// A queue that the daemon consumes. The broker's delivery limit is the safety net against a
    /// message that crashes the daemon.
    fn consumed(&self, name: String, poison_key: &str) -> QueuePlan {
        let mut arguments = vec![
            quorum(),
            ("x-delivery-limit", Argument::Int(self.settings.delivery_limit.into())),
        ];
        arguments.extend(dead_lettering(self.dead()));
        arguments.push(("x-dead-letter-routing-key", Argument::Text(poison_key.to_owned())));
        QueuePlan { name, arguments }
    }

    /// A delay tier. An expired message goes to the delivery exchange with its original routing
    /// key.
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

/// Dead-lettering that waits for the confirm of the target queue. It needs both keys: without
/// `reject-publish` the broker silently uses at-most-once, which loses messages when it is killed.
fn dead_lettering(exchange: String) -> [(&'static str, Argument); 3] {
    [
        ("x-dead-letter-exchange", Argument::Text(exchange)),
        ("x-dead-letter-strategy", Argument::Text("at-least-once".to_owned())),
        ("x-overflow", Argument::Text("reject-publish".to_owned())),
    ]
}

/// A queue without a permanent consumer.
fn kept(name: String) -> QueuePlan {
    QueuePlan {
        name,
        arguments: vec![quorum(), ("x-delivery-limit", Argument::Int(DEAD_DELIVERY_LIMIT))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::topology::{TopologySettings, tests::topology};

    #[test]
    fn a_topology_without_receipts_is_the_same_as_before_receipts_existed() {
        let without = topology();
        let with = Topology::new(TopologySettings { receipts: true, ..without.settings.clone() });
        assert!(without.exchanges().iter().all(|exchange| exchange.name != "roomcast.outcome"));
        let more: Vec<_> =
            with.exchanges().into_iter().filter(|one| !without.exchanges().contains(one)).collect();
        assert_eq!(
            more,
            [ExchangePlan { name: "roomcast.outcome".into(), kind: "topic", arguments: vec![] }]
        );
        assert_eq!((with.queues(), with.bindings()), (without.queues(), without.bindings()));
    }

    #[test]
    fn every_queue_is_a_quorum_queue_and_every_one_that_dead_letters_does_so_at_least_once() {
        for queue in topology().queues() {
            let argument = |key| {
                queue.arguments.iter().find(|(k, _)| *k == key).map(|(_, value)| value.clone())
            };
            let text = |text: &str| Some(Argument::Text(text.into()));
            assert_eq!(argument("x-queue-type"), text("quorum"), "{}", queue.name);
            if argument("x-dead-letter-exchange").is_some() {
                assert_eq!(
                    argument("x-dead-letter-strategy"),
                    text("at-least-once"),
                    "{}",
                    queue.name
                );
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
            assert!(
                topology.bindings().iter().any(|b| b.queue == queue.name),
                "{} is unbound",
                queue.name
            );
        }
    }
}
