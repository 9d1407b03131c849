//! The path of a request to a platform.
//!
//! Owns its steps: fault, checks, quota, log entry, answer.
//!
//! Not here: each of the steps (`faults.rs`, `check.rs`, `quota.rs`, `received.rs`, `reply.rs`).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum::routing::{MethodRouter, any, post};
use axum::{Extension, Router};
use serde_json::Value;

use crate::check::{Check, Post};
use crate::dialect::{Cause, Dialect, Query, Route, TokenPlace};
use crate::emulator::Emulator;
use crate::message::Message;
use crate::platform::Platform;
use crate::received::{Outcome, Received};
use crate::reply;
use crate::robots::Entry;
use crate::server::Cut;

/// Larger than any platform's limit, so that the platform's own refusal is returned.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// The routes of the platforms. Two kinds of robots at one path share its route.
pub(crate) fn routes() -> Router<Arc<Emulator>> {
    let (mut routes, mut paths) = (Router::new(), HashSet::new());
    for platform in Platform::ALL {
        let dialect = platform.dialect();
        let Route { path, token } = dialect.route();
        if !paths.insert(path) {
            continue;
        }
        routes = routes.route(path, webhook(platform, token));
        if let Some((others, refusal)) = dialect.unknown_paths() {
            routes = routes.route(others, any(async move || reply::refused(platform, &refusal)));
        }
    }
    routes.layer(DefaultBodyLimit::max(BODY_LIMIT))
}

/// The route of a platform's webhooks.
fn webhook(platform: Platform, place: TokenPlace) -> MethodRouter<Arc<Emulator>> {
    let received = async move |State(emulator): State<Arc<Emulator>>,
                               Extension(cut): Extension<Cut>,
                               Path(path): Path<HashMap<String, String>>,
                               RawQuery(query): RawQuery,
                               headers: HeaderMap,
                               raw: Bytes| {
        let query = Query::decode(query.as_deref().unwrap_or_default());
        let token = match place {
            TokenPlace::Path => path.get("token").cloned(),
            TokenPlace::Query(name) => query.get(name).map(str::to_owned),
        };
        receive(&emulator, &cut, platform, Post { token, query, headers, raw }).await
    };
    match platform.dialect().wrong_method() {
        Some(refusal) => post(received).fallback(async move || reply::refused(platform, &refusal)),
        None => post(received),
    }
}

/// Handles a request completely. It takes the lock twice and briefly: first to get the robot and
/// the fault, later to count and log. Reading and checking happen in between.
async fn receive(emulator: &Emulator, cut: &Cut, platform: Platform, post: Post) -> Response {
    let at_ms = unix_ms();
    let token = post.token.as_deref().unwrap_or_default();
    let text = String::from_utf8_lossy(&post.raw);
    let (platform, robot, strike) = {
        let mut state = emulator.lock();
        let platform = state.robots.kind(platform, token);
        let robot = if token.is_empty() { None } else { state.robots.find(platform, token) };
        (platform, robot, state.faults.strike(platform, token, &text))
    };
    let dialect = platform.dialect();
    let body: Option<Value> = serde_json::from_slice(&post.raw).ok();
    let reading = body.as_ref().map(|body| dialect.read(body));
    let kept_away = strike.fault.as_ref().filter(|fault| !fault.kind.lets_in());
    let clock_ms = at_ms.saturating_add(strike.skew_seconds.saturating_mul(1_000));
    let check = Check { dialect, robot: robot.as_deref(), post: &post, body: body.as_ref() };
    let mut verdict = check.verdict(reading.as_ref(), clock_ms);

    let msg_uuid = body.as_ref().and_then(|body| dialect.message_id(body)).map(str::to_owned);
    let mut note = emulator.records.then(|| {
        let message = reading.and_then(Result::ok).unwrap_or_default();
        note(platform, &post, dialect, message, body, msg_uuid.clone(), at_ms)
    });

    {
        let mut state = emulator.lock();
        let mut duplicate = false;
        let mut throttled = false;
        if kept_away.is_none() && verdict.is_ok() {
            match state.robots.enter(platform, token, msg_uuid.as_deref(), Instant::now()) {
                Entry::Shown => {}
                Entry::Repeated => duplicate = true,
                Entry::TooFast => {
                    throttled = true;
                    verdict = Err(dialect.refuse(Cause::TooFast));
                }
            }
        }
        let (outcome, code) = match (kept_away, &verdict) {
            (Some(fault), _) => (Outcome::Fault, Cow::Borrowed(fault.kind.name())),
            (None, Ok(())) => (Outcome::Accepted, Cow::Borrowed("0")),
            (None, Err(refusal)) => (Outcome::Refused, Cow::Owned(refusal.code.to_string())),
        };
        state.log.counts.add(outcome, duplicate, throttled);
        if let Some(mut note) = note.take() {
            note.outcome = outcome;
            note.code = code.into_owned();
            note.duplicate = duplicate;
            state.log.push(note);
        }
    }

    let answer = dialect.answer(verdict.as_ref().copied());
    let mut response = match strike.fault {
        Some(fault) => reply::struck(&fault, answer, cut).await,
        None => reply::json(answer),
    };
    if let Some(date) = (strike.skew_seconds != 0).then(|| date(clock_ms)).flatten() {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// The `Date` header of a server whose clock shows this time, in milliseconds since the epoch.
fn date(clock_ms: i64) -> Option<HeaderValue> {
    let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(clock_ms).ok()?);
    HeaderValue::from_str(&httpdate::fmt_http_date(at)).ok()
}

/// The log entry, before the end of the request is known.
fn note(
    platform: Platform,
    post: &Post,
    dialect: &dyn Dialect,
    message: Message,
    body: Option<Value>,
    msg_uuid: Option<String>,
    at_ms: i64,
) -> Received {
    let body = body.unwrap_or(Value::Null);
    Received {
        seq: 0,
        at_ms,
        platform,
        token: post.token.clone().unwrap_or_default(),
        msgtype: dialect.msgtype(&body).to_owned(),
        title: message.title,
        text: message.text,
        mentions: message.mentions,
        outcome: Outcome::Refused,
        code: String::new(),
        duplicate: false,
        msg_uuid,
        signed: dialect.is_signed(&post.query, &body),
        body,
    }
}

/// The time in milliseconds since the epoch.
fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
