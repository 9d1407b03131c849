//! The HTTP routes of the API. Each reads a request, calls one component, and writes the response.
//!
//! Owns which routes need the Unix socket, which need the token, and which need neither.
//!
//! Not here: dead letters (`dead_letter_routes.rs`), the history (`history_routes.rs`), templates
//! (`template_routes.rs`), the console (`console/`).

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};

use super::{
    Admin, ApiError,
    audit::{AuditedChange, Credential, log_changes},
    authenticator::TokenAuthenticator,
    blocking::blocking,
    body::{EXPLAIN_BYTES_MAX, IMPORT_BYTES_MAX, JsonBody, REQUEST_BYTES_MAX},
    caller::Caller,
    dead_letter_routes, history_routes,
    overview::overview,
    pace_views::{group_view, robot_view},
    params::{PathParam, QueryParams},
    phrases, template_routes, test_message,
    topics::CountedTopics,
    wire::{
        AddRequest, BackupRequest, ExplainRequest, ExportRequest, GroupView, ImportRequest,
        KeyView, ListQuery, Released, RobotView, RotateRequest, TestView, TopicQuery,
        UpdateRequest,
    },
};
use crate::{
    domain::{RobotId, SubscriptionId, SubscriptionState, TopicName},
    pace::EndedHold,
    telemetry::events,
};

impl Admin {
    /// The API for callers on the Unix socket.
    pub(super) fn routes(self) -> Router {
        let all = shared_routes().merge(socket_routes());
        all.route_layer(middleware::from_fn(log_changes))
            .with_state(self.clone())
            .merge(open_routes(self))
    }

    /// The API for callers that must show the token. A path that does not exist answers the same
    /// with and without one.
    pub(super) fn routes_with_token(self, authenticator: Arc<TokenAuthenticator>) -> Router {
        let telemetry = Arc::clone(&self.telemetry);
        let guard = middleware::from_fn(
            move |Extension(caller): Extension<Caller>, mut request: Request, next: Next| {
                let entered = shown(&request).ok_or(ApiError::Unauthorized);
                let entered = entered.and_then(|token| {
                    authenticator.authenticate("the API", caller, token, &telemetry)
                });
                async move {
                    match entered {
                        Ok(()) => {
                            request.extensions_mut().insert(Credential::Token);
                            next.run(request).await
                        }
                        Err(refusal) => refusal.into_response(),
                    }
                }
            },
        );
        let elsewhere = socket_routes().route_layer(middleware::from_fn(socket_only));
        let all = shared_routes()
            .merge(elsewhere)
            .route_layer(middleware::from_fn(log_changes))
            .route_layer(guard);
        all.with_state(self.clone()).merge(open_routes(self))
    }
}

/// Routes for every authenticated caller.
fn shared_routes() -> Router<Admin> {
    Router::new()
        .route("/v1/subscriptions", post(add).get(list))
        .route("/v1/subscriptions/{id}", get(show).patch(update).delete(remove))
        .route("/v1/subscriptions/{id}/pause", post(pause))
        .route("/v1/subscriptions/{id}/resume", post(resume))
        .route("/v1/subscriptions/{id}/test", post(test))
        .route("/v1/overview", get(at_this_moment))
        .route("/v1/robots", get(robots))
        .route("/v1/robots/{id}/release", post(release))
        .route("/v1/groups", get(groups))
        .route("/v1/explain", post(explain).layer(DefaultBodyLimit::max(EXPLAIN_BYTES_MAX)))
        .route("/v1/store/verify", post(verify))
        .route("/v1/topics", get(topics))
        .route("/v1/topics/{topic}", delete(remove_batch))
        .route("/v1/key", get(key))
        .merge(dead_letter_routes::routes("/v1"))
        .merge(history_routes::routes("/v1"))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .route(
            "/v1/subscriptions/import",
            post(import).layer(DefaultBodyLimit::max(IMPORT_BYTES_MAX)),
        )
        .merge(template_routes::routes())
}

