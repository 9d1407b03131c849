//! The metrics: their names, help and values.
//!
//! Owns the names; each metric is declared once. All values start at zero, so that a rate is known
//! before the first occurrence.
//!
//! Not here: the labels (`labels.rs`), and the code that updates the values (`events.rs`).

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64},
};

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
    labels::{
        AttemptLabels, DeadLabels, DegradedLabels, GroupLabel, HoldLabels, Hops, LISTENERS,
        ListenerLabel, PlatformLabel, QUOTA, QueueLabel, Seconds, SettledLabels, WaitLabels,
    },
    log_limit::LogLimiter,
    traces::{TraceError, TraceSettings, Traces},
};
use crate::{
    domain::{
        DeadReason, HoldCause, MessageFeature, Platform, SettlementKind, VerdictKind, WaitReason,
        every,
    },
    history::{HistoryBuffer, HistoryRecord},
};

type HistogramByPlatform = Family<PlatformLabel, Histogram, Seconds>;

/// Declares the metrics: name, type, first value if it is not the default, and help. The prefix
/// `roomcast_` and the suffix of the type are added.
macro_rules! metrics {
    ($($name:ident: $kind:ty $(= $first:expr)?, $help:literal;)*) => {
        /// All metrics of one daemon.
        pub struct Telemetry {
            registry: Registry,
            $(pub(super) $name: $kind,)*
            /// The current content of the dead queues, in contrast to the total of dead letters.
            pub(super) dead_letters_now: DeadLetters,
            /// Whether the last receipt was refused. A queue that refuses every receipt is logged
            /// once.
            pub(super) receipts_are_refused: AtomicBool,
            pub(super) lines: LogLimiter,
            traces: Option<Traces>,
            history: Option<Arc<HistoryBuffer>>,
        }

        impl Telemetry {
            fn unregistered() -> Self {
                Self {
                    registry: Registry::with_prefix("roomcast"),
                    $($name: metrics!(@first $kind $(, $first)?),)*
                    dead_letters_now: DeadLetters::default(),
                    receipts_are_refused: AtomicBool::new(false),
                    lines: LogLimiter::default(),
                    traces: None,
                    history: None,
                }
            }

            fn register(&mut self) {
                let to = &mut self.registry;
                let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
                to.register("build", "Which version runs", version);
                $(to.register(stringify!($name), $help, self.$name.clone());)*
                self.dead_letters_now.register(to);
            }
        }
    };
    (@first $kind:ty) => { <$kind>::default() };
    (@first $kind:ty, $first:expr) => { $first };
}

