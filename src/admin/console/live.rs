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

use super::{
    Console,
    robots::{Wanted, told},
};
use crate::{
    admin::{Admin, Refusal, overview::overview, routes::group_view, wire::RobotsQuery},
    pace::RobotStatus,
};

/// How often those who watch are told.
const TICK: Duration = Duration::from_secs(1);

/// What came before, five minutes of it.
const TICKS_KEPT: usize = 300;

/// So many watch at the same time; each costs a connection and up to some ten kilobytes a second.
const WATCHERS_MAX: usize = 32;

/// What the counters said: when, events, and what was delivered on each platform.
type Tick = (u64, u64, [u64; 4]);

/// What is told to whoever watches one of the views, as JSON, and what of robots is told to whoever asks for some.
#[derive(Default)]
struct Frame {
    at: u64,
    overview: String,
    robots: String,
    budgets: String,
    all: Vec<RobotStatus>,
}

/// Which view somebody watches.
#[derive(Clone)]
pub(super) enum Watched {
    Overview,
    Robots(Arc<Wanted>),
    Budgets,
}

impl Watched {
    pub(super) fn of(view: &str, query: RobotsQuery) -> Result<Self, Refusal> {
        match view {
            "overview" => Ok(Self::Overview),
            "robots" => Ok(Self::Robots(Arc::new(Wanted::read(query)?))),
            "budgets" => Ok(Self::Budgets),
            _ => Err(Refusal::NotFound("nothing of this name is told".to_owned())),
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
            let tick = (wall(admin), counts.events, counts.platforms.map(|platform| platform.done));
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

fn wall(admin: &Admin) -> u64 {
    admin.pace.timeline().wall_now().unix_millis()
}

fn frame(admin: &Admin) -> Frame {
    let robots = admin.pace.robots();
    let groups: Vec<_> = admin.pace.groups().into_iter().map(group_view).collect();
    let at = wall(admin);
    Frame {
        at,
        overview: json(&overview(admin, &robots)),
        robots: json(&told(at, &robots, &Wanted::default())),
        budgets: json(&groups),
        all: robots,
    }
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
    let mut begin = VecDeque::from([now(first, &watched).await]);
    if matches!(watched, Watched::Overview) {
        begin.push_front(Event::default().event("history").data(console.live.history()));
    }
    stream::unfold((console, frames, begin, seat), move |(console, mut frames, mut begin, seat)| {
        let (session, watched) = (session.clone(), watched.clone());
        async move {
            if let Some(event) = begin.pop_front() {
                return Some((Ok(event), (console, frames, begin, seat)));
            }
            console.stop.run_until_cancelled(frames.changed()).await?.ok()?;
            console.sessions.csrf(&session, Instant::now())?;
            let frame = Arc::clone(&frames.borrow_and_update());
            let event = now(frame, &watched).await;
            Some((Ok(event), (console, frames, begin, seat)))
        }
    })
}

async fn now(frame: Arc<Frame>, watched: &Watched) -> Event {
    let event = Event::default().event("now");
    match watched {
        Watched::Overview => event.data(&frame.overview),
        Watched::Budgets => event.data(&frame.budgets),
        Watched::Robots(wanted) if wanted.is_everybody() => event.data(&frame.robots),
        Watched::Robots(wanted) => {
            // Each robot is looked at, as for a whole frame.
            let (wanted, all) = (Arc::clone(wanted), Arc::clone(&frame));
            let some = tokio::task::spawn_blocking(move || json(&told(all.at, &all.all, &wanted))).await;
            event.data(some.unwrap_or_else(|_| frame.robots.clone()))
        }
    }
}

fn json(what: &impl Serialize) -> String {
    // Numbers and names always are JSON.
    serde_json::to_string(what).unwrap_or_default()
}
