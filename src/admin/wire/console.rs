//! What the console asks for and is told, besides what the API has for everybody.

use serde::{Deserialize, Serialize};

use super::{RobotView, credential};
use crate::domain::Secret;

/// `POST /console/api/session`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The admin token.
    #[serde(with = "credential::required")]
    pub token: Secret,
}

/// What the page has to know of its session; the session's own id is in a cookie that scripts cannot read.
#[derive(Serialize)]
pub struct Session {
    /// Shown with every request that changes something, so that no other page can make one.
    pub csrf: String,
    /// Which roomcast this is.
    pub version: &'static str,
}

/// The daemon at one moment.
#[derive(Serialize)]
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
}

/// What became of the deliveries of one platform since the daemon started.
#[derive(Serialize)]
pub struct Flow {
    /// Which platform.
    pub platform: &'static str,
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
}

/// The robots in a few numbers.
#[derive(Serialize)]
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

/// The robots one by one.
#[derive(Serialize)]
pub struct Robots {
    /// At which moment, in milliseconds since 1970.
    pub at: u64,
    /// Those that are held, and the busiest of the others.
    pub robots: Vec<RobotView>,
    /// How many more are busy.
    pub more: usize,
}
