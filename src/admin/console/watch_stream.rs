//! The event stream of one window.
//!
//! Owns when the stream ends: with the session of the window, or with the daemon.
//!
//! Not here: the snapshots (`event_stream.rs`), and which robots a window gets (`robot_filter.rs`).

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Instant};

use axum::response::sse::Event;
use futures_util::{Stream, stream};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    event_stream::{Snapshot, json},
    robot_filter::{RobotFilter, robots_json},
    state::Console,
};
use crate::admin::{ApiError, wire::RobotsQuery};

/// The view that a window watches.
#[derive(Clone)]
pub(super) enum StreamKind {
    Overview,
    Robots(Arc<RobotFilter>),
    Budgets,
}

impl StreamKind {
    pub(super) fn of(view: &str, query: RobotsQuery) -> Result<Self, ApiError> {
        match view {
            "overview" => Ok(Self::Overview),
            "robots" => Ok(Self::Robots(Arc::new(RobotFilter::read(query)?))),
            "budgets" => Ok(Self::Budgets),
            _ => Err(ApiError::NotFound("there is no stream of this name".to_owned())),
        }
    }
}

/// The events for one window: the history, the present, then one snapshot a second. The stream ends
/// with the session or with the daemon.
pub(super) async fn stream(
    console: Arc<Console>,
    session: String,
    watched: StreamKind,
    reserve_stream: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let frames = console.live.subscribe();
    let first = console.live.frame(&console.admin).await;
    let mut begin = VecDeque::from([now(first, &watched).await]);
    if matches!(watched, StreamKind::Overview) {
        begin.push_front(Event::default().event("history").data(console.live.history()));
    }
    stream::unfold(
        (console, frames, begin, reserve_stream),
        move |(console, mut frames, mut begin, reserve_stream)| {
            let (session, watched) = (session.clone(), watched.clone());
            async move {
                if let Some(event) = begin.pop_front() {
                    return Some((Ok(event), (console, frames, begin, reserve_stream)));
                }
                console.stop.run_until_cancelled(frames.changed()).await?.ok()?;
                console.sessions.csrf(&session, Instant::now())?;
                let frame = Arc::clone(&frames.borrow_and_update());
                let event = now(frame, &watched).await;
                Some((Ok(event), (console, frames, begin, reserve_stream)))
            }
        },
    )
}

async fn now(frame: Arc<Snapshot>, watched: &StreamKind) -> Event {
    let event = Event::default().event("now");
    match watched {
        StreamKind::Overview => event.data(&frame.overview),
        StreamKind::Budgets => event.data(&frame.budgets),
        StreamKind::Robots(wanted) if wanted.matches_all() => event.data(&frame.robots),
        StreamKind::Robots(wanted) => {
            // Filtering looks at each robot, so it runs on a blocking thread.
            let (wanted, all) = (Arc::clone(wanted), Arc::clone(&frame));
            let some =
                tokio::task::spawn_blocking(move || json(&robots_json(all.at, &all.all, &wanted)))
                    .await;
            event.data(some.unwrap_or_else(|_| frame.robots.clone()))
        }
    }
}
