//! The errors of the API.
//!
//! Owns the HTTP status and the word of each error, and which errors of other modules are logged.
//! The caller's message says what to do; the log's message says what happened.
//!
//! Not here: the body's shape (`wire.rs`), and the exit codes (`cli/exit.rs`).

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    ports::{StoreFailure, StoreRefusal},
    wire::ApiErrorBody,
};
use crate::{fanout::TemplateError, telemetry::with_causes};

/// Why a request was refused, for the caller.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The request is not valid.
    #[error("{0}")]
    Invalid(String),
    /// The request names something that does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The caller has not shown the token.
    #[error("the admin token is missing or wrong")]
    Unauthorized,
    /// Too many wrong tokens were shown. No token is checked for this time.
    #[error("too many wrong admin tokens: none is checked for {} s", seconds(*.0))]
    TooManyAttempts(Duration),
    /// The caller has not signed in to the console, or its session has ended.
    #[error("no session: sign in")]
    NoSession,
    /// The request does not come from the console's page that holds the session.
    #[error("the request does not come from the console: load the page again")]
    CrossOrigin,
    /// Only callers on the Unix socket may do this.
    #[error(
        "this is done on the Unix socket alone: \
         run roomcast on the daemon's machine, as its user or root"
    )]
    SocketOnly,
    /// The request names a host that the daemon does not know as its own.
    #[error(
        "{0:?} is not a host name of this daemon: \
         ask by its address, or add the name to admin.hosts"
    )]
    UnknownHost(String),
    /// The path exists, but not for this method.
    #[error("this path does not take this method")]
    WrongMethod,
    /// The body of the request did not arrive within this time.
    #[error("the request did not come within {} s", seconds(*.0))]
    TooSlow(Duration),
    /// The request is valid, but a dependency is not available: the
    /// disk, the broker, or a free place.
    #[error("{0}")]
    Unavailable(String),
    /// The request is valid, but the daemon failed.
    #[error("{0}")]
    Internal(String),
}

impl From<StoreFailure> for ApiError {
    fn from(failure: StoreFailure) -> Self {
        match failure {
            StoreFailure::Refused(
                StoreRefusal::NoSuchSubscription { .. }
                | StoreRefusal::Template(TemplateError::Missing { .. }),
            ) => Self::NotFound(failure.to_string()),
            StoreFailure::Refused(
                StoreRefusal::RobotTaken { .. }
                | StoreRefusal::Rotation { .. }
                | StoreRefusal::Template(_)
                | StoreRefusal::Backup(_),
            ) => Self::Invalid(failure.to_string()),
            StoreFailure::Refused(StoreRefusal::DamagedRecord { .. })
            | StoreFailure::Failed(_)
            | StoreFailure::Unavailable(_) => {
                let error = &failure as &dyn std::error::Error;
                tracing::error!(error, "the store failed a request");
                let message = with_causes(&failure);
                match failure {
                    StoreFailure::Unavailable(_) => Self::Unavailable(message),
                    _ => Self::Internal(message),
                }
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, word) = match &self {
            Self::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::TooManyAttempts(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_tries"),
            Self::NoSession => (StatusCode::UNAUTHORIZED, "no_session"),
            Self::CrossOrigin => (StatusCode::FORBIDDEN, "foreign"),
            Self::SocketOnly => (StatusCode::FORBIDDEN, "socket_only"),
            Self::UnknownHost(_) => (StatusCode::MISDIRECTED_REQUEST, "unknown_host"),
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "wrong_method"),
            Self::TooSlow(_) => (StatusCode::REQUEST_TIMEOUT, "too_slow"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        let mut response =
            (status, Json(ApiErrorBody { error: word.to_owned(), message: self.to_string() }))
                .into_response();
        if let Self::TooManyAttempts(wait) = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait)));
        }
        response
    }
}

/// Whole seconds, rounded up, so that no retry comes too early.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
