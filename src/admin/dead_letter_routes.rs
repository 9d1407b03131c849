//! The HTTP routes of dead letters, for the API and the console.
//!
//! Owns which words of a request about dead letters may reach the audit log.
//!
//! Not here: the queries and actions (`dead_letters.rs`), and the other routes (`routes.rs`).

use axum::{
    Extension, Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    routing::{get, post},
};

use super::{
    Admin, ApiError,
    audit::AuditedChange,
    body::JsonBody,
    wire::{DeadLetterDetail, DeadOutcome, DeadPage, DeadQuery, DeadRequest, DeadSummary},
};
use crate::{broker::DeadLetterAction, domain::refused_value};

/// The routes below `under`: `/v1` for the API, `/console/api` for the console.
pub(super) fn routes(under: &str) -> Router<Admin> {
    Router::new()
        .route(&format!("{under}/dead"), get(list))
        .route(&format!("{under}/dead/summary"), get(summary))
        .route(&format!("{under}/dead/redrive"), post(redrive))
        .route(&format!("{under}/dead/discard"), post(discard))
        .route(&format!("{under}/dead/{{id}}"), get(show))
}

type DeadQueryResult = Result<Query<DeadQuery>, QueryRejection>;

async fn list(
    State(admin): State<Admin>,
    query: DeadQueryResult,
) -> Result<Json<DeadPage>, ApiError> {
    Ok(Json(admin.letters.list(&read(query)?).await?))
}

async fn summary(
    State(admin): State<Admin>,
    query: DeadQueryResult,
) -> Result<Json<DeadSummary>, ApiError> {
    Ok(Json(admin.letters.summary(&read(query)?).await?))
}

async fn show(
    State(admin): State<Admin>,
    Path(id): Path<String>,
) -> Result<Json<DeadLetterDetail>, ApiError> {
    Ok(Json(admin.letters.show(&id, &admin.subscriptions).await?))
}

type ActionResponse = (Extension<AuditedChange>, Json<DeadOutcome>);

async fn redrive(
    State(admin): State<Admin>,
    JsonBody(request): JsonBody<DeadRequest>,
) -> Result<ActionResponse, ApiError> {
    act(&admin, DeadLetterAction::Redrive, &request).await
}

async fn discard(
    State(admin): State<Admin>,
    JsonBody(request): JsonBody<DeadRequest>,
) -> Result<ActionResponse, ApiError> {
    act(&admin, DeadLetterAction::Discard, &request).await
}

async fn act(
    admin: &Admin,
    act: DeadLetterAction,
    request: &DeadRequest,
) -> Result<ActionResponse, ApiError> {
    let outcome = admin.letters.act(act, request).await?;
    let changed = AuditedChange {
        is_dry_run: request.dry_run,
        ..AuditedChange::count(outcome.done).of(describe_request(request))
    };
    Ok((Extension(changed), Json(outcome)))
}

/// The selected letters, for the log. The text of a search is left out,
/// because it may be part of an event.
fn describe_request(request: &DeadRequest) -> String {
    let which = DeadQuery { text: None, ..request.which.clone() };
    let named = serde_json::to_value(which).unwrap_or_default();
    let filters =
        named.as_object().into_iter().flatten().map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}={text}"),
            None => format!("{name}={value}"),
        });
    let ids = (!request.ids.is_empty()).then(|| format!("{} ids", request.ids.len()));
    let all: Vec<_> = filters.chain(ids).collect();
    if all.is_empty() { "all letters".to_owned() } else { all.join(" ") }
}

/// A query holds no credential, so the parser's error may be repeated.
fn read(query: DeadQueryResult) -> Result<DeadQuery, ApiError> {
    query.map(|Query(query)| query).map_err(|mistake| {
        let text = mistake.body_text();
        ApiError::Invalid(refused_value(&text).unwrap_or(text))
    })
}
