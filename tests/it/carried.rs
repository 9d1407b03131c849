//! The content of a message on its way through delay tiers, dead letters and redrives.
//!
//! Owns the promise that all of the publisher's data is kept, except headers that control the
//! broker.
//!
//! Not here: which properties these are (`src/broker/properties.rs`).

use std::{fs, path::Path, time::Duration};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::Home,
    emulator::Emulator,
    publisher::{Publisher, header, text_header},
    until,
};

const SOON: Duration = Duration::from_secs(30);
const RETRY_LATE: &str =
    "[retry]\ndelays = [\"6m\"]\njitter = 0.0\n[delay]\ntiers = [\"1s\", \"5m\"]\n";

fn with_headers(headers: &[(&str, AMQPValue)]) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert((*name).into(), value.clone());
    }
    BasicProperties::default().with_headers(table)
}

fn long(bytes: usize) -> AMQPValue {
    AMQPValue::LongString("x".repeat(bytes).into())
}

/// A file of a case that is judged here.
fn of_the_field(file: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field").join(file)).unwrap()
}

/// The AMQP properties of such a case.
fn properties_of_the_field(folder: &str) -> Value {
    let file = of_the_field(&format!("{folder}/properties.json"));
    serde_json::from_slice(&file).unwrap()
}

fn letters(home: &Home) -> Vec<Value> {
    home.ok(&["dead", "list", "--json"], "")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn no_stored_step_has_an_amqp_priority_and_an_urgent_one_stays_urgent() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), RETRY_LATE);
    home.subscribe("later", "wecom", "wecom-001", &[]);
    home.subscribe("never", "wecom", "wecom-002", &[]);
    emulator.fault(json!({"kind": "status", "status": 500, "token": "wecom-001"})).await;
    let refusal = json!({"errcode": 40058, "errmsg": "invalid"});
    emulator
        .fault(json!({"kind": "answer", "status": 200, "body": refusal, "token": "wecom-002"}))
        .await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let urgent = || BasicProperties::default().with_priority(9);
    publisher.publish_bytes("later", br#"{"message": "later"}"#, urgent()).await;
    publisher.publish_bytes("never", br#"{"message": "never"}"#, urgent()).await;
    publisher.publish_bytes("never", b"no event", urgent()).await;
    for queue in ["delay.5m", "dead.wecom", "dead.event"] {
        until(&format!("a message lies in {queue}"), SOON, || async {
            publisher.depth(queue).await == 1
        })
        .await;
    }
    assert!(daemon.terminate().success());
    let later = publisher.get("delay.5m").await.unwrap();
    assert_eq!(
        *later.delivery.properties.priority(),
        None,
        "it would hold up what waits in the same tier"
    );
    assert_eq!(header(&later, "x-roomcast-urgent"), "Boolean(true)");
    home.ok(&["dead", "redrive", "--all"], "");
    for queue in ["delivery.wecom", "publish"] {
        let redriven = publisher.get(queue).await.unwrap();
        assert_eq!(*redriven.delivery.properties.priority(), None, "{queue}");
        assert_eq!(header(&redriven, "x-roomcast-priority"), "LongLongInt(9)", "{queue}");
    }
}

#[tokio::test]
async fn of_headers_that_do_not_fit_the_largest_unneeded_is_left_out_and_the_event_is_tried() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), RETRY_LATE);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    emulator.fault(json!({"kind": "status", "status": 500})).await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let trace =
        AMQPValue::LongString("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    let fits = with_headers(&[("big", long(90_000)), ("traceparent", trace.clone())]);
    publisher.publish_bytes("ops", br#"{"message": "fits"}"#, fits).await;
    until("it waits in a tier", SOON, || async { publisher.depth("delay.5m").await == 1 }).await;
    let later = publisher.get("delay.5m").await.unwrap();
    assert_eq!(header(&later, "big").len(), 90_000);
    assert!(header(&later, "traceparent").starts_with("00-"));

    // One header is too large here. The others go along, and the event is delivered.
    let attributes = [
        ("cloudEvents_specversion", AMQPValue::LongString("1.0".into())),
        ("cloudEvents_id", AMQPValue::LongString("1".into())),
        ("cloudEvents_source", AMQPValue::LongString("/test".into())),
        ("cloudEvents_type", AMQPValue::LongString("a.test".into())),
        ("traceparent", trace),
        ("x-roomcast-receipt", AMQPValue::Boolean(true)),
        ("tested", long(20_000)),
        ("stacktrace", long(100_000)),
        ("small", long(10)),
    ];
    let properties = with_headers(&attributes).with_content_type("application/json".into());
    publisher.publish_bytes("ops", br#"{"message":  "too much"}"#, properties).await;
    until("it waits too", SOON, || async { publisher.depth("delay.5m").await == 1 }).await;
    let event = publisher.get("delay.5m").await.unwrap();
    assert_eq!(event.delivery.data, br#"{"message":  "too much"}"#, "byte for byte");
    assert_eq!(text_header(&event.delivery.properties, "cloudEvents_source"), "/test");
    assert!(header(&event, "traceparent").starts_with("00-"));
    assert_eq!(header(&event, "x-roomcast-receipt"), "Boolean(true)");
    assert_eq!((header(&event, "tested").len(), header(&event, "small").len()), (20_000, 10));
    assert_eq!(header(&event, "x-roomcast-left-out"), "stacktrace (100006 bytes)");
    let names = event.delivery.properties.headers().clone().unwrap();
    assert!(!names.inner().keys().any(|name| name.as_str() == "stacktrace"));
    let line = "an event has more headers than go along with it; the largest are left out";
    assert_eq!(home.log().matches(line).count(), 1);

    // A filter tests the largest header, so the smaller one goes. Beside it, a context that is too
    // large is refused.
    let filter = r#"{"tested": [{"exists": true}]}"#;
    home.subscribe("filtered", "wecom", "wecom-002", &["--filter", filter]);
    let attributes = [("tested", long(70_000)), ("small", long(50_000))];
    publisher.publish_bytes("filtered", br#"{"message": "m"}"#, with_headers(&attributes)).await;
    until("it waits too", SOON, || async { publisher.depth("delay.5m").await == 1 }).await;
    let event = publisher.get("delay.5m").await.unwrap();
    assert_eq!(header(&event, "tested").len(), 70_000);
    assert_eq!(header(&event, "x-roomcast-left-out"), "small (50006 bytes)");
    let attributes = [("tracestate", long(60_000)), ("tested", long(60_000))];
    publisher.publish_bytes("filtered", br#"{"message": "m"}"#, with_headers(&attributes)).await;
    until("it is a dead letter", SOON, || async { publisher.depth("dead.event").await == 1 }).await;
    let found = letters(&home);
    assert_eq!(
        (found[0]["reason"].as_str(), found[0]["code"].as_str()),
        (Some("undecodable"), Some("headers_too_large"))
    );
    let detail = found[0]["detail"].as_str().unwrap();
    assert!(detail.contains("98304") && detail.contains("60006"), "{detail}");
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn a_message_that_the_broker_dead_lettered_is_shown_with_its_true_reason() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    assert!(home.start().await.terminate().success());
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    // tests/field/message-that-expires-in-the-broker, which sets its own expiration.
    let said = properties_of_the_field("message-that-expires-in-the-broker");
    let text = |name: &str| said[name].as_str().unwrap().into();
    let brief = BasicProperties::default()
        .with_expiration(text("expiration"))
        .with_message_id(text("message_id"));
    let body = of_the_field("message-that-expires-in-the-broker/input.json");
    publisher.publish_bytes("ops", &body, brief).await;
    until("the broker gives it up", SOON, || async { publisher.depth("dead.event").await == 1 })
        .await;
    let found = letters(&home);
    assert_eq!(found[0]["reason"], "expired", "{}", found[0]);
    assert_eq!(
        (&found[0]["code"], &found[0]["event"]),
        (&"broker_expiration".into(), &"e-1".into())
    );
    let shown = home.ok(&["dead", "show", found[0]["id"].as_str().unwrap()], "");
    assert!(shown.contains("expiration") && !shown.contains("crashes"), "{shown}");
    home.ok(&["dead", "redrive", "--reason", "expired"], "");
    let _daemon = home.start().await;
    until("redriven, it does not expire again", SOON, || async {
        emulator.count("accepted").await == 1
    })
    .await;
}

#[tokio::test]
async fn an_event_of_the_field_with_a_large_stack_trace_waits_with_its_other_headers() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    // tests/field/large-headers, with its two values filled in.
    let said = properties_of_the_field("large-headers");
    let soon = jiff::Timestamp::now() + Duration::from_secs(120);
    let headers = said["headers"].as_object().unwrap().iter().map(|(name, value)| {
        let value = match (name.as_str(), value) {
            ("x-roomcast-not-before", _) => AMQPValue::LongString(soon.to_string().into()),
            ("x-exception-stacktrace", _) => long(100_000),
            (_, Value::Bool(truth)) => AMQPValue::Boolean(*truth),
            (_, text) => AMQPValue::LongString(text.as_str().unwrap().into()),
        };
        (name.as_str(), value)
    });
    let id = said["message_id"].as_str().unwrap();
    let properties = with_headers(&headers.collect::<Vec<_>>()).with_message_id(id.into());
    let body = of_the_field("large-headers/input.json");
    publisher.publish_bytes("ops", &body, properties).await;
    until("it waits for its time", SOON, || async { publisher.depth("delay.1m").await == 1 }).await;
    let waiting = publisher.get("delay.1m").await.unwrap();
    assert_eq!(waiting.delivery.data, body);
    assert_eq!(header(&waiting, "x-roomcast-receipt"), "Boolean(true)");
    assert_eq!(header(&waiting, "traceparent"), said["headers"]["traceparent"].as_str().unwrap());
    assert_eq!(header(&waiting, "x-roomcast-not-before"), soon.to_string());
    assert_eq!(header(&waiting, "x-roomcast-left-out"), "x-exception-stacktrace (100006 bytes)");
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn a_packed_body_is_read_explained_and_kept_as_it_came() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let packed = of_the_field("body-in-gzip/input.json");
    let file = home.path("event.json.gz");
    fs::write(&file, &packed).unwrap();
    let asked = ["explain", "--topic", "ops", "--bodies", "--event", file.to_str().unwrap()];
    assert!(home.ok(&asked, "").contains("disk full"), "without a daemon");
    let daemon = home.start().await;
    assert!(home.ok(&asked, "").contains("disk full"), "by the daemon");
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let gzip = || BasicProperties::default().with_content_encoding("gzip".into());
    publisher.publish_bytes("ops", &packed, gzip()).await;
    until("it is delivered", SOON, || async { emulator.shows("wecom-001", "disk full").await })
        .await;
    let damaged = packed.get(..packed.len() / 2).unwrap();
    publisher.publish_bytes("ops", damaged, gzip()).await;
    until("it is a dead letter", SOON, || async { publisher.depth("dead.event").await == 1 }).await;
    let found = letters(&home);
    let detail = "the body is packed with gzip and cannot be unpacked: it is damaged";
    assert_eq!((&found[0]["code"], &found[0]["detail"]), (&"json".into(), &detail.into()));
    let letter = publisher.get("dead.event").await.unwrap();
    assert_eq!(letter.delivery.data, damaged, "byte for byte");
    let encoding = letter.delivery.properties.content_encoding().as_ref().map(ToString::to_string);
    assert_eq!(encoding.as_deref(), Some("gzip"));
    publisher.publish_bytes("ops", br#"{"message": "\u3000"}"#, BasicProperties::default()).await;
    until("it is a dead letter", SOON, || async { publisher.depth("dead.event").await == 1 }).await;
    assert_eq!(letters(&home)[0]["reason"], "empty");
    assert!(daemon.terminate().success());
}
