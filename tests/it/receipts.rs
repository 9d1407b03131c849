//! Delivery receipts.
//!
//! Owns the promise that each requested receipt is sent, with the true outcome, and no other
//! receipt.
//!
//! Not here: receipts while the broker fails (`receipts_faults.rs`).

use std::{collections::BTreeSet, time::Duration};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::{Daemon, Home},
    emulator::Emulator,
    publisher::Publisher,
    receipts::{Receipts, bind_a_full_queue},
    until,
};

const LATER: Duration = Duration::from_secs(60);
const ASKED: &str =
    "[outcome]\nreceipts = \"asked\"\n[retry]\ndelays = [\"1s\", \"1s\"]\njitter = 0.0\n";
const ALL_SHORT: &str = "[outcome]\nreceipts = \"all\"\n\
    [platforms.dingtalk]\nbase_url = \"BASE_URL\"\nwindows = [\"20/3s\"]\n\
    [platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"20/3s\"]\n\
    [pace]\nhold_max = \"1s\"\nmargin = \"200ms\"\n";

/// The properties of an event with this `message_id`, and this receipt header, if any.
fn named(id: &str, receipt: Option<AMQPValue>) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("traceparent".into(), AMQPValue::LongString("00-abc-def-01".into()));
    if let Some(receipt) = receipt {
        headers.insert("x-roomcast-receipt".into(), receipt);
    }
    BasicProperties::default().with_message_id(id.into()).with_headers(headers)
}

fn asking(id: &str) -> BasicProperties {
    named(id, Some(AMQPValue::Boolean(true)))
}

async fn publish(publisher: &Publisher, topic: &str, message: &str, properties: BasicProperties) {
    publisher
        .publish_bytes(topic, json!({"message": message}).to_string().as_bytes(), properties)
        .await;
}

/// A new event is settled after all earlier ones, so its receipt is the last.
async fn nothing_more_comes(publisher: &Publisher, receipts: &Receipts, topic: &str) {
    publish(publisher, topic, "the last", asking("last")).await;
    until("the last receipt comes", LATER, || async { receipts.of("last").len() == 1 }).await;
}

async fn settled(daemon: &Daemon<'_>, platform: &str, outcome: &str) -> f64 {
    let line =
        format!("roomcast_deliveries_total{{platform=\"{platform}\",outcome=\"{outcome}\"}}");
    daemon.metric(&line).await.unwrap_or_default()
}

