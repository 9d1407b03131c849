//! The cost of telemetry: time and allocations of all counters, log lines and spans of one
//! delivery.
//!
//! Measured with traces off, on, and on with no event sampled, and with a history, relative to the
//! same counters alone.
//! `cargo bench --bench telemetry`. The log level disables all lines, because the cost of a written
//! line depends on its output.
//!
//! Owns that comparison.
//!
//! Not here: whole deliveries (`end_to_end.rs`).
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench that meets the unexpected stops"
)]

use std::{
    alloc::System,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, http::StatusCode, routing::post};
use prometheus_client::metrics::{
    counter::Counter,
    histogram::{Histogram, exponential_buckets},
};
use roomcast::{
    domain::{
        AttemptOutcome, Delivery, Event, EventContent, EventId, HeaderValue, Platform,
        PublishedMessage, RobotId, Settlement, SubscriptionId, Timestamp, Verdict,
    },
    settings::Section as _,
    telemetry::{Telemetry, TraceSettings, events},
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Their spans and records are fewer than wait at most, so none is dropped.
const DELIVERIES: u32 = 3_000;
const ROUNDS: u32 = 30;
const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

#[tokio::main]
async fn main() {
    roomcast::send::install_crypto_provider();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let receiver = Router::new().route("/v1/traces", post(|| async { StatusCode::OK }));
    tokio::spawn(async { axum::serve(listener, receiver).await });
    let settings = |sample_ratio| TraceSettings {
        otlp_endpoint: Some(endpoint.parse().unwrap()),
        sample_ratio,
        ..TraceSettings::by_default().unwrap()
    };
    let traced = |ratio| Telemetry::new().with_traces(&settings(ratio)).unwrap();
    let raw = raw();
    println!("{:>28} | {:>9} {:>7} {:>12}", "", "ns each", "ratio", "allocations");
    println!("{:>28} | {:>9.0} {:>7.2} {:>12.2}", "counters alone", raw.0, 1.0, raw.1);
    for (what, (nanoseconds, allocations)) in [
        ("without traces", told(Telemetry::new)),
        ("with traces, none kept", told(|| traced(0.0))),
        ("with traces, all kept", told(|| traced(1.0))),
        ("with a history", told(|| Telemetry::new().with_history(Arc::default()))),
    ] {
        println!(
            "{what:>28} | {nanoseconds:>9.0} {:>7.2} {allocations:>12.2}",
            nanoseconds / raw.0
        );
    }
}

/// Nanoseconds and allocations per delivery, the best of all rounds.
fn best(mut round: impl FnMut() -> (Duration, usize)) -> (f64, f64) {
    let rounds = (0..ROUNDS).map(|_| round());
    let each = rounds.map(|(took, allocations)| {
        (took.as_nanos() as f64 / f64::from(DELIVERIES), allocations as f64 / f64::from(DELIVERIES))
    });
    each.min_by(|one, other| one.0.total_cmp(&other.0)).unwrap()
}

/// The same number of counters and histograms as an immediate delivery, and nothing else.
fn raw() -> (f64, f64) {
    let counters: [Counter; 2] = Default::default();
    let histograms = [(); 5].map(|()| Histogram::new(exponential_buckets(0.001, 2.5, 20)));
    best(|| {
        let (region, began) = (Region::new(ALLOCATOR), Instant::now());
        for _ in 0..DELIVERIES {
            for counter in &counters {
                counter.inc();
            }
            histograms.iter().for_each(|histogram| histogram.observe(black_box(0.02)));
        }
        (began.elapsed(), region.change().allocations)
    })
}

/// An immediate delivery, with all telemetry of the pipeline.
fn told(telemetry: impl Fn() -> Telemetry) -> (f64, f64) {
    let event = Arc::new(Event {
        id: EventId::new("0193-event"),
        topic: "ops.db".parse().unwrap(),
        content: EventContent::default(),
        urgent: false,
        received_at: NOW,
        expires_at: NOW.after(Duration::from_secs(24 * 3600)),
        published: PublishedMessage {
            routing_key: "ops.db".to_owned(),
            message_id: Some("0193-event".to_owned()),
            headers: vec![("team".to_owned(), HeaderValue::Text(b"storage".to_vec()))],
            ..PublishedMessage::default()
        },
    });
    let (subscription, robot) = (SubscriptionId::from_bytes([1; 16]), RobotId::from_bytes([2; 16]));
    let delivery = Delivery::fresh(&event, subscription, Platform::WeCom, robot);
    let answer = AttemptOutcome::new(Verdict::Delivered, "0", "");
    let (waited, took) = (Duration::from_millis(1), Duration::from_millis(20));
    best(|| {
        let telemetry = telemetry();
        let (region, began) = (Region::new(ALLOCATOR), Instant::now());
        for _ in 0..DELIVERIES {
            events::AttemptStarted {
                delivery: &delivery,
                waited,
                wait_reason: None,
                after: Some(waited),
                now: NOW.after(waited),
            }
            .emit(&telemetry);
            let now = NOW.after(waited + took);
            events::AttemptMade {
                delivery: &delivery,
                answer: &answer,
                took,
                waited,
                wait_reason: None,
                folded: 0,
                now,
            }
            .emit(&telemetry);
            events::DeliverySettled {
                delivery: &delivery,
                settlement: &Settlement::Done,
                letter: None,
                now,
                stored: now,
            }
            .emit(&telemetry);
        }
        let spent = (began.elapsed(), region.change().allocations);
        telemetry.finish();
        spent
    })
}
