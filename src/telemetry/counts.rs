//! A snapshot of the counters, for a view of the daemon itself rather than a graph of its
//! metrics.
//!
//! Owns the selection of counters.
//!
//! Not here: the metrics (`registry.rs`).

use enum_map::EnumMap;

use super::{
    labels::{AttemptLabels, DeadLabels, SettledLabels},
    registry::Telemetry,
};
use crate::domain::{
    DeadQueueStats, DeadReason, Platform, PlatformMap, SettlementKind, VerdictKind,
};

/// Totals since the process started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterSnapshot {
    /// Events received, repeats included.
    pub events: u64,
    /// Events among them that came through the urgent exchange.
    pub events_urgent: u64,
    /// Messages that could not be decoded as events.
    pub events_undecodable: u64,
    /// Events for a topic without subscriptions.
    pub events_unheard: u64,
    /// Deliveries.
    pub platforms: PlatformMap<PlatformCounts>,
    /// Whether a session with the broker is open.
    pub broker_up: bool,
    /// Whether the broker currently blocks publishers.
    pub broker_blocked: bool,
}

/// Totals of one platform's deliveries since the process started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformCounts {
    /// Settlements.
    pub settled: EnumMap<SettlementKind, u64>,
    /// Attempts made, by verdict.
    pub attempts: EnumMap<VerdictKind, u64>,
    /// Dead letters, by reason.
    pub reasons: EnumMap<DeadReason, u64>,
}

impl Telemetry {
    /// The current values.
    #[must_use]
    pub fn counts(&self) -> CounterSnapshot {
        CounterSnapshot {
            events: self.events.get(),
            events_urgent: self.events_urgent.get(),
            events_undecodable: self.events_undecodable.get(),
            events_unheard: self.events_unheard.get(),
            platforms: PlatformMap::from_fn(|platform| self.counts_of(platform)),
            broker_up: self.broker_up.get() != 0,
            broker_blocked: self.broker_blocked.get() != 0,
        }
    }

    /// The last counts of the dead queues. A queue of unknown content is missing.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadQueueStats> {
        self.dead_letters_now.last()
    }

    fn counts_of(&self, platform: Platform) -> PlatformCounts {
        let platform = platform.as_str();
        PlatformCounts {
            settled: EnumMap::from_fn(|kind: SettlementKind| {
                let labels = SettledLabels { platform, outcome: kind.as_str() };
                self.deliveries.get_or_create(&labels).get()
            }),
            attempts: EnumMap::from_fn(|kind: VerdictKind| {
                let labels = AttemptLabels { platform, verdict: kind.as_str() };
                self.attempts.get_or_create(&labels).get()
            }),
            reasons: EnumMap::from_fn(|reason: DeadReason| {
                let labels = DeadLabels { platform, reason: reason.as_str() };
                self.dead_letters.get_or_create(&labels).get()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::events::{BrokerConnected, EventReceived};

    #[test]
    fn counts_agree_with_the_metrics() {
        let telemetry = Telemetry::new();
        let none = telemetry.counts();
        assert_eq!((none.events, none.broker_up), (0, false));
        assert!(
            none.platforms.values().all(|of| of
                .attempts
                .values()
                .chain(of.reasons.values())
                .all(|count| *count == 0))
        );
        EventReceived { urgent: false }.emit(&telemetry);
        EventReceived { urgent: true }.emit(&telemetry);
        BrokerConnected { session: 1, outage_seconds: None }.emit(&telemetry);
        telemetry
            .deliveries
            .get_or_create(&SettledLabels { platform: "wecom", outcome: "retried" })
            .inc();
        telemetry
            .attempts
            .get_or_create(&AttemptLabels { platform: "lark", verdict: "throttled" })
            .inc();
        telemetry
            .dead_letters
            .get_or_create(&DeadLabels { platform: "lark", reason: "expired" })
            .inc();
        let counts = telemetry.counts();
        assert_eq!((counts.events, counts.events_urgent, counts.broker_up), (2, 1, true));
        for (platform, of) in counts.platforms.iter() {
            let retried = of.settled[SettlementKind::Retried];
            assert_eq!(retried, u64::from(platform == Platform::WeCom), "{platform}");
        }
        let lark = counts.platforms.get(Platform::Lark);
        assert_eq!((lark.attempts[VerdictKind::Throttled], lark.attempts.values().sum()), (1, 1));
        assert_eq!((lark.reasons[DeadReason::Expired], lark.reasons.values().sum()), (1, 1));
    }
}
