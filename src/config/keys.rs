//! The keys of the configuration: names, accepted ranges, defaults.
//!
//! Owns the defaults; those of the platforms are the documented quotas.
//!
//! Not here: the fields that they fill (`sections.rs`), and conditions between keys (`check.rs`).

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use url::Url;

use super::{
    AdminSection, BrokerSection, Config, DelaySection, EventSection, KeySection, LogSection,
    OutcomeSection, PaceSection, PlatformSection, RetrySection, SendSection, ShutdownSection,
    StoreSection,
    parse::{
        duration, host_name, number, one_of, origin, path, prefix, ratio, receiver, some_duration,
        text, time_zone, window,
    },
    reader::Reader,
    sections::TraceSection,
    values::Values,
};
use crate::{
    broker::Declare,
    domain::{GroupName, Platform, PlatformMap, ReceiptPolicy},
    pace::{AtEnd, GroupSettings, HealthPolicy, PlatformQuota, WindowQuota},
    private_file,
    telemetry::{LogFormat, with_causes},
};

/// Keys with lists as values: the section, or its beginning, and the key.
pub(super) const LISTS: [(&str, &str); 4] =
    [("admin", "hosts"), ("delay", "tiers"), ("retry", "delays"), ("platforms.", "windows")];
const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const HOUR: u64 = 3600;

const RECEIPTS: [(&str, ReceiptPolicy); 3] =
    [("off", ReceiptPolicy::Off), ("asked", ReceiptPolicy::Asked), ("all", ReceiptPolicy::All)];

/// In seconds. Two tiers add up to within `pace.early_max` of almost every slot. So a delivery that
/// waits up to an hour for its slot comes back twice on the average.
const TIERS: [u64; 15] = [1, 5, 15, 60, 120, 240, 300, 360, 480, 600, 1200, 1800, 2400, 3000, 7200];

/// `[groups.<name>]`, one section for each organisation.
fn groups(r: &mut Reader<'_>) -> Vec<GroupSettings> {
    const AT_END: [(&str, AtEnd); 3] =
        [("hold", AtEnd::Hold), ("dead", AtEnd::Dead), ("ignore", AtEnd::Ignore)];
    let mut groups = Vec::new();
    for name in r.sections_of("groups") {
        let section = format!("groups.{name}");
        let monthly = r.optional(&section, "monthly", number(1..=u64::MAX));
        let at_end = r.one(&section, "at_end", AtEnd::Hold, one_of(&AT_END));
        let warn_at = r.one(&section, "warn_at", 0.8, ratio);
        // DingTalk counts by the months of China, where its users are.
        let zone =
            r.one(&section, "time_zone", jiff::tz::Offset::constant(8).to_time_zone(), time_zone);
        match name.parse::<GroupName>() {
            Ok(name) => groups.push(GroupSettings { name, monthly, at_end, warn_at, zone }),
            Err(mistake) => r.across_section(&section, &mistake.to_string()),
        }
    }
    groups
}

impl Config {
    pub(super) fn of(r: &mut Reader<'_>) -> Self {
        Self {
            broker: BrokerSection::of(r),
            delay: DelaySection {
                tiers: r.many("delay", "tiers", TIERS.map(seconds).to_vec(), some_duration),
            },
            event: EventSection {
                size_max: r.one("event", "size_max", 262_144, number(1..=16_777_216)),
                time_to_live: r.one("event", "time_to_live", seconds(24 * HOUR), some_duration),
                time_to_live_max: r.one(
                    "event",
                    "time_to_live_max",
                    seconds(7 * 24 * HOUR),
                    some_duration,
                ),
                not_before_max: r.one(
                    "event",
                    "not_before_max",
                    seconds(7 * 24 * HOUR),
                    some_duration,
                ),
                timestamp_age_max: r.one(
                    "event",
                    "timestamp_age_max",
                    seconds(12 * HOUR),
                    duration,
                ),
            },
            outcome: OutcomeSection {
                receipts: r.one("outcome", "receipts", ReceiptPolicy::Off, one_of(&RECEIPTS)),
            },
            pace: PaceSection::of(r),
            platforms: PlatformMap::from_fn(|platform| PlatformSection::of(r, platform)),
            health: HealthPolicy {
                after: r.one("health", "after", 3, number(1..=1000)),
                probe_min: r.one("health", "probe_min", seconds(60), some_duration),
                probe_max: r.one("health", "probe_max", seconds(HOUR), some_duration),
            },
            groups: groups(r),
            retry: RetrySection {
                delays: r.many(
                    "retry",
                    "delays",
                    [5, 15, 60, 300, 900, 1800].map(seconds).to_vec(),
                    some_duration,
                ),
                jitter: r.one("retry", "jitter", 0.2, ratio),
                age_max: r.one("retry", "age_max", seconds(24 * HOUR), some_duration),
                wait_max: r.one("retry", "wait_max", seconds(2 * HOUR), some_duration),
            },
            send: SendSection {
                connect_timeout: r.one("send", "connect_timeout", seconds(5), some_duration),
                deadline: r.one("send", "deadline", seconds(15), some_duration),
                pool_idle_per_host: r.one("send", "pool_idle_per_host", 256, number(0..=10_000)),
            },
            store: StoreSection {
                dir: r.one("store", "dir", "/var/lib/roomcast".into(), path),
                ledger_window: r.one("store", "ledger_window", seconds(600), some_duration),
            },
            key: KeySection { file: r.one("key", "file", key_file(), path) },
            admin: AdminSection {
                socket: r.one("admin", "socket", "/run/roomcast/admin.sock".into(), path),
                listen: r.optional("admin", "listen", text),
                token_file: r.optional("admin", "token_file", path),
                hosts: r.many("admin", "hosts", Vec::new(), host_name),
                console: r.one(
                    "admin",
                    "console",
                    false,
                    one_of(&[("true", true), ("false", false)]),
                ),
            },
            log: LogSection {
                format: r.one(
                    "log",
                    "format",
                    LogFormat::Text,
                    one_of(&[("text", LogFormat::Text), ("json", LogFormat::Json)]),
                ),
                level: r.one("log", "level", "info".to_owned(), text),
            },
            trace: TraceSection {
                otlp_endpoint: r.optional("trace", "otlp_endpoint", receiver),
                sample_ratio: r.one("trace", "sample_ratio", 1.0, ratio),
                service_name: r.one("trace", "service_name", "roomcast".to_owned(), text),
            },
            shutdown: ShutdownSection { drain: r.one("shutdown", "drain", seconds(20), duration) },
            values: Values::default(),
        }
    }
}

