//! What those who watch are told once a second. The counters are read all the time, so that who opens the page sees the last minutes; robots
//! and organisations are looked at only while somebody watches, and once for all who do.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::response::sse::Event;
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::Console;
use crate::{
    admin::{
        Admin, Refusal,
        overview::overview,
        routes::{group_view, robot_view},
        wire::Robots,
    },
    pace::RobotStatus,
};

/// How often those who watch are told.
const TICK: Duration = Duration::from_secs(1);

/// What came before, five minutes of it.
const TICKS_KEPT: usize = 300;

/// So many watch at the same time; each costs a connection and a few kilobytes a second.
const WATCHERS_MAX: usize = 32;

/// So many robots are told one by one, besides those that are held; and so many of all.
const ROBOTS_TOLD: usize = 200;
const ROBOTS_TOLD_MAX: usize = 500;

/// What the counters said: when, events, and what was delivered on each platform.
type Tick = (u64, u64, [u64; 4]);

/// What is told to whoever watches one of the views, as JSON.
#[derive(Default)]
struct Frame {
    overview: String,
    robots: String,
    budgets: String,
}

/// Which view somebody watches.
#[derive(Clone, Copy)]
pub(super) enum Watched {
    Overview,
    Robots,
    Budgets,
}

impl Watched {
    pub(super) fn of(view: &str) -> Option<Self> {
        match view {
            "overview" => Some(Self::Overview),
            "robots" => Some(Self::Robots),
            "budgets" => Some(Self::Budgets),
            _ => None,
        }
    }
}

pub(super) struct Live {
    history: Mutex<VecDeque<Tick>>,
    told: watch::Sender<Arc<Frame>>,
    seats: Arc<Semaphore>,
}

impl Live {
    pub(super) fn new() -> Self {
        Self {
            history: Mutex::default(),
            told: watch::Sender::default(),
            seats: Arc::new(Semaphore::new(WATCHERS_MAX)),
        }
    }

    /// A place among those who watch; it is given back when it is dropped.
    pub(super) fn seat(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let full = |_| Refusal::Unavailable(format!("{WATCHERS_MAX} windows watch already: close one of them"));
        Arc::clone(&self.seats).try_acquire_owned().map_err(full)
    }

    /// Reads the counters once a second until `stop`.
    pub(super) async fn record(&self, admin: &Admin, stop: CancellationToken) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let counts = admin.telemetry.counts();
            let tick = (admin.pace.now().unix_millis(), counts.events, counts.platforms.map(|platform| platform.done));
            self.remember(tick);
            if self.told.receiver_count() > 0 {
                self.told.send_replace(self.frame(admin).await);
            }
        }
    }

    fn remember(&self, tick: Tick) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.len() == TICKS_KEPT {
            history.pop_front();
        }
        history.push_back(tick);
    }

    /// Everything that is told at one moment. With many robots it takes a while, so it is not done where other tasks run.
    async fn frame(&self, admin: &Admin) -> Arc<Frame> {
        let admin = admin.clone();
        let made = tokio::task::spawn_blocking(move || frame(&admin)).await;
        made.map(Arc::new).unwrap_or_else(|_| Arc::clone(&self.told.borrow()))
    }

    fn history(&self) -> String {
        json(&*self.history.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn frame(admin: &Admin) -> Frame {
    let robots = admin.pace.robots();
    let groups: Vec<_> = admin.pace.groups().into_iter().map(group_view).collect();
    Frame { overview: json(&overview(admin, &robots)), robots: json(&told(admin, robots)), budgets: json(&groups) }
}

/// Robots come with the busiest first; those that are held are told wherever they stand.
fn told(admin: &Admin, robots: Vec<RobotStatus>) -> Robots {
    let known = robots.len();
    let wanted = robots.into_iter().enumerate().filter(|(place, robot)| *place < ROBOTS_TOLD || robot.hold.is_some());
    let robots: Vec<_> = wanted.take(ROBOTS_TOLD_MAX).map(|(_, robot)| robot_view(robot)).collect();
    Robots { at: admin.pace.now().unix_millis(), more: known - robots.len(), robots }
}

/// What one window is told: what was, what is, and then once a second what has become of it, until the session ends or the daemon stops.
pub(super) async fn stream(
    console: Arc<Console>,
    session: String,
    watched: Watched,
    seat: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let frames = console.live.told.subscribe();
    let first = console.live.frame(&console.admin).await;
    let mut begin = VecDeque::from([Event::default().event("now").data(first.of(watched))]);
    if matches!(watched, Watched::Overview) {
        begin.push_front(Event::default().event("history").data(console.live.history()));
    }
    stream::unfold((console, frames, begin, seat), move |(console, mut frames, mut begin, seat)| {
        let session = session.clone();
        async move {
            if let Some(event) = begin.pop_front() {
                return Some((Ok(event), (console, frames, begin, seat)));
            }
            console.stop.run_until_cancelled(frames.changed()).await?.ok()?;
            console.sessions.csrf(&session, Instant::now())?;
            let event = Event::default().event("now").data(frames.borrow_and_update().of(watched));
            Some((Ok(event), (console, frames, begin, seat)))
        }
    })
}

impl Frame {
    fn of(&self, watched: Watched) -> &str {
        match watched {
            Watched::Overview => &self.overview,
            Watched::Robots => &self.robots,
            Watched::Budgets => &self.budgets,
        }
    }
}

fn json(what: &impl Serialize) -> String {
    // Numbers and names always are JSON.
    serde_json::to_string(what).unwrap_or_default()
}
