//! The console: a web page below `/console` at the TCP address, to watch and operate the daemon.
//!
//! Owns which routes of the API the page may use. The others, such as export and adding, do not
//! exist here, so that a compromised page cannot use them.
//!
//! Not here: the commands behind the routes (`admin/routes.rs`, `admin/letters.rs`), and the same
//! views in a terminal (`cli/top`).
//!
//! | route | what it does |
//! | --- | --- |
//! | `GET /console`, `/console/{view}` | the page, without data |
//! | `GET /console/assets/{file}` | a file of the page |
//! | `POST`, `GET`, `DELETE /console/api/session` | sign in; show the session; sign out |
//! | `GET /console/api/live/{view}` | snapshots, once a second, as server-sent events |
//! | the rest of `/console/api` | the routes of the API that the console needs |

mod assets;
mod guard;
mod live;
mod robots;
mod session;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{
        IntoResponse, Redirect, Response,
        sse::{KeepAlive, Sse},
    },
    routing::{delete, get, post},
};
use tokio_util::sync::CancellationToken;

use self::{
    guard::Passed,
    live::{Live, Watched},
    session::Sessions,
};
use super::{
    Admin, Refusal,
    audit::{log_changes, session_tag},
    body::Body,
    caller::Caller,
    door::Door,
    letter_routes, routes,
    wire::{RobotsQuery, Session, SignIn},
};
use crate::telemetry::events;

/// The views of the page.
const VIEWS: [&str; 6] = ["overview", "robots", "budgets", "subscriptions", "dead", "explain"];

/// The longest silence of an event stream. A comment then keeps proxies from closing it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The state of the console.
struct Console {
    admin: Admin,
    door: Arc<Door>,
    sessions: Sessions,
    live: Live,
    stop: CancellationToken,
}

/// The console's routes. Starts a task that records the counters once a second until `stop`.
pub(super) fn routes(admin: Admin, door: Arc<Door>, stop: &CancellationToken) -> Router {
    let live = Live::new();
    let console = Arc::new(Console { admin, door, sessions: Sessions::default(), live, stop: stop.clone() });
    let recording = Arc::clone(&console);
    tokio::spawn(async move { recording.live.record(&recording.admin, recording.stop.clone()).await });
    let guard = middleware::from_fn_with_state(Arc::clone(&console), guard::sessions_only);
    let own = Router::new()
        .route("/console/api/session", delete(sign_out))
        .route("/console/api/live/{view}", get(watch))
        .with_state(Arc::clone(&console))
        .merge(of_the_api().route_layer(middleware::from_fn(log_changes)).with_state(console.admin.clone()))
        .layer(guard);
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/console") }))
        .route("/console", get(|| async { page() }))
        .route("/console/{*rest}", get(page_or_file))
        .route("/console/api/session", get(look_at_session).post(sign_in))
        .with_state(console)
        .merge(own)
        .layer(DefaultBodyLimit::max(routes::REQUEST_BYTES_MAX))
        .layer(middleware::map_response(guard::with_headers))
}

/// The routes of the API that the console may use.
fn of_the_api() -> Router<Admin> {
    Router::new()
        .route("/console/api/subscriptions", get(routes::list))
        .route("/console/api/subscriptions/{id}", get(routes::show))
        .route("/console/api/subscriptions/{id}/pause", post(routes::pause))
        .route("/console/api/subscriptions/{id}/resume", post(routes::resume))
        .route("/console/api/robots/{id}/release", post(routes::release))
        .route("/console/api/explain", post(routes::explain).layer(DefaultBodyLimit::max(routes::EXPLAIN_BYTES_MAX)))
        .merge(letter_routes::routes("/console/api"))
}

fn page() -> Response {
    let (kind, text) = assets::PAGE;
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn page_or_file(Path(rest): Path<String>, asked: HeaderMap) -> Response {
    if VIEWS.contains(&rest.as_str()) {
        return page();
    }
    let file = rest.strip_prefix("assets/").and_then(|name| assets::file(name, &asked));
    file.unwrap_or_else(|| Refusal::NotFound("the console has nothing of this name".to_owned()).into_response())
}

async fn sign_in(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(shown): Body<SignIn>,
) -> Result<Response, Refusal> {
    guard::from_our_page(&headers)?;
    console.door.enter("the console", caller, shown.token.expose().trim().as_bytes(), &console.admin.telemetry)?;
    let id = console.sessions.open(Instant::now());
    events::SignedIn { from: caller.ip(), session: &session_tag(&id) }.emit();
    let cookie = session::cookie(guard::cookie_name(&headers), Some(&id), guard::over_tls(&headers));
    Ok(([(header::SET_COOKIE, cookie)], session_view(&console, &id)).into_response())
}

/// 204 if there is no session: the page asks before it knows whether the user is signed in.
async fn look_at_session(State(console): State<Arc<Console>>, headers: HeaderMap) -> Result<Response, Refusal> {
    guard::from_our_page(&headers)?;
    Ok(match guard::session_of(&console, &headers) {
        Some(id) => session_view(&console, &id).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

async fn sign_out(
    State(console): State<Arc<Console>>,
    Extension(Passed(id)): Extension<Passed>,
    headers: HeaderMap,
) -> Response {
    console.sessions.close(&id);
    let cookie = session::cookie(guard::cookie_name(&headers), None, guard::over_tls(&headers));
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

fn session_view(console: &Console, id: &str) -> Json<Session> {
    let csrf = console.sessions.csrf(id, Instant::now()).unwrap_or_default();
    Json(Session { csrf, version: env!("CARGO_PKG_VERSION") })
}

async fn watch(
    State(console): State<Arc<Console>>,
    Extension(Passed(id)): Extension<Passed>,
    Path(view): Path<String>,
    Query(query): Query<RobotsQuery>,
) -> Result<Response, Refusal> {
    let watched = Watched::of(&view, query)?;
    let seat = console.live.seat()?;
    let told =
        Sse::new(live::stream(console, id, watched, seat).await).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // Without this header, some proxies buffer the stream.
    Ok(([("x-accel-buffering", "no")], told).into_response())
}
