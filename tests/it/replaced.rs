//! Changes of a subscription while its deliveries wait.
//!
//! Owns the promise that each delivery arrives once, at the subscription's current robot. A
//! subscription with a damaged record affects no other one.
//!
//! Not here: a store restored from a backup (`replaced/restored.rs`), and the fixture
//! (`replaced/waiting.rs`).

mod restored;
mod waiting;

use std::os::unix::fs::FileExt;

use serde_json::json;

use self::waiting::{Fixture, SOON, Where};
use crate::support::{
    broker,
    daemon::{Home, endpoint},
    emulator::Emulator,
    letters::lines,
    publisher::Publisher,
    until,
};

/// Twenty deliveries wait during a change. All of them arrive once.
async fn arrives_though(wait: Where, subscribed_with: &[&str], change: impl AsyncFn(&Home, &str)) {
    let fixture = Fixture::new(wait).await;
    let id = fixture.home.subscribe("ops", "wecom", "wecom-001", subscribed_with);
    let running = fixture.start().await;
    running.forty_of_which_twenty_wait(wait).await;
    change(&fixture.home, &id).await;
    running.until_deliveries("done", 40).await;
    fixture.each_arrived_once(0..40).await;
    running.nothing_is_lost().await;
    assert!(running.daemon.terminate().success());
}

async fn update(home: &Home, id: &str) {
    home.ok(&["subscription", "update", id, "--name", "after"], "");
}

#[tokio::test]
async fn deliveries_in_memory_arrive_though_their_subscription_is_updated() {
    arrives_though(Where::Memory, &[], update).await;
}

#[tokio::test]
async fn deliveries_in_the_tiers_arrive_though_their_subscription_is_updated() {
    arrives_though(Where::Tiers, &[], update).await;
}

#[tokio::test]
async fn a_coalesced_event_is_named_though_its_subscription_is_updated() {
    arrives_though(Where::Memory, &["--overflow", "digest"], update).await;
}

#[tokio::test]
async fn waiting_deliveries_arrive_though_every_subscription_is_sealed_anew_again_and_again() {
    arrives_though(Where::Memory, &[], async |home, _| {
        for _ in 0..3 {
            home.ok(&["key", "rotate", "--data"], "");
        }
    })
    .await;
}

#[tokio::test]
async fn waiting_deliveries_arrive_though_their_subscription_is_imported_again() {
    arrives_though(Where::Memory, &[], async |home, _| {
        let list = format!(
            "topic,platform,endpoint,name\nops,wecom,{},other\n",
            endpoint("wecom", "wecom-001")
        );
        home.ok(&["subscription", "import", "-"], &list);
    })
    .await;
}

/// Gives a subscription the webhook of another robot.
fn lead_to(home: &Home, id: &str, token: &str) {
    home.ok(&["subscription", "update", id, "--endpoint-file", "-"], &endpoint("wecom", token));
}

async fn arrives_at_the_new_robot(wait: Where) {
    let fixture = Fixture::new(wait).await;
    let id = fixture.home.subscribe("ops", "wecom", "wecom-old", &[]);
    fixture.home.subscribe("own", "wecom", "wecom-new", &[]);
    let running = fixture.start().await;
    running.forty_of_which_twenty_wait(wait).await;
    lead_to(&fixture.home, &id, "wecom-new");
    // The new robot has events of its own. They leave so late that they are still in its window
    // when the old robot gets new permits. A permit of the old robot would then exceed the new
    // robot's quota.
    tokio::time::sleep(wait.window() / 2).await;
    running.publish("own", 100..115).await;
    running.until_deliveries("done", 55).await;
    fixture.each_arrived_once(0..40).await;
    fixture.each_arrived_once(100..115).await;
    let (old, new) = (fixture.shown("wecom-old").await, fixture.shown("wecom-new").await);
    assert_eq!(
        (old.len(), new.len()),
        (20, 35),
        "what waited is for the new robot: {old:?}, {new:?}"
    );
    running.nothing_is_lost().await;
    assert!(running.daemon.terminate().success());
}

#[tokio::test]
async fn deliveries_in_memory_arrive_at_the_new_robot_when_the_webhook_is_changed() {
    arrives_at_the_new_robot(Where::Memory).await;
}

#[tokio::test]
async fn deliveries_in_the_tiers_arrive_at_the_new_robot_when_the_webhook_is_changed() {
    arrives_at_the_new_robot(Where::Tiers).await;
}

/// A text for which WeCom needs this number of messages.
fn report(parts: usize) -> String {
    let lines: Vec<_> =
        (0..90 * parts).map(|number| format!("line {number} of the report")).collect();
    lines.join("\n")
}

/// The parts contain the whole report, each part once and in order.
fn is_the_report(report: &str, parts: &[String]) {
    for (at, part) in parts.iter().enumerate() {
        assert!(
            part.starts_with(&format!("({}/{})", at + 1, parts.len())),
            "each part once, and in order: {parts:?}"
        );
    }
    assert!(
        report.lines().all(|line| parts.iter().any(|part| part.lines().any(|one| one == line))),
        "{parts:?}"
    );
}