#[tokio::test]
async fn a_publisher_that_requests_receipts_gets_one_for_each_delivery_and_another_gets_none() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), ASKED);
    let taken = home.subscribe("ops.db", "wecom", "wecom-001", &[]);
    let refused = home.subscribe("ops.db", "lark", "lark-0001", &[]);
    home.subscribe(
        "ops.db",
        "dingtalk",
        "ding-0001",
        &["--filter", r#"{"team": [{"exists": true}]}"#],
    );
    home.subscribe("end", "wecom", "wecom-002", &[]);
    let refusal = json!({"code": 9499, "msg": "Bad Request"});
    emulator
        .fault(json!({"token": "lark-0001", "kind": "answer", "status": 200, "body": refusal}))
        .await;
    let daemon = home.start().await;
    let receipts = Receipts::bound(&broker.url(), &home.prefix, "#").await;
    let of_the_topic = Receipts::bound(&broker.url(), &home.prefix, "*.*.ops.db").await;
    let of_the_dead = Receipts::bound(&broker.url(), &home.prefix, "*.dead.#").await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publish(&publisher, "ops.db", "x", named("silent", None)).await;
    publish(
        &publisher,
        "ops.db",
        "x",
        named("without", Some(AMQPValue::LongString("false".into()))),
    )
    .await;
    publish(&publisher, "ops.db", "x", asking("event-7").with_correlation_id("mine".into())).await;
    until("both are told", LATER, || async { receipts.of("event-7").len() == 2 }).await;
    until("the others are settled", LATER, || async {
        settled(&daemon, "wecom", "done").await == 3.0
            && settled(&daemon, "lark", "dead").await == 3.0
    })
    .await;
    // Settlements before an orderly stop are recorded.
    assert!(daemon.terminate().success());
    let daemon = home.start().await;
    publish(&publisher, "ops.db", "x", asking("event-7")).await;
    until("the repeat is recognised", LATER, || async {
        daemon.metric("roomcast_duplicates_skipped_total").await == Some(1.0)
    })
    .await;
    nothing_more_comes(&publisher, &receipts, "end").await;

    let all = receipts.all();
    assert_eq!(all.len(), 3, "{:?}", all.iter().map(|one| &one.body).collect::<Vec<_>>());
    assert!(all.iter().all(|one| one.is_persistent() && one.correlation_id() == one.body["event"]));
    assert!(all.iter().all(|one| one.header("traceparent") == "00-abc-def-01"));
    let find = |platform: &str| {
        receipts.of("event-7").into_iter().find(|one| one.body["platform"] == platform).unwrap()
    };
    let (delivered, dead) = (find("wecom"), find("lark"));
    assert_eq!(
        (delivered.key.as_str(), dead.key.as_str()),
        ("wecom.delivered.ops.db", "lark.dead.ops.db")
    );
    let told = |body: &Value, names: &[&str]| {
        names.iter().map(|name| body[name].clone()).collect::<Vec<_>>()
    };
    let what = [
        "topic",
        "subscription",
        "outcome",
        "attempts",
        "parts",
        "parts_delivered",
        "generation",
        "correlation_id",
    ];
    let expected = [
        json!("ops.db"),
        json!(taken),
        json!("delivered"),
        json!(1),
        json!(1),
        json!(1),
        json!(0),
        json!("mine"),
    ];
    assert_eq!(told(&delivered.body, &what), expected);
    let expected = [
        json!("ops.db"),
        json!(refused),
        json!("dead"),
        json!(1),
        json!(1),
        json!(0),
        json!(0),
        json!("mine"),
    ];
    assert_eq!(told(&dead.body, &what), expected);
    assert_eq!(told(&dead.body, &["reason", "code"]), [json!("refused"), json!("9499")]);
    assert!(dead.body["detail"].as_str().unwrap().contains("Bad Request"), "{}", dead.body);
    assert_eq!(
        (dead.header("x-roomcast-outcome"), dead.header("x-roomcast-reason")),
        ("dead".into(), "refused".into())
    );
    let at =
        |field: &str| delivered.body[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(at("received_at") <= at("settled_at"));
    // They come by connections of their own.
    until("both are told by their keys too", LATER, || async {
        (of_the_topic.all().len(), of_the_dead.all().len()) == (2, 1)
    })
    .await;
}

#[tokio::test]
async fn a_requested_receipt_survives_deferral_and_redrive_and_a_dropped_delivery_has_one_too() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    // The first wait is longer than the removal takes.
    let home = Home::new(broker, &emulator.url(), &ASKED.replacen("1s", "10s", 1));
    let kept = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let removed = home.subscribe("ops", "wecom", "wecom-002", &[]);
    let daemon = home.start().await;
    let receipts = Receipts::bound(&broker.url(), &home.prefix, "#").await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    emulator.fault(json!({"kind": "status", "status": 503})).await;
    publish(&publisher, "ops", "x", asking("event-7")).await;
    until("both have failed once", LATER, || async {
        settled(&daemon, "wecom", "retried").await >= 2.0
    })
    .await;
    home.ok(&["subscription", "remove", &removed], "");
    until("one is dropped and the other given up", LATER, || async { receipts.all().len() == 2 })
        .await;
    let of = |id: &str, place: usize| {
        let found =
            receipts.all().into_iter().filter(|one| one.body["subscription"] == id).nth(place);
        found.map(|one| one.body).unwrap_or_default()
    };
    assert_eq!(of(&removed, 0)["outcome"], "dropped");
    assert!(of(&removed, 0)["robot"].is_null(), "nothing of a removed subscription is kept");
    let dead = of(&kept, 0);
    assert_eq!(
        (&dead["outcome"], &dead["reason"], &dead["attempts"]),
        (&json!("dead"), &json!("exhausted"), &json!(3))
    );
    emulator.no_faults().await;
    home.ok(&["dead", "redrive", "--all"], "");
    until("the redriven one is told", LATER, || async { receipts.all().len() == 3 }).await;
    let again = of(&kept, 1);
    assert_eq!((&again["outcome"], &again["generation"]), (&json!("delivered"), &json!(1)));
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_explained_and_so_is_a_header() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "[outcome]\nreceipts = \"all\"\n");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let receipts = Receipts::bound(&broker.url(), &home.prefix, "event.dead.#").await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish_bytes("ops", b"{", asking("broken")).await;
    publish(&publisher, "ops", "x", named("unclear", Some(AMQPValue::LongString("maybe".into()))))
        .await;
    until("both are told", LATER, || async { receipts.all().len() == 2 }).await;
    for (event, code, says) in [
        ("broken", "json", "line 1 column 1"),
        ("unclear", "receipt", "header x-roomcast-receipt must be true or false"),
    ] {
        let one = receipts.of(event).remove(0);
        assert_eq!(one.key, "event.dead.ops");
        assert_eq!((&one.body["reason"], &one.body["code"]), (&json!("undecodable"), &json!(code)));
        assert!(one.body["detail"].as_str().unwrap().contains(says), "{}", one.body);
        assert!(one.body["subscription"].is_null());
    }
}

