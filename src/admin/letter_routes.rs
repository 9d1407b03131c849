//! The routes to dead letters.

use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    routing::{get, post},
};

use super::{
    Admin, Refusal,
    routes::Body,
    wire::{DeadOutcome, DeadPage, DeadQuery, DeadRequest, DeadSummary, LetterDetail},
};
use crate::broker::Act;

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/v1/dead", get(list))
        .route("/v1/dead/summary", get(summary))
        .route("/v1/dead/redrive", post(redrive))
        .route("/v1/dead/discard", post(discard))
        .route("/v1/dead/{id}", get(show))
}

type Queried = Result<Query<DeadQuery>, QueryRejection>;

async fn list(State(admin): State<Admin>, query: Queried) -> Result<Json<DeadPage>, Refusal> {
    Ok(Json(admin.letters.list(&read(query)?).await?))
}

async fn summary(State(admin): State<Admin>, query: Queried) -> Result<Json<DeadSummary>, Refusal> {
    Ok(Json(admin.letters.summary(&read(query)?).await?))
}

async fn show(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Json<LetterDetail>, Refusal> {
    Ok(Json(admin.letters.show(&id, &admin.desk).await?))
}

async fn redrive(State(admin): State<Admin>, Body(request): Body<DeadRequest>) -> Result<Json<DeadOutcome>, Refusal> {
    Ok(Json(admin.letters.act(Act::Redrive, &request).await?))
}

async fn discard(State(admin): State<Admin>, Body(request): Body<DeadRequest>) -> Result<Json<DeadOutcome>, Refusal> {
    Ok(Json(admin.letters.act(Act::Discard, &request).await?))
}

/// A query holds no credential, so the parser's words may be repeated.
fn read(query: Queried) -> Result<DeadQuery, Refusal> {
    query.map(|Query(query)| query).map_err(|mistake| Refusal::Invalid(mistake.body_text()))
}