#[tokio::test]
async fn a_long_text_begins_anew_at_the_new_robot_when_the_webhook_is_changed_between_its_parts() {
    let (fixture, report) = (Fixture::with_window("2/10s", Where::Memory).await, report(3));
    let id = fixture.home.subscribe("ops", "wecom", "wecom-old", &[]);
    let running = fixture.start().await;
    running.publisher.publish("ops", &json!({"message": report})).await;
    until("two parts arrive", SOON, || async { fixture.emulator.count("accepted").await >= 2 })
        .await;
    lead_to(&fixture.home, &id, "wecom-new");
    running.until_deliveries("done", 1).await;
    is_the_report(&report, &fixture.shown("wecom-new").await);
    assert_eq!(fixture.shown("wecom-old").await.len(), 2);
    running.nothing_is_lost().await;
}

#[tokio::test]
async fn a_long_text_begins_anew_at_the_new_robot_though_the_process_dies_between_its_parts() {
    // One part leaves, and the next waits long enough for the test to act.
    let (fixture, report) = (Fixture::with_window("1/10s", Where::Memory).await, report(2));
    let (home, emulator) = (&fixture.home, &fixture.emulator);
    let id = home.subscribe("ops", "wecom", "wecom-old", &[]);
    // A process makes its first record after its first part.
    let recorded = "roomcast_recorded_seconds_count";
    let running = fixture.start().await;
    running.publisher.publish("ops", &json!({"message": report})).await;
    until("the first part is recorded", SOON, || async { running.metric(recorded).await > 0.0 })
        .await;
    running.daemon.kill();
    assert_eq!(emulator.count("accepted").await, 1);
    lead_to(home, &id, "wecom-new");
    // The next process records parts of the new robot. The process after it continues there.
    let running = fixture.start().await;
    until("a part is recorded again", SOON, || async { running.metric(recorded).await > 0.0 })
        .await;
    running.daemon.kill();
    assert_eq!(emulator.count("accepted").await, 2);
    let running = fixture.start().await;
    running.until_deliveries("done", 1).await;
    is_the_report(&report, &fixture.shown("wecom-new").await);
    assert_eq!(fixture.shown("wecom-old").await.len(), 1);
    running.nothing_is_lost().await;
}

#[tokio::test]
async fn deliveries_of_a_removed_subscription_are_dropped_and_the_log_says_so() {
    let fixture = Fixture::new(Where::Memory).await;
    let id = fixture.home.subscribe("ops", "wecom", "wecom-001", &[]);
    let running = fixture.start().await;
    running.forty_of_which_twenty_wait(Where::Memory).await;
    fixture.home.ok(&["subscription", "remove", &id], "");
    running.until_deliveries("dropped", 20).await;
    assert_eq!(fixture.emulator.count("accepted").await, 20);
    until("the log says so", SOON, || async { fixture.home.log().contains("gone or paused") })
        .await;
}

/// Changes a byte in the slot with this number, like a failing disk.
fn damage_slot(home: &Home, number: u64) {
    let slots = std::fs::File::options()
        .read(true)
        .write(true)
        .open(home.path("data").join("slots"))
        .unwrap();
    let (mut byte, at) = ([0], 512 + 128 * number + 40);
    slots.read_exact_at(&mut byte, at).unwrap();
    slots.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[tokio::test]
async fn a_damaged_record_costs_its_own_subscription_until_it_is_given_its_webhook_again() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let [_, damaged, _] = ["wecom-001", "wecom-002", "wecom-003"]
        .map(|token| home.subscribe("ops", "wecom", token, &["--name", token]));
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    damage_slot(&home, 1);
    publisher.publish("ops", &json!({"message": "first"})).await;
    until("it is settled for all", SOON, || async {
        let dead =
            "roomcast_dead_letters_total{platform=\"wecom\",reason=\"unreadable_subscription\"}";
        emulator.count("accepted").await == 2 && daemon.metric(dead).await == Some(1.0)
    })
    .await;
    assert_eq!(
        daemon.metric("roomcast_broker_sessions_total").await,
        Some(1.0),
        "the session goes on"
    );
    // A start detects the damage too, and continues.
    assert!(daemon.terminate().success());
    let daemon = home.start().await;
    publisher.publish("ops", &json!({"message": "second"})).await;
    until("the others hear it", SOON, || async { emulator.count("accepted").await == 4 }).await;

    let listed = home.fails(&["store", "verify"], "", 70);
    assert!(listed.contains(&damaged), "{listed}");
    until("both letters are there", SOON, || async { publisher.depth("dead.wecom").await == 2 })
        .await;
    let letters = lines(&home.ok(&["dead", "list", "--json"], ""));
    for letter in &letters {
        assert_eq!(letter["reason"], "unreadable_subscription", "{letter}");
        assert_eq!(letter["subscription"], *damaged, "{letter}");
    }
    let shown = home.ok(&["dead", "show", letters[0]["id"].as_str().unwrap()], "");
    assert!(shown.contains("subscription update") && shown.contains("store verify"), "{shown}");

    // Without the webhook the record cannot be repaired. With it, the record is written again.
    let refused = home.fails(&["subscription", "update", &damaged, "--name", "x"], "", 70);
    assert!(refused.contains(&damaged) && refused.contains("--endpoint-file"), "{refused}");
    home.ok(
        &["subscription", "update", &damaged, "--endpoint-file", "-"],
        &endpoint("wecom", "wecom-002"),
    );
    home.ok(&["dead", "redrive", "--reason", "unreadable_subscription"], "");
    until("it hears both", SOON, || async {
        emulator.shown().await.get("wecom-002").is_some_and(|shown| shown.len() == 2)
    })
    .await;
    home.ok(&["store", "verify"], "");
    assert!(daemon.terminate().success());
}
