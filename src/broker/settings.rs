//! The settings of the broker: `[broker]`, `[delay]` and `[outcome]`.
//!
//! Owns the forms of the broker's address and of the prefix, and which settings a connection, a
//! session and the topology get.
//!
//! Not here: what they do (`connection.rs`, `session.rs`, `topology.rs`).

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;
use url::Url;

use super::{Address, Declare, TopologySettings};
use crate::{
    domain::ReceiptPolicy,
    settings::{
        Form, Parsed, duration, number, number_of, one_of, path, secret_file, section,
        some_duration,
    },
};

section! {
    /// RabbitMQ: its address, and the limits of a session.
    pub struct BrokerSettings in "broker" {
        /// The address of RabbitMQ: `amqp://` or `amqps://`, with user, password and virtual host
        /// (`%2f` is "/"). With a password here, only the process's user or root may read this file
        /// (chmod 600).
        url: SecretString = one(
            Form::secret("amqp:// or amqps:// address", "", amqp_url),
            "amqp://guest:guest@localhost:5672/%2f"
        ), AtStart;
        /// A file with the address (chmod 600), so that no configuration file has the password.
        url_file: Option<SecretString> =
            optional(secret_file("the broker's address", amqp_url), "/etc/roomcast/broker.url"),
            AtStart;
        /// Certificates to trust besides the system's, as PEM, for amqps. The broker's certificate
        /// must be for the host in `url`.
        ca_file: Option<PathBuf> = optional(path(), "/etc/roomcast/ca.pem"), AtStart;
        /// Every exchange and queue is called `<prefix>.something`. Daemons with different prefixes
        /// do not meet.
        prefix: String = one(prefix(), "roomcast"), AtStart;
        /// `create`: declare what is missing, check the rest. `verify`: only check, for a topology
        /// with another owner (`roomcast topology` prints it). `none`: neither.
        declare: Declare = one(
            one_of(&[
                ("create", Declare::Create),
                ("verify", Declare::Verify),
                ("none", Declare::None),
            ]),
            "create"
        ), AtStart;
        /// How many events of each queue may be unacked at once.
        prefetch: u16 = one(number(1..=u16::MAX), "500"), AtStart;
        /// How many deliveries that return from the tiers may be unacked at once, for each
        /// platform. Up to three quarters of them may wait in memory for their slot
        /// (`pace.early_max`).
        prefetch_delivery: u16 = one(number(4..=u16::MAX), "4000"), AtStart;
        /// How many bytes of bodies each queue may have in memory, whatever `prefetch` and
        /// `prefetch_delivery` allow. A message without room waits on the broker, unacked, and is
        /// requested again. At least one event of `event.size_max` has room. Deliveries that wait
        /// for their slot may have up to three quarters of the bytes.
        prefetch_size: usize =
            one(number_of("bytes", 1_048_576..=1_073_741_824), "33554432"), AtStart;
        /// How long the broker may be silent before the session ends and the daemon is not ready.
        /// At least 3s in effect.
        heartbeat: Duration = one(some_duration(), "10s"), AtStart;
        /// How long opening a connection may take.
        connect_timeout: Duration = one(some_duration(), "10s"), AtStart;
        /// How long the broker may take to confirm that it stored a message, before the session is
        /// given up. While it blocks publishers (memory or disk alarm) it may take longer.
        confirm_timeout: Duration = one(some_duration(), "30s"), AtStart;
        /// The first wait before the next attempt to reach the broker. Each further one is longer,
        /// up to `reconnect_max`. It restarts here after a session that acked something or lasted
        /// longer than that.
        reconnect_min: Duration = one(some_duration(), "500ms"), AtStart;
        /// The longest wait before the next attempt to reach the broker.
        reconnect_max: Duration = one(some_duration(), "5s"), AtStart;
        /// After how many redeliveries without an outcome the broker gives a message up as poison.
        /// RabbitMQ counts each connection that ends, so leave it large. The daemon itself gives a
        /// message up after it failed twice in handling it. The value is an argument of the queues:
        /// another one on existing queues is a mismatch.
        delivery_limit: u32 = one(number(1..=1_000_000), "1000"), AtStart;
        /// How often the letters in the dead queues are counted at most, for metrics, `roomcast
        /// top` and the console. They are counted only after a possible change. Each count takes
        /// them out for a moment and puts them back at their places. `0s`: never.
        dead_count_every: Duration = one(duration(), "1m"), AtStart;
    }
}

