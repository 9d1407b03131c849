//! The daemon at one moment, in a few numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::RobotView;

/// `GET /v1/overview`: the daemon at one moment.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Overview {
    /// Which moment, in milliseconds since 1970.
    pub at: u64,
    /// Since when it counts, in milliseconds since 1970.
    pub since: u64,
    /// Whether a session with the broker is open.
    pub broker_up: bool,
    /// Whether the broker has asked publishers to stop for a while.
    pub broker_blocked: bool,
    /// Events received, repeats included.
    pub events: u64,
    /// Of these, through the urgent exchange.
    pub events_urgent: u64,
    /// Messages that were no readable event.
    pub events_undecodable: u64,
    /// Events for a topic without subscriptions.
    pub events_unheard: u64,
    /// Deliveries by platform.
    pub platforms: Vec<Flow>,
    /// Robots.
    pub robots: Busy,
    /// What lies in the dead queues; nothing if none of them has been counted (`broker.dead_count_every`).
    pub dead: Option<DeadNow>,
}

/// What lay in the dead queues when each was counted last.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeadNow {
    /// How many letters.
    pub letters: u64,
    /// When the oldest was given up, as RFC 3339; nothing if there is none that says so.
    pub oldest: Option<String>,
    /// By platform and reason, the most first.
    pub rows: Vec<DeadRow>,
    /// All dead queues.
    pub queues: Vec<DeadQueueNow>,
}

/// One dead queue.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeadQueueNow {
    /// Its platform, or `event` for what was no readable event.
    pub queue: String,
    /// How many letters lay there; nothing if it has not been counted, because somebody else is at it.
    pub letters: Option<u64>,
    /// When it was counted, in milliseconds since 1970.
    pub counted_at: Option<u64>,
}

/// Dead letters that were given up for one reason.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeadRow {
    /// Of which platform; nothing for events that could not be read.
    pub platform: Option<String>,
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// When the oldest was given up, as RFC 3339; nothing if none says so.
    pub oldest: Option<String>,
}

/// What became of the deliveries of one platform since the daemon started.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Flow {
    /// Which platform.
    pub platform: String,
    /// Delivered.
    pub done: u64,
    /// Put off because of a limit.
    pub deferred: u64,
    /// Tried and failed, to be tried again.
    pub retried: u64,
    /// Given up.
    pub dead: u64,
    /// Dropped, because their subscription is gone or paused.
    pub dropped: u64,
    /// Attempts made, by verdict.
    pub attempts: BTreeMap<String, u64>,
    /// Given up, by reason.
    pub reasons: BTreeMap<String, u64>,
}

/// The robots in a few numbers.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Busy {
    /// How many are busy or held.
    pub known: usize,
    /// How many are held.
    pub held: usize,
    /// How many deliveries wait for all of them.
    pub waiting: u64,
    /// How many attempts are in the air.
    pub in_flight: u64,
    /// Those that take longest to drain, the longest first.
    pub slowest: Vec<RobotView>,
}
