//! The names on the broker: exchanges, queues, routing keys. Pure.
//!
//! Owns every such name, and the choice of the delay tier.
//!
//! Not here: the arguments of exchanges and queues (`topology/plan.rs`), declaring them
//! (`declare.rs`).

mod plan;

use std::time::Duration;

pub use self::plan::{Argument, BindingPlan, ExchangePlan, QueuePlan};
use crate::domain::{DeadReason, DeliveryReceipt, Platform, Timestamp};

/// The settings that determine the topology.
#[derive(Clone, Debug)]
pub struct TopologySettings {
    /// The prefix of every name; 1–64 of `A-Z a-z 0-9 - _ .`.
    pub prefix: String,
    /// The durations of the delay tiers, ascending.
    pub tiers: Vec<Duration>,
    /// The number of redeliveries after which the broker dead-letters a message as poison;
    /// positive.
    pub delivery_limit: u32,
    /// Whether delivery receipts are enabled, which need an exchange.
    pub receipts: bool,
}

/// The time for the way back from a tier, through the broker into the queue of a robot.
const BACK_BEFORE_SLOT: Duration = Duration::from_millis(500);

/// The names that the daemon uses on the broker, and the plan of the items behind them.
#[derive(Clone, Debug)]
pub struct Topology {
    settings: TopologySettings,
}

impl Topology {
    /// The topology for these settings.
    #[must_use]
    pub const fn new(settings: TopologySettings) -> Self {
        Self { settings }
    }

    fn name(&self, rest: &str) -> String {
        format!("{}.{rest}", self.settings.prefix)
    }

    /// A name without the prefix.
    #[must_use]
    pub fn without_prefix<'a>(&self, name: &'a str) -> &'a str {
        name.strip_prefix(&self.settings.prefix)
            .and_then(|rest| rest.strip_prefix('.'))
            .unwrap_or(name)
    }

    /// The exchange of normal events, whose routing key is the topic; also the name of its queue.
    #[must_use]
    pub fn publish(&self) -> String {
        self.name("publish")
    }

    /// The exchange of urgent events; also the name of its queue.
    #[must_use]
    pub fn urgent(&self) -> String {
        self.name("publish.urgent")
    }

    /// The exchange of deliveries that are due.
    #[must_use]
    pub fn delivery(&self) -> String {
        self.name("delivery")
    }

    /// The queue of the deliveries for one platform.
    #[must_use]
    pub fn delivery_queue(&self, platform: Platform) -> String {
        self.name(&format!("delivery.{platform}"))
    }

    /// Every queue that the daemon consumes.
    #[must_use]
    pub fn consumed_queues(&self) -> Vec<String> {
        let deliveries = Platform::ALL.map(|platform| self.delivery_queue(platform));
        [self.publish(), self.urgent()].into_iter().chain(deliveries).collect()
    }

    /// The exchange of the delay tiers.
    #[must_use]
    pub fn delay(&self) -> String {
        self.name("delay")
    }

    /// The exchange of dead letters.
    #[must_use]
    pub fn dead(&self) -> String {
        self.name("dead")
    }

    /// The queue of the dead deliveries of one platform.
    #[must_use]
    pub fn dead_queue(&self, platform: Platform) -> String {
        self.name(&format!("dead.{platform}"))
    }

    /// The queue of the dead events.
    #[must_use]
    pub fn dead_event_queue(&self) -> String {
        self.name("dead.event")
    }

    /// Whether delivery receipts are enabled.
    #[must_use]
    pub const fn has_receipts(&self) -> bool {
        self.settings.receipts
    }

    /// The exchange of delivery receipts, to which applications bind their queues.
    #[must_use]
    pub fn outcome(&self) -> String {
        self.name("outcome")
    }

    /// The exclusive queue that excludes a second daemon.
    #[must_use]
    pub fn lock_queue(&self) -> String {
        self.name("lock")
    }

    /// The exclusive queue that excludes a second walk through a dead queue.
    #[must_use]
    pub fn dead_lock_queue(&self) -> String {
        self.name("dead.lock")
    }

    /// The alternate exchange of the exchanges for publishers; also the name of its queue.
    #[must_use]
    pub fn unrouted(&self) -> String {
        self.name("unrouted")
    }

    /// The tier for a wait: the longest that is not longer, or else the shortest tier.
    ///
    /// A delivery with a slot must be back half a second early, so that it is in the queue of its
    /// robot when the slot comes.
    #[must_use]
    pub fn tier_for(&self, wait: Duration, slot: Option<Timestamp>) -> Duration {
        let wait = slot.map_or(wait, |_| wait.saturating_sub(BACK_BEFORE_SLOT));
        let fits = self.settings.tiers.iter().rev().find(|tier| **tier <= wait);
        fits.or_else(|| self.settings.tiers.first()).copied().unwrap_or_default()
    }

    /// The routing key of a delivery in a tier.
    #[must_use]
    pub fn delay_key(tier: Duration, platform: Platform) -> String {
        format!("{}.{platform}", tier_name(tier))
    }

    /// The routing key of a redriven delivery.
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

    /// The routing key of a receipt: platform or `event`, outcome, topic.
    ///
    /// The topic is last because it may contain dots. A key longer than 255 bytes is cut.
    #[must_use]
    pub fn outcome_key(receipt: &DeliveryReceipt) -> String {
        let platform = receipt.platform.map_or("event", Platform::as_str);
        format!("{platform}.{}.{}", receipt.ending.as_str(), receipt.topic)
    }
}

/// The name of a tier in queue names and routing keys: whole hours, minutes or seconds, else
/// milliseconds.
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

    pub(super) fn topology() -> Topology {
        Topology::new(TopologySettings {
            prefix: "roomcast".into(),
            tiers: [1, 5, 60, 7200].map(Duration::from_secs).to_vec(),
            delivery_limit: 1000,
            receipts: false,
        })
    }

    #[test]
    fn a_delay_goes_to_the_longest_tier_that_does_not_overshoot() {
        for (millis, key) in [
            (0, "1s"),
            (999, "1s"),
            (1000, "1s"),
            (4999, "1s"),
            (5000, "5s"),
            (61_000, "1m"),
            (90_000_000, "2h"),
        ] {
            let wait = Duration::from_millis(millis);
            let tier = topology().tier_for(wait, None);
            assert_eq!(Topology::delay_key(tier, Platform::Lark), format!("{key}.lark"));
        }
    }

    #[test]
    fn a_delivery_with_a_slot_is_back_before_it_comes() {
        for (millis, key) in
            [(0, "1s"), (5000, "1s"), (5499, "1s"), (5500, "5s"), (60_499, "5s"), (60_500, "1m")]
        {
            let (wait, slot) = (Duration::from_millis(millis), Some(Timestamp::default()));
            assert_eq!(
                Topology::delay_key(topology().tier_for(wait, slot), Platform::Lark),
                format!("{key}.lark")
            );
        }
    }
}
