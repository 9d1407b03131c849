//! Deliveries that must not be sent yet: events with a not-before time, and quiet hours.
//!
//! Owns the promises on both.
//!
//! Not here: waits for a quota (`limits.rs`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};

use crate::support::{broker, daemon::Home, emulator::Emulator, publisher::Publisher, until};

const SOON: Duration = Duration::from_secs(30);

fn seconds_from_now(seconds: u64) -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + seconds
}

async fn publish_at(
    publisher: &Publisher,
    message: &str,
    not_before: AMQPValue,
    time_to_live: u64,
) {
    let mut headers = FieldTable::default();
    headers.insert("x-roomcast-not-before".into(), not_before);
    let properties =
        BasicProperties::default().with_message_id(message.into()).with_headers(headers);
    let body = json!({"message": message, "time_to_live": time_to_live}).to_string();
    publisher.publish_bytes("ops", body.as_bytes(), properties).await;
}

/// When the message with this text was accepted, in milliseconds since the epoch.
async fn taken_at(emulator: &Emulator, text: &str) -> Option<u64> {
    let received = emulator.received().await;
    let taken = received.iter().find(|one| one["outcome"] == "accepted" && one["text"] == text)?;
    taken["at_ms"].as_u64()
}

#[tokio::test]
async fn an_event_waits_for_its_time_across_a_kill_and_its_life_begins_then() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home =
        Home::new(broker, &emulator.url(), "[retry]\ndelays = [\"1s\"]\nage_max = \"10s\"\n");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let removed = home.subscribe("ops", "wecom", "wecom-002", &[]);
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let at;
    {
        let daemon = home.start().await;
        at = seconds_from_now(15);
        // Their time to live is shorter than the wait, because it begins at the not-before time.
        let text = jiff::Timestamp::from_second(at.try_into().unwrap()).unwrap().to_string();
        publish_at(&publisher, "as text", AMQPValue::LongString(text.into()), 10).await;
        publish_at(&publisher, "as a timestamp", AMQPValue::Timestamp(at), 10).await;
        publish_at(&publisher, "as a number", AMQPValue::LongLongInt(at.try_into().unwrap()), 10)
            .await;
        let deferred = "roomcast_deliveries_total{platform=\"wecom\",outcome=\"deferred\"}";
        until("they wait", SOON, || async { daemon.metric(deferred).await >= Some(6.0) }).await;
        let events = format!("{}.publish", home.prefix);
        until("what waits for its time keeps no event in hand", SOON, || async {
            broker.messages(&events) == 0
        })
        .await;
        daemon.kill();
    }
    home.ok(&["subscription", "remove", &removed, "--yes"], "");
    let daemon = home.start().await;
    publish_at(&publisher, "long ago", AMQPValue::Timestamp(7), 10).await;
    until("one that is due arrives", SOON, || async {
        taken_at(&emulator, "long ago").await.is_some()
    })
    .await;
    // Their age does not count from the publication, so a second attempt is in time.
    emulator.fault(json!({"kind": "status", "status": 500, "times": 1})).await;
    for text in ["as text", "as a timestamp", "as a number"] {
        until("it arrives", SOON, || async { taken_at(&emulator, text).await.is_some() }).await;
        let taken = taken_at(&emulator, text).await.unwrap();
        assert!(taken >= at * 1000, "{text} came {} ms early", at * 1000 - taken);
    }
    assert_eq!(
        emulator.shown().await.get("wecom-002"),
        None,
        "who is not subscribed any longer hears nothing"
    );
    assert_eq!(publisher.depth("dead.wecom").await, 0);
    let dropped = "roomcast_deliveries_total{platform=\"wecom\",outcome=\"dropped\"}";
    until("the others are dropped", SOON, || async { daemon.metric(dropped).await >= Some(3.0) })
        .await;
}

#[tokio::test]
async fn a_time_that_cannot_be_read_or_is_too_far_ahead_is_a_dead_letter_that_says_so() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "[event]\nnot_before_max = \"1h\"\n");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publish_at(&publisher, "unreadable", AMQPValue::LongString("tomorrow".into()), 60).await;
    publish_at(&publisher, "too far", AMQPValue::Timestamp(seconds_from_now(3700)), 60).await;
    until("both are given up", SOON, || async { publisher.depth("dead.event").await == 2 }).await;
    let letters = home.ok(&["dead", "list", "--json"], "");
    let letters: Vec<Value> =
        letters.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        letters.iter().all(|one| one["code"] == "not_before" && one["reason"] == "undecodable"),
        "{letters:?}"
    );
    // The two letters are stored concurrently, so their order is undefined.
    let mut details: Vec<_> = letters.iter().map(|one| one["detail"].as_str().unwrap()).collect();
    details.sort_unstable();
    assert_eq!(
        details[0],
        "header x-roomcast-not-before is more than 3600 s ahead (event.not_before_max)"
    );
    assert!(
        details[1].starts_with("header x-roomcast-not-before is not a time: write it like 2026-"),
        "{details:?}"
    );
    assert_eq!(emulator.count("accepted").await, 0);
}

