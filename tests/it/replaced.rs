//! An operator changes a subscription while its deliveries wait: each of them arrives, once, where
//! the subscription leads by then. One subscription whose record is damaged costs the others
//! nothing.

use std::{os::unix::fs::FileExt, time::Duration};

use serde_json::json;

use crate::support::{
    broker,
    daemon::{Daemon, Home, endpoint},
    emulator::Emulator,
    letters::lines,
    publisher::Publisher,
    until,
};

const LATER: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(20);
const WINDOW: [&str; 2] = ["--window-seconds", "4"];
const SETTINGS: &str =
    "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"20/4s\"]\n[pace]\nmargin = \"200ms\"\n";
/// What waits for its window waits in memory.
const IN_MEMORY: &str = "hold_max = \"10s\"\n";
/// What waits for its window waits in the delay tiers.
const IN_TIERS: &str = "hold_max = \"1s\"\n";

fn subject(number: usize) -> String {
    format!("subject-{number:03}")
}

async fn publish(publisher: &Publisher, topic: &str, numbers: std::ops::Range<usize>) {
    let event = |number| json!({"subject": subject(number), "message": "m"});
    let events: Vec<_> = numbers.map(|number| (format!("id-{topic}-{number}"), event(number))).collect();
    publisher.try_publish_all(topic, &events).await.unwrap();
}

async fn metric(daemon: &Daemon<'_>, line: &str) -> f64 {
    daemon.metric(line).await.unwrap_or_default()
}

/// Publishes forty events, of which the robot may be sent twenty at once, and waits until those are
/// there and the others wait.
async fn forty_of_which_twenty_wait(
    where_it_waits: &str,
    daemon: &Daemon<'_>,
    publisher: &Publisher,
    emulator: &Emulator,
) {
    publish(publisher, "ops", 0..40).await;
    until("twenty arrive, and the daemon knows of all", SOON, || async {
        emulator.count("accepted").await >= 20 && metric(daemon, "roomcast_events_total").await >= 40.0
    })
    .await;
    assert_eq!(emulator.count("accepted").await, 20, "the others wait");
    if where_it_waits == IN_TIERS {
        until("they wait in the tiers", SOON, || async {
            metric(daemon, "roomcast_deliveries_total{platform=\"wecom\",outcome=\"deferred\"}").await >= 20.0
        })
        .await;
    }
}

/// Nothing was refused, dropped or given up, and the log claims nothing else.
async fn nothing_is_lost(home: &Home, daemon: &Daemon<'_>, emulator: &Emulator) {
    for what in ["throttled", "refused", "duplicate"] {
        assert_eq!(emulator.count(what).await, 0, "{what}");
    }
    for outcome in ["dropped", "dead"] {
        let line = format!("roomcast_deliveries_total{{platform=\"wecom\",outcome=\"{outcome}\"}}");
        assert_eq!(metric(daemon, &line).await, 0.0, "{outcome}");
    }
    assert!(!home.log().contains("gone or paused"), "the log says what is not so");
    assert_eq!(metric(daemon, "roomcast_broker_sessions_total").await, 1.0, "the session goes on");
}

/// How often each of the events is in what a chat shows.
fn times(shown: &[String], number: usize) -> usize {
    shown.iter().filter(|text| text.contains(&subject(number))).count()
}

async fn arrives_though(where_it_waits: &str, change: impl AsyncFn(&Home, &str)) {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&WINDOW).await);
    let home = Home::new(broker, &emulator.url(), &format!("{SETTINGS}{where_it_waits}"));
    let id = home.subscribe("ops", "wecom", "wecom-001", &["--name", "before"]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    forty_of_which_twenty_wait(where_it_waits, &daemon, &publisher, &emulator).await;
    change(&home, &id).await;
    until("all are settled", LATER, || async {
        metric(&daemon, "roomcast_deliveries_total{platform=\"wecom\",outcome=\"done\"}").await >= 40.0
    })
    .await;
    let shown = emulator.shown().await["wecom-001"].clone();
    assert!((0..40).all(|number| times(&shown, number) == 1), "{shown:?}");
    nothing_is_lost(&home, &daemon, &emulator).await;
    assert!(daemon.terminate().success());
}

async fn update(home: &Home, id: &str) {
    home.ok(&["subscription", "update", id, "--name", "after"], "");
}

