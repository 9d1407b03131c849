//! The HTTP routes of the history.
//!
//! Owns their paths.
//!
//! Not here: the answers (`history.rs`), and the other routes (`routes.rs`).

use axum::{Json, Router, extract::State, routing::get};

use super::{
    Admin, ApiError,
    params::{PathParam, QueryParams},
    wire::{EventHistory, HistoryEntries, HistoryFilter},
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