/// Routes that reveal webhooks, write files, change keys, or take the word of the command line. A
/// leaked token must not be enough for them.
fn socket_routes() -> Router<Admin> {
    Router::new()
        .route("/v1/subscriptions/export", post(export))
        .route("/v1/history/letters", post(history_routes::note_letters))
        .route("/v1/store/backup", post(backup))
        .route("/v1/key/rotation", post(rotate))
        .route("/v1/key/rotation/in-place", post(replace_key_in_place))
        .route("/v1/key/data", post(reseal))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
}

async fn socket_only(_: Request, _: Next) -> ApiError {
    ApiError::SocketOnly
}

/// The routes, with an error in the API's own form for unknown paths and methods.
pub(super) fn answering_all(routes: Router) -> Router {
    routes
        .method_not_allowed_fallback(async || ApiError::WrongMethod)
        .fallback(async || ApiError::NotFound("the API has nothing at this path".to_owned()))
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

async fn readyz(State(admin): State<Admin>) -> (StatusCode, String) {
    let (status, text) = if *admin.ready.borrow() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, phrases::NO_SESSION)
    };
    (status, format!("{text}\n"))
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], admin.telemetry.render())
}

async fn add(
    State(admin): State<Admin>,
    JsonBody(request): JsonBody<AddRequest>,
) -> Result<Response, ApiError> {
    let added = admin.subscriptions.add(request).await?;
    let status = if added.existed { StatusCode::OK } else { StatusCode::CREATED };
    let changed = AuditedChange::count(!added.existed).of(added.id.to_string());
    Ok((status, Extension(changed), Json(added)).into_response())
}

async fn import(
    State(admin): State<Admin>,
    JsonBody(request): JsonBody<ImportRequest>,
) -> Result<Response, ApiError> {
    let imported = admin.subscriptions.import(request).await?;
    let added = imported.iter().filter(|one| one.refused.is_none() && !one.existed).count();
    Ok((Extension(AuditedChange::count(added)), Json(imported)).into_response())
}

async fn export(
    State(admin): State<Admin>,
    JsonBody(request): JsonBody<ExportRequest>,
) -> Result<Response, ApiError> {
    let page = admin.subscriptions.export(&request).await?;
    Ok((Extension(AuditedChange::count(page.sealed.len())), Json(page)).into_response())
}

async fn remove_batch(
    State(admin): State<Admin>,
    PathParam(topic): PathParam<TopicName>,
) -> Result<Response, ApiError> {
    let some = admin.subscriptions.remove_batch(&topic).await?;
    Ok((Extension(AuditedChange::count(some.removed)), Json(some)).into_response())
}

async fn backup(
    State(admin): State<Admin>,
    JsonBody(request): JsonBody<BackupRequest>,
) -> Result<Response, ApiError> {
    let dir = request.dir.display().to_string();
    let made = admin.subscriptions.backup(&request).await?;
    Ok((Extension(AuditedChange::count(made.subscriptions).of(dir)), Json(made)).into_response())
}

async fn verify(State(admin): State<Admin>) -> Result<Response, ApiError> {
    Ok(Json(admin.subscriptions.verify().await?).into_response())
}

async fn key(State(admin): State<Admin>) -> Result<Json<KeyView>, ApiError> {
    Ok(Json(admin.subscriptions.key().await?))
}

async fn rotate(
    State(admin): State<Admin>,
    JsonBody(request): JsonBody<RotateRequest>,
) -> Result<Response, ApiError> {
    Ok(key_changed(admin.subscriptions.rotate(&request).await?))
}

async fn replace_key_in_place(State(admin): State<Admin>) -> Result<Response, ApiError> {
    Ok(key_changed(admin.subscriptions.replace_key_in_place().await?))
}

async fn reseal(State(admin): State<Admin>) -> Result<Response, ApiError> {
    Ok(key_changed(admin.subscriptions.reseal().await?))
}

