//! What the sections hold, once they are read. What each key is called, and its default, is `keys.rs`.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;
use url::Url;

use super::values::Values;
use crate::{
    broker::Declare,
    domain::Receipts,
    pace::{GroupSettings, HealthPolicy, PlatformQuota},
    telemetry::LogFormat,
};

/// All settings.
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
    /// `[platforms.…]`, in the order of [`Platform::ALL`].
    pub platforms: [PlatformSection; 4],
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
    /// The values of all settings, to compare them.
    pub(super) values: Values,
}

/// How the broker is reached and used.
#[derive(Clone, Debug)]
pub struct BrokerSection {
    /// The AMQP address, with user and password.
    pub url: SecretString,
    /// Certificates to trust besides the system's, as PEM.
    pub ca_file: Option<PathBuf>,
    /// What every exchange's and queue's name begins with.
    pub prefix: String,
    /// What is done about the topology.
    pub declare: Declare,
    /// How many unacked events each queue may have handed over.
    pub prefetch: u16,
    /// How many unacked deliveries that came back from the tiers each queue may have handed over.
    pub prefetch_delivery: u16,
    /// How many bytes of bodies each queue may have in memory.
    pub prefetch_size: usize,
    /// How long the other side may be silent.
    pub heartbeat: Duration,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long a confirm may take before the session is given up.
    pub confirm_timeout: Duration,
    /// The first wait before a new session.
    pub reconnect_min: Duration,
    /// The longest wait before a new session.
    pub reconnect_max: Duration,
    /// After how many redeliveries without an outcome a message is poison.
    pub delivery_limit: u32,
    /// How often dead letters are counted at most; zero means never.
    pub dead_count_every: Duration,
}

/// What deferred and retried deliveries wait in.
#[derive(Clone, Debug)]
pub struct DelaySection {
    /// The delay tiers, ascending.
    pub tiers: Vec<Duration>,
}

/// What bounds an event.
#[derive(Clone, Debug)]
pub struct EventSection {
    /// The largest body, in bytes.
    pub size_max: usize,
    /// How long an event is worth sending if it does not say so.
    pub time_to_live: Duration,
    /// The longest time to live an event may ask for.
    pub time_to_live_max: Duration,
    /// How far ahead the time may be before which an event must not be sent.
    pub not_before_max: Duration,
    /// How far the publisher's timestamp may be behind, to count as when the life began.
    pub timestamp_age_max: Duration,
}

/// What is told about the ends of deliveries.
#[derive(Clone, Debug)]
pub struct OutcomeSection {
    /// Of which events there are receipts.
    pub receipts: Receipts,
}

/// How deliveries wait for their turn.
#[derive(Clone, Debug)]
pub struct PaceSection {
    /// A wait up to this long is waited out in memory.
    pub hold_max: Duration,
    /// What comes back from a tier waits up to this long in memory for its slot.
    pub early_max: Duration,
    /// How long after a robot's message the next one leaves, if that was not answered earlier.
    pub order_gap: Duration,
    /// How many attempts of each platform are in the air at once, at the most.
    pub in_flight_max: usize,
    /// How many deliveries of each platform are in memory at once, and as many urgent ones.
    pub held_max: usize,
    /// What is added to each window, against the jitter of the network.
    pub margin: Duration,
}

/// One platform.
#[derive(Clone, Debug)]
pub struct PlatformSection {
    /// What takes the place of scheme, host and port of its webhooks.
    pub base_url: Option<Url>,
    /// What it allows.
    pub quota: PlatformQuota,
}

/// How failed attempts are repeated.
#[derive(Clone, Debug)]
pub struct RetrySection {
    /// The wait after the first, second, … failed attempt.
    pub delays: Vec<Duration>,
    /// By which share a wait is lengthened at random.
    pub jitter: f64,
    /// How old an event may be to be tried again.
    pub age_max: Duration,
    /// The longest wait that a platform may ask for.
    pub wait_max: Duration,
}

/// How the platforms are called.
#[derive(Clone, Debug)]
pub struct SendSection {
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long an attempt may take.
    pub deadline: Duration,
    /// How many idle connections to one host are kept.
    pub pool_idle_per_host: usize,
}

/// Where data is kept.
#[derive(Clone, Debug)]
pub struct StoreSection {
    /// The folder.
    pub dir: PathBuf,
    /// For how long settled messages are remembered.
    pub ledger_window: Duration,
}

/// The master key.
#[derive(Clone, Debug)]
pub struct KeySection {
    /// Its file.
    pub file: PathBuf,
}

/// The admin API.
#[derive(Clone, Debug)]
pub struct AdminSection {
    /// The Unix socket.
    pub socket: PathBuf,
    /// A TCP address, besides the socket.
    pub listen: Option<String>,
    /// The file that holds the token for TCP.
    pub token_file: Option<PathBuf>,
    /// Host names by which the TCP address may be asked, besides addresses, `localhost` and the one it listens on.
    pub hosts: Vec<String>,
    /// Whether the console is served at the TCP address.
    pub console: bool,
}

/// The log.
#[derive(Clone, Debug)]
pub struct LogSection {
    /// How lines are written.
    pub format: LogFormat,
    /// What is logged.
    pub level: String,
}

/// Traces.
#[derive(Clone, Debug)]
pub struct TraceSection {
    /// Where they are sent; nowhere without it.
    pub otlp_endpoint: Option<Url>,
    /// Of which share of the events, if the publisher does not say.
    pub sample_ratio: f64,
    /// As what the daemon is shown.
    pub service_name: String,
}

/// The end of the daemon.
#[derive(Clone, Debug)]
pub struct ShutdownSection {
    /// How long what is in hand may take to be finished.
    pub drain: Duration,
}
