//! The HTTP routes of the API. Each reads a request, calls one component, and writes the response.
//!
//! Owns which routes need the Unix socket, which need the token, and which need neither.
//!
//! Not here: dead letters (`letter_routes.rs`), templates
//! (`template_routes.rs`), the console (`console/`).

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use tokio::sync::watch;

use super::{
    Desk, Explainer, Letters, Refusal,
    audit::{Changed, Credential, log_changes},
    body::Body,
    caller::Caller,
    desk::invalid,
    door::Door,
    letter_routes,
    letters::rfc3339,
    overview::overview,
    template_routes,
    wire::{
        AddRequest, BackupRequest, ExplainRequest, ExportRequest, GroupView, ImportRequest, KeyView, ListQuery,
        Released, RobotView, RotateRequest, UpdateRequest,
    },
};
use crate::{
    domain::{Moment, RobotId, SubscriptionState},
    pace::{EndedHold, GroupStatus, Pace, RobotStatus},
    telemetry::{Telemetry, events},
};

/// The limit of an ordinary request, in bytes: a webhook URL and a few names are small.
pub(super) const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// The limit of an import, in bytes: it carries some hundred subscriptions.
pub(super) const IMPORT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The limit of an event to explain, in bytes. An event has at most 256 KiB by default, and JSON in
/// JSON is longer.
pub(super) const EXPLAIN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The components that the API calls.
#[derive(Clone)]
pub struct Admin {
    /// Commands on subscriptions.
    pub desk: Desk,
    /// Explanations of events.
    pub explainer: Explainer,
    /// Dead letters.
    pub letters: Letters,
    /// Robots and groups.
    pub pace: Pace,
    /// Metrics.
    pub telemetry: Arc<Telemetry>,
    /// Whether a session with the broker is open.
    pub ready: watch::Receiver<bool>,
    /// When the metrics began to count.
    pub since: Moment,
}

impl Admin {
    /// The API for callers on the Unix socket.
    pub(super) fn routes(self) -> Router {
        let all = everywhere().merge(on_the_socket());
        all.route_layer(middleware::from_fn(log_changes)).with_state(self.clone()).merge(open_routes(self))
    }

    /// The API for callers that must show the token. A path that does not exist answers the same
    /// with and without one.
    pub(super) fn routes_with_token(self, door: Arc<Door>) -> Router {
        let telemetry = Arc::clone(&self.telemetry);
        let guard =
            middleware::from_fn(move |Extension(caller): Extension<Caller>, mut request: Request, next: Next| {
                let entered = shown(&request).ok_or(Refusal::Unauthorized);
                let entered = entered.and_then(|token| door.enter("the API", caller, token, &telemetry));
                async move {
                    match entered {
                        Ok(()) => {
                            request.extensions_mut().insert(Credential::Token);
                            next.run(request).await
                        }
                        Err(refusal) => refusal.into_response(),
                    }
                }
            });
        let elsewhere = on_the_socket().route_layer(middleware::from_fn(socket_only));
        let all = everywhere().merge(elsewhere).route_layer(middleware::from_fn(log_changes)).route_layer(guard);
        all.with_state(self.clone()).merge(open_routes(self))
    }
}

/// Routes for every authenticated caller.
fn everywhere() -> Router<Admin> {
    Router::new()
        .route("/v1/subscriptions", post(add).get(list))
        .route("/v1/subscriptions/{id}", get(show).patch(update).delete(remove))
        .route("/v1/subscriptions/{id}/pause", post(pause))
        .route("/v1/subscriptions/{id}/resume", post(resume))
        .route("/v1/overview", get(at_this_moment))
        .route("/v1/robots", get(robots))
        .route("/v1/robots/{id}/release", post(release))
        .route("/v1/groups", get(groups))
        .route("/v1/explain", post(explain).layer(DefaultBodyLimit::max(EXPLAIN_BYTES_MAX)))
        .route("/v1/store/verify", post(verify))
        .route("/v1/topics/{topic}", delete(remove_some_of))
        .route("/v1/key", get(key))
        .merge(letter_routes::routes("/v1"))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .route("/v1/subscriptions/import", post(import).layer(DefaultBodyLimit::max(IMPORT_BYTES_MAX)))
        .merge(template_routes::routes())
}