#[tokio::test]
async fn the_command_line_publishes_for_later_and_refuses_a_text_that_is_not_a_time() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let from = seconds_from_now(4) * 1000;
    home.ok(&["publish", "--topic", "ops", "--not-before", "4s", "later"], "");
    until("it arrives", SOON, || async { taken_at(&emulator, "later").await.is_some() }).await;
    assert!(taken_at(&emulator, "later").await.unwrap() >= from);
    let says = home.fails(&["publish", "--topic", "ops", "--not-before", "soon", "x"], "", 64);
    assert!(says.contains("--not-before: \"soon\" is neither a time"), "{says}");
}

/// A full minute of UTC at least 30 s ahead, in seconds since the epoch, and quiet hours until
/// then.
fn quiet_until_soon() -> (u64, String) {
    let end = (seconds_from_now(30) / 60 + 1) * 60;
    let minute = |at: u64| format!("{:02}:{:02}", at / 3600 % 24, at / 60 % 60);
    (end, format!("{}-{}", minute(end - 600), minute(end)))
}

#[tokio::test]
async fn in_quiet_hours_only_urgent_events_are_sent_and_the_others_at_their_end() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let daemon = home.start().await;
    let (end, quiet) = quiet_until_soon();
    for (robot, overflow) in
        [("wecom-001", "queue"), ("wecom-002", "digest"), ("wecom-003", "latest")]
    {
        let more = ["--overflow", overflow, "--quiet", &quiet, "--quiet-zone", "UTC"];
        home.subscribe("ops", "wecom", robot, &more);
    }
    home.subscribe("ops", "wecom", "wecom-004", &[]);
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let critical = json!({"name": "severity", "type": "STRING", "value": "Critical"});
    publisher
        .publish(
            "ops",
            &json!({"subject": "a", "message": "critical", "message_attributes": [critical]}),
        )
        .await;
    let urgent = json!({"subject": "b", "message": "urgent"}).to_string();
    let exchange = format!("{}.publish.urgent", home.prefix);
    publisher
        .publish_to(&exchange, "ops", urgent.as_bytes(), BasicProperties::default())
        .await
        .unwrap();
    until("what is urgent arrives", SOON, || async { emulator.count("accepted").await == 8 }).await;
    for number in 0..5 {
        publisher
            .publish("ops", &json!({"subject": format!("subject-{number}"), "message": "m"}))
            .await;
    }
    publisher
        .publish("ops", &json!({"subject": "subject-5", "message": "short", "time_to_live": 1}))
        .await;
    let count = |outcome: &str| {
        format!("roomcast_deliveries_total{{platform=\"wecom\",outcome=\"{outcome}\"}}")
    };
    let deferred = count("deferred");
    until("the rest waits", SOON, || async { daemon.metric(&deferred).await >= Some(15.0) }).await;
    until("what would expire is given up", SOON, || async {
        publisher.depth("dead.wecom").await == 3
    })
    .await;
    let letters = home.ok(&["dead", "list", "--json"], "");
    assert_eq!(letters.matches("\"reason\":\"expired\"").count(), 3, "{letters}");
    until("who has no quiet hours hears all", SOON, || async {
        emulator.shown().await.get("wecom-004").map(Vec::len) == Some(8)
    })
    .await;
    assert!(seconds_from_now(0) < end, "the quiet hours ended before the test had looked");
    // A kill could repeat recent settlements, but this test counts all of them.
    assert!(daemon.terminate().success());
    let _daemon = home.start().await;
    until("all are settled", Duration::from_secs(150), || async {
        let shown = emulator.shown().await;
        let of = |robot: &str| shown.get(robot).map(|texts| texts.join("\n")).unwrap_or_default();
        let all =
            |robot: &str| (0..5).all(|number| of(robot).contains(&format!("subject-{number}")));
        let newest = of("wecom-003").contains("subject-4");
        all("wecom-001") && all("wecom-002") && newest && publisher.depth("dead.wecom").await == 7
    })
    .await;
    let shown = emulator.shown().await;
    assert_eq!(shown["wecom-001"].len(), 7, "{shown:?}");
    assert_eq!(shown["wecom-002"].len(), 3, "two that were urgent and one digest: {shown:?}");
    assert_eq!(shown["wecom-003"].len(), 3, "two that were urgent and the newest: {shown:?}");
    for one in emulator.received().await {
        let early = one["at_ms"].as_u64().unwrap() < end * 1000;
        let may = one["token"] == "wecom-004"
            || ["critical", "urgent"]
                .iter()
                .any(|word| one["text"].as_str().unwrap().contains(word));
        assert!(may || !early, "{one}");
        assert!(one["token"] == "wecom-004" || may == early, "{one}");
    }
    assert_eq!(emulator.count("refused").await, 0);
}