#[tokio::test]
async fn each_coalesced_or_superseded_delivery_gets_its_own_outcome() {
    let (broker, emulator) =
        (broker::shared().await, Emulator::start(&["--window-seconds", "3"]).await);
    let home = Home::new(broker, &emulator.url(), ALL_SHORT);
    home.subscribe("fold", "wecom", "wecom-001", &["--overflow", "digest"]);
    home.subscribe("newest", "dingtalk", "ding-0001", &["--overflow", "latest"]);
    let _daemon = home.start().await;
    let folded = Receipts::bound(&broker.url(), &home.prefix, "wecom.#").await;
    let newest = Receipts::bound(&broker.url(), &home.prefix, "dingtalk.#").await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for topic in ["fold", "newest"] {
        let events: Vec<_> =
            (0..50).map(|number| (format!("{topic}-{number}"), json!({"message": "m"}))).collect();
        publisher.try_publish_all(topic, &events).await.unwrap();
    }
    until("all are told", LATER, || async { folded.all().len() == 50 && newest.all().len() == 50 })
        .await;
    for (receipts, topic) in [(&folded, "fold"), (&newest, "newest")] {
        assert!(
            (0..50).all(|number| receipts.of(&format!("{topic}-{number}")).len() == 1),
            "each once"
        );
    }
    assert!(folded.all().iter().all(|one| one.body["outcome"] == "delivered"));
    assert!(emulator.shown().await["wecom-001"].len() < 50, "some were folded");
    let superseded =
        newest.all().into_iter().filter(|one| one.body["reason"] == "superseded").count();
    assert_eq!(superseded, 50 - emulator.shown().await["ding-0001"].len());
    assert!(superseded > 0);
}

