//! How answers are sent: complete, late, incomplete, or not at all.
//!
//! Owns the effect of each fault on the answer.
//!
//! Not here: which fault applies (`faults.rs`).

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::pending;
use std::io::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use flate2::{Compression, write::GzEncoder};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use crate::dialect::Refusal;
use crate::faults::{Fault, Kind};
use crate::platform::Platform;
use crate::server::Cut;

/// The page of a gateway in place of the platform's answer.
const PAGE: &str = "<!DOCTYPE html><html><head><title>Service unavailable</title></head>\
<body><h1>The service is not available</h1></body></html>";

/// The pieces of a huge answer: 160 times 64 KiB are 10 MiB.
static PIECE: [u8; 65_536] = [b' '; 65_536];
const PIECES: usize = 160;

/// A platform's regular answer: HTTP 200 with JSON.
pub(crate) fn json(body: Cow<'static, str>) -> Response {
    let body = match body {
        Cow::Borrowed(text) => Body::from(text),
        Cow::Owned(text) => Body::from(text),
    };
    with_type(StatusCode::OK, "application/json", body)
}

/// A platform's refusal.
pub(crate) fn refused(platform: Platform, refusal: &Refusal) -> Response {
    json(platform.dialect().answer(Err(refusal)))
}

/// The answer to a request with a fault, in place of the platform's answer.
pub(crate) async fn struck(fault: &Fault, answer: Cow<'static, str>, cut: &Cut) -> Response {
    match fault.kind {
        Kind::Slow => {
            tokio::time::sleep(Duration::from_millis(fault.milliseconds.unwrap_or(0))).await;
            json(answer)
        }
        Kind::Hang => pending().await,
        Kind::HangBody => half(&answer),
        Kind::Cut | Kind::CutAfter => {
            cut.cut();
            pending().await
        }
        Kind::Html => with_type(StatusCode::OK, "text/html; charset=utf-8", Body::from(PAGE)),
        Kind::Huge => huge(),
        Kind::Status | Kind::Answer => given(fault),
        Kind::Redirect => {
            let location = fault.location.clone().unwrap_or_default();
            (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
        }
        Kind::Gzip => gzip(&answer),
        Kind::ByteOrderMark => json(Cow::Owned(format!("\u{feff}{answer}"))),
        Kind::Skew => json(answer),
    }
}

fn with_type(status: StatusCode, kind: &'static str, body: Body) -> Response {
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// The header announces the whole answer, but only half of it is sent.
fn half(answer: &str) -> Response {
    let part = Bytes::copy_from_slice(answer.as_bytes().split_at(answer.len() / 2).0);
    let body = stream::iter([Ok::<_, Infallible>(part)]).chain(stream::pending());
    let mut response = with_type(StatusCode::OK, "application/json", Body::from_stream(body));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(answer.len()));
    response
}

/// The answer as a gateway compresses it, although no request asks for that.
fn gzip(answer: &str) -> Response {
    let mut writer = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory cannot fail.
    let _ = writer.write_all(answer.as_bytes());
    let body = Body::from(writer.finish().unwrap_or_default());
    let mut response = with_type(StatusCode::OK, "application/json", body);
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

fn huge() -> Response {
    let pieces = std::iter::repeat_n(Ok::<_, Infallible>(Bytes::from_static(&PIECE)), PIECES);
    with_type(StatusCode::OK, "application/json", Body::from_stream(stream::iter(pieces)))
}

/// The requested status, headers and body, completed only where they lack something.
fn given(fault: &Fault) -> Response {
    let status = fault.status.and_then(|status| StatusCode::from_u16(status).ok());
    let (kind, body) = match &fault.body {
        None => ("text/plain", String::new()),
        Some(Value::String(text)) => ("text/plain", text.clone()),
        Some(value) => ("application/json", value.to_string()),
    };
    let mut response = with_type(status.unwrap_or(StatusCode::OK), kind, Body::from(body));
    for (name, value) in &fault.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
