//! The sections of the configuration after reading.
//!
//! Owns the types and units of all settings.
//!
//! Not here: names, ranges and defaults of the keys (`keys.rs`).

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;
use url::Url;

use super::values::Values;
use crate::{
    broker::Declare,
    domain::{PlatformMap, ReceiptPolicy},
    pace::{GroupSettings, HealthPolicy, PlatformQuota},
    telemetry::LogFormat,
};

/// All settings, one field for each section.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[broker]`
    pub broker: BrokerSection,
    /// `[delay]`
    pub delay: DelaySection,
    /// `[event]`
    pub event: EventSection,
    /// `[outcome]`
    pub outcome: OutcomeSection,
    /// `[pace]`
    pub pace: PaceSection,
    /// `[platforms.…]`
    pub platforms: PlatformMap<PlatformSection>,
    /// `[health]`
    pub health: HealthPolicy,
    /// `[groups.…]`
    pub groups: Vec<GroupSettings>,
    /// `[retry]`
    pub retry: RetrySection,
    /// `[send]`
    pub send: SendSection,
    /// `[store]`
    pub store: StoreSection,
    /// `[key]`
    pub key: KeySection,
    /// `[admin]`
    pub admin: AdminSection,
    /// `[log]`
    pub log: LogSection,
    /// `[trace]`
    pub trace: TraceSection,
    /// `[shutdown]`
    pub shutdown: ShutdownSection,
    /// Hashes of all settings, to compare two configurations.
    pub(super) values: Values,
}

/// The broker: its address, and the limits of a session.
#[derive(Clone, Debug)]
pub struct BrokerSection {
    /// The AMQP address, with user and password.
    pub url: SecretString,
    /// Certificates to trust besides the system's, as PEM.
    pub ca_file: Option<PathBuf>,
    /// The beginning of the names of all exchanges and queues.
    pub prefix: String,
    /// Whether exchanges and queues are created, only checked, or neither.
    pub declare: Declare,
    /// How many unacknowledged events of each queue may be in memory.
    pub prefetch: u16,
    /// How many unacknowledged deliveries of each delivery queue may be in memory.
    pub prefetch_delivery: u16,
    /// How many bytes of bodies of each queue may be in memory.
    pub prefetch_size: usize,
    /// How long the broker may be silent before the session ends. At least 1 s; 3 s in effect.
    pub heartbeat: Duration,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long a confirm may take before the session ends.
    pub confirm_timeout: Duration,
    /// The first wait before a new session.
    pub reconnect_min: Duration,
    /// The longest wait before a new session.
    pub reconnect_max: Duration,
    /// How many redeliveries without an outcome make a message poison.
    pub delivery_limit: u32,
    /// The least interval between two counts of dead letters; zero: no counts.
    pub dead_count_every: Duration,
}

/// The delay queues for deferred and retried deliveries.
#[derive(Clone, Debug)]
pub struct DelaySection {
    /// The delay tiers, ascending.
    pub tiers: Vec<Duration>,
}

/// The limits of an event.
#[derive(Clone, Debug)]
pub struct EventSection {
    /// The largest body, in bytes.
    pub size_max: usize,
    /// The time to live of an event that sets none.
    pub time_to_live: Duration,
    /// The longest time to live that an event may set.
    pub time_to_live_max: Duration,
    /// How far ahead the not-before time of an event may be.
    pub not_before_max: Duration,
    /// How old a publisher's timestamp may be to count as the beginning of the time to live.
    pub timestamp_age_max: Duration,
}

/// The receipts about the outcomes of deliveries.
#[derive(Clone, Debug)]
pub struct OutcomeSection {
    /// Which events get receipts.
    pub receipts: ReceiptPolicy,
}

/// How deliveries wait for their robot's quota.
#[derive(Clone, Debug)]
pub struct PaceSection {
    /// A delivery waits in memory if its wait is at most this long, else in the broker.
    pub hold_max: Duration,
    /// A delivery that comes back from a tier may wait this long in memory for its slot.
    pub early_max: Duration,
    /// The next message of a robot is sent this long after the previous one, or
    /// earlier if that was answered.
    pub order_gap: Duration,
    /// The largest number of attempts in flight for each platform.
    pub in_flight_max: usize,
    /// How many deliveries of each platform may be in memory; urgent ones
    /// have a limit of the same size.
    pub held_max: usize,
    /// Added to each window, because the network delays messages differently.
    pub margin: Duration,
}

/// One platform.
#[derive(Clone, Debug)]
pub struct PlatformSection {
    /// Replaces scheme, host and port of the platform's webhooks, to send through a gateway.
    pub base_url: Option<Url>,
    /// The quota that the platform allows.
    pub quota: PlatformQuota,
}

/// How failed attempts are repeated.
#[derive(Clone, Debug)]
pub struct RetrySection {
    /// The wait after the first, second, … failed attempt.
    pub delays: Vec<Duration>,
    /// Each wait is lengthened by a random share of it, up to this; 0 to 1.
    pub jitter: f64,
    /// The age of an event beyond which no delivery is tried again.
    pub age_max: Duration,
    /// The longest wait that a platform may request.
    pub wait_max: Duration,
}

/// The HTTP requests to the platforms.
#[derive(Clone, Debug)]
pub struct SendSection {
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long an attempt may take, up to the last byte of the answer.
    pub deadline: Duration,
    /// How many idle connections to one host are kept.
    pub pool_idle_per_host: usize,
}

/// The store.
#[derive(Clone, Debug)]
pub struct StoreSection {
    /// The folder of the store.
    pub dir: PathBuf,
    /// How long the ledger remembers settled messages.
    pub ledger_window: Duration,
}

/// The master key.
#[derive(Clone, Debug)]
pub struct KeySection {
    /// The file of the master key.
    pub file: PathBuf,
}

/// The admin API.
#[derive(Clone, Debug)]
pub struct AdminSection {
    /// The Unix socket.
    pub socket: PathBuf,
    /// A TCP address in addition to the socket.
    pub listen: Option<String>,
    /// The file with the token for TCP.
    pub token_file: Option<PathBuf>,
    /// Host names allowed at the TCP address, besides IP addresses,
    /// `localhost` and the name it listens on.
    pub hosts: Vec<String>,
    /// Whether the console is served at the TCP address.
    pub console: bool,
}

/// The log.
#[derive(Clone, Debug)]
pub struct LogSection {
    /// The format of the lines.
    pub format: LogFormat,
    /// The level, or levels of single modules.
    pub level: String,
}

/// Traces.
#[derive(Clone, Debug)]
pub struct TraceSection {
    /// The OTLP receiver; without one there are no traces.
    pub otlp_endpoint: Option<Url>,
    /// The share of events with a trace, unless the publisher decides; 0 to 1.
    pub sample_ratio: f64,
    /// The service name in the traces.
    pub service_name: String,
}

/// The shutdown of the daemon.
#[derive(Clone, Debug)]
pub struct ShutdownSection {
    /// How long the work in progress may take to finish after SIGTERM.
    pub drain: Duration,
}
