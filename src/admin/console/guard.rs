//! The guard before the console's routes, and the security headers of every response.
//!
//! Owns the defence against foreign pages: a request needs a session, must come from the console's
//! own page, and must show the session's second secret if it changes something.
//!
//! Not here: the sessions (`session.rs`), and host names (`admin/allowed_hosts.rs`).

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{session, state::Console};
use crate::admin::{
    ApiError,
    audit::{Credential, session_tag},
};

/// The header with the session's second secret, which only the console's page knows.
const CSRF: &str = "x-roomcast-csrf";

/// The session of an accepted request.
#[derive(Clone)]
pub(super) struct AuthenticatedSession(pub(super) String);

/// Passes only requests that belong to a session.
pub(super) async fn sessions_only(
    State(console): State<Arc<Console>>,
    mut request: Request,
    next: Next,
) -> Response {
    match passes(&console, &request) {
        Ok(id) => {
            request.extensions_mut().insert(Credential::Session(session_tag(&id)));
            request.extensions_mut().insert(AuthenticatedSession(id));
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn passes(console: &Console, request: &Request) -> Result<String, ApiError> {
    let headers = request.headers();
    is_same_origin(headers)?;
    let id = session_of(console, headers).ok_or(ApiError::NoSession)?;
    let shown = headers.get(CSRF).map_or(&b""[..], HeaderValue::as_bytes);
    if request.method().is_safe() || console.sessions.is_shown(&id, shown, Instant::now()) {
        Ok(id)
    } else {
        Err(ApiError::CrossOrigin)
    }
}

/// The session that a request's cookie names, if it has not ended.
pub(super) fn session_of(console: &Console, headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let name = cookie_name(headers);
    cookies
        .filter_map(|header| session::named_in(header, &name))
        .find(|id| console.sessions.csrf(id, Instant::now()).is_some())
}

/// The name of the cookie at the host that the browser addressed.
pub(super) fn cookie_name(headers: &HeaderMap) -> String {
    session::cookie_name(headers.get(header::HOST).and_then(|host| host.to_str().ok()))
}

/// Refuses requests of foreign pages. Browsers set `Sec-Fetch-Site`, and no script can change it.
pub(super) fn is_same_origin(headers: &HeaderMap) -> Result<(), ApiError> {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"same-origin") => Ok(()),
        Some(_) => Err(ApiError::CrossOrigin),
    }
}

/// Whether the page came over TLS. The browser's `Origin` says so, also
/// behind a proxy that ends TLS.
pub(super) fn over_tls(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

/// The page loads only the daemon's own files, and connects only to the daemon. Inline scripts and
/// styles do not run, and text never becomes markup. Foreign pages cannot frame the console. The
/// browser stores no response and sends no referrer.
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    // The page's files set their own value.
    (header::CACHE_CONTROL, "no-store"),
];

pub(super) async fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
