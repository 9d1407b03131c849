//! Traces: ids, sampling, and the queue of spans to send.
//!
//! Owns how a span finds its trace without any state between two spans or processes. The event's
//! `traceparent` header travels with each delivery, and the ids of parent spans are hashes of event
//! and delivery. So a delivery continues its trace after a delay tier or a redrive.
//!
//! Not here: which spans there are (`spans.rs`), and the HTTP client (`collector.rs`).

use std::time::{Duration, SystemTime};

use opentelemetry::{
    Context, InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanContext, SpanKind, Status, TraceContextExt},
};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, IdGenerator, RandomIdGenerator, Sampler,
        SamplingDecision, ShouldSample, SpanData, SpanEvents, SpanLinks, SpanProcessor,
    },
};
use prometheus_client::metrics::counter::Counter;
use sha2::{Digest, Sha256};
use url::Url;

use super::{collector::Collector, span_name::SpanName};
use crate::{
    domain::{Delivery, EventId, HeaderValue, Headers, PublishedMessage, Timestamp},
    settings::{Form, http_address, ratio, section, text},
};

/// The most spans that wait for the receiver. Further spans are dropped, so the daemon never waits.
const WAITING_MAX: usize = 16_384;

/// The interval at which waiting spans are sent.
const EVERY: Duration = Duration::from_secs(1);

section! {
    /// The traces.
    pub struct TraceSettings in "trace" {
        /// The receiver of OpenTelemetry traces: OTLP, protobuf over HTTP. Without a path,
        /// `/v1/traces` is added. Without the key there are no traces, and they cost nothing.
        /// `OTEL_EXPORTER_OTLP_HEADERS` has headers for the receiver.
        otlp_endpoint: Option<Url> = optional(receiver(), "http://localhost:4318"), AtStart;
        /// Which share of the events leaves a trace if its publisher does not say. A publisher with
        /// a `traceparent` says so with its last flag.
        sample_ratio: f64 = one(ratio(), "1.0"), AtStart;
        /// The name of the daemon in traces.
        service_name: String = one(text("name"), "roomcast"), AtStart;
    }
}

/// The address of an OTLP receiver, without user and password.
fn receiver() -> Form<Url> {
    http_address(|url| {
        if !url.username().is_empty() || url.password().is_some() {
            return Err("no user or password belongs here: \
                 set OTEL_EXPORTER_OTLP_HEADERS in the environment"
                .to_owned());
        }
        Ok(url)
    })
}

/// Why traces cannot be enabled.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The HTTP client.
    #[error("the HTTP client for traces cannot be built")]
    Client(#[from] reqwest::Error),
    /// The exporter.
    #[error("traces cannot be sent")]
    Exporter(#[from] ExporterBuildError),
}

/// The traces of one daemon.
pub(super) struct Traces {
    processor: BatchSpanProcessor,
    sampler: Sampler,
    scope: InstrumentationScope,
}

/// The trace of one event.
pub(super) struct Trace {
    id: TraceId,
    /// The publisher's span; invalid if it named none.
    publisher: SpanContext,
    event: SpanId,
}

/// One finished span.
pub(super) struct Span {
    pub(super) station: SpanName,
    pub(super) kind: SpanKind,
    /// Its id; `None` if it has no children.
    pub(super) id: Option<SpanId>,
    pub(super) parent: Parent,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) attributes: Vec<KeyValue>,
    /// The cause, if it is a failure.
    pub(super) failure: Option<String>,
}

/// When a span began and ended.
#[derive(Clone, Copy)]
pub(super) struct TimeRange {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// The parent of a span.
#[derive(Clone, Copy)]
pub(super) enum Parent {
    /// The publisher's span.
    Publisher,
    /// A span of roomcast.
    Span(SpanId),
}

impl Traces {
    /// Starts the sending, on the current runtime; `None` without a receiver. `refused` counts the
    /// spans that the receiver refuses.
    pub(super) fn begin(
        settings: &TraceSettings,
        refused: Counter,
    ) -> Result<Option<Self>, TraceError> {
        let Some(mut endpoint) = settings.otlp_endpoint.clone() else { return Ok(None) };
        if endpoint.path() == "/" {
            endpoint.set_path("/v1/traces");
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new(refused)?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(WAITING_MAX)
            .with_scheduled_delay(EVERY)
            .build();
        let mut processor =
            BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let service = Resource::builder()
            .with_service_name(settings.service_name.clone())
            .with_attribute(version);
        processor.set_resource(&service.build());
        Ok(Some(Self {
            processor,
            sampler: Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                settings.sample_ratio,
            ))),
            scope: InstrumentationScope::builder("roomcast")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        }))
    }

    /// The trace of an event; `None` if it is not sampled. Without a trace of its publisher, the
    /// event starts a trace whose id is derived from the event's id.
    pub(super) fn of(&self, published: &PublishedMessage, event: &EventId) -> Option<Trace> {
        let context = TraceContextPropagator::new()
            .extract_with_context(&Context::new(), &HeaderExtractor(&published.headers));
        let publisher = context.span().span_context().clone();
        let id = if publisher.is_valid() {
            publisher.trace_id()
        } else {
            TraceId::from_bytes(named(&[
                b"trace",
                published.routing_key.as_bytes(),
                event.as_str().as_bytes(),
            ]))
        };
        let sampled =
            self.sampler.should_sample(Some(&context), id, "event", &SpanKind::Consumer, &[], &[]);
        let event =
            SpanId::from_bytes(named(&[b"event", &id.to_bytes(), event.as_str().as_bytes()]));
        matches!(sampled.decision, SamplingDecision::RecordAndSample).then_some(Trace {
            id,
            publisher,
            event,
        })
    }

    /// Queues a finished span, without waiting.
    pub(super) fn end(&self, trace: &Trace, span: Span) {
        let id = span.id.unwrap_or_else(|| RandomIdGenerator::default().new_span_id());
        let (parent_span_id, parent_span_is_remote) = match span.parent {
            Parent::Publisher => (trace.publisher.span_id(), trace.publisher.is_valid()),
            Parent::Span(id) => (id, false),
        };
        let state = trace.publisher.trace_state().clone();
        self.processor.on_end(SpanData {
            span_context: SpanContext::new(trace.id, id, TraceFlags::SAMPLED, false, state),
            parent_span_id,
            parent_span_is_remote,
            span_kind: span.kind,
            name: span.station.as_str().into(),
            start_time: time(span.from.min(span.until)),
            end_time: time(span.until),
            attributes: span.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: span.failure.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        });
    }

    /// Sends the waiting spans, then stops.
    pub(super) fn finish(&self) {
        if let Err(error) = self.processor.shutdown() {
            tracing::debug!(error = &error as &dyn std::error::Error, "not all spans were sent");
        }
    }
}

impl Trace {
    /// The id of the event's span.
    pub(super) const fn event(&self) -> SpanId {
        self.event
    }

    /// The id of a delivery's span. A redriven delivery has another one.
    pub(super) fn delivery(&self, delivery: &Delivery) -> SpanId {
        let (subscription, generation) =
            (delivery.subscription.as_bytes(), delivery.generation.to_be_bytes());
        SpanId::from_bytes(named(&[
            b"delivery",
            &self.id.to_bytes(),
            &self.event.to_bytes(),
            subscription,
            &generation,
        ]))
    }
}

/// An id derived from these parts; it is the same in every process.
fn named<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let mut name = [0; N];
    name.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    name
}

fn time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(at.unix_millis())
}

/// The publisher's headers.
struct HeaderExtractor<'a>(&'a Headers);

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
            .and_then(|(_, value)| HeaderValue::as_text(value))
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}