/// Routes that reveal webhooks, write files, or change keys. A leaked
/// token must not be enough for them.
fn on_the_socket() -> Router<Admin> {
    Router::new()
        .route("/v1/subscriptions/export", post(export))
        .route("/v1/store/backup", post(backup))
        .route("/v1/key/rotation", post(rotate))
        .route("/v1/key/rotation/in-place", post(new_key_in_place))
        .route("/v1/key/data", post(reseal))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
}

async fn socket_only(_: Request, _: Next) -> Refusal {
    Refusal::SocketOnly
}

/// The routes, with an error in the API's own form for unknown paths and methods.
pub(super) fn answering_all(routes: Router) -> Router {
    routes
        .method_not_allowed_fallback(async || Refusal::WrongMethod)
        .fallback(async || Refusal::NotFound("the API has nothing at this path".to_owned()))
}

fn open_routes(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

/// The token in a request's `Authorization` header.
fn shown(request: &Request) -> Option<&[u8]> {
    let shown = request.headers().get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
    shown.and_then(|value| value.strip_prefix(b"Bearer "))
}

async fn readyz(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    if *admin.ready.borrow() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no session with the broker\n")
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], admin.telemetry.render())
}

async fn add(State(admin): State<Admin>, Body(request): Body<AddRequest>) -> Result<Response, Refusal> {
    let added = blocking(move || admin.desk.add(request)).await?;
    let status = if added.existed { StatusCode::OK } else { StatusCode::CREATED };
    let changed = Changed::count(!added.existed).of(&added.id);
    Ok((status, Extension(changed), Json(added)).into_response())
}

async fn import(State(admin): State<Admin>, Body(request): Body<ImportRequest>) -> Result<Response, Refusal> {
    let imported = blocking(move || admin.desk.import(request)).await?;
    let added = imported.iter().filter(|one| one.refused.is_none() && !one.existed).count();
    Ok((Extension(Changed::count(added)), Json(imported)).into_response())
}

async fn export(State(admin): State<Admin>, Body(request): Body<ExportRequest>) -> Result<Response, Refusal> {
    let page = blocking(move || admin.desk.export(&request)).await?;
    Ok((Extension(Changed::count(page.sealed.len())), Json(page)).into_response())
}

async fn remove_some_of(State(admin): State<Admin>, Path(topic): Path<String>) -> Result<Response, Refusal> {
    let some = blocking(move || admin.desk.remove_some_of(&topic)).await?;
    Ok((Extension(Changed::count(some.removed)), Json(some)).into_response())
}

async fn backup(State(admin): State<Admin>, Body(request): Body<BackupRequest>) -> Result<Response, Refusal> {
    let dir = request.dir.display().to_string();
    let made = blocking(move || admin.desk.backup(&request)).await?;
    Ok((Extension(Changed::count(made.subscriptions).of(dir)), Json(made)).into_response())
}

async fn verify(State(admin): State<Admin>) -> Result<Response, Refusal> {
    Ok(Json(blocking(move || admin.desk.verify()).await?).into_response())
}

async fn key(State(admin): State<Admin>) -> Json<KeyView> {
    Json(admin.desk.key())
}

async fn rotate(State(admin): State<Admin>, Body(request): Body<RotateRequest>) -> Result<Response, Refusal> {
    Ok(key_changed(blocking(move || admin.desk.rotate(&request)).await?))
}

async fn new_key_in_place(State(admin): State<Admin>) -> Result<Response, Refusal> {
    Ok(key_changed(blocking(move || admin.desk.new_key_in_place()).await?))
}

