//! `roomcast top` beside the real daemon: what it says where it cannot be shown, and the numbers that it shows.

use serde_json::{Value, json};

use super::support::{
    broker,
    daemon::{Home, get},
    emulator::Emulator,
    publisher::Publisher,
    until,
};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn without_a_daemon_or_a_terminal_it_says_so_in_one_sentence() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let says = home.fails(&["top"], "", 69);
    assert!(says.starts_with("roomcast: no daemon answers on ") && says.lines().count() == 1, "{says}");
    let _daemon = home.start().await;
    let says = home.fails(&["top"], "", 64);
    assert!(says.starts_with("roomcast: top needs a terminal") && says.lines().count() == 1, "{says}");
}

#[tokio::test]
async fn the_overview_counts_what_happened() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    emulator.robot("wecom", "wecom-gone", json!({"state": "gone"})).await;
    home.subscribe("ops", "lark", "lark-0001", &[]);
    home.subscribe("ops", "wecom", "wecom-gone", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "hello"})).await;
    let socket = home.path("admin.sock");
    let overview = || async { serde_json::from_str::<Value>(&get(&socket, "/v1/overview").await).unwrap_or_default() };
    let flow = |overview: &Value, name: &str| -> Value {
        let platforms = overview["platforms"].as_array().cloned().unwrap_or_default();
        platforms.into_iter().find(|flow| flow["platform"] == name).unwrap_or_default()
    };
    until("one is delivered and one given up", SOON, || async {
        let overview = overview().await;
        flow(&overview, "lark")["done"] == 1 && flow(&overview, "wecom")["dead"] == 1
    })
    .await;
    let overview = overview().await;
    assert_eq!((&overview["events"], &overview["broker_up"]), (&json!(1), &json!(true)), "{overview}");
    assert!(overview["since"].as_u64() <= overview["at"].as_u64(), "{overview}");
    assert_eq!(flow(&overview, "lark")["attempts"]["delivered"], 1, "{overview}");
    let wecom = flow(&overview, "wecom");
    assert_eq!(
        (&wecom["attempts"]["robot_gone"], &wecom["reasons"]["robot_gone"]),
        (&json!(1), &json!(1)),
        "{overview}"
    );
}
