//! The control interface for tests: the received messages, the robots, the faults.
//!
//! Owns its routes and their JSON.
//!
//! Not here: the platforms' routes (`reception.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Json, Response};
use axum::routing::{get, put};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::emulator::Emulator;
use crate::faults::Fault;
use crate::page;
use crate::platform::Platform;
use crate::received::Received;
use crate::robots::Setup;

type Shared = State<Arc<Emulator>>;

/// The routes of the control interface.
pub(crate) fn routes() -> Router<Arc<Emulator>> {
    Router::new()
        .route("/", get(show))
        .route("/healthz", get(async || "ok"))
        .route("/received", get(received).delete(forget))
        .route("/received/count", get(count))
        .route("/robots", get(robots))
        .route("/robots/{platform}/{token}", put(register).delete(remove))
        .route("/faults", get(faults).post(inject).delete(calm))
}

/// The filter for entries of the log.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    platform: Option<Platform>,
    token: Option<String>,
    outcome: Option<String>,
}

impl Wanted {
    fn matches(&self, entry: &Received) -> bool {
        self.platform.is_none_or(|platform| platform == entry.platform)
            && self.token.as_ref().is_none_or(|token| *token == entry.token)
            && self.outcome.as_ref().is_none_or(|outcome| outcome == entry.outcome.name())
    }
}

async fn show(State(emulator): Shared) -> Html<String> {
    let (entries, counts) = {
        let state = emulator.lock();
        (state.log.entries(), state.log.counts)
    };
    Html(page::draw(&entries, counts))
}

async fn received(State(emulator): Shared, Query(wanted): Query<Wanted>) -> Response {
    let mut entries = emulator.lock().log.entries();
    entries.retain(|entry| wanted.matches(entry));
    let entries: Vec<&Received> = entries.iter().map(AsRef::as_ref).collect();
    Json(entries).into_response()
}

async fn count(State(emulator): Shared) -> Response {
    let counts = emulator.lock().log.counts;
    Json(counts).into_response()
}

async fn forget(State(emulator): Shared) -> StatusCode {
    emulator.lock().log.clear();
    StatusCode::NO_CONTENT
}

async fn robots(State(emulator): Shared) -> Response {
    let listed = emulator.lock().robots.list();
    Json(listed).into_response()
}

async fn register(
    State(emulator): Shared,
    Path((platform, token)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let Some(platform) = Platform::named(&platform) else {
        return no_such_platform();
    };
    let setup: Setup = match parse(if body.is_empty() { b"{}" } else { &body }) {
        Ok(setup) => setup,
        Err(complaint) => return bad(&complaint),
    };
    if let Some(complaint) = setup.complaint(platform) {
        return bad(complaint);
    }
    emulator.lock().robots.register(platform, &token, setup);
    StatusCode::NO_CONTENT.into_response()
}

async fn remove(
    State(emulator): Shared,
    Path((platform, token)): Path<(String, String)>,
) -> Response {
    let Some(platform) = Platform::named(&platform) else {
        return no_such_platform();
    };
    emulator.lock().robots.remove(platform, &token);
    StatusCode::NO_CONTENT.into_response()
}

async fn faults(State(emulator): Shared) -> Response {
    let listed = emulator.lock().faults.list();
    let listed: Vec<&Fault> = listed.iter().map(AsRef::as_ref).collect();
    Json(listed).into_response()
}

async fn inject(State(emulator): Shared, body: Bytes) -> Response {
    let fault: Fault = match parse(&body) {
        Ok(fault) => fault,
        Err(complaint) => return bad(&complaint),
    };
    if let Some(complaint) = fault.complaint() {
        return bad(complaint);
    }
    emulator.lock().faults.add(fault);
    StatusCode::NO_CONTENT.into_response()
}

async fn calm(State(emulator): Shared) -> StatusCode {
    emulator.lock().faults.clear();
    StatusCode::NO_CONTENT
}

/// Parses JSON regardless of the content type, so that a plain `curl -d` works.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn bad(complaint: &str) -> Response {
    let body = BTreeMap::from([("error", complaint)]);
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

fn no_such_platform() -> Response {
    let names = Platform::ALL.map(Platform::name);
    let body = json!({"error": "no such platform", "platforms": names});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}
