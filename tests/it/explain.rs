//! `roomcast explain`.
//!
//! Owns the promise that its predictions are true, and that it changes nothing.
//!
//! Not here: filters and message forms (`message.rs`).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{broker, daemon::Home, emulator::Emulator, publisher::Publisher, until};

const LATER: Duration = Duration::from_secs(60);

/// The explanation of each subscription, by name.
fn explained(home: &Home, more: &[&str]) -> Vec<Value> {
    let arguments = [&["explain", "--json", "--topic", "ops"], more].concat();
    home.ok(&arguments, "").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'a>(all: &'a [Value], name: &str) -> &'a Value {
    all.iter()
        .find(|one| one["name"] == name)
        .unwrap_or_else(|| panic!("{name} is explained: {all:?}"))
}

#[tokio::test]
async fn each_subscription_is_explained_and_the_preview_equals_the_message() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &["--name", "long", "--mention-user", "ann"]);
    home.subscribe("ops", "lark", "lark-0001", &["--name", "card", "--keyword", "ops"]);
    home.subscribe(
        "ops",
        "dingtalk",
        "ding-0001",
        &["--name", "picky", "--filter", r#"{"severity": ["critical"]}"#],
    );
    let paused = home.subscribe("ops", "dingtalk", "ding-0002", &["--name", "paused"]);
    home.ok(&["subscription", "pause", &paused], "");
    let quiet = [
        "--name",
        "asleep",
        "--quiet",
        "mon-sat 00:00-24:00, sun 00:00-23:59",
        "--quiet-zone",
        "UTC",
    ];
    home.subscribe("ops", "wecom", "wecom-002", &quiet);
    let event = json!({
        "subject": "nightly", "message": "line of a report\n".repeat(200), "time_to_live": 86_400
    });
    let file = home.path("event.json");
    std::fs::write(&file, event.to_string()).unwrap();
    let asked = ["--event", file.to_str().unwrap(), "--header", "severity=info"];

    let without = explained(&home, &asked);
    assert_eq!(
        of(&without, "long")["first_in_seconds"],
        Value::Null,
        "without a daemon nothing is known of quotas"
    );
    let daemon = home.start().await;
    let with = explained(&home, &asked);
    assert_eq!(with.len(), 5);
    for all in [&without, &with] {
        assert_eq!(of(all, "picky")["outcome"], "filtered");
        let why = of(all, "picky")["why"].as_str().unwrap();
        assert!(
            why.contains("attribute \"severity\" is \"info\"") && why.contains("\"critical\""),
            "{why}"
        );
        assert_eq!(of(all, "paused")["outcome"], "paused");
        assert!(of(all, "asleep")["why"].as_str().unwrap().contains("quiet hours"), "{all:?}");
        assert_eq!(
            (&of(all, "long")["outcome"], of(all, "long")["parts"].as_array().unwrap().len()),
            (&json!("sent"), 2)
        );
    }
    assert_eq!(of(&with, "long")["first_in_seconds"], json!(0.0));
    assert_eq!(emulator.count("accepted").await, 0, "nothing is sent");

    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let mut headers = lapin::types::FieldTable::default();
    headers.insert("severity".into(), lapin::types::AMQPValue::LongString("info".into()));
    let properties = lapin::BasicProperties::default().with_headers(headers);
    publisher.publish_bytes("ops", event.to_string().as_bytes(), properties).await;
    until("the others hear it", LATER, || async { emulator.count("accepted").await == 3 }).await;
    let received = emulator.received().await;
    for (name, token) in [("long", "wecom-001"), ("card", "lark-0001")] {
        let bodies: Vec<_> =
            received.iter().filter(|one| one["token"] == token).map(|one| &one["body"]).collect();
        let parts: Vec<_> =
            of(&with, name)["parts"].as_array().unwrap().iter().map(|part| &part["body"]).collect();
        assert_eq!(bodies, parts, "{name}");
    }
    drop(daemon);
}

#[tokio::test]
async fn it_says_when_a_robot_with_a_backlog_would_be_sent_to_and_what_would_be_a_dead_letter() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let id = home.subscribe("ops", "wecom", "wecom-001", &["--name", "busy"]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for number in 0..20 {
        publisher.publish("ops", &json!({"message": format!("m{number}")})).await;
    }
    until("the quota is used up", LATER, || async { emulator.count("accepted").await == 20 }).await;
    let busy = &explained(&home, &["another"])[0];
    assert_eq!(busy["outcome"], "waits");
    let wait = busy["first_in_seconds"].as_f64().unwrap();
    assert!((30.0..70.0).contains(&wait), "{busy}");
    assert!(busy["why"].as_str().unwrap().contains("quota is used up"), "{busy}");
    let again = explained(&home, &["another"])[0]["first_in_seconds"].as_f64().unwrap();
    assert!(again <= wait, "asking plans nothing");
    let late = home.fails(&["explain", "--topic", "ops", "--time-to-live", "5", "late"], "", 1);
    assert!(late.contains("subscriptions would receive it"), "{late}");
    let table = home.cli(&["explain", "--topic", "ops", "--time-to-live", "5", "late"], "");
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("expired") && table.contains("its time to live ends before"), "{table}");
    let mistake =
        home.fails(&["explain", "--topic", "ops", "--event", "-"], "{\"message\": [7]}", 1);
    assert!(mistake.contains("content: message is a list"), "{mistake}");
    let bodies =
        home.ok(&["explain", "--topic", "ops", "--subscription", &id, "--bodies", "hello"], "");
    assert!(bodies.contains("\"content\": \"hello\""), "{bodies}");
    home.fails(&["explain", "--topic", "other", "--subscription", &id, "hello"], "", 64);
    home.fails(&["explain", "--topic", "nobody", "hello"], "", 1);
}