section! {
    /// The queues in which deliveries wait for their time.
    pub struct DelaySettings in "delay" {
        /// One queue for each of these lengths, ascending. The first is at most `pace.hold_max`,
        /// the last at most 24h. The finer they are, the fewer of them a delivery passes until its
        /// slot.
        tiers: Vec<Duration> = many(some_duration(), &TIERS), AtStart;
    }
}

/// Two tiers add up to within `pace.early_max` of almost every slot. So a delivery that waits up to
/// an hour for its slot comes back twice on the average.
const TIERS: [&str; 15] = [
    "1s", "5s", "15s", "1m", "2m", "4m", "5m", "6m", "8m", "10m", "20m", "30m", "40m", "50m", "2h",
];

section! {
    /// The receipts for the ends of deliveries, on the exchange `<prefix>.outcome`.
    pub struct OutcomeSettings in "outcome" {
        /// Which events get receipts. `off`: none. `asked`: those with a header
        /// `x-roomcast-receipt: true`. `all`: all but those with `x-roomcast-receipt: false`.
        receipts: ReceiptPolicy = one(
            one_of(&[
                ("off", ReceiptPolicy::Off),
                ("asked", ReceiptPolicy::Asked),
                ("all", ReceiptPolicy::All),
            ]),
            "off"
        ), AtStart;
    }
}

/// The settings of a session.
#[derive(Clone)]
pub struct SessionSettings {
    /// The address of the broker.
    pub address: Address,
    /// The treatment of the topology, the prefetch of the queues, the wait for confirms.
    pub broker: BrokerSettings,
    /// The maximum body of an event, in bytes. At most one larger body is in memory.
    pub body_max: usize,
}

impl BrokerSettings {
    /// Where the broker is, and how to connect to it.
    #[must_use]
    pub fn address(&self) -> Address {
        Address {
            url: self.url_file.as_ref().unwrap_or(&self.url).clone(),
            ca_file: self.ca_file.clone(),
            heartbeat: self.heartbeat,
            connect_timeout: self.connect_timeout,
        }
    }

    /// The settings of a session. `body_max` is the largest body of an event, in bytes.
    #[must_use]
    pub fn session(&self, body_max: usize) -> SessionSettings {
        SessionSettings { address: self.address(), broker: self.clone(), body_max }
    }

    /// The settings of the topology.
    #[must_use]
    pub fn topology(&self, delay: &DelaySettings, outcome: &OutcomeSettings) -> TopologySettings {
        TopologySettings {
            prefix: self.prefix.clone(),
            tiers: delay.tiers.clone(),
            delivery_limit: self.delivery_limit,
            receipts: outcome.receipts != ReceiptPolicy::Off,
        }
    }
}

/// Parses the broker's address. The error does not repeat the value, because it holds a password.
fn amqp_url(text: &str) -> Parsed<SecretString> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "amqp" | "amqps"));
    url.map(|_| SecretString::from(text))
        .ok_or_else(|| "it is not an amqp:// or amqps:// address".to_owned())
}

/// The prefix of the broker's names.
fn prefix() -> Form<String> {
    Form::new("text", "1 to 64 of A-Z a-z 0-9 - _ .", |text| {
        let good = (1..=64).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if good {
            Ok(text.to_owned())
        } else {
            Err(format!("{text:?} is not a prefix: 1 to 64 of A-Z a-z 0-9 - _ ."))
        }
    })
}
