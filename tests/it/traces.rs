//! OpenTelemetry traces.
//!
//! Owns the promise that they continue the publisher's trace over delays, restarts and redrives,
//! and contain no secret.
//!
//! Not here: which spans exist (`src/telemetry/spans.rs`).

use std::{collections::BTreeSet, time::Duration};

use lapin::{BasicProperties, types::AMQPValue, types::FieldTable};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;

use crate::support::{
    broker,
    daemon::Home,
    emulator::Emulator,
    publisher::Publisher,
    receiver::{Receiver, attribute},
    until,
};

const SOON: Duration = Duration::from_secs(60);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PUBLISHER: &str = "b7ad6b7169203331";

fn traced(id: &str, flags: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert(
        "traceparent".into(),
        AMQPValue::LongString(format!("00-{TRACE}-{PUBLISHER}-{flags}").into()),
    );
    BasicProperties::default().with_message_id(id.into()).with_headers(headers)
}

fn tracing(receiver: &Receiver, more: &str) -> String {
    format!("[trace]\notlp_endpoint = \"{}\"\n{more}\n", receiver.url)
}

fn of(span: &Span, key: &str) -> String {
    attribute(&span.attributes, key)
}

fn outcomes(receiver: &Receiver) -> Vec<String> {
    receiver.named("settle").iter().map(|span| of(span, "roomcast.outcome")).collect()
}

// The receiver runs on another thread while the test waits for the process.
#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_publisher_over_delays_a_restart_and_a_redrive_to_the_delivery() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let receiver = Receiver::start().await;
    let home = Home::new(
        broker,
        &emulator.url(),
        &tracing(&receiver, "[retry]\ndelays = [\"1s\"]\njitter = 0.0\n"),
    );
    let subscription = home.subscribe("ops", "wecom", "wecom-secret-key", &[]);
    let daemon = home.start().await;
    emulator.fault(json!({"kind": "status", "status": 503})).await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher
        .publish_bytes(
            "ops",
            br#"{"message": "what nobody else may read"}"#,
            traced("event-7", "01"),
        )
        .await;
    until("it is given up after one delay", SOON, || async {
        publisher.depth("dead.wecom").await == 1
    })
    .await;
    // Waiting spans are sent before the process ends.
    assert!(daemon.terminate().success());
    assert_eq!(outcomes(&receiver), ["retried", "dead"]);

    emulator.no_faults().await;
    let _daemon = home.start().await;
    home.ok(&["dead", "redrive", "--all"], "");
    until("it is delivered", SOON, || async { receiver.named("delivery").len() == 2 }).await;
    assert_eq!(outcomes(&receiver), ["retried", "dead", "done"]);

    let spans = receiver.spans();
    assert_eq!(
        spans.iter().map(|span| hex::encode(&span.trace_id)).collect::<BTreeSet<_>>(),
        BTreeSet::from([TRACE.to_owned()])
    );
    let [event] = &receiver.named("event")[..] else { panic!("one event: {spans:#?}") };
    assert_eq!(hex::encode(&event.parent_span_id), PUBLISHER);
    assert_eq!(of(event, "messaging.message.id"), "event-7");
    for name in ["decode", "expand"] {
        assert_eq!(receiver.named(name)[0].parent_span_id, event.span_id, "{name}");
    }
    let deliveries = receiver.named("delivery");
    assert!(deliveries.iter().all(|span| span.parent_span_id == event.span_id
        && of(span, "roomcast.subscription") == subscription));
    assert_eq!(
        deliveries.iter().map(|span| of(span, "roomcast.generation")).collect::<Vec<_>>(),
        ["0", "1"]
    );
    let attempts: Vec<_> = receiver.named("attempt");
    let parents: Vec<_> = attempts.iter().map(|span| span.parent_span_id.clone()).collect();
    let (dead, done) = (deliveries[0].span_id.clone(), deliveries[1].span_id.clone());
    assert_ne!(dead, done, "the redriven one is another");
    assert_eq!(parents, [dead.clone(), dead, done]);
    assert_eq!(
        attempts.iter().map(|span| of(span, "roomcast.verdict")).collect::<Vec<_>>(),
        ["try_again", "try_again", "delivered"]
    );
    assert_eq!(
        attempts.iter().map(|span| of(span, "roomcast.hops")).collect::<Vec<_>>(),
        ["0", "1", "0"]
    );
    assert_eq!(receiver.named("wait").len(), 3);
    assert!(spans.iter().all(|span| span.start_time_unix_nano <= span.end_time_unix_nano));

    let everything = format!("{:?}", receiver.requests());
    for secret in
        ["wecom-secret-key", "qyapi.weixin.qq.com", "cgi-bin", "what nobody else may read"]
    {
        assert!(!everything.contains(secret), "a span tells {secret}");
    }
    let resource = &receiver.requests()[0].resource_spans[0].resource.clone().unwrap();
    assert_eq!(attribute(&resource.attributes, "service.name"), "roomcast");
}

#[tokio::test]
async fn the_publisher_decides_whether_its_trace_is_kept_and_an_event_without_one_has_its_own() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let receiver = Receiver::start().await;
    let home = Home::new(
        broker,
        &emulator.url(),
        &tracing(&receiver, "service_name = \"chats\"\n[retry]\ndelays = [\"1s\"]\njitter = 0.0\n"),
    );
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish_bytes("ops", br#"{"message": "not kept"}"#, traced("event-1", "00")).await;
    until("it is delivered", SOON, || async { emulator.count("accepted").await == 1 }).await;
    emulator.fault(json!({"kind": "status", "status": 503, "times": 1})).await;
    publisher.publish("ops", &json!({"message": "its own, over a delay"})).await;
    publisher.publish_bytes("ops", b"no event", BasicProperties::default()).await;
    until("the second is delivered", SOON, || async { receiver.named("delivery").len() == 1 })
        .await;
    until("the third is seen", SOON, || async { receiver.named("event").len() == 2 }).await;
    let spans = receiver.spans();
    let delivery = &receiver.named("delivery")[0];
    assert_eq!(receiver.named("attempt").len(), 2);
    assert!(receiver.named("attempt").iter().all(|span| span.trace_id == delivery.trace_id));
    let roots: Vec<_> = spans.iter().filter(|span| span.parent_span_id.is_empty()).collect();
    assert_eq!(roots.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["event", "event"]);
    assert_ne!(roots[0].trace_id, roots[1].trace_id);
    let unread = roots.iter().find(|span| of(span, "roomcast.code") == "json").unwrap();
    assert_eq!(unread.status.as_ref().unwrap().message, "undecodable");
    assert_eq!(
        attribute(
            &receiver.requests()[0].resource_spans[0].resource.clone().unwrap().attributes,
            "service.name"
        ),
        "chats"
    );
}

#[tokio::test]
async fn a_receiver_that_does_not_take_spans_holds_no_delivery_up_and_is_named_once() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let receiver = Receiver::start().await;
    receiver.refuse(true);
    let home = Home::new(broker, &emulator.url(), &tracing(&receiver, ""));
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "all the same"})).await;
    until("it is delivered", SOON, || async { emulator.count("accepted").await == 1 }).await;
    until("refusals are counted", SOON, || async {
        daemon.metric("roomcast_trace_failures_total").await >= Some(2.0)
    })
    .await;
    receiver.refuse(false);
    publisher.publish("ops", &json!({"message": "seen"})).await;
    until("spans are taken again", SOON, || async { !receiver.named("delivery").is_empty() }).await;
    until("it is said", SOON, || async { home.log().contains("takes them again") }).await;
    assert_eq!(home.log().matches("does not take them").count(), 1, "said once");
}
