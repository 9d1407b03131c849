//! Dead letters of each kind.
//!
//! Owns the promise that a delivery that fails for good becomes a dead letter with its reason,
//! which can be listed, redriven and discarded.
//!
//! Not here: filters and counts (`dead_letters.rs`), very many letters (`dead_many.rs`).

use std::time::Duration;

use lapin::{
    BasicProperties,
    options::{BasicGetOptions, BasicNackOptions},
};
use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::Home,
    emulator::Emulator,
    processor::OutsideLoad,
    publisher::{Publisher, header},
    until,
};

const SOON: Duration = Duration::from_secs(30);
const QUICK: &str = "[retry]\ndelays = [\"1s\", \"1s\"]\njitter = 0.0\n";

fn letters(home: &Home, more: &[&str]) -> Vec<Value> {
    let arguments: Vec<&str> =
        ["dead", "list", "--json"].into_iter().chain(more.iter().copied()).collect();
    home.ok(&arguments, "").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_failure_that_passes_is_retried_and_delivered() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), QUICK);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    emulator.fault(json!({"kind": "status", "status": 500, "times": 1})).await;
    emulator.fault(json!({"kind": "html", "times": 1})).await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "in the end"})).await;
    until("it arrives", SOON, || async { emulator.count("accepted").await == 1 }).await;
    assert_eq!(
        daemon.metric("roomcast_attempts_total{platform=\"wecom\",verdict=\"try_again\"}").await,
        Some(2.0)
    );
    assert_eq!(emulator.shown().await["wecom-001"], ["in the end"]);
}

#[tokio::test]
async fn a_dead_letter_carries_its_whole_history_and_the_publishers_own_message() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), QUICK);
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    emulator.fault(json!({"kind": "status", "status": 503})).await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let body = br#"{ "message" : "byte for byte" , "unknown": 1 }"#;
    let mut headers = lapin::types::FieldTable::default();
    headers
        .insert("traceparent".into(), lapin::types::AMQPValue::LongString("00-abc-def-01".into()));
    headers.insert("x-team".into(), lapin::types::AMQPValue::LongInt(7));
    let properties =
        BasicProperties::default().with_message_id("event-7".into()).with_headers(headers);
    publisher.publish_bytes("ops", body, properties).await;
    until("it is given up", SOON, || async { publisher.depth("dead.wecom").await == 1 }).await;
    let message = publisher.get("dead.wecom").await.unwrap();
    assert_eq!(message.delivery.data, body);
    assert_eq!(message.delivery.routing_key.as_str(), "wecom.exhausted");
    for (name, value) in [
        ("x-roomcast-reason", "exhausted"),
        ("x-roomcast-code", "http_503"),
        ("x-roomcast-platform", "wecom"),
        ("x-roomcast-topic", "ops"),
        ("x-roomcast-event", "event-7"),
        ("x-roomcast-subscription", &subscription),
        ("traceparent", "00-abc-def-01"),
    ] {
        assert_eq!(header(&message, name), value, "{name}");
    }
    for name in ["detail", "robot", "attempts", "first-attempt-at", "dead-at", "generation"] {
        assert!(!header(&message, &format!("x-roomcast-{name}")).is_empty(), "{name}");
    }
    assert!(header(&message, "x-roomcast-attempts").contains('3'), "one attempt and two retries");
    assert!(header(&message, "x-team").contains('7'));
}

#[tokio::test]
async fn each_refusal_has_its_reason_and_its_advice() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), QUICK);
    emulator.robot("dingtalk", "ding-gone", json!({"state": "gone"})).await;
    emulator.robot("lark", "lark-signed", json!({"secret": "right"})).await;
    home.subscribe("ops", "dingtalk", "ding-gone", &[]);
    home.subscribe("ops", "lark", "lark-signed", &[]);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    emulator
        .fault(json!({"platform": "wecom", "kind": "answer", "status": 200, "times": 1,
        "body": {"errcode": 40058, "errmsg": "missing field"}}))
        .await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "to nobody"})).await;
    until("all three are given up", SOON, || async { letters(&home, &[]).len() == 3 }).await;
    for (platform, reason, code) in [
        ("dingtalk", "robot_gone", "300005"),
        ("lark", "security", "no_secret"),
        ("wecom", "refused", "40058"),
    ] {
        let [letter] = &letters(&home, &["--platform", platform])[..] else { panic!("{platform}") };
        assert_eq!(
            (letter["reason"].as_str(), letter["code"].as_str()),
            (Some(reason), Some(code)),
            "{letter}"
        );
        assert_eq!(letters(&home, &["--reason", reason]).len(), 1);
        let shown = home.ok(&["dead", "show", letter["id"].as_str().unwrap()], "");
        assert!(shown.contains("what to do") && shown.contains("to nobody"), "{shown}");
    }
    assert_eq!(emulator.count("accepted").await, 0);
}

