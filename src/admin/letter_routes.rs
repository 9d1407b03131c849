//! The routes to dead letters.

use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    routing::{get, post},
};

use super::{
    Admin, Refusal,
    body::Body,
    wire::{DeadOutcome, DeadPage, DeadQuery, DeadRequest, DeadSummary, LetterDetail},
};
use crate::broker::Act;

/// The routes, under `/v1` as in the API, or where the console has them.
pub(super) fn routes(under: &str) -> Router<Admin> {
    Router::new()
        .route(&format!("{under}/dead"), get(list))
        .route(&format!("{under}/dead/summary"), get(summary))
        .route(&format!("{under}/dead/redrive"), post(redrive))
        .route(&format!("{under}/dead/discard"), post(discard))
        .route(&format!("{under}/dead/{{id}}"), get(show))
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
