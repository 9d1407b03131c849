//! The HTTP client that posts spans to the OTLP receiver.
//!
//! Owns how refused spans are counted, and that a refusal is logged once.
//!
//! Not here: which spans there are (`spans.rs`), and when they are sent (`traces.rs`).

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use prometheus_client::metrics::counter::Counter;
use reqwest::{Client, redirect::Policy};
use tokio::runtime::Handle;

use super::with_causes;

/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Posts spans. The exporter calls it on a thread of its own; the request runs on the runtime.
#[derive(Debug)]
pub(super) struct Collector {
    client: Client,
    runtime: Handle,
    refused: Counter,
    refusing: AtomicBool,
}

impl Collector {
    /// Must be called on the runtime that runs the requests.
    pub(super) fn new(refused: Counter) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(concat!("roomcast/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(Policy::none())
            .timeout(DEADLINE)
            .build()?;
        Ok(Self { client, runtime: Handle::current(), refused, refusing: AtomicBool::new(false) })
    }

    fn note(&self, refusal: Option<&str>) {
        let before = self.refusing.swap(refusal.is_some(), Ordering::AcqRel);
        match refusal {
            Some(cause) => SpansRefused { cause: Some(cause), news: !before }.emit(&self.refused),
            None if before => SpansRefused { cause: None, news: true }.emit(&self.refused),
            None => (),
        }
    }
}

/// The receiver of traces refused spans, or accepts them again.
struct SpansRefused<'a> {
    /// The cause; `None` if it accepts them again.
    cause: Option<&'a str>,
    /// Whether this differs from the last time.
    news: bool,
}

impl SpansRefused<'_> {
    /// Counts and logs the refusal. The collector is a part of the telemetry, so it gets the
    /// counter only.
    fn emit(&self, refused: &Counter) {
        match self.cause {
            Some(cause) => {
                refused.inc();
                if self.news {
                    tracing::warn!(
                        cause,
                        "the receiver of traces does not take them: they are lost until it does; \
                         deliveries go on"
                    );
                }
            }
            None => tracing::info!("the receiver of traces takes them again"),
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let answer = self.runtime.spawn(async move { post(&client, request).await }).await;
        match answer {
            Ok(Ok(answer)) if answer.status().is_success() => {
                self.note(None);
                Ok(answer)
            }
            Ok(Ok(answer)) => {
                self.note(Some(&format!("it answers {}", answer.status())));
                Ok(answer)
            }
            Ok(Err(error)) => {
                self.note(Some(&with_causes(&error)));
                Err(error.into())
            }
            // The runtime is shutting down.
            Err(cut) => Err(cut.into()),
        }
    }
}

/// Errors omit the URL, because it may contain a token.
async fn post(client: &Client, request: Request<Bytes>) -> Result<Response<Bytes>, reqwest::Error> {
    let request = request.try_into().map_err(reqwest::Error::without_url)?;
    let answer = client.execute(request).await.map_err(reqwest::Error::without_url)?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(reqwest::Error::without_url)?;
    let mut whole = Response::new(body);
    *whole.status_mut() = status;
    Ok(whole)
}