metrics! {
    events: Counter, "Events received, repeats included";
    events_urgent: Counter, "Events received through the urgent exchange";
    events_undecodable: Counter, "Messages that were no readable event and became dead letters";
    events_unheard: Counter, "Events for a topic without subscriptions";
    event_decode_seconds: Histogram = Seconds.new_metric(),
        "Time from receiving an event to having read it";
    event_expand_seconds: Histogram = Seconds.new_metric(),
        "Time from having read an event until its last delivery has started";
    deliveries_filtered: Counter, "Deliveries that a subscription's filter rejected";
    deliveries: Family<SettledLabels, Counter>, "Deliveries settled, by outcome";
    deferrals: Family<WaitLabels, Counter>,
        "Deliveries stored on the broker to wait, by the reason of the wait";
    dead_letters: Family<DeadLabels, Counter>, "Deliveries given up, by reason";
    pace_wait_seconds: HistogramByPlatform = Family::new_with_constructor(Seconds),
        "Time that an attempt waited in memory from entering its robot's queue until it left";
    first_attempt_after_seconds: HistogramByPlatform = Family::new_with_constructor(Seconds),
        "Time from receiving an event to the first attempt of a delivery, \
         in memory and in the broker";
    attempts: Family<AttemptLabels, Counter>, "Attempts made, by verdict";
    degraded: Family<DegradedLabels, Counter>,
        "Messages sent again without a part that the platform refused, by that part";
    attempt_seconds: HistogramByPlatform = Family::new_with_constructor(Seconds),
        "Time from sending a request to having its answer";
    attempts_in_flight: Family<PlatformLabel, Gauge>, "Attempts that are not answered yet";
    attempts_in_flight_limit: Family<PlatformLabel, Gauge>,
        "Attempts that may be unanswered at once, as the platform answers now";
    delivered_after_seconds: HistogramByPlatform = Family::new_with_constructor(Seconds),
        "Time from receiving an event to having it delivered";
    delivered_after_hops: Family<PlatformLabel, Histogram, Hops> =
        Family::new_with_constructor(Hops),
        "How often a delivery was in a delay tier before it was delivered";
    digests: Family<PlatformLabel, Counter>, "Messages that cover several deliveries";
    step_stored_seconds: Histogram = Seconds.new_metric(),
        "Time from deciding on a next step to having the broker's confirm";
    recorded_seconds: Histogram = Seconds.new_metric(),
        "Time to record a group of settlements in the ledger, on the disk";
    robot_holds: Family<HoldLabels, Counter>, "Times a robot was held, by cause";
    robots_held: Family<HoldLabels, Gauge>, "Robots that are held, by cause";
    platform_outage: Family<PlatformLabel, Gauge>,
        "Whether a platform is held as a whole, because most of its robots fail";
    platform_outages: Family<PlatformLabel, Counter>,
        "Times a platform was held as a whole, because most of its robots failed";
    deliveries_waiting: Family<HoldLabels, Gauge>,
        "Deliveries that wait for their robot's turn, in memory and in the broker, by cause";
    deliveries_waiting_seconds: Family<PlatformLabel, Gauge<f64, AtomicU64>>,
        "How long until the last of the deliveries that wait can leave";
    queue_messages: Family<QueueLabel, Gauge>, "Messages that lie ready in a queue of the broker";
    queue_consumers: Family<QueueLabel, Gauge>, "Consumers of a queue that the daemon consumes";
    group_used: Family<GroupLabel, Gauge>, "Calls that an organisation has made this month";
    group_monthly: Family<GroupLabel, Gauge>, "Calls that an organisation may make in a month";
    clock_skew_seconds: Family<PlatformLabel, Gauge>,
        "By how much a platform's clock is ahead of this machine's, if that is much";
    duplicates_skipped: Counter,
        "Deliveries not made again because the ledger knew them as settled";
    receipts: Counter, "Delivery receipts that the broker took";
    receipts_refused: Counter, "Delivery receipts that a bound queue did not take";
    steps_refused: Counter,
        "Next steps of deliveries that a queue did not take; each is tried again";
    broker_sessions: Counter, "Sessions opened with the broker";
    broker_up: Gauge, "Whether a session with the broker is open";
    broker_blocked: Gauge, "Whether the broker has asked publishers to stop for a while";
    ledger_failures: Counter,
        "Times the ledger could not be written, each of which ended a session";
    trace_failures: Counter, "Times the receiver of traces did not take spans";
    history_records: Counter, "Records of the history that were written";
    history_lost: Counter,
        "Records of the history that were lost: too many waited, or the disk did not take them";
    admin_connections: Family<ListenerLabel, Gauge>, "Connections to the admin API that are open";
    admin_connections_refused: Family<ListenerLabel, Counter>,
        "Connections to the admin API that were not taken, or ended, for want of room";
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
        let mut telemetry = Self::unregistered();
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

    /// The same metrics, with a history: what happens to a delivery leaves a record in `buffer`.
    #[must_use]
    pub fn with_history(self, buffer: Arc<HistoryBuffer>) -> Self {
        Self { history: Some(buffer), ..self }
    }

    /// Whether records should have the texts of their events.
    pub(super) fn keeps_texts(&self) -> bool {
        self.history.as_ref().is_some_and(|history| history.keeps_texts())
    }

    /// Leaves a record, if there is a history. Never waits.
    pub(super) fn record(&self, record: impl FnOnce() -> HistoryRecord) {
        if let Some(history) = &self.history
            && !history.push(record())
        {
            self.history_lost.inc();
        }
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
        self.lines.log_left_out(true);
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
            for cause in every().map(MessageFeature::as_str) {
                let _ = self.degraded.get_or_create(&DegradedLabels { platform, cause });
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
            let _ =
                (self.platform_outage.get_or_create(&on), self.platform_outages.get_or_create(&on));
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