#[tokio::test]
async fn a_dead_letter_is_redriven_alone_and_delivered_once() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "[retry]\ndelays = []\n");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    home.subscribe("ops", "lark", "lark-0001", &[]);
    let _daemon = home.start().await;
    emulator.fault(json!({"platform": "wecom", "kind": "status", "status": 500})).await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for text in ["one", "two"] {
        publisher.publish("ops", &json!({"message": text})).await;
    }
    until("both are given up", SOON, || async { letters(&home, &[]).len() == 2 }).await;
    emulator.no_faults().await;
    assert_eq!(
        home.cli(&["dead", "redrive"], "").status.code(),
        Some(64),
        "all of them have to be named"
    );
    home.ok(&["dead", "redrive", "--all", "--dry-run"], "");
    assert_eq!(letters(&home, &[]).len(), 2);
    let first = letters(&home, &[])[0]["id"].as_str().unwrap().to_owned();
    home.ok(&["dead", "redrive", "--id", &first], "");
    until("one arrives", SOON, || async { emulator.shown().await.contains_key("wecom-001") }).await;
    home.ok(&["dead", "redrive", "--reason", "exhausted"], "");
    until("the other arrives", SOON, || async { emulator.shown().await["wecom-001"].len() == 2 })
        .await;
    assert!(letters(&home, &[]).is_empty());
    assert_eq!(
        home.cli(&["dead", "redrive", "--all"], "").status.code(),
        Some(1),
        "nothing matches"
    );
    until("the other platform hears both", SOON, || async {
        emulator.shown().await.get("lark-0001").is_some_and(|shown| shown.len() >= 2)
    })
    .await;
    assert_eq!(
        emulator.shown().await["lark-0001"].len(),
        2,
        "whom it reached is not sent to again"
    );
}

#[tokio::test]
async fn discarding_asks_and_deletes() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "[retry]\ndelays = []\n");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    emulator.fault(json!({"kind": "status", "status": 500})).await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "x"})).await;
    until("it is given up", SOON, || async { letters(&home, &[]).len() == 1 }).await;
    assert_eq!(
        home.cli(&["dead", "discard", "--all"], "").status.code(),
        Some(64),
        "nobody can answer"
    );
    assert_eq!(letters(&home, &[]).len(), 1);
    home.ok(&["dead", "discard", "--all", "--yes"], "");
    assert!(letters(&home, &[]).is_empty());
}

