//! The shapes of the overview.
//!
//! Owns their names and forms.
//!
//! Not here: the numbers' sources (`admin/overview.rs`).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RobotView;
use crate::{
    broker::DeadQueue,
    domain::{Platform, StoredReason, VerdictKind},
};

/// `GET /v1/overview`: the daemon at one moment.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Overview {
    /// The time of the snapshot, in milliseconds since 1970.
    pub at: u64,
    /// When the counters began, in milliseconds since 1970.
    pub since: u64,
    /// Whether a session with the broker is open.
    pub broker_up: bool,
    /// Whether the broker has blocked publishers for a while.
    pub broker_blocked: bool,
    /// Events received, repeated deliveries included.
    pub events: u64,
    /// Of these, through the urgent exchange.
    pub events_urgent: u64,
    /// Messages that were not a readable event.
    pub events_undecodable: u64,
    /// Events for a topic without subscriptions.
    pub events_unheard: u64,
    /// Deliveries by platform.
    pub platforms: Vec<PlatformFlow>,
    /// Robots.
    pub robots: RobotActivity,
    /// The contents of the dead queues; `null` if none has been counted
    /// (`broker.dead_count_every`).
    pub dead: Option<DeadLettersNow>,
}

/// The contents of the dead queues at their last count.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeadLettersNow {
    /// How many letters.
    pub letters: u64,
    /// When the oldest was given up, as RFC 3339; `null` if no letter has that time.
    pub oldest: Option<String>,
    /// By platform and reason, the largest first.
    pub rows: Vec<DeadRow>,
    /// All dead queues.
    pub queues: Vec<DeadQueueNow>,
}

/// One dead queue.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeadQueueNow {
    /// Its platform, or `event` for messages that were not a readable event.
    pub queue: DeadQueue,
    /// How many letters it held; `null` if it was not counted, because
    /// another consumer held its letters.
    pub letters: Option<u64>,
    /// When it was counted, in milliseconds since 1970.
    pub counted_at: Option<u64>,
}

/// Dead letters with one reason.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeadRow {
    /// Their platform; `null` for events that could not be decoded.
    pub platform: Option<Platform>,
    /// The reason.
    pub reason: StoredReason,
    /// How many letters.
    pub count: u64,
    /// When the oldest was given up, as RFC 3339; `null` if no letter has that time.
    pub oldest: Option<String>,
}

/// The deliveries of one platform since the daemon started.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PlatformFlow {
    /// The platform.
    pub platform: Platform,
    /// Delivered.
    pub done: u64,
    /// Deferred because of a limit.
    pub deferred: u64,
    /// Failed, to be tried again.
    pub retried: u64,
    /// Given up as dead letters.
    pub dead: u64,
    /// Dropped, because the subscription was removed or paused.
    pub dropped: u64,
    /// Attempts made, by verdict.
    #[serde(serialize_with = "write_attempts", deserialize_with = "read_attempts")]
    pub attempts: BTreeMap<VerdictKind, u64>,
    /// Dead letters, by reason.
    pub reasons: BTreeMap<StoredReason, u64>,
}

fn write_attempts<S: Serializer>(
    attempts: &BTreeMap<VerdictKind, u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(attempts.iter().map(|(verdict, count)| (verdict.as_str(), count)))
}

/// Reads the counts of known verdicts. A daemon of a later version may count others.
fn read_attempts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<VerdictKind, u64>, D::Error> {
    let counts = BTreeMap::<String, u64>::deserialize(deserializer)?;
    let known = |(name, count): (String, u64)| Some((VerdictKind::named(&name)?, count));
    Ok(counts.into_iter().filter_map(known).collect())
}

/// A platform that is held as a whole.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OutageView {
    /// The platform.
    pub platform: Platform,
    /// Since when its robots fail, RFC 3339.
    pub since: String,
}

/// A summary of the robots.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RobotActivity {
    /// How many are busy or held.
    pub known: usize,
    /// How many are held.
    pub held: usize,
    /// How many of these fail, each for a reason of its own: those of a platform that is held as a
    /// whole do not count.
    #[serde(default)]
    pub failing: usize,
    /// The platforms that are held as a whole, because most of their robots fail.
    #[serde(default)]
    pub outages: Vec<OutageView>,
    /// How many deliveries wait, for all robots.
    pub waiting: u64,
    /// How many attempts are in flight.
    pub in_flight: u64,
    /// The robots that take longest to drain, the longest first.
    pub slowest: Vec<RobotView>,
}
