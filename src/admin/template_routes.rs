//! The HTTP routes of templates.
//!
//! Owns which request calls which command.
//!
//! Not here: the commands (`templates.rs`), and the other routes (`routes.rs`).

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    Admin, ApiError,
    audit::AuditedChange,
    blocking::blocking,
    body::{JsonBody, TEMPLATE_BYTES_MAX},
    params::{PathParam, QueryParams},
    wire::{AddTemplate, RenderRequest, TemplateView},
};
use crate::domain::{Audience, TemplateName};

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/v1/templates", post(add).get(list))
        .route("/v1/templates/{name}", get(show).delete(remove))
        .route("/v1/templates/{name}/render", post(render))
        .layer(DefaultBodyLimit::max(TEMPLATE_BYTES_MAX))
}

/// Selects one text of a template.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlatformQuery {
    platform: Option<Audience>,
}

async fn add(
    State(admin): State<Admin>,
    JsonBody(request): JsonBody<AddTemplate>,
) -> Result<Response, ApiError> {
    let name = request.name.to_string();
    let added = admin.subscriptions.add_template(request).await?;
    let status = if added.changed { StatusCode::CREATED } else { StatusCode::OK };
    let changed = AuditedChange::count(added.changed).of(name);
    Ok((status, Extension(changed), Json(added)).into_response())
}

async fn list(State(admin): State<Admin>) -> Json<Vec<TemplateView>> {
    Json(admin.subscriptions.list_templates())
}

async fn show(
    State(admin): State<Admin>,
    PathParam(name): PathParam<TemplateName>,
) -> Result<Response, ApiError> {
    Ok(Json(admin.subscriptions.show_template(&name)?).into_response())
}

async fn remove(
    State(admin): State<Admin>,
    PathParam(name): PathParam<TemplateName>,
    QueryParams(which): QueryParams<PlatformQuery>,
) -> Result<Response, ApiError> {
    let removed = admin.subscriptions.remove_template(&name, which.platform).await?;
    Ok((Extension(AuditedChange::count(removed.removed)), Json(removed)).into_response())
}

async fn render(
    State(admin): State<Admin>,
    PathParam(name): PathParam<TemplateName>,
    JsonBody(request): JsonBody<RenderRequest>,
) -> Result<Response, ApiError> {
    Ok(Json(blocking(move || admin.subscriptions.render_template(&name, request)).await?)
        .into_response())
}
