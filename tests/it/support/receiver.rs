//! An OTLP receiver that keeps every received span.
//!
//! Owns the decoding of those spans.
//!
//! Not here: the tests of traces (`tests/it/traces.rs`).

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;
use tokio::net::TcpListener;

#[derive(Clone, Default)]
pub struct Receiver {
    pub url: String,
    requests: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    refusing: Arc<Mutex<bool>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver =
            Self { url: format!("http://{}", listener.local_addr().unwrap()), ..Self::default() };
        let app = Router::new().route("/v1/traces", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    /// Answers with errors from now on, or stops doing so.
    pub fn refuse(&self, refusing: bool) {
        *self.refusing.lock().unwrap() = refusing;
    }

    /// All received requests.
    pub fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        self.requests.lock().unwrap().clone()
    }

    /// All received spans, in the order of their ends.
    pub fn spans(&self) -> Vec<Span> {
        let scopes = self
            .requests()
            .into_iter()
            .flat_map(|one| one.resource_spans)
            .flat_map(|one| one.scope_spans);
        scopes.flat_map(|one| one.spans).collect()
    }

    pub fn named(&self, name: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| span.name == name).collect()
    }
}

async fn take(State(receiver): State<Receiver>, body: Bytes) -> StatusCode {
    if *receiver.refusing.lock().unwrap() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    receiver.requests.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
    StatusCode::OK
}

/// An attribute as text; empty if there is none.
pub fn attribute(attributes: &[KeyValue], key: &str) -> String {
    let value =
        attributes.iter().find(|one| one.key == key).and_then(|one| one.value.clone()?.value);
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(value)) => value.to_string(),
        _ => String::new(),
    }
}