/// The id of a key reveals nothing about the key, so it may be logged.
fn key_changed(view: KeyView) -> Response {
    let changed = AuditedChange::count(view.data_keys).of(&view.current);
    (Extension(changed), Json(view)).into_response()
}

pub(super) async fn list(
    State(admin): State<Admin>,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Response, ApiError> {
    Ok(Json(admin.subscriptions.list(&query).await?).into_response())
}

pub(super) async fn show(
    State(admin): State<Admin>,
    PathParam(id): PathParam<SubscriptionId>,
) -> Result<Response, ApiError> {
    Ok(Json(admin.subscriptions.show(id).await?).into_response())
}

pub(super) async fn topics(
    State(admin): State<Admin>,
    QueryParams(query): QueryParams<TopicQuery>,
) -> Result<Response, ApiError> {
    let counted = CountedTopics { activity: &admin.topics, since: admin.since };
    Ok(Json(admin.subscriptions.topics(&query, Some(counted)).await?).into_response())
}

async fn update(
    State(admin): State<Admin>,
    PathParam(id): PathParam<SubscriptionId>,
    JsonBody(request): JsonBody<UpdateRequest>,
) -> Result<Response, ApiError> {
    Ok(Json(admin.subscriptions.update(id, request).await?).into_response())
}

async fn remove(
    State(admin): State<Admin>,
    PathParam(id): PathParam<SubscriptionId>,
) -> Result<StatusCode, ApiError> {
    admin.subscriptions.remove(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn pause(
    State(admin): State<Admin>,
    PathParam(id): PathParam<SubscriptionId>,
) -> Result<StatusCode, ApiError> {
    admin.subscriptions.set_state(id, SubscriptionState::Paused).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn resume(
    State(admin): State<Admin>,
    PathParam(id): PathParam<SubscriptionId>,
) -> Result<StatusCode, ApiError> {
    admin.subscriptions.set_state(id, SubscriptionState::Active).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn test(
    State(admin): State<Admin>,
    PathParam(id): PathParam<SubscriptionId>,
) -> Result<Response, ApiError> {
    let subscription = admin.subscriptions.show(id).await?;
    let tested = test_message::test(&*admin.tests, subscription).await?;
    let sent = tested.outcome != TestView::NOT_SENT;
    Ok((Extension(AuditedChange::count(sent)), Json(tested)).into_response())
}

/// With many robots this takes a while, so it runs on a blocking thread.
async fn at_this_moment(State(admin): State<Admin>) -> Result<Response, ApiError> {
    Ok(Json(blocking(move || Ok(overview(&admin, &admin.pace.robots()))).await?).into_response())
}

async fn robots(State(admin): State<Admin>) -> Json<Vec<RobotView>> {
    Json(admin.pace.robots().into_iter().map(robot_view).collect())
}

pub(super) async fn release(
    State(admin): State<Admin>,
    PathParam(robot): PathParam<RobotId>,
) -> Result<Response, ApiError> {
    let Some(EndedHold { platform, hold, waiting_in_broker, back_within }) =
        admin.pace.release(robot)
    else {
        let none = Released { was_held: false, waiting: 0, back_within_seconds: 0 };
        return Ok((Extension(AuditedChange::count(false)), Json(none)).into_response());
    };
    events::RobotHoldEnded { platform, robot, cause: hold.cause }.emit(&admin.telemetry);
    let back_within_seconds = back_within.as_secs() + u64::from(back_within.subsec_nanos() > 0);
    let released = Released { was_held: true, waiting: waiting_in_broker, back_within_seconds };
    Ok((Extension(AuditedChange::count(true)), Json(released)).into_response())
}

pub(super) async fn explain(
    State(admin): State<Admin>,
    JsonBody(request): JsonBody<ExplainRequest>,
) -> Result<Response, ApiError> {
    Ok(Json(admin.explainer.explain(&request).await?).into_response())
}

async fn groups(State(admin): State<Admin>) -> Json<Vec<GroupView>> {
    Json(admin.pace.groups().into_iter().map(group_view).collect())
}
