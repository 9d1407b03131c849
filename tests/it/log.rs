//! The log lines about invalid messages.
//!
//! Owns the promise that a line leads to its publisher and its dead letter, and that a flood leaves
//! a few lines and the number of omitted ones.
//!
//! Not here: the limit itself (`src/telemetry/log_limit.rs`).

use std::time::Duration;

use lapin::BasicProperties;

use crate::support::{
    broker, daemon::Home, emulator::Emulator, letters::lines, publisher::Publisher, until,
};

#[tokio::test]
async fn the_line_about_an_event_that_cannot_be_read_names_its_publisher_and_its_letter() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let url = broker.url();
    let user = url.split_once("://").unwrap().1.split(':').next().unwrap();
    let properties = BasicProperties::default()
        .with_message_id("order-7".into())
        .with_app_id("billing 账单".into())
        .with_user_id(user.into());
    publisher.publish_bytes("ops", b"{", properties).await;
    until("it is a dead letter", Duration::from_secs(30), || async {
        publisher.depth("dead.event").await == 1
    })
    .await;
    let letters = lines(&home.ok(&["dead", "list", "--json"], ""));
    let letter = &letters[0];
    assert_eq!((&letter["app_id"], &letter["user_id"]), (&"billing 账单".into(), &user.into()));
    let id = letter["id"].as_str().unwrap();
    let shown = home.ok(&["dead", "show", id], "");
    let facts: Vec<&str> = shown.lines().collect();
    for fact in [
        format!("id            {id}"),
        "event         order-7".to_owned(),
        "app_id        billing 账单".to_owned(),
        format!("user_id       {user}"),
    ] {
        assert!(facts.contains(&fact.as_str()), "{fact}: {shown}");
    }
    assert!(daemon.terminate().success());
    let log = home.log();
    let line = log.lines().find(|line| line.contains("WARN an event cannot be read")).unwrap();
    for said in ["order-7", "ops", "billing 账单", user, id] {
        assert!(line.contains(said), "{said}: {line}");
    }
}

#[tokio::test]
async fn a_flood_of_events_that_cannot_be_read_leaves_a_few_lines_and_the_number_of_the_rest() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for _ in 0..100 {
        publisher.publish_bytes("ops", b"{", BasicProperties::default()).await;
    }
    until("all are dead letters", Duration::from_secs(30), || async {
        publisher.depth("dead.event").await == 100
    })
    .await;
    assert_eq!(
        daemon.metric("roomcast_events_undecodable_total").await,
        Some(100.0),
        "the metric counts all"
    );
    assert!(daemon.terminate().success());
    let log = home.log();
    let lines = log.matches("WARN an event cannot be read and becomes a dead letter").count();
    assert_eq!(lines, 20, "{log}");
    assert!(
        log.contains("lines of one kind were left out of the log") && log.contains("left_out=80"),
        "{log}"
    );
}
