//! The parameters of a route: those in its path, and its query.
//!
//! Owns that a wrong parameter is refused in the API's own form, with a sentence that says why.
//!
//! Not here: the body of a request (`body.rs`).

use std::{fmt::Display, str::FromStr};

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::{ApiError, subscriptions::invalid};
use crate::domain::refused_value;

/// The only parameter in the path, such as an id.
pub(super) struct PathParam<T>(pub(super) T);

impl<S: Send + Sync, T: FromStr<Err: Display>> FromRequestParts<S> for PathParam<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text): Path<String> = Path::from_request_parts(parts, state)
            .await
            .map_err(|wrong| invalid(wrong.body_text()))?;
        text.parse().map(Self).map_err(invalid)
    }
}

/// The query of a listing.
pub(super) struct QueryParams<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ApiError;

    /// A query holds no credential, so the parser's error may be repeated.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|wrong| {
            let text = wrong.body_text();
            invalid(refused_value(&text).unwrap_or(text))
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Request;

    use super::*;
    use crate::admin::wire::ListQuery;

    async fn query(text: &str) -> Result<ListQuery, String> {
        let uri = format!("/v1/subscriptions?{text}");
        let (mut parts, ()) = Request::builder().uri(uri).body(()).unwrap().into_parts();
        let read = QueryParams::from_request_parts(&mut parts, &()).await;
        read.map(|QueryParams(query)| query).map_err(|refused| refused.to_string())
    }

    #[tokio::test]
    async fn a_query_is_read_with_its_types_and_a_wrong_value_says_why() {
        let id = "0190a0b0c0d0e0f00112233445566778";
        let read = query(&format!("topic=ops&platform=feishu&after=ops/{id}&limit=7")).await;
        let ListQuery { filter, after, limit } = read.unwrap();
        assert_eq!((filter.topic, limit), ("ops".parse().ok(), Some(7)));
        assert_eq!(filter.platform, "lark".parse().ok());
        assert_eq!(after.unwrap().to_string(), format!("ops/{id}"));
        let refused = query("topic=a%20b").await.unwrap_err();
        assert!(refused.starts_with("the topic's name holds ' ' at position 1:"), "{refused}");
        assert!(query("colour=red").await.unwrap_err().contains("colour"));
    }
}