#[test]
fn quiet_hours_are_shown_exported_imported_changed_and_taken_away() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let broker = runtime.block_on(broker::shared());
    let home = Home::new(broker, "http://127.0.0.1:9", "");
    let id = home.subscribe(
        "ops",
        "wecom",
        "wecom-001",
        &["--quiet", "Mon-Fri 22:00-07:00,sat 00:00-24:00"],
    );
    let quiet = || -> Value {
        serde_json::from_str::<Value>(&home.ok(&["subscription", "show", &id, "--json"], ""))
            .unwrap()["quiet"]
            .clone()
    };
    assert_eq!(quiet(), "mon-fri 22:00-07:00, sat 00:00-24:00 Asia/Shanghai");
    let updated = home.ok(&["subscription", "update", &id, "--name", "x"], "");
    assert_eq!(updated, "updated; the key of the old version is destroyed");
    assert_eq!(quiet(), "mon-fri 22:00-07:00, sat 00:00-24:00 Asia/Shanghai");
    let updated = home.ok(
        &["subscription", "update", &id, "--quiet", "21:00-08:00", "--quiet-zone", "Europe/Berlin"],
        "",
    );
    assert!(updated.ends_with("waits until the end that they had"), "{updated}");
    assert_eq!(quiet(), "21:00-08:00 Europe/Berlin");
    assert!(
        home.ok(&["subscription", "export", "--format", "csv"], "")
            .contains("21:00-08:00 Europe/Berlin")
    );
    home.ok(&["subscription", "update", &id, "--quiet", ""], "");
    assert_eq!(quiet(), Value::Null);
    let says = home.fails(&["subscription", "update", &id, "--quiet", "10pm-7am"], "", 64);
    assert!(says.contains("write it like 22:00-07:00"), "{says}");
    let csv = "topic,platform,endpoint,quiet\n\
        db,wecom,https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=wecom-002,22:00-07:00 UTC\n";
    home.ok(&["subscription", "import", "--format", "csv"], csv);
    assert!(
        home.ok(&["subscription", "list", "--topic", "db", "--json"], "")
            .contains("22:00-07:00 UTC")
    );
}

#[tokio::test]
async fn a_life_counts_from_when_the_event_was_published_and_a_wrong_clock_costs_no_event() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let now = seconds_from_now(0);
    for (message, timestamp, time_to_live) in [
        ("published eight seconds ago", now - 8, 2),
        ("published an hour ago", now - 3600, 7200),
        ("a day behind", now - 86_400, 60),
        ("without a clock", 0, 60),
        ("an hour ahead", now + 3600, 60),
        ("in milliseconds", now * 1000, 60),
    ] {
        let properties =
            BasicProperties::default().with_message_id(message.into()).with_timestamp(timestamp);
        let body = json!({"message": message, "time_to_live": time_to_live}).to_string();
        publisher.publish_bytes("ops", body.as_bytes(), properties).await;
    }
    until("all others arrive", SOON, || async { emulator.count("accepted").await == 5 }).await;
    until("what came too late is given up", SOON, || async {
        publisher.depth("dead.wecom").await == 1
    })
    .await;
    assert_eq!(taken_at(&emulator, "published eight seconds ago").await, None);
    let letter: Value = serde_json::from_str(&home.ok(&["dead", "list", "--json"], "")).unwrap();
    assert_eq!(
        (&letter["reason"], &letter["code"]),
        (&json!("expired"), &json!("time_to_live")),
        "{letter}"
    );
    assert!(letter["detail"].as_str().unwrap().contains("its publisher's timestamp"), "{letter}");
    // A redrive renews its time to live.
    home.ok(&["dead", "redrive", "--reason", "expired"], "");
    until("it arrives", SOON, || async {
        taken_at(&emulator, "published eight seconds ago").await.is_some()
    })
    .await;

    assert!(daemon.terminate().success());
    home.ok(&["publish", "--topic", "ops", "from the command line"], "");
    let message = publisher.get("publish").await.unwrap();
    let timestamp = message.delivery.properties.timestamp().unwrap();
    assert!((now..=seconds_from_now(0)).contains(&timestamp), "{timestamp}");
}
