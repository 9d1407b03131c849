//! The body of a request: JSON of a bounded size, read within a bounded time.
//!
//! Owns the size limits, and that no part of a body is repeated or kept, because a body may hold a
//! credential. Errors do not quote the parser, but a wrong value has its own sentence. After
//! reading, the bytes are wiped from memory.
//!
//! Not here: which route has which limit (`routes.rs`), and the shapes (`wire/`).

use std::time::Duration;

use axum::{
    RequestExt,
    body::Body as HttpBody,
    extract::{FromRequest, Request},
    http::header,
};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::ApiError;
use crate::domain::{by_name, refused_value};

/// The limit of an ordinary request, in bytes: a webhook URL and a few names are small.
pub(super) const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// The limit of an import, in bytes: it carries some hundred subscriptions.
pub(super) const IMPORT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The limit of an event to explain, in bytes. An event has at most 256 KiB by default, and JSON in
/// JSON is longer.
pub(super) const EXPLAIN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The limit of a template, in bytes. A template has at most 256 KiB, and JSON may escape it to six
/// times that size.
pub(super) const TEMPLATE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How long the whole body may take to arrive.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The first capacity of the buffer, in bytes, if the request has no `Content-Length`.
const BYTES_FIRST: usize = 8 * 1024;

/// A JSON body.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        if !is_json(&request) {
            return Err(ApiError::Invalid("the content type must be application/json".to_owned()));
        }
        let length = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        let read =
            timeout(WAIT_MAX, collect(request.into_limited_body(), length.unwrap_or(BYTES_FIRST)));
        let bytes = read.await.map_err(|_| ApiError::TooSlow(WAIT_MAX))??;
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let read = by_name(&mut reader).and_then(|read| reader.end().map(|()| Self(read)));
        read.map_err(|error| {
            ApiError::Invalid(
                refused_value(&error)
                    .unwrap_or_else(|| "the body is not the JSON that this route takes".to_owned()),
            )
        })
    }
}

fn is_json(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
}

/// Reads the whole body. When the buffer grows, the old memory is wiped.
async fn collect(mut body: HttpBody, length: usize) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.min(IMPORT_BYTES_MAX)));
    while let Some(frame) = body.frame().await {
        // The connection broke, or the body is too long. After a broken connection no answer
        // arrives anyway.
        let frame = frame.map_err(|_| too_long())?;
        let Some(data) = frame.data_ref() else { continue };
        let needed = bytes.len() + data.len();
        if needed > bytes.capacity() {
            let mut roomier = Zeroizing::new(Vec::with_capacity(needed.max(bytes.capacity() * 2)));
            roomier.extend_from_slice(&bytes);
            bytes = roomier;
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes)
}

fn too_long() -> ApiError {
    ApiError::Invalid(format!(
        "the request has more than {REQUEST_BYTES_MAX} bytes, or {IMPORT_BYTES_MAX} in an import, \
         or {TEMPLATE_BYTES_MAX} for a template"
    ))
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use futures_util::{StreamExt, stream};

    use super::*;

    #[derive(serde::Deserialize)]
    struct Numbers {
        all: Vec<u32>,
    }

    async fn read(body: HttpBody, kind: &str) -> Result<Vec<u32>, ApiError> {
        let request = Request::builder().header(header::CONTENT_TYPE, kind).body(body).unwrap();
        JsonBody::from_request(request, &()).await.map(|JsonBody(Numbers { all })| all)
    }

    fn pieces(count: usize) -> impl futures_util::Stream<Item = Result<Bytes, axum::Error>> {
        let one = |at| {
            Ok(Bytes::from(if at == 0 {
                r#"{"all":[1"#.to_owned()
            } else {
                format!(",{}", "1".repeat(9))
            }))
        };
        stream::iter((0..count).map(one)).chain(stream::iter([Ok(Bytes::from("]}"))]))
    }

    #[tokio::test]
    async fn a_body_that_comes_in_pieces_is_read_whole() {
        let read = read(HttpBody::from_stream(pieces(5000)), "application/json; charset=utf-8")
            .await
            .unwrap();
        assert_eq!((read.len(), read[4999]), (5000, 111_111_111));
    }

    #[tokio::test]
    async fn another_type_too_many_bytes_and_invalid_json_have_their_own_answers() {
        let said = |refused: Result<_, ApiError>| refused.unwrap_err().to_string();
        assert!(said(read("[1]".into(), "text/plain").await).contains("content type"));
        for body in ["{x}", r#"{"all":[1]} x"#, "[[1]]"] {
            assert!(said(read(body.into(), "application/json").await).contains("not the JSON"));
        }
        let endless = HttpBody::from_stream(pieces(1_000_000));
        assert!(said(read(endless, "application/json").await).contains("more than"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let begun = tokio::time::Instant::now();
        let hanging = HttpBody::from_stream(stream::pending::<Result<Bytes, axum::Error>>());
        let refused = read(hanging, "application/json").await.unwrap_err();
        assert!(matches!(refused, ApiError::TooSlow(_)));
        assert_eq!(begun.elapsed(), WAIT_MAX);
    }
}
