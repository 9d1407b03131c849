//! The console: a web page below `/console` at the TCP address, to watch and operate the daemon.
//!
//! Owns which routes of the API the page may use. The others, such as export and adding, do not
//! exist here, so that a compromised page cannot use them.
//!
//! Not here: the commands behind the routes (`admin/routes.rs`, `admin/dead_letters.rs`), and the
//! same views in a terminal (`cli/top`).
//!
//! | route | what it does |
//! | --- | --- |
//! | `GET /console`, `/console/{view}` | the page, without data |
//! | `GET /console/assets/{file}` | a file of the page |
//! | `POST`, `GET`, `DELETE /console/api/session` | sign in; show the session; sign out |
//! | `GET /console/api/live/{view}` | snapshots, once a second, as server-sent events |
//! | the rest of `/console/api` | the routes of the API that the console needs |

mod assets;
mod event_stream;
mod guard;
mod robot_filter;
mod session;
mod state;
mod watch_stream;

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
    event_stream::EventStream, guard::AuthenticatedSession, session::ConsoleSessions,
    state::Console, watch_stream::StreamKind,
};
use super::{
    Admin, ApiError,
    audit::{log_changes, session_tag},
    authenticator::TokenAuthenticator,
    body::{EXPLAIN_BYTES_MAX, JsonBody, REQUEST_BYTES_MAX},
    caller::Caller,
    dead_letter_routes, history_routes, routes,
    wire::{RobotsQuery, SessionView, SignIn},
};
use crate::telemetry::events;

/// The views of the page.
const VIEWS: [&str; 8] =
    ["overview", "robots", "budgets", "subscriptions", "topics", "dead", "history", "explain"];

/// The longest silence of an event stream. A comment then keeps proxies from closing it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The console's routes. Starts a task that records the counters once a second until `stop`.
pub(super) fn routes(
    admin: Admin,
    authenticator: Arc<TokenAuthenticator>,
    stop: &CancellationToken,
) -> Router {
    let live = EventStream::new();
    let console = Arc::new(Console {
        admin,
        authenticator,
        sessions: ConsoleSessions::default(),
        live,
        stop: stop.clone(),
    });
    let recording = Arc::clone(&console);
    tokio::spawn(
        async move { recording.live.record(&recording.admin, recording.stop.clone()).await },
    );
    let guard = middleware::from_fn_with_state(Arc::clone(&console), guard::sessions_only);
    let own = Router::new()
        .route("/console/api/session", delete(sign_out))
        .route("/console/api/live/{view}", get(watch))
        .with_state(Arc::clone(&console))
        .merge(
            api_routes()
                .route_layer(middleware::from_fn(log_changes))
                .with_state(console.admin.clone()),
        )
        .layer(guard);
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/console") }))
        .route("/console", get(|| async { page() }))
        .route("/console/{*rest}", get(page_or_file))
        .route("/console/api/session", get(session_status).post(sign_in))
        .with_state(console)
        .merge(own)
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .layer(middleware::map_response(guard::with_headers))
}

/// The routes of the API that the console may use.
fn api_routes() -> Router<Admin> {
    Router::new()
        .route("/console/api/subscriptions", get(routes::list))
        .route("/console/api/subscriptions/{id}", get(routes::show))
        .route("/console/api/subscriptions/{id}/pause", post(routes::pause))
        .route("/console/api/subscriptions/{id}/resume", post(routes::resume))
        .route("/console/api/subscriptions/{id}/test", post(routes::test))
        .route("/console/api/topics", get(routes::topics))
        .route("/console/api/robots/{id}/release", post(routes::release))
        .route(
            "/console/api/explain",
            post(routes::explain).layer(DefaultBodyLimit::max(EXPLAIN_BYTES_MAX)),
        )
        .merge(dead_letter_routes::routes("/console/api"))
        .merge(history_routes::routes("/console/api"))
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
    file.unwrap_or_else(|| {
        ApiError::NotFound("the console has nothing of this name".to_owned()).into_response()
    })
}

async fn sign_in(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody(shown): JsonBody<SignIn>,
) -> Result<Response, ApiError> {
    guard::is_same_origin(&headers)?;
    console.authenticator.authenticate(
        "the console",
        caller,
        shown.token.expose().trim().as_bytes(),
        &console.admin.telemetry,
    )?;
    let id = console.sessions.open(Instant::now());
    events::SignedIn { from: caller.ip(), session: &session_tag(&id) }.emit();
    let cookie =
        session::cookie(guard::cookie_name(&headers), Some(&id), guard::over_tls(&headers));
    Ok(([(header::SET_COOKIE, cookie)], session_view(&console, &id)).into_response())
}

/// 204 if there is no session: the page asks before it knows whether the user is signed in.
async fn session_status(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    guard::is_same_origin(&headers)?;
    Ok(match guard::session_of(&console, &headers) {
        Some(id) => session_view(&console, &id).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

async fn sign_out(
    State(console): State<Arc<Console>>,
    Extension(AuthenticatedSession(id)): Extension<AuthenticatedSession>,
    headers: HeaderMap,
) -> Response {
    console.sessions.close(&id);
    let cookie = session::cookie(guard::cookie_name(&headers), None, guard::over_tls(&headers));
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

fn session_view(console: &Console, id: &str) -> Json<SessionView> {
    let csrf = console.sessions.csrf(id, Instant::now()).unwrap_or_default();
    Json(SessionView { csrf, version: env!("CARGO_PKG_VERSION") })
}

async fn watch(
    State(console): State<Arc<Console>>,
    Extension(AuthenticatedSession(id)): Extension<AuthenticatedSession>,
    Path(view): Path<String>,
    Query(query): Query<RobotsQuery>,
) -> Result<Response, ApiError> {
    let watched = StreamKind::of(&view, query)?;
    let reserve_stream = console.live.reserve_stream()?;
    let told = Sse::new(watch_stream::stream(console, id, watched, reserve_stream).await)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // Without this header, some proxies buffer the stream.
    Ok(([("x-accel-buffering", "no")], told).into_response())
}
