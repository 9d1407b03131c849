//! The log under floods of invalid messages.
//!
//! Owns the promise that a few lines and the number of omitted ones remain.
//!
//! Not here: the limit itself (`src/telemetry/log_limit.rs`).

use std::time::Duration;

use lapin::BasicProperties;

use crate::support::{broker, daemon::Home, emulator::Emulator, publisher::Publisher, until};

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
