//! The content of a message on its way through delay tiers, dead letters and redrives.
//!
//! Owns the promise that all of the publisher's data is kept, except headers that control the
//! broker.
//!
//! Not here: which properties these are (`src/broker/properties.rs`).

use std::time::Duration;

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

fn letters(home: &Home) -> Vec<Value> {
    home.ok(&["dead", "list", "--json"], "")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn no_stored_step_has_an_amqp_priority_and_what_was_urgent_stays_so() {
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
async fn large_headers_go_along_whole_and_larger_ones_are_refused_with_their_size() {
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

    // One header is too large here; the daemon keeps the attributes that it uses.
    let attributes = [
        ("cloudEvents_specversion", AMQPValue::LongString("1.0".into())),
        ("cloudEvents_id", AMQPValue::LongString("1".into())),
        ("cloudEvents_source", AMQPValue::LongString("/test".into())),
        ("cloudEvents_type", AMQPValue::LongString("a.test".into())),
        ("traceparent", trace),
        ("x-roomcast-receipt", AMQPValue::Boolean(true)),
        ("big", long(110_000)),
    ];
    let properties = with_headers(&attributes).with_content_type("application/json".into());
    publisher.publish_bytes("ops", br#"{"message":  "too much"}"#, properties).await;
    until("it is a dead letter", SOON, || async { publisher.depth("dead.event").await == 1 }).await;
    let found = letters(&home);
    assert_eq!(
        (found[0]["reason"].as_str(), found[0]["code"].as_str()),
        (Some("undecodable"), Some("headers_too_large"))
    );
    let detail = found[0]["detail"].as_str().unwrap();
    assert!(
        detail.contains("98304") && detail.contains("110") && detail.contains("big"),
        "{detail}"
    );
    home.ok(&["dead", "redrive", "--all"], "");
    until("what is left of it is an event, which is tried", SOON, || async {
        publisher.depth("delay.5m").await == 1
    })
    .await;
    let event = publisher.get("delay.5m").await.unwrap();
    assert_eq!(event.delivery.data, br#"{"message":  "too much"}"#, "byte for byte");
    assert_eq!(text_header(&event.delivery.properties, "cloudEvents_source"), "/test");
    assert!(header(&event, "traceparent").starts_with("00-"));
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn what_the_broker_itself_gave_up_is_shown_with_its_true_reason() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    assert!(home.start().await.terminate().success());
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let brief = BasicProperties::default().with_expiration("1".into());
    publisher.publish_bytes("ops", br#"{"message": "waited"}"#, brief).await;
    until("the broker gives it up", SOON, || async { publisher.depth("dead.event").await == 1 })
        .await;
    let found = letters(&home);
    assert_eq!(found[0]["reason"], "expired", "{}", found[0]);
    let shown = home.ok(&["dead", "show", found[0]["id"].as_str().unwrap()], "");
    assert!(shown.contains("expiration") && !shown.contains("crashes"), "{shown}");
    home.ok(&["dead", "redrive", "--reason", "expired"], "");
    let _daemon = home.start().await;
    until("redriven, it does not expire again", SOON, || async {
        emulator.count("accepted").await == 1
    })
    .await;
}
