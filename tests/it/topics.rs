//! Topics whose events reach no chat.
//!
//! Owns the promise that an operator sees them with the name that was perhaps meant, and can keep
//! their events.
//!
//! Not here: the bounds of the memory for topics (`src/fanout/topic_activity.rs`).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::{Home, get},
    emulator::Emulator,
    letters::lines,
    publisher::{Publisher, header},
    until,
};

const SOON: Duration = Duration::from_secs(30);
const SAYS: &str = "WARN a topic has no subscription, so its events reach no chat";

fn of<'a>(all: &'a [Value], topic: &str) -> &'a Value {
    all.iter()
        .find(|one| one["topic"] == topic)
        .unwrap_or_else(|| panic!("{topic} is listed: {all:?}"))
}

#[tokio::test]
async fn a_topic_without_subscriptions_is_named_once_with_the_one_that_was_perhaps_meant() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("alerts", "wecom", "wecom-001", &[]);
    home.subscribe("billing", "wecom", "wecom-002", &[]);
    let paused = home.subscribe("paused", "wecom", "wecom-003", &[]);
    home.ok(&["subscription", "pause", &paused], "");
    let without = lines(&home.ok(&["topic", "list", "--json"], ""));
    assert_eq!(of(&without, "paused")["active"], 0);
    assert_eq!(of(&without, "alerts")["events"], Value::Null, "nothing is known without a daemon");

    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for topic in ["alets", "alerts", "paused", "alets", "alets"] {
        publisher.publish(topic, &json!({"message": "m"})).await;
    }
    until("the topic is named", SOON, || async { home.log().contains(SAYS) }).await;
    // The counter has counted all of them, so further lines would be there soon after.
    until("all are counted", SOON, || async {
        daemon.metric("roomcast_events_total").await == Some(5.0)
    })
    .await;
    let with = lines(&home.ok(&["topic", "list", "--json"], ""));
    let wrong = of(&with, "alets");
    assert_eq!((&wrong["subscriptions"], &wrong["events"]), (&json!(0), &json!(3)), "{wrong}");
    assert_eq!(wrong["events_without_subscription"], 3);
    assert_eq!(wrong["nearest"], "alerts");
    assert!(wrong["last_event_at"].as_str().unwrap().starts_with("20"), "{wrong}");
    let right = of(&with, "alerts");
    assert_eq!((&right["subscriptions"], &right["events"]), (&json!(1), &json!(1)), "{right}");
    assert_eq!(right["events_without_subscription"], 0);
    assert_eq!(of(&with, "billing")["events"], 0);
    assert_eq!(of(&with, "paused")["events_without_subscription"], 0, "it has a subscription");
    let only = lines(&home.ok(&["topic", "list", "--without-subscription", "--json"], ""));
    assert_eq!(only.len(), 1, "{only:?}");
    let table = home.ok(&["topic", "list", "--limit", "2"], "");
    assert!(table.contains("DID YOU MEAN") && table.contains("more: --after alets"), "{table}");
    let rest = home.ok(&["topic", "list", "--after", "alets"], "");
    assert!(rest.contains("billing") && !rest.contains("alerts"), "{rest}");
    let page: Value =
        serde_json::from_str(&get(&home.path("admin.sock"), "/v1/topics?name=ale&limit=1").await)
            .unwrap();
    assert_eq!((&page["topics"][0]["topic"], &page["next"]), (&json!("alerts"), &json!("alerts")));
    assert_eq!(home.ok(&["dead", "list", "--json"], ""), "", "the default keeps no letters");
    assert!(daemon.terminate().success());
    let log = home.log();
    assert_eq!(log.matches(SAYS).count(), 1, "once an hour: {log}");
    let line = log.lines().find(|line| line.contains(SAYS)).unwrap();
    assert!(line.contains("did you mean alerts?") && line.contains("alets"), "{line}");
}

#[tokio::test]
async fn events_of_a_topic_without_subscriptions_can_be_kept_and_reach_a_later_subscription() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let more = "[topics]\nwithout_subscription = \"dead\"\n[outcome]\nreceipts = \"asked\"\n";
    let home = Home::new(broker, &emulator.url(), more);
    let paused = home.subscribe("paused", "wecom", "wecom-002", &[]);
    home.ok(&["subscription", "pause", &paused], "");
    let picky = ["--filter", r#"{"severity": ["critical"]}"#];
    home.subscribe("picky", "wecom", "wecom-003", &picky);
    let daemon = home.start().await;
    for topic in ["paused", "picky", "ops"] {
        let id = format!("e-{topic}");
        home.ok(&["publish", "--topic", topic, "--message-id", &id, "hello"], "");
    }
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    until("it is a dead letter", SOON, || async { publisher.depth("dead.event").await == 1 }).await;
    let list = || lines(&home.ok(&["dead", "list", "--json"], ""));
    let letters = list();
    assert_eq!(letters.len(), 1, "paused and filtered events are not kept: {letters:?}");
    let letter = &letters[0];
    assert_eq!((&letter["reason"], &letter["event"]), (&json!("no_subscription"), &json!("e-ops")));
    assert!(letter["advice"].as_str().unwrap().contains("add a subscription"), "{letter}");

    home.ok(&["dead", "redrive", "--reason", "no_subscription"], "");
    until("it is a letter again", SOON, || async { publisher.depth("dead.event").await == 1 })
        .await;
    assert_eq!(list()[0]["generation"], 1);

    home.subscribe("ops", "wecom", "wecom-001", &[]);
    home.ok(&["dead", "redrive", "--reason", "no_subscription"], "");
    until("the chat has it", SOON, || async { emulator.shows("wecom-001", "hello").await }).await;
    home.ok(&["publish", "--topic", "ops", "--message-id", "e-ops", "hello"], "");
    until("the repeat is recognised", SOON, || async {
        daemon.metric("roomcast_duplicates_skipped_total").await == Some(1.0)
    })
    .await;
    assert!(list().is_empty());
    assert!(daemon.terminate().success());
    let message = publisher.get("dead.event").await;
    assert!(message.is_none(), "{:?}", message.map(|one| header(&one, "x-roomcast-reason")));
}