#[tokio::test]
async fn what_waits_in_memory_arrives_though_its_subscription_is_updated() {
    arrives_though(IN_MEMORY, update).await;
}

#[tokio::test]
async fn what_waits_in_the_tiers_arrives_though_its_subscription_is_updated() {
    arrives_though(IN_TIERS, update).await;
}

#[tokio::test]
async fn what_waits_arrives_though_every_subscription_is_sealed_anew_again_and_again() {
    arrives_though(IN_MEMORY, async |home, _| {
        for _ in 0..3 {
            home.ok(&["key", "rotate", "--data"], "");
        }
    })
    .await;
}

#[tokio::test]
async fn what_waits_arrives_though_its_subscription_is_imported_again() {
    arrives_though(IN_MEMORY, async |home, _| {
        let list = format!("topic,platform,endpoint,name\nops,wecom,{},other\n", endpoint("wecom", "wecom-001"));
        home.ok(&["subscription", "import", "-"], &list);
    })
    .await;
}

async fn arrives_at_the_new_robot(where_it_waits: &str) {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&WINDOW).await);
    let home = Home::new(broker, &emulator.url(), &format!("{SETTINGS}{where_it_waits}"));
    let id = home.subscribe("ops", "wecom", "wecom-old", &[]);
    home.subscribe("own", "wecom", "wecom-new", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    forty_of_which_twenty_wait(where_it_waits, &daemon, &publisher, &emulator).await;
    // The new robot has events of its own, so that its window is nearly full.
    publish(&publisher, "own", 100..115).await;
    until("they arrive", SOON, || async { emulator.count("accepted").await >= 35 }).await;
    home.ok(&["subscription", "update", &id, "--endpoint-file", "-"], &endpoint("wecom", "wecom-new"));
    until("all are settled", LATER, || async {
        metric(&daemon, "roomcast_deliveries_total{platform=\"wecom\",outcome=\"done\"}").await >= 55.0
    })
    .await;
    let shown = emulator.shown().await;
    let (old, new) = (&shown["wecom-old"], &shown["wecom-new"]);
    assert!((0..40).all(|number| times(old, number) + times(new, number) == 1), "{shown:?}");
    assert_eq!((old.len(), new.len()), (20, 35), "what waited is for the new robot: {shown:?}");
    nothing_is_lost(&home, &daemon, &emulator).await;
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn what_waits_in_memory_arrives_at_the_new_robot_when_the_webhook_is_changed() {
    arrives_at_the_new_robot(IN_MEMORY).await;
}

#[tokio::test]
async fn what_waits_in_the_tiers_arrives_at_the_new_robot_when_the_webhook_is_changed() {
    arrives_at_the_new_robot(IN_TIERS).await;
}

#[tokio::test]
async fn what_is_folded_is_said_though_its_subscription_is_updated() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&WINDOW).await);
    let home = Home::new(broker, &emulator.url(), &format!("{SETTINGS}{IN_MEMORY}"));
    let id = home.subscribe("ops", "wecom", "wecom-001", &["--overflow", "digest"]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    forty_of_which_twenty_wait(IN_MEMORY, &daemon, &publisher, &emulator).await;
    update(&home, &id).await;
    until("all are settled", LATER, || async {
        metric(&daemon, "roomcast_deliveries_total{platform=\"wecom\",outcome=\"done\"}").await >= 40.0
    })
    .await;
    let shown = emulator.shown().await["wecom-001"].clone();
    assert!((0..40).all(|number| times(&shown, number) == 1), "{shown:?}");
    nothing_is_lost(&home, &daemon, &emulator).await;
}

