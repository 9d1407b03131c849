//! The HTTP routes of the history.
//!
//! Owns their paths, except the one on the socket.
//!
//! Not here: the answers (`history.rs`), and the other routes (`routes.rs`).

use axum::{Extension, Json, Router, extract::State, routing::get};

use super::{
    Admin, ApiError,
    audit::AuditedChange,
    body::JsonBody,
    params::{PathParam, QueryParams},
    wire::{EventHistory, HistoryEntries, HistoryFilter, LettersActedOn, LettersNoted},
};

/// The routes below `under`: `/v1` for the API, `/console/api` for the console.
pub(super) fn routes(under: &str) -> Router<Admin> {
    Router::new()
        .route(&format!("{under}/history"), get(list))
        .route(&format!("{under}/events/{{id}}"), get(event))
}

async fn list(
    State(admin): State<Admin>,
    QueryParams(filter): QueryParams<HistoryFilter>,
) -> Result<Json<HistoryEntries>, ApiError> {
    Ok(Json(admin.history.page(&filter).await?))
}

async fn event(
    State(admin): State<Admin>,
    PathParam(id): PathParam<String>,
) -> Result<Json<EventHistory>, ApiError> {
    Ok(Json(admin.history.event(&id).await?))
}

/// Notes what the command line did with dead letters. It works on the broker's queues itself.
pub(super) async fn note_letters(
    State(admin): State<Admin>,
    JsonBody(request): JsonBody<LettersActedOn>,
) -> Result<(Extension<AuditedChange>, Json<LettersNoted>), ApiError> {
    let discarded = request.letters.iter().filter(|letter| letter.discarded).count();
    let letters = admin.history.note_letters(request, &admin.telemetry)?;
    let redriven = letters - discarded;
    let object = format!("{redriven} redriven, {discarded} discarded");
    let changed = AuditedChange::count(letters).of(object);
    Ok((Extension(changed), Json(LettersNoted { letters })))
}