/// The default key file: systemd's credential `master.key` if there is one, else the file in
/// `/etc/roomcast`.
fn key_file() -> PathBuf {
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY")
        .map(|folder| PathBuf::from(folder).join("master.key"));
    credential.filter(|file| file.exists()).unwrap_or_else(|| "/etc/roomcast/master.key".into())
}

impl BrokerSection {
    fn of(r: &mut Reader<'_>) -> Self {
        const DECLARE: [(&str, Declare); 3] =
            [("create", Declare::Create), ("verify", Declare::Verify), ("none", Declare::None)];
        let url = r.secret("broker", "url", amqp_url);
        let from_file = r.secret("broker", "url_file", |name| {
            let text = private_file::read("the broker's address", Path::new(name));
            amqp_url(text.map_err(|error| with_causes(&error))?.trim())
        });
        if url.is_some() && from_file.is_some() {
            r.cross_field("broker", "url_file", "broker.url is set as well: leave one of them out");
        }
        let default = || SecretString::from("amqp://guest:guest@localhost:5672/%2f");
        Self {
            url: url.or(from_file).unwrap_or_else(default),
            ca_file: r.optional("broker", "ca_file", path),
            prefix: r.one("broker", "prefix", "roomcast".to_owned(), prefix),
            declare: r.one("broker", "declare", Declare::Create, one_of(&DECLARE)),
            prefetch: r.one("broker", "prefetch", 500, number(1..=u16::MAX)),
            prefetch_delivery: r.one("broker", "prefetch_delivery", 4000, number(4..=u16::MAX)),
            prefetch_size: r.one(
                "broker",
                "prefetch_size",
                33_554_432,
                number(1_048_576..=1_073_741_824),
            ),
            heartbeat: r.one("broker", "heartbeat", seconds(10), some_duration),
            connect_timeout: r.one("broker", "connect_timeout", seconds(10), some_duration),
            confirm_timeout: r.one("broker", "confirm_timeout", seconds(30), some_duration),
            reconnect_min: r.one(
                "broker",
                "reconnect_min",
                Duration::from_millis(500),
                some_duration,
            ),
            reconnect_max: r.one("broker", "reconnect_max", seconds(5), some_duration),
            delivery_limit: r.one("broker", "delivery_limit", 1000, number(1..=1_000_000)),
            dead_count_every: r.one("broker", "dead_count_every", seconds(60), duration),
        }
    }
}

/// Parses the broker's address. The error does not repeat the value, because it holds a password.
fn amqp_url(text: &str) -> Result<SecretString, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "amqp" | "amqps"));
    url.map(|_| SecretString::from(text))
        .ok_or_else(|| "it is no amqp:// or amqps:// address".to_owned())
}

impl PaceSection {
    fn of(r: &mut Reader<'_>) -> Self {
        Self {
            hold_max: r.one("pace", "hold_max", seconds(2), some_duration),
            early_max: r.one("pace", "early_max", seconds(90), some_duration),
            order_gap: r.one("pace", "order_gap", Duration::from_millis(50), duration),
            in_flight_max: r.one("pace", "in_flight_max", 256, number(1..=65_536)),
            held_max: r.one("pace", "held_max", 10_000, number(1..=1_000_000)),
            margin: r.one("pace", "margin", Duration::from_millis(500), duration),
        }
    }
}

impl PlatformSection {
    fn of(r: &mut Reader<'_>, platform: Platform) -> Self {
        let section = format!("platforms.{platform}");
        let quota = |max, span| WindowQuota { max, span: seconds(span) };
        let (windows, penalty_min, penalty_max) = match platform {
            Platform::DingTalk | Platform::DingTalkInternal => (vec![quota(20, 60)], 60, 600),
            Platform::Lark => (vec![quota(100, 60), quota(5, 1)], 5, 60),
            Platform::WeCom => (vec![quota(20, 60)], 60, 60),
        };
        let base_url = r.optional(&section, "base_url", origin);
        let windows = r.many(&section, "windows", windows, window);
        let rate_per_second = r.one(&section, "rate_per_second", 400, number(0..=1_000_000));
        let penalty_min = r.one(&section, "penalty_min", seconds(penalty_min), some_duration);
        let penalty_max = r.one(&section, "penalty_max", seconds(penalty_max), some_duration);
        // The margin is the same for all platforms; it is added where the
        // quotas are passed to the pace.
        let quota = PlatformQuota {
            windows,
            margin: Duration::ZERO,
            rate_per_second: (rate_per_second > 0).then_some(rate_per_second),
            penalty_min,
            penalty_max,
        };
        Self { base_url, quota }
    }
}