#[tokio::test]
async fn a_long_text_begins_anew_at_the_new_robot_when_the_webhook_is_changed_between_its_parts() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&WINDOW).await);
    let narrow = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"2/4s\"]\n[pace]\nmargin = \"200ms\"\n";
    let home = Home::new(broker, &emulator.url(), narrow);
    let id = home.subscribe("ops", "wecom", "wecom-old", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let text: Vec<_> = (0..400).map(|number| format!("line {number} of the report")).collect();
    publisher.publish("ops", &json!({"message": text.join("\n")})).await;
    until("two parts arrive", SOON, || async { emulator.count("accepted").await >= 2 }).await;
    home.ok(&["subscription", "update", &id, "--endpoint-file", "-"], &endpoint("wecom", "wecom-new"));
    until("it is settled", LATER, || async {
        metric(&daemon, "roomcast_deliveries_total{platform=\"wecom\",outcome=\"done\"}").await >= 1.0
    })
    .await;
    let shown = emulator.shown().await;
    let new = &shown["wecom-new"];
    let of = new[0].strip_prefix("(1/").and_then(|rest| rest.split_once(')')).unwrap().0;
    assert_eq!(new.len().to_string(), of, "the new robot is told all of it: {shown:?}");
    assert!(text.iter().all(|line| new.iter().any(|part| part.lines().any(|one| one == line))), "{shown:?}");
    assert_eq!(shown["wecom-old"].len(), 2);
    nothing_is_lost(&home, &daemon, &emulator).await;
}

#[tokio::test]
async fn what_waits_for_a_removed_subscription_is_dropped_and_the_log_says_so() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&WINDOW).await);
    let home = Home::new(broker, &emulator.url(), &format!("{SETTINGS}{IN_MEMORY}"));
    let id = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    forty_of_which_twenty_wait(IN_MEMORY, &daemon, &publisher, &emulator).await;
    home.ok(&["subscription", "remove", &id], "");
    until("the others are dropped", LATER, || async {
        metric(&daemon, "roomcast_deliveries_total{platform=\"wecom\",outcome=\"dropped\"}").await >= 20.0
    })
    .await;
    assert_eq!(emulator.count("accepted").await, 20);
    assert!(home.log().contains("gone or paused"));
}

/// Changes a byte in the slot of that number, as a failing disk does.
fn damage_slot(home: &Home, number: u64) {
    let slots = std::fs::File::options().read(true).write(true).open(home.path("data").join("slots")).unwrap();
    let (mut byte, at) = ([0], 512 + 128 * number + 40);
    slots.read_exact_at(&mut byte, at).unwrap();
    slots.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[tokio::test]
async fn a_damaged_record_costs_its_own_subscription_until_it_is_given_its_webhook_again() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let [_, damaged, _] =
        ["wecom-001", "wecom-002", "wecom-003"].map(|token| home.subscribe("ops", "wecom", token, &["--name", token]));
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    damage_slot(&home, 1);
    publisher.publish("ops", &json!({"message": "first"})).await;
    until("it is settled for all", SOON, || async {
        let dead = "roomcast_dead_letters_total{platform=\"wecom\",reason=\"unreadable_subscription\"}";
        emulator.count("accepted").await == 2 && metric(&daemon, dead).await == 1.0
    })
    .await;
    assert_eq!(metric(&daemon, "roomcast_broker_sessions_total").await, 1.0, "the session goes on");
    // A start finds it as well, and begins all the same.
    assert!(daemon.terminate().success());
    let daemon = home.start().await;
    publisher.publish("ops", &json!({"message": "second"})).await;
    until("the others hear it", SOON, || async { emulator.count("accepted").await == 4 }).await;

    let listed = home.fails(&["store", "verify"], "", 70);
    assert!(listed.contains(&damaged), "{listed}");
    until("both letters are there", SOON, || async { publisher.depth("dead.wecom").await == 2 }).await;
    let letters = lines(&home.ok(&["dead", "list", "--json"], ""));
    for letter in &letters {
        assert_eq!(letter["reason"], "unreadable_subscription", "{letter}");
        assert_eq!(letter["subscription"], *damaged, "{letter}");
    }
    let shown = home.ok(&["dead", "show", letters[0]["id"].as_str().unwrap()], "");
    assert!(shown.contains("subscription update") && shown.contains("store verify"), "{shown}");

    // Without the webhook there is nothing to be made of it; with it the record is written anew.
    let refused = home.fails(&["subscription", "update", &damaged, "--name", "x"], "", 70);
    assert!(refused.contains(&damaged) && refused.contains("--endpoint-file"), "{refused}");
    home.ok(&["subscription", "update", &damaged, "--endpoint-file", "-"], &endpoint("wecom", "wecom-002"));
    home.ok(&["dead", "redrive", "--reason", "unreadable_subscription"], "");
    until("it hears both", SOON, || async {
        emulator.shown().await.get("wecom-002").is_some_and(|shown| shown.len() == 2)
    })
    .await;
    home.ok(&["store", "verify"], "");
    assert!(daemon.terminate().success());
}
