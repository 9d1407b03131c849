//! The reason of each wait: in the stored message, the metrics, the log, and the answers to
//! operators.
//!
//! Owns the promise that an operator sees why a delivery waits.
//!
//! Not here: how long it waits (`pacing.rs`, `timing.rs`).

use std::time::Duration;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::{Daemon, Home},
    emulator::Emulator,
    publisher::{Publisher, header},
    until,
};

const SOON: Duration = Duration::from_secs(30);
const SETTINGS: &str = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"1/1h\"]\n\
    [pace]\nhold_max = \"1s\"\n[delay]\ntiers = [\"1s\", \"10m\"]\n";

/// The lines of the log about deliveries that wait, as reason and outcome.
fn waits(home: &Home) -> Vec<(String, String)> {
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    home.log()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"] == "a delivery is settled" && !line["wait_reason"].is_null())
        .map(|line| (text(&line, "wait_reason"), text(&line, "outcome")))
        .collect()
}

#[tokio::test]
async fn a_wait_has_its_reason_in_the_stored_message_the_metrics_the_log_and_every_answer() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), SETTINGS)
        .with("level = \"debug\"", "level = \"debug\"\nformat = \"json\"");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    home.subscribe("later", "wecom", "wecom-002", &[]);
    let clock = |hours: i64| {
        let at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
        at.strftime("%H:%M").to_string()
    };
    let quiet = format!("{}-{}", clock(-1), clock(2));
    home.subscribe("quiet", "wecom", "wecom-003", &["--quiet", &quiet, "--quiet-zone", "UTC"]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let count = async |reason: &str| {
        let labels = format!("platform=\"wecom\",reason=\"{reason}\"");
        daemon.metric(&format!("roomcast_deferrals_total{{{labels}}}")).await
    };
    assert_eq!(count("hold_security").await, Some(0.0), "it is known before the first wait");

    // The second message finds the quota of its robot used up.
    publisher.publish("ops", &json!({"message": "now"})).await;
    publisher.publish("ops", &json!({"message": "in an hour"})).await;
    until("it waits for the quota", SOON, || async { count("robot_quota").await == Some(1.0) })
        .await;
    // The third one is not due yet.
    let at = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2)).to_string();
    let mut headers = FieldTable::default();
    headers.insert("x-roomcast-not-before".into(), AMQPValue::LongString(at.into()));
    let properties = BasicProperties::default().with_headers(headers);
    publisher.publish_bytes("later", br#"{"message": "in two hours"}"#, properties).await;
    until("it waits for its time", SOON, || async { count("not_before").await == Some(1.0) }).await;
    // The robot of the fourth one has quiet hours.
    publisher.publish("quiet", &json!({"message": "in the morning"})).await;
    until("it waits for the morning", SOON, || async { count("quiet_hours").await == Some(1.0) })
        .await;
    until("each has its line", SOON, || async { waits(&home).len() >= 3 }).await;
    assert_eq!(
        waits(&home),
        [("robot_quota", "deferred"), ("not_before", "deferred"), ("quiet_hours", "deferred")]
            .map(|(reason, outcome)| (reason.to_owned(), outcome.to_owned()))
    );

    let robots: Vec<Value> = home
        .ok(&["robot", "list", "--json"], "")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let busy = robots.iter().find(|robot| robot["waiting"] == 1).unwrap();
    assert_eq!(busy["wait"]["reason"], "robot_quota", "{busy}");
    assert!(home.ok(&["robot", "list"], "").contains("quota used up"));
    let explained = home.ok(&["explain", "--topic", "ops", "--json", "x"], "");
    let explained: Value = serde_json::from_str(&explained).unwrap();
    assert_eq!(explained["wait"]["reason"], "robot_quota", "{explained}");
    assert_eq!(
        explained["why"].as_str().unwrap().split(';').next(),
        busy["wait"]["sentence"].as_str(),
        "one wording"
    );

    assert!(daemon.terminate().success());
    let mut reasons = Vec::new();
    while let Some(message) = publisher.get("delay.10m").await {
        reasons.push(header(&message, "x-roomcast-wait-reason"));
    }
    assert_eq!(reasons, ["robot_quota", "not_before", "quiet_hours"]);
}

#[tokio::test]
async fn a_delivery_that_an_earlier_version_stored_waits_on_with_an_unknown_reason() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), SETTINGS);
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let due = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2)).to_string();
    let mut headers = FieldTable::default();
    for (name, value) in [
        ("platform", "wecom"),
        ("topic", "ops"),
        ("event", "e-1"),
        ("subscription", &subscription),
        ("due-at", &due),
        ("wait-reason", "full_moon"),
    ] {
        let name = format!("x-roomcast-{name}");
        headers.insert(name.as_str().into(), AMQPValue::LongString(value.into()));
    }
    let exchange = format!("{}.delivery", home.prefix);
    let properties = BasicProperties::default().with_headers(headers);
    let body = br#"{"message": "x"}"#;
    publisher.publish_to(&exchange, "redrive.wecom", body, properties).await.unwrap();
    until("it waits on", SOON, || async { publisher.depth("delay.10m").await == 1 }).await;
    assert!(daemon.terminate().success());
    let message = publisher.get("delay.10m").await.unwrap();
    assert_eq!(header(&message, "x-roomcast-wait-reason"), "unknown");
}

