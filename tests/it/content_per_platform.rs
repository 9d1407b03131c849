//! Events that have content for some platforms only.
//!
//! Owns the promise that such an event reaches every platform that it has content for, and that
//! each other delivery is a dead letter by itself.
//!
//! Not here: the forms of content (`message.rs`), and templates in general (`template.rs`).

use std::time::Duration;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};

use crate::support::{
    broker, daemon::Home, emulator::Emulator, publisher::Publisher, receipts::Receipts, until,
};

const SOON: Duration = Duration::from_secs(30);
const WITH_RECEIPTS: &str = "[outcome]\nreceipts = \"asked\"\n";
const NO_ENTRY: &str =
    "message_structure has no entry for lark and no default, and there is no message: add one";
/// Quiet hours that never end in practice: a delivery that waits for anything waits for this.
const ALWAYS_QUIET: [&str; 4] =
    ["--quiet", "mon-sat 00:00-24:00, sun 00:00-23:59", "--quiet-zone", "UTC"];

fn asking_for_receipts(id: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("x-roomcast-receipt".into(), AMQPValue::Boolean(true));
    BasicProperties::default().with_message_id(id.into()).with_headers(headers)
}

fn the_letter(home: &Home) -> Value {
    serde_json::from_str(&home.ok(&["dead", "list", "--json"], "")).unwrap()
}

#[tokio::test]
async fn entries_for_the_subscribed_platforms_are_enough_and_another_is_a_dead_letter_alone() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), WITH_RECEIPTS);
    home.subscribe("ops", "dingtalk", "ding-0001", &[]);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let receipts = Receipts::bound(&broker.url(), &home.prefix, "#").await;
    let event = json!({"message_structure": {"dingtalk": "for ding", "wecom": "for wecom"}});
    let body = event.to_string();

    publisher.publish_bytes("ops", body.as_bytes(), asking_for_receipts("two")).await;
    until("both are told of", SOON, || async { receipts.of("two").len() == 2 }).await;
    assert!(receipts.of("two").iter().all(|one| one.body["outcome"] == "delivered"));

    // It has nothing to wait for, so it does not wait for the end of the quiet hours.
    let lark = home.subscribe("ops", "lark", "lark-0001", &ALWAYS_QUIET);
    publisher.publish_bytes("ops", body.as_bytes(), asking_for_receipts("three")).await;
    until("all three are told of", SOON, || async { receipts.of("three").len() == 3 }).await;
    let shown = emulator.shown().await;
    assert_eq!(shown["ding-0001"], ["for ding", "for ding"]);
    assert_eq!(shown["wecom-001"], ["for wecom", "for wecom"]);
    assert_eq!(publisher.depth("dead.event").await, 0, "the event itself is a good one");
    let told = receipts.of("three");
    let told = told.iter().find(|one| one.body["platform"] == "lark").unwrap();
    assert_eq!(
        (&told.body["outcome"], &told.body["reason"], &told.body["code"]),
        (&json!("dead"), &json!("refused"), &json!("no_content"))
    );

    let letter = the_letter(&home);
    for (name, value) in [
        ("reason", json!("refused")),
        ("code", json!("no_content")),
        ("subscription", json!(lark)),
        ("attempts", json!(0)),
    ] {
        assert_eq!(letter[name], value, "{letter}");
    }
    let detail = letter["detail"].as_str().unwrap();
    assert!(detail.starts_with(NO_ENTRY), "{detail}");
    let id = letter["id"].as_str().unwrap();
    assert!(home.ok(&["dead", "show", id], "").contains("has no content for this platform"));

    let file = home.path("event.json");
    std::fs::write(&file, &body).unwrap();
    let explain =
        home.ok(&["explain", "--json", "--topic", "ops", "--event", file.to_str().unwrap()], "");
    for one in explain.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let outcome = if one["platform"] == "lark" { "refused" } else { "sent" };
        assert_eq!(one["outcome"], outcome, "{one}");
        let why = one["why"].as_str().unwrap_or_default();
        assert_eq!(why.starts_with(&format!("no_content: {NO_ENTRY}")), outcome == "refused");
    }

    home.ok(&["dead", "redrive", "--id", id], "");
    until("it is a dead letter again", SOON, || async {
        publisher.depth("dead.lark").await == 1 && the_letter(&home)["generation"] == json!(1)
    })
    .await;
    assert_eq!(emulator.count("accepted").await, 4, "the others are not sent again");
}

#[tokio::test]
async fn a_template_that_fails_for_one_platform_alone_costs_the_deliveries_to_that_platform_alone()
{
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    home.ok(&["template", "add", "down"], "{host} is down");
    let jinja = ["--platform", "lark", "--engine", "jinja"];
    home.ok(&[&["template", "add", "down"][..], &jinja].concat(), "{{ why }}");
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let event = json!({"message_template_name": "down", "tags": {"host": "db-1"}});

    publisher.publish("ops", &event).await;
    until("it arrives without a subscriber on lark", SOON, || async {
        emulator.count("accepted").await == 1
    })
    .await;
    let lark = home.subscribe("ops", "lark", "lark-0001", &[]);
    publisher.publish("ops", &event).await;
    until("it arrives beside a failure on lark", SOON, || async {
        emulator.count("accepted").await == 2 && publisher.depth("dead.lark").await == 1
    })
    .await;
    assert_eq!(publisher.depth("dead.event").await, 0);
    let letter = the_letter(&home);
    for (name, value) in [
        ("reason", json!("undecodable")),
        ("code", json!("template")),
        ("detail", json!("template down for lark: line 1: undefined value: `why` is undefined")),
        ("subscription", json!(lark)),
    ] {
        assert_eq!(letter[name], value, "{letter}");
    }
    home.ok(&[&["template", "add", "down", "--replace"][..], &jinja].concat(), "lark: {{ host }}");
    home.ok(&["dead", "redrive", "--all"], "");
    until("it arrives", SOON, || async { emulator.shown().await.contains_key("lark-0001") }).await;
    let shown = emulator.shown().await;
    assert_eq!(shown["lark-0001"], ["lark: db-1"]);
    assert_eq!(shown["wecom-001"], ["db-1 is down", "db-1 is down"]);
}
