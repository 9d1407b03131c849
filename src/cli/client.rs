//! The client of the daemon's admin API, over its Unix socket.
//!
//! Owns the HTTP of the command line, and how an HTTP status becomes an exit code.
//!
//! Not here: the choice between daemon and store (`backend.rs`), and the routes
//! (`admin/routes.rs`).

use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, body::Bytes, header};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use super::exit::Failure;
use crate::admin::wire::ApiErrorBody;

/// A daemon that answers on its admin socket.
pub(super) struct Client {
    socket: PathBuf,
}

impl Client {
    /// The daemon at this socket, if one answers there.
    pub(super) async fn find(socket: &Path) -> Option<Self> {
        UnixStream::connect(socket).await.ok().map(|_| Self { socket: socket.to_owned() })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let body = self.call(Method::GET, path, Bytes::new()).await?;
        read(&body)
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.ask(Method::POST, path, body).await
    }

    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let body =
            serde_json::to_vec(body).map_err(|error| Failure::Internal(error.to_string()))?;
        let answer = self.call(method, path, body.into()).await?;
        read(&answer)
    }

    pub(super) async fn order(&self, method: Method, path: &str) -> Result<(), Failure> {
        self.call(method, path, Bytes::new()).await.map(|_| ())
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, Failure> {
        let lost = |error: &dyn std::error::Error| {
            Failure::Unavailable(format!(
                "the daemon on {} does not answer: {error}",
                self.socket.display()
            ))
        };
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| lost(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| lost(&error))?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "roomcast")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Failure::Internal(error.to_string()))?;
        let answer = sender.send_request(request).await.map_err(|error| lost(&error))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| lost(&error))?.to_bytes();
        if status.is_success() { Ok(body) } else { Err(refused(status, &body)) }
    }
}

/// Encodes a part of a path, where a space must be `%20` and not `+`.
pub(super) fn in_path(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The query of a listing, as it stands in a URL.
pub(super) fn query_text(query: &impl Serialize) -> Result<String, Failure> {
    let fields =
        serde_json::to_value(query).map_err(|error| Failure::Internal(error.to_string()))?;
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in fields.as_object().into_iter().flatten() {
        text.append_pair(key, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    Ok(text.finish())
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::Internal(format!("the daemon's answer cannot be read (another version?): {error}"))
    })
}

fn refused(status: StatusCode, body: &[u8]) -> Failure {
    let message = serde_json::from_slice::<ApiErrorBody>(body).map_or_else(
        |_| format!("the daemon refused with status {status}"),
        |problem| problem.message,
    );
    match status {
        StatusCode::NOT_FOUND => Failure::No(message),
        StatusCode::SERVICE_UNAVAILABLE => Failure::Unavailable(message),
        status if status.is_client_error() => Failure::Usage(message),
        _ => Failure::Internal(message),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn in_a_path_a_blank_is_not_a_plus() {
        assert_eq!(super::in_path("a b/c"), "a%20b%2Fc");
    }
}