#[tokio::test]
async fn a_daemon_killed_again_and_again_tells_every_end_at_least_once() {
    const COUNT: usize = 1500;
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let unlimited = "[outcome]\nreceipts = \"all\"\n\
        [platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = []\nrate_per_second = 0\n\
        [platforms.lark]\nbase_url = \"BASE_URL\"\nwindows = []\nrate_per_second = 0\n\
        [retry]\njitter = 0.0\n";
    let home = Home::new(broker, &emulator.url(), unlimited);
    for (platform, token) in [("wecom", "wecom-001"), ("lark", "lark-0001")] {
        home.subscribe("ops", platform, token, &[]);
    }
    emulator.fault(json!({"kind": "status", "status": 500, "every": 40})).await;
    emulator.fault(json!({"kind": "slow", "milliseconds": 20})).await;
    let mut daemon = home.start().await;
    let receipts = Receipts::bound(&broker.url(), &home.prefix, "#").await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let events: Vec<_> =
        (0..COUNT).map(|number| (format!("id-{number}"), json!({"message": "m"}))).collect();
    publisher.try_publish_all("ops", &events).await.unwrap();
    for kill in 1..=3 {
        until("some more are told", LATER, || async { receipts.all().len() >= kill * COUNT / 2 })
            .await;
        daemon.kill();
        daemon = home.start().await;
    }
    let told = || -> BTreeSet<(String, String)> {
        let text = |one: &Value| one.as_str().unwrap().to_owned();
        receipts
            .all()
            .iter()
            .map(|one| (text(&one.body["event"]), text(&one.body["platform"])))
            .collect()
    };
    until("every end is told", LATER, || async { told().len() == 2 * COUNT }).await;
    let all = receipts.all();
    assert!(all.iter().all(|one| one.body["outcome"] == "delivered"));
    println!("{} receipts of {} deliveries after three kills", all.len(), 2 * COUNT);
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn a_queue_that_takes_no_receipts_keeps_nothing_from_being_delivered_and_settled() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let unlimited =
        "[outcome]\nreceipts = \"all\"\n[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = []\n";
    let home = Home::new(broker, &emulator.url(), unlimited);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    // Without a bound queue the broker confirms receipts and keeps none.
    publish(&publisher, "ops", "m0", named("id-0", None)).await;
    until("it is settled", LATER, || async { settled(&daemon, "wecom", "done").await == 1.0 })
        .await;
    assert_eq!(daemon.metric("roomcast_receipts_total").await, Some(1.0));
    bind_a_full_queue(publisher.channel(), &home.prefix).await;
    for number in 1..=20 {
        publish(&publisher, "ops", &format!("m{number}"), named(&format!("id-{number}"), None))
            .await;
    }
    until("all are settled", LATER, || async { settled(&daemon, "wecom", "done").await == 21.0 })
        .await;
    assert_eq!(emulator.shown().await["wecom-001"].len(), 21, "nothing is repeated");
    let refused = daemon.metric("roomcast_receipts_refused_total").await.unwrap();
    assert!(refused >= 18.0, "{refused}");
    let log = home.log();
    assert_eq!(log.matches("WARN a queue that somebody has bound").count(), 1, "said once: {log}");
    assert_eq!(
        daemon.metric("roomcast_broker_sessions_total").await,
        Some(1.0),
        "the session goes on"
    );
    assert!(daemon.terminate().success());
    assert_eq!(publisher.depth("publish").await, 0, "everything was acked");
}

#[tokio::test]
async fn the_command_line_requests_receipts_and_with_receipts_off_there_are_none() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), ASKED);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let receipts = Receipts::bound(&broker.url(), &home.prefix, "#").await;
    let id = home.ok(&["publish", "--topic", "ops", "--receipt", "asked"], "");
    until("it is told", LATER, || async { receipts.of(&id).len() == 1 }).await;
    assert!(daemon.terminate().success());
    let home = home.with("receipts = \"asked\"", "receipts = \"off\"");
    let daemon = home.start().await;
    home.ok(&["publish", "--topic", "ops", "--receipt", "asked in vain"], "");
    until("it is settled", LATER, || async { settled(&daemon, "wecom", "done").await == 1.0 })
        .await;
    assert_eq!(daemon.metric("roomcast_receipts_total").await, Some(0.0));
}