async fn reseal(State(admin): State<Admin>) -> Response {
    key_changed(admin.desk.reseal())
}

/// The id of a key reveals nothing about the key, so it may be logged.
fn key_changed(view: KeyView) -> Response {
    let changed = Changed::count(view.data_keys).of(&view.current);
    (Extension(changed), Json(view)).into_response()
}

pub(super) async fn list(State(admin): State<Admin>, Query(query): Query<ListQuery>) -> Result<Response, Refusal> {
    Ok(Json(blocking(move || admin.desk.list(&query)).await?).into_response())
}

pub(super) async fn show(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Response, Refusal> {
    Ok(Json(blocking(move || admin.desk.show(&id)).await?).into_response())
}

async fn update(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    Body(request): Body<UpdateRequest>,
) -> Result<Response, Refusal> {
    Ok(Json(blocking(move || admin.desk.update(&id, request)).await?).into_response())
}

async fn remove(State(admin): State<Admin>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    blocking(move || admin.desk.remove(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn pause(State(admin): State<Admin>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    blocking(move || admin.desk.set_state(&id, SubscriptionState::Paused)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn resume(State(admin): State<Admin>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    blocking(move || admin.desk.set_state(&id, SubscriptionState::Active)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// With many robots this takes a while, so it runs on a blocking thread.
async fn at_this_moment(State(admin): State<Admin>) -> Result<Response, Refusal> {
    Ok(Json(blocking(move || Ok(overview(&admin, &admin.pace.robots()))).await?).into_response())
}

async fn robots(State(admin): State<Admin>) -> Json<Vec<RobotView>> {
    Json(admin.pace.robots().into_iter().map(robot_view).collect())
}

pub(super) async fn release(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let robot: RobotId = id.parse().map_err(invalid)?;
    let Some(EndedHold { platform, hold, parked, back_within }) = admin.pace.release(robot) else {
        let none = Released { was_held: false, waiting: 0, back_within_seconds: 0 };
        return Ok((Extension(Changed::count(false)), Json(none)).into_response());
    };
    events::RobotLifted { platform, robot, cause: hold.cause }.emit(&admin.telemetry);
    let back_within_seconds = back_within.as_secs() + u64::from(back_within.subsec_nanos() > 0);
    let released = Released { was_held: true, waiting: parked, back_within_seconds };
    Ok((Extension(Changed::count(true)), Json(released)).into_response())
}

pub(super) async fn explain(
    State(admin): State<Admin>,
    Body(request): Body<ExplainRequest>,
) -> Result<Response, Refusal> {
    Ok(Json(blocking(move || admin.explainer.explain(&request)).await?).into_response())
}

async fn groups(State(admin): State<Admin>) -> Json<Vec<GroupView>> {
    Json(admin.pace.groups().into_iter().map(group_view).collect())
}

pub(super) fn robot_view(status: RobotStatus) -> RobotView {
    RobotView {
        robot: status.robot.to_string(),
        platform: status.platform.to_string(),
        used: status.used,
        allowed: status.allowed,
        in_flight: status.in_flight,
        waiting: status.waiting,
        drained_in_seconds: status.drained_in.as_secs(),
        held_for_seconds: status.held_for.map(|left| left.as_secs()),
        cause: status.hold.map(|hold| hold.cause.as_str().to_owned()),
        penalty_seconds: status.hold.map(|hold| hold.wait.as_secs()),
    }
}

pub(super) fn group_view(status: GroupStatus) -> GroupView {
    GroupView {
        group: status.name.to_string(),
        used: status.used,
        monthly: status.monthly,
        forecast: status.forecast,
        month_ends: rfc3339(status.month_ends),
        spent_until: status.spent_until.map(rfc3339),
    }
}

/// Runs work on a thread that may block, because the store blocks on the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => {
            tracing::error!(error = &panicked as &dyn std::error::Error, "a request panicked");
            Err(Refusal::Internal("the daemon failed; its log says why".to_owned()))
        }
    }
}
