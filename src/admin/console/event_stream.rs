//! The live data of the console, sent once a second as server-sent events.
//!
//! Owns what watching costs: one snapshot a second for all windows, and none while no window
//! watches. The counters are always recorded, so a new window shows the last five minutes.
//!
//! Not here: the stream of one window (`watch_stream.rs`), which robots it gets
//! (`robot_filter.rs`), and the numbers of the overview (`admin/overview.rs`).

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::robot_filter::{RobotFilter, robots_json};
use crate::{
    admin::{Admin, ApiError, overview::overview, pace_views::group_view},
    domain::SettlementKind,
    pace::RobotStatus,
};

/// The interval between two snapshots.
const TICK: Duration = Duration::from_secs(1);

/// Five minutes of history, one entry a second.
const TICKS_KEPT: usize = 300;

/// How many windows may watch at once. Each costs a connection and up to some 10 kB a second.
const WATCHERS_MAX: usize = 32;

/// One entry of the history: time, events, and deliveries done on each platform, in the order of
/// the overview.
type Sample = (u64, u64, Vec<u64>);

/// One snapshot: the JSON of each view, and the robots for windows with a filter.
#[derive(Default)]
pub(super) struct Snapshot {
    /// The time, in milliseconds since 1970.
    pub(super) at: u64,
    pub(super) overview: String,
    pub(super) robots: String,
    pub(super) budgets: String,
    pub(super) all: Vec<RobotStatus>,
}

pub(super) struct EventStream {
    history: Mutex<VecDeque<Sample>>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    stream_slots: Arc<Semaphore>,
}

impl EventStream {
    pub(super) fn new() -> Self {
        Self {
            history: Mutex::default(),
            snapshots: watch::Sender::default(),
            stream_slots: Arc::new(Semaphore::new(WATCHERS_MAX)),
        }
    }

    /// A permit to watch; dropping it frees the place.
    ///
    /// # Errors
    ///
    /// If `WATCHERS_MAX` windows watch already.
    pub(super) fn reserve_stream(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let full = |_| {
            ApiError::Unavailable(format!(
                "{WATCHERS_MAX} windows watch already: close one of them"
            ))
        };
        Arc::clone(&self.stream_slots).try_acquire_owned().map_err(full)
    }

    /// The snapshots from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }

    /// Reads the counters once a second until `stop`.
    pub(super) async fn record(&self, admin: &Admin, stop: CancellationToken) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let counts = admin.telemetry.counts();
            let done = counts.platforms.values().map(|of| of.settled[SettlementKind::Done]);
            self.remember((wall(admin), counts.events, done.collect()));
            if self.snapshots.receiver_count() > 0 {
                self.snapshots.send_replace(self.frame(admin).await);
            }
        }
    }

    fn remember(&self, tick: Sample) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.len() == TICKS_KEPT {
            history.pop_front();
        }
        history.push_back(tick);
    }

    /// A snapshot. With many robots it takes a while, so it runs on a blocking thread.
    pub(super) async fn frame(&self, admin: &Admin) -> Arc<Snapshot> {
        let admin = admin.clone();
        let made = tokio::task::spawn_blocking(move || frame(&admin)).await;
        made.map(Arc::new).unwrap_or_else(|_| Arc::clone(&self.snapshots.borrow()))
    }

    /// The history as JSON.
    pub(super) fn history(&self) -> String {
        json(&*self.history.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn wall(admin: &Admin) -> u64 {
    admin.pace.timeline().wall_now().unix_millis()
}

fn frame(admin: &Admin) -> Snapshot {
    let robots = admin.pace.robots();
    let groups: Vec<_> = admin.pace.groups().into_iter().map(group_view).collect();
    let at = wall(admin);
    Snapshot {
        at,
        overview: json(&overview(admin, &robots)),
        robots: json(&robots_json(at, &robots, &RobotFilter::default())),
        budgets: json(&groups),
        all: robots,
    }
}

pub(super) fn json(what: &impl Serialize) -> String {
    // These types always serialize.
    serde_json::to_string(what).unwrap_or_default()
}
