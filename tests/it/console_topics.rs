//! Topics and test messages in the console.
//!
//! Owns the promise that a page shows which events reach no chat, and sends a test message.
//!
//! Not here: the counts of a topic (`topics.rs`), the outcomes of a test message
//! (`test_message.rs`), sessions (`console.rs`).

use std::time::Duration;

use serde_json::json;

use crate::support::{
    broker,
    browser::Browser,
    console::{sign_in, with_console},
    daemon::Home,
    emulator::Emulator,
    publisher::Publisher,
    until,
};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_console_names_topics_without_a_chat_and_sends_a_test_message() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let (home, address) = with_console(Home::new(broker, &emulator.url(), ""));
    home.subscribe("alerts", "wecom", "wecom-001", &["--name", "team a"]);
    let gone = home.subscribe("alerts", "dingtalk", "ding-0001", &["--name", "team b"]);
    home.ok(&["subscription", "pause", &gone], "");
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for topic in ["alets", "alerts", "alets"] {
        publisher.publish(topic, &json!({"message": "m"})).await;
    }
    until("the topic is named", SOON, || async {
        home.log().contains("a topic has no subscription")
    })
    .await;
    until("all are counted", SOON, || async {
        daemon.metric("roomcast_events_total").await == Some(3.0)
    })
    .await;
    let browser = Browser::start().await;
    sign_in(&browser, &format!("{address}/console/topics")).await;
    browser.says("h1", "Topics").await;
    browser.counts(".topics tbody tr", 2).await;
    browser.says(".topics tbody tr:nth-of-type(1)", "2, 1 paused").await;
    let wrong = ".topics tbody tr:nth-of-type(2)";
    browser.says(&format!("{wrong} td[data-head='Subscriptions']"), "none").await;
    browser.says(&format!("{wrong} td[data-head='Reached no chat']"), "2").await;
    browser.says(&format!("{wrong} td[data-head='Did you mean']"), "alerts").await;
    browser.pictures("topics").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    assert_eq!(browser.nameless().await, Vec::<String>::new());
    let text = browser.text("body").await;
    for mistake in ["[object", "undefined", "NaN", "null", "Invalid Date"] {
        assert!(!text.contains(mistake), "{mistake} is in {text}");
    }
    browser.open(&format!("{address}/console/topics?without_subscription=true")).await;
    browser.counts(".topics tbody tr", 1).await;
    browser.click(".topics tbody tr:nth-of-type(1)", "alerts").await;
    browser.says("h1", "Subscriptions").await;

    browser.click("tbody tr:nth-of-type(1)", "Test").await;
    browser.says("dialog h2", "Send a test message to team a on alerts?").await;
    browser.click("dialog", "Send").await;
    browser.says(".notice.good", "accepted the test message within").await;
    browser.click("tbody tr:nth-of-type(2)", "Test").await;
    browser.click("dialog", "Send").await;
    browser.says(".notice.bad", "The subscription is paused").await;
    browser.pictures("subscription-test").await;
    let shown = emulator.shown().await;
    assert!(shown["wecom-001"].iter().any(|text| text.contains("测试消息")), "{shown:?}");
    let log = home.log();
    assert!(log.contains("POST /console/api/subscriptions/{id}/test"), "it is in the audit log");
}