/// The number of deferrals of WeCom's deliveries for a reason.
async fn deferrals(daemon: &Daemon<'_>, reason: &str) -> Option<f64> {
    let labels = format!("platform=\"wecom\",reason=\"{reason}\"");
    daemon.metric(&format!("roomcast_deferrals_total{{{labels}}}")).await
}

/// The reasons of all messages in a delay tier.
async fn stored_reasons(publisher: &Publisher, tier: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    while let Some(message) = publisher.get(&format!("delay.{tier}")).await {
        reasons.push(header(&message, "x-roomcast-wait-reason"));
    }
    reasons
}

/// Waits until this many deliveries of the only robot wait in memory for its quota.
async fn until_waiting(home: &Home, count: u64) {
    until("they wait for the quota", SOON, || async {
        let robots = home.ok(&["robot", "list", "--json"], "");
        robots.lines().any(|line| {
            let robot: Value = serde_json::from_str(line).unwrap();
            let quota =
                json!([{"reason": "robot_quota", "label": "quota used up", "count": count}]);
            robot["waiting"] == count && robot["waits"] == quota
        })
    })
    .await;
}

#[tokio::test]
async fn a_delivery_whose_attempt_failed_waits_for_the_next_attempt() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let more = "[retry]\ndelays = [\"15m\"]\n[delay]\ntiers = [\"1s\", \"10m\"]\n";
    let home = Home::new(broker, &emulator.url(), more);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    emulator.fault(json!({"token": "wecom-001", "kind": "status", "status": 500})).await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "x"})).await;
    until("the next attempt is planned", SOON, || async {
        deferrals(&daemon, "retry").await == Some(1.0)
    })
    .await;
    assert!(daemon.terminate().success());
    assert_eq!(stored_reasons(&publisher, "10m").await, ["retry"]);
}

#[tokio::test]
async fn what_waits_in_memory_while_the_daemon_stops_says_so() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let more = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"1/1m\"]\n\
        [pace]\nhold_max = \"5m\"\nearly_max = \"5m\"\n[delay]\ntiers = [\"5m\"]\n";
    let home = Home::new(broker, &emulator.url(), more);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "now"})).await;
    publisher.publish("ops", &json!({"message": "in a minute"})).await;
    until_waiting(&home, 1).await;
    assert!(daemon.terminate().success());
    assert_eq!(stored_reasons(&publisher, "5m").await, ["draining"]);
}

#[tokio::test]
async fn what_a_message_was_to_cover_waits_for_its_order_if_the_message_is_not_sent() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let more = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"1/15s\"]\n\
        [pace]\nhold_max = \"5m\"\nearly_max = \"5m\"\n[delay]\ntiers = [\"5m\"]\n";
    let home = Home::new(broker, &emulator.url(), more);
    let id = home.subscribe("ops", "wecom", "wecom-001", &["--overflow", "digest"]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for message in ["now", "first", "second", "third"] {
        publisher.publish("ops", &json!({"message": message})).await;
    }
    until_waiting(&home, 3).await;
    // The delivery that leads the digest is dropped, and the others ask again.
    home.ok(&["subscription", "remove", &id], "");
    until("the others are stored", SOON, || async {
        deferrals(&daemon, "order").await == Some(2.0)
    })
    .await;
    assert!(daemon.terminate().success());
    assert_eq!(stored_reasons(&publisher, "5m").await, ["order", "order"]);
}

#[tokio::test]
async fn a_used_up_month_is_a_hold_of_a_robot_without_a_group_and_a_month_of_one_with_a_group() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), "[delay]\ntiers = [\"1s\", \"10m\"]\n");
    home.subscribe("alone", "dingtalk", "ding-0001", &[]);
    home.subscribe("together", "dingtalk", "ding-0002", &["--group", "acme"]);
    let spent = json!({"errcode": 90020, "errmsg": "used up"});
    emulator.fault(json!({"kind": "answer", "status": 200, "body": spent})).await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for (topic, reason) in [("alone", "hold_budget"), ("together", "monthly_budget")] {
        // The second message finds what the answer to the first one has begun.
        for stored in 1..=2 {
            publisher.publish(topic, &json!({"message": "x"})).await;
            until("it waits", SOON, || async { publisher.depth("delay.10m").await == stored })
                .await;
        }
        assert_eq!(stored_reasons(&publisher, "10m").await, [reason; 2], "{topic}");
    }
    assert!(daemon.terminate().success());
}
