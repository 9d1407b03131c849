//! The metrics of waiting deliveries.
//!
//! Owns the promise that operators see how long deliveries wait, and how many wait where.
//!
//! Not here: the list of metrics (tests in `src/telemetry/`).

use std::time::Duration;

use lapin::BasicProperties;
use serde_json::json;

use crate::support::{
    broker::{self, Broker},
    daemon::{Daemon, Home},
    emulator::Emulator,
    publisher::Publisher,
    until,
};

const SOON: Duration = Duration::from_secs(60);

async fn of_dingtalk(daemon: &Daemon<'_>, name: &str) -> f64 {
    daemon.metric(&format!("roomcast_{name}{{platform=\"dingtalk\"}}")).await.unwrap()
}

async fn waiting(daemon: &Daemon<'_>, platform: &str, cause: &str) -> Option<f64> {
    daemon
        .metric(&format!(
            "roomcast_deliveries_waiting{{platform=\"{platform}\",cause=\"{cause}\"}}"
        ))
        .await
}

async fn in_queue(daemon: &Daemon<'_>, queue: &str) -> Option<f64> {
    daemon.metric(&format!("roomcast_queue_messages{{queue=\"{queue}\"}}")).await
}

#[tokio::test]
async fn a_wait_in_memory_is_distinguished_from_a_wait_in_the_broker() {
    let (broker, emulator) =
        (broker::shared().await, Emulator::start(&["--window-seconds", "10"]).await);
    let windows = "[platforms.dingtalk]\nbase_url = \"BASE_URL\"\nwindows = [\"1/10s\"]\n\
        [pace]\nhold_max = \"12s\"\nmargin = \"200ms\"\n";
    let home = Home::new(broker, &emulator.url(), windows);
    home.subscribe("ops", "dingtalk", "ding-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let event = |number| json!({"message": format!("m{number}")});
    let events: Vec<_> = (0..3).map(|number| (format!("id-{number}"), event(number))).collect();
    publisher.try_publish_all("ops", &events).await.unwrap();
    until("all three are delivered", SOON, || async {
        of_dingtalk(&daemon, "delivered_after_seconds_count").await == 3.0
    })
    .await;
    // One leaves at once; one waits ten seconds in memory for its window; one waits twenty, most of
    // them in the broker. The windows are that long, and the bounds that low, because a machine
    // that stands still shortens the waits.
    assert_eq!(of_dingtalk(&daemon, "pace_wait_seconds_count").await, 3.0);
    assert_eq!(of_dingtalk(&daemon, "first_attempt_after_seconds_count").await, 3.0);
    let (in_memory, in_all) = (
        of_dingtalk(&daemon, "pace_wait_seconds_sum").await,
        of_dingtalk(&daemon, "first_attempt_after_seconds_sum").await,
    );
    assert!(in_memory > 4.0, "the second one waited in memory: {in_memory} s");
    assert!(in_all > 15.0, "and the third one twice as long: {in_all} s");
    assert!(in_all > in_memory + 5.0, "most of it in the broker: {in_memory} of {in_all} s");
    let count = async |name: &str| daemon.metric(&format!("roomcast_{name}")).await.unwrap();
    assert_eq!(count("event_decode_seconds_count").await, 3.0);
    assert_eq!(count("event_expand_seconds_count").await, 3.0);
    let put_off = daemon
        .metric("roomcast_deliveries_total{platform=\"dingtalk\",outcome=\"deferred\"}")
        .await;
    assert!(put_off >= Some(1.0), "{put_off:?}");
    assert_eq!(Some(count("step_stored_seconds_count").await), put_off);
    until("it is recorded", SOON, || async { count("recorded_seconds_count").await > 0.0 }).await;
    let version = format!("build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(count(&version).await, 1.0);
}

#[tokio::test]
async fn how_much_waits_is_known_by_platform_and_queue_and_not_made_up_without_a_broker() {
    let (mut broker, emulator) = (Broker::start().await, Emulator::start(&[]).await);
    let home = Home::new(
        &broker,
        &emulator.url(),
        "[platforms.dingtalk]\nbase_url = \"BASE_URL\"\nwindows = [\"2/60s\"]\n",
    );
    home.subscribe("ops", "dingtalk", "ding-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for number in 0..7 {
        publisher.publish("ops", &json!({"message": format!("m{number}")})).await;
    }
    publisher.publish_bytes("ops", b"no event", BasicProperties::default()).await;
    until("five deliveries wait", SOON, || async {
        waiting(&daemon, "dingtalk", "quota").await == Some(5.0)
    })
    .await;
    let seconds = of_dingtalk(&daemon, "deliveries_waiting_seconds").await;
    assert!(
        (100.0..185.0).contains(&seconds),
        "the last of them leaves in the fourth window: {seconds} s"
    );
    until("they are seen in the tiers", SOON, || async {
        let mut tiers = 0.0;
        for tier in ["1s", "5s", "15s", "1m", "2m"] {
            tiers += in_queue(&daemon, &format!("delay.{tier}")).await.unwrap_or_default();
        }
        // Two of them return after fifteen seconds and wait in memory (`pace.early_max`), possibly
        // before the test sees them.
        (3.0..=5.0).contains(&tiers)
    })
    .await;
    // The lengths are requested one after the other: the tiers may be seen a turn earlier.
    until("the letter is seen", SOON, || async {
        in_queue(&daemon, "dead.event").await == Some(1.0)
    })
    .await;
    until("a queue without letters too", SOON, || async {
        in_queue(&daemon, "dead.dingtalk").await == Some(0.0)
    })
    .await;
    assert_eq!(waiting(&daemon, "lark", "quota").await, Some(0.0));
    assert_eq!(waiting(&daemon, "dingtalk", "throttled").await, Some(0.0));

    broker.kill();
    until("nothing is said of the queues", SOON, || async {
        in_queue(&daemon, "dead.event").await.is_none()
    })
    .await;
}
