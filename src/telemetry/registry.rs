//! The metrics: their names and values.
//!
//! Owns the names. All values start at zero, so that a rate is known before the first occurrence.
//!
//! Not here: the labels (`labels.rs`), and the code that updates the values (`events.rs`).

use std::sync::atomic::{AtomicBool, AtomicU64};

use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
        info::Info,
    },
    registry::Registry,
};

use super::{
    dead::DeadLetters,
    events::LogLinesSuppressed,
    labels::{
        AttemptLabels, DeadLabels, GroupLabel, HoldLabels, Hops, LISTENERS, ListenerLabel,
        PlatformLabel, QUOTA, QueueLabel, Seconds, SettledLabels, WaitLabels,
    },
    log_limit::LogLimiter,
    traces::{TraceError, TraceSettings, Traces},
};
use crate::domain::{
    DeadReason, HoldCause, Platform, SettlementKind, VerdictKind, WaitReason, every,
};

type HistogramByPlatform = Family<PlatformLabel, Histogram, Seconds>;

/// All metrics of one daemon.
pub struct Telemetry {
    registry: Registry,
    pub(super) events: Counter,
    pub(super) events_urgent: Counter,
    pub(super) events_undecodable: Counter,
    pub(super) events_unheard: Counter,
    pub(super) event_decode_seconds: Histogram,
    pub(super) event_expand_seconds: Histogram,
    pub(super) deliveries_filtered: Counter,
    pub(super) deliveries: Family<SettledLabels, Counter>,
    pub(super) deferrals: Family<WaitLabels, Counter>,
    pub(super) dead_letters: Family<DeadLabels, Counter>,
    pub(super) pace_wait_seconds: HistogramByPlatform,
    pub(super) first_attempt_after_seconds: HistogramByPlatform,
    pub(super) attempts: Family<AttemptLabels, Counter>,
    pub(super) attempt_seconds: HistogramByPlatform,
    pub(super) attempts_in_flight: Family<PlatformLabel, Gauge>,
    pub(super) attempts_in_flight_limit: Family<PlatformLabel, Gauge>,
    pub(super) delivered_after_seconds: HistogramByPlatform,
    pub(super) delivered_after_hops: Family<PlatformLabel, Histogram, Hops>,
    pub(super) digests: Family<PlatformLabel, Counter>,
    pub(super) step_stored_seconds: Histogram,
    pub(super) recorded_seconds: Histogram,
    pub(super) robot_holds: Family<HoldLabels, Counter>,
    pub(super) robots_held: Family<HoldLabels, Gauge>,
    pub(super) deliveries_waiting: Family<HoldLabels, Gauge>,
    pub(super) deliveries_waiting_seconds: Family<PlatformLabel, Gauge<f64, AtomicU64>>,
    pub(super) queue_messages: Family<QueueLabel, Gauge>,
    pub(super) queue_consumers: Family<QueueLabel, Gauge>,
    /// The current content of the dead queues, in contrast to the total of dead letters.
    pub(super) dead_letters_now: DeadLetters,
    pub(super) group_used: Family<GroupLabel, Gauge>,
    pub(super) group_monthly: Family<GroupLabel, Gauge>,
    pub(super) clock_skew_seconds: Family<PlatformLabel, Gauge>,
    pub(super) duplicates_skipped: Counter,
    pub(super) receipts: Counter,
    pub(super) receipts_refused: Counter,
    pub(super) steps_refused: Counter,
    /// Whether the last receipt was refused. A queue that refuses every receipt is logged once.
    pub(super) receipts_are_refused: AtomicBool,
    pub(super) broker_sessions: Counter,
    pub(super) broker_up: Gauge,
    pub(super) broker_blocked: Gauge,
    pub(super) ledger_failures: Counter,
    pub(super) trace_failures: Counter,
    pub(super) admin_connections: Family<ListenerLabel, Gauge>,
    pub(super) admin_connections_refused: Family<ListenerLabel, Counter>,
    pub(super) lines: LogLimiter,
    traces: Option<Traces>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// All metrics, at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut telemetry = Self {
            registry: Registry::with_prefix("roomcast"),
            events: Counter::default(),
            events_urgent: Counter::default(),
            events_undecodable: Counter::default(),
            events_unheard: Counter::default(),
            event_decode_seconds: Seconds.new_metric(),
            event_expand_seconds: Seconds.new_metric(),
            deliveries_filtered: Counter::default(),
            deliveries: Family::default(),
            deferrals: Family::default(),
            dead_letters: Family::default(),
            pace_wait_seconds: Family::new_with_constructor(Seconds),
            first_attempt_after_seconds: Family::new_with_constructor(Seconds),
            attempts: Family::default(),
            attempt_seconds: Family::new_with_constructor(Seconds),
            attempts_in_flight: Family::default(),
            attempts_in_flight_limit: Family::default(),
            delivered_after_seconds: Family::new_with_constructor(Seconds),
            delivered_after_hops: Family::new_with_constructor(Hops),
            digests: Family::default(),
            step_stored_seconds: Seconds.new_metric(),
            recorded_seconds: Seconds.new_metric(),
            robot_holds: Family::default(),
            robots_held: Family::default(),
            deliveries_waiting: Family::default(),
            deliveries_waiting_seconds: Family::default(),
            queue_messages: Family::default(),
            queue_consumers: Family::default(),
            dead_letters_now: DeadLetters::default(),
            group_used: Family::default(),
            group_monthly: Family::default(),
            clock_skew_seconds: Family::default(),
            duplicates_skipped: Counter::default(),
            receipts: Counter::default(),
            receipts_refused: Counter::default(),
            steps_refused: Counter::default(),
            receipts_are_refused: AtomicBool::new(false),
            broker_sessions: Counter::default(),
            broker_up: Gauge::default(),
            broker_blocked: Gauge::default(),
            ledger_failures: Counter::default(),
            trace_failures: Counter::default(),
            admin_connections: Family::default(),
            admin_connections_refused: Family::default(),
            lines: LogLimiter::default(),
            traces: None,
        };
        telemetry.begin_at_zero();
        telemetry.register();
        telemetry
    }

    /// The same metrics, with traces if the settings name a receiver. Must be called on the runtime
    /// that sends them.
    pub fn with_traces(mut self, settings: &TraceSettings) -> Result<Self, TraceError> {
        self.traces = Traces::begin(settings, self.trace_failures.clone())?;
        Ok(self)
    }

    /// Records spans, if traces are enabled.
    pub(super) fn trace(&self, leave: impl FnOnce(&Traces)) {
        if let Some(traces) = &self.traces {
            leave(traces);
        }
    }

    /// Logs the numbers of omitted lines, and sends the remaining spans. It blocks for a few
    /// seconds at most.
    pub fn finish(&self) {
        LogLinesSuppressed { all: true }.emit(self);
        self.trace(Traces::finish);
    }

    /// The metrics in the text format of OpenMetrics.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Writing to a string cannot fail.
            Err(_) => String::new(),
        }
    }

    fn register(&mut self) {
        let to = &mut self.registry;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        to.register("build", "Which version runs", version);
        to.register("events", "Events received, repeats included", self.events.clone());
        to.register(
            "events_urgent",
            "Events received through the urgent exchange",
            self.events_urgent.clone(),
        );
        to.register(
            "events_undecodable",
            "Messages that were no readable event and became dead letters",
            self.events_undecodable.clone(),
        );
        to.register(
            "events_unheard",
            "Events for a topic without subscriptions",
            self.events_unheard.clone(),
        );
        to.register(
            "event_decode_seconds",
            "Time from receiving an event to having read it",
            self.event_decode_seconds.clone(),
        );
        to.register(
            "event_expand_seconds",
            "Time from having read an event until its last delivery has started",
            self.event_expand_seconds.clone(),
        );
        to.register(
            "deliveries_filtered",
            "Deliveries that a subscription's filter rejected",
            self.deliveries_filtered.clone(),
        );
        to.register("deliveries", "Deliveries settled, by outcome", self.deliveries.clone());
        to.register(
            "deferrals",
            "Deliveries stored on the broker to wait, by the reason of the wait",
            self.deferrals.clone(),
        );
        to.register("dead_letters", "Deliveries given up, by reason", self.dead_letters.clone());
        to.register(
            "pace_wait_seconds",
            "Time that an attempt waited in memory from entering its robot's queue until it left",
            self.pace_wait_seconds.clone(),
        );
        to.register(
            "first_attempt_after_seconds",
            "Time from receiving an event to the first attempt of a delivery, in memory and in the broker",
            self.first_attempt_after_seconds.clone(),
        );
        to.register("attempts", "Attempts made, by verdict", self.attempts.clone());
        to.register(
            "attempt_seconds",
            "Time from sending a request to having its answer",
            self.attempt_seconds.clone(),
        );
        to.register(
            "attempts_in_flight",
            "Attempts that are not answered yet",
            self.attempts_in_flight.clone(),
        );
        to.register(
            "attempts_in_flight_limit",
            "Attempts that may be unanswered at once, as the platform answers now",
            self.attempts_in_flight_limit.clone(),
        );
        to.register(
            "delivered_after_seconds",
            "Time from receiving an event to having it delivered",
            self.delivered_after_seconds.clone(),
        );
        to.register(
            "delivered_after_hops",
            "How often a delivery was in a delay tier before it was delivered",
            self.delivered_after_hops.clone(),
        );
        to.register("digests", "Messages that cover several deliveries", self.digests.clone());
        to.register(
            "step_stored_seconds",
            "Time from deciding on a next step to having the broker's confirm",
            self.step_stored_seconds.clone(),
        );
        to.register(
            "recorded_seconds",
            "Time to record a group of settlements in the ledger, on the disk",
            self.recorded_seconds.clone(),
        );
        to.register("robot_holds", "Times a robot was held, by cause", self.robot_holds.clone());
        to.register("robots_held", "Robots that are held, by cause", self.robots_held.clone());
        to.register(
            "deliveries_waiting",
            "Deliveries that wait for their robot's turn, in memory and in the broker, by cause",
            self.deliveries_waiting.clone(),
        );
        to.register(
            "deliveries_waiting_seconds",
            "How long until the last of the deliveries that wait can leave",
            self.deliveries_waiting_seconds.clone(),
        );
        to.register(
            "queue_messages",
            "Messages that lie ready in a queue of the broker",
            self.queue_messages.clone(),
        );
        to.register(
            "queue_consumers",
            "Consumers of a queue that the daemon consumes",
            self.queue_consumers.clone(),
        );
        self.dead_letters_now.register(to);
        to.register(
            "group_used",
            "Calls that an organisation has made this month",
            self.group_used.clone(),
        );
        to.register(
            "group_monthly",
            "Calls that an organisation may make in a month",
            self.group_monthly.clone(),
        );
        to.register(
            "clock_skew_seconds",
            "By how much a platform's clock is ahead of this machine's, if that is much",
            self.clock_skew_seconds.clone(),
        );
        to.register(
            "duplicates_skipped",
            "Deliveries not made again because the ledger knew them as settled",
            self.duplicates_skipped.clone(),
        );
        to.register("receipts", "Delivery receipts that the broker took", self.receipts.clone());
        to.register(
            "receipts_refused",
            "Delivery receipts that a bound queue did not take",
            self.receipts_refused.clone(),
        );
        to.register(
            "steps_refused",
            "Next steps of deliveries that a queue did not take; each is tried again",
            self.steps_refused.clone(),
        );
        to.register(
            "broker_sessions",
            "Sessions opened with the broker",
            self.broker_sessions.clone(),
        );
        to.register(
            "broker_up",
            "Whether a session with the broker is open",
            self.broker_up.clone(),
        );
        to.register(
            "broker_blocked",
            "Whether the broker has asked publishers to stop for a while",
            self.broker_blocked.clone(),
        );
        to.register(
            "ledger_failures",
            "Times the ledger could not be written, each of which ended a session",
            self.ledger_failures.clone(),
        );
        to.register(
            "trace_failures",
            "Times the receiver of traces did not take spans",
            self.trace_failures.clone(),
        );
        to.register(
            "admin_connections",
            "Connections to the admin API that are open",
            self.admin_connections.clone(),
        );
        to.register(
            "admin_connections_refused",
            "Connections to the admin API that were not taken, or ended, for want of room",
            self.admin_connections_refused.clone(),
        );
    }

    fn begin_at_zero(&self) {
        for listener in LISTENERS {
            let on = ListenerLabel { listener };
            let _ = (
                self.admin_connections.get_or_create(&on),
                self.admin_connections_refused.get_or_create(&on),
            );
        }
        for platform in Platform::ALL.map(Platform::as_str) {
            for outcome in every().map(SettlementKind::as_str) {
                let _ = self.deliveries.get_or_create(&SettledLabels { platform, outcome });
            }
            for reason in every().map(WaitReason::as_str) {
                let _ = self.deferrals.get_or_create(&WaitLabels { platform, reason });
            }
            for reason in every().map(DeadReason::as_str) {
                let _ = self.dead_letters.get_or_create(&DeadLabels { platform, reason });
            }
            for verdict in every().map(VerdictKind::as_str) {
                let _ = self.attempts.get_or_create(&AttemptLabels { platform, verdict });
            }
            let on = PlatformLabel { platform };
            let _ = (
                self.pace_wait_seconds.get_or_create(&on),
                self.first_attempt_after_seconds.get_or_create(&on),
            );
            let _ = self.deliveries_waiting_seconds.get_or_create(&on);
            let _ = self.deliveries_waiting.get_or_create(&HoldLabels { platform, cause: QUOTA });
            let _ = (
                self.attempts_in_flight.get_or_create(&on),
                self.attempts_in_flight_limit.get_or_create(&on),
            );
            let _ = (
                self.attempt_seconds.get_or_create(&on),
                self.delivered_after_seconds.get_or_create(&on),
            );
            let _ = (self.digests.get_or_create(&on), self.clock_skew_seconds.get_or_create(&on));
            let _ = self.delivered_after_hops.get_or_create(&on);
            for cause in every().map(HoldCause::as_str) {
                let held = HoldLabels { platform, cause };
                let _ =
                    (self.robot_holds.get_or_create(&held), self.robots_held.get_or_create(&held));
                let _ = self.deliveries_waiting.get_or_create(&held);
            }
        }
    }
}

#[cfg(test)]
mod tests;