#[tokio::test]
async fn a_letter_looked_at_a_hundred_times_is_still_there() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "[retry]\ndelays = []\n");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    emulator.fault(json!({"kind": "status", "status": 500})).await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "still here"})).await;
    until("it is given up", SOON, || async { publisher.depth("dead.wecom").await == 1 }).await;
    let id = letters(&home, &[])[0]["id"].as_str().unwrap().to_owned();
    for _ in 0..100 {
        assert_eq!(letters(&home, &[]).len(), 1);
    }
    assert!(home.ok(&["dead", "show", &id], "").contains("still here"));
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_kept_with_the_place_of_its_mistake_and_the_daemon_goes_on()
{
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "[event]\nsize_max = 2000\n");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let large = format!(r#"{{"message": "{}"}}"#, "x".repeat(3000));
    for (topic, body, code, place) in [
        ("ops", &b"{\"message\": oops}"[..], "json", "column 13"),
        ("ops", br#"{"message": "x", "format": "html"}"#, "content", "format"),
        ("ops", br#"{"subject": "nothing else"}"#, "content", "message"),
        ("ops", large.as_bytes(), "size", "2000"),
        ("ops", b"\xff\xfe", "json", ""),
        (".bad topic", br#"{"message": "x"}"#, "topic", "topic"),
    ] {
        publisher.publish_bytes(topic, body, BasicProperties::default()).await;
        until("it is a dead letter", SOON, || async { publisher.depth("dead.event").await == 1 })
            .await;
        let message = publisher.get("dead.event").await.unwrap();
        assert_eq!(message.delivery.data, body);
        assert_eq!(header(&message, "x-roomcast-reason"), "undecodable");
        assert_eq!(
            header(&message, "x-roomcast-code"),
            code,
            "{}",
            header(&message, "x-roomcast-detail")
        );
        assert!(
            header(&message, "x-roomcast-detail").contains(place),
            "{}",
            header(&message, "x-roomcast-detail")
        );
    }
    publisher.publish("ops", &json!({"message": "goes on"})).await;
    until("the next arrives", SOON, || async { emulator.count("accepted").await == 1 }).await;
}

#[tokio::test]
async fn an_urgent_event_that_was_given_up_is_redriven_through_the_urgent_exchange() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home =
        Home::new(broker, &emulator.url(), "").with("[broker]\n", "[broker]\ndelivery_limit = 1\n");
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let urgent = format!("{}.publish.urgent", home.prefix);
    let publish = async |body: &[u8]| {
        publisher.publish_to(&urgent, "ops", body, BasicProperties::default()).await.unwrap();
    };
    let daemon = home.start().await;
    publish(b"no event").await;
    until("nobody could read it", SOON, || async { publisher.depth("dead.event").await == 1 })
        .await;
    assert!(daemon.terminate().success());
    publish(b"{}").await;
    until("the broker gave it up, which came back too often", SOON, || async {
        let queue = urgent.as_str().into();
        if let Some(message) =
            publisher.channel().basic_get(queue, BasicGetOptions::default()).await.unwrap()
        {
            message
                .delivery
                .nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() })
                .await
                .unwrap();
        }
        publisher.depth("dead.event").await == 2
    })
    .await;
    let mut reasons: Vec<_> =
        letters(&home, &[]).iter().map(|letter| letter["reason"].clone()).collect();
    reasons.sort_by_key(ToString::to_string);
    assert_eq!(reasons, ["poison", "undecodable"]);
    home.ok(&["dead", "redrive", "--all"], "");
    until("both are where they came from", SOON, || async {
        publisher.depth("publish.urgent").await == 2
    })
    .await;
    assert_eq!((publisher.depth("publish").await, publisher.depth("dead.event").await), (0, 0));
}

#[tokio::test]
async fn misbehaving_platforms_delay_no_other_platform() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    const DEADLINE_MS: u64 = 10_000;
    let short = "[retry]\ndelays = []\n[send]\nconnect_timeout = \"5s\"\ndeadline = \"10s\"\n";
    let home = Home::new(broker, &emulator.url(), short);
    let faults = ["hang", "hang_body", "cut", "html", "huge", "redirect"];
    for kind in faults {
        home.subscribe("ops", "wecom", &format!("wecom-{kind}-1"), &[]);
        let fault = json!({
            "platform": "wecom", "token": format!("wecom-{kind}-1"), "kind": kind,
            "location": "http://127.0.0.1:1/"
        });
        emulator.fault(fault).await;
    }
    home.subscribe("ops", "wecom", "wecom-well", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let load = OutsideLoad::begin();
    publisher.publish("ops", &json!({"message": "x"})).await;
    until("the well one hears it", SOON, || async {
        emulator.shown().await.contains_key("wecom-well")
    })
    .await;
    until("the others are given up", SOON, || async { letters(&home, &[]).len() == faults.len() })
        .await;
    let mut codes: Vec<_> = letters(&home, &[])
        .iter()
        .map(|letter| letter["code"].as_str().unwrap().to_owned())
        .collect();
    codes.sort();
    assert_eq!(codes, ["broken", "http_200", "http_200", "http_302", "timeout", "timeout"]);
    let received = emulator.received().await;
    let at = |token: &str| {
        let one = received.iter().find(|one| one["token"] == token).unwrap();
        one["at_ms"].as_u64().unwrap()
    };
    // Before the deadline of the others in any case, so it waits for none of them.
    let most = (2_000 + u64::try_from(load.delay().as_millis()).unwrap()).min(DEADLINE_MS);
    assert!(at("wecom-well") < at("wecom-hang-1") + most, "the well one hears it at once");
}
