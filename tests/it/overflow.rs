//! Deliveries that have to wait: digests, superseded ones, monthly quotas, holds.
//!
//! Owns the promises of these options with real processes.
//!
//! Not here: the same over simulated hours (`tests/sim/policies.rs`).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{broker, daemon::Home, emulator::Emulator, publisher::Publisher, until};

const LATER: Duration = Duration::from_secs(60);
const SHORT: [&str; 2] = ["--window-seconds", "3"];
const SHORT_WINDOWS: &str = "[platforms.dingtalk]\nbase_url = \"BASE_URL\"\nwindows = [\"20/3s\"]\n\
    [platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"20/3s\"]\n\
    [pace]\nhold_max = \"1s\"\nmargin = \"200ms\"\n";

/// The same for tests that count what leaves within a window: it is long enough that a loaded
/// machine does within one what a test expects there.
const LONGER: [&str; 2] = ["--window-seconds", "10"];

fn longer_windows() -> String {
    SHORT_WINDOWS.replace("20/3s", "20/10s")
}

async fn publish(publisher: &Publisher, topic: &str, numbers: std::ops::Range<usize>) {
    let events: Vec<_> = numbers
        .map(|number| {
            (
                format!("id-{number}"),
                json!({"subject": format!("subject-{number:03}"), "message": "m"}),
            )
        })
        .collect();
    publisher.try_publish_all(topic, &events).await.unwrap();
}

fn lines(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn beyond_the_quota_of_a_subscription_with_digest_messages_are_coalesced_and_each_is_named() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&LONGER).await);
    let home = Home::new(broker, &emulator.url(), &longer_windows());
    home.subscribe("ops", "wecom", "wecom-001", &["--overflow", "digest"]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publish(&publisher, "ops", 0..60).await;
    until("all are settled", LATER, || async {
        daemon.metric("roomcast_deliveries_total{platform=\"wecom\",outcome=\"done\"}").await
            == Some(60.0)
    })
    .await;
    let shown = emulator.shown().await.remove("wecom-001").unwrap();
    for number in 0..60 {
        let subject = format!("subject-{number:03}");
        assert_eq!(
            shown.iter().filter(|text| text.contains(&subject)).count(),
            1,
            "{subject}: {shown:?}"
        );
    }
    assert!(
        shown.len() >= 21 && shown.len() <= 30,
        "twenty alone, the rest in few: {}",
        shown.len()
    );
    assert!(
        shown.iter().any(|text| text.contains(" 条消息") && text.contains("• subject-")),
        "{shown:?}"
    );
    assert!(daemon.metric("roomcast_digests_total{platform=\"wecom\"}").await >= Some(1.0));
    assert_eq!(emulator.count("refused").await, 0);
}

#[tokio::test]
async fn beyond_the_quota_of_a_subscription_with_latest_only_the_newest_arrives() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&LONGER).await);
    let home = Home::new(broker, &emulator.url(), &longer_windows());
    let id = home.subscribe("ops", "dingtalk", "ding-0001", &["--overflow", "latest"]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publish(&publisher, "ops", 0..35).await;
    until("the newest arrives", LATER, || async {
        emulator
            .shown()
            .await
            .get("ding-0001")
            .is_some_and(|shown| shown.iter().any(|text| text.contains("subject-034")))
    })
    .await;
    let done =
        || daemon.metric("roomcast_deliveries_total{platform=\"dingtalk\",outcome=\"done\"}");
    let dead = || {
        daemon.metric("roomcast_dead_letters_total{platform=\"dingtalk\",reason=\"superseded\"}")
    };
    until("every other is superseded", LATER, || async {
        done().await.unwrap_or_default() + dead().await.unwrap_or_default() >= 35.0
    })
    .await;
    let shown = emulator.shown().await.remove("ding-0001").unwrap();
    assert_eq!(done().await, Some(shown.len().to_string().parse().unwrap()));
    assert!((21..=25).contains(&shown.len()), "{shown:?}");
    let letters = lines(&home.ok(&["dead", "list", "--json"], ""));
    assert_eq!(letters.len(), 35 - shown.len());
    assert!(
        letters
            .iter()
            .all(|one| one["reason"] == "superseded" && one["subscription"] == id.as_str())
    );
}

#[tokio::test]
async fn a_used_up_month_is_known_after_a_kill_and_the_rest_becomes_dead_letters_where_that_is_set()
{
    let (broker, emulator) = (broker::shared().await, Emulator::start(&SHORT).await);
    let group = "[groups.acme]\nmonthly = 5\nat_end = \"dead\"\n[groups.beta]\nmonthly = 100\n";
    let home = Home::new(broker, &emulator.url(), &format!("{SHORT_WINDOWS}{group}"));
    home.subscribe("ops", "dingtalk", "ding-0001", &["--group", "acme"]);
    home.subscribe("ops", "dingtalk", "ding-0002", &["--group", "beta"]);
    let publisher;
    {
        let daemon = home.start().await;
        publisher = Publisher::connect(&broker.url(), &home.prefix).await;
        publish(&publisher, "ops", 0..7).await;
        until("two are given up", LATER, || async { publisher.depth("dead.dingtalk").await == 2 })
            .await;
        until("the other organisation is not", LATER, || async {
            emulator.count("accepted").await == 12
        })
        .await;
        daemon.kill();
    }
    let _daemon = home.start().await;
    publish(&publisher, "ops", 7..8).await;
    // A dead letter that was not recorded when the daemon was killed is stored again.
    until("one more is given up", LATER, || async {
        let letters = home.ok(&["dead", "list", "--json"], "");
        letters.contains("\"id-7\"")
    })
    .await;
    let letters = lines(&home.ok(&["dead", "list", "--json"], ""));
    assert!(
        letters.iter().all(|one| one["reason"] == "exhausted" && one["code"] == "monthly_budget"),
        "{letters:?}"
    );
    let groups = lines(&home.ok(&["group", "list", "--json"], ""));
    assert_eq!(
        (groups[0]["group"].as_str(), groups[0]["used"].as_u64()),
        (Some("acme"), Some(5)),
        "{groups:?}"
    );
    assert_eq!(groups[1]["group"], "beta");
    assert!(groups[1]["used"].as_u64() >= Some(7), "{groups:?}");
    assert!(groups[0]["spent_until"].is_string() && groups[1]["spent_until"].is_null());
    assert!(groups[1]["forecast"].as_u64() >= Some(7));
}

#[tokio::test]
async fn a_robot_that_is_gone_is_left_alone_and_its_deliveries_arrive_when_it_is_back() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&SHORT).await);
    let health = "[health]\nafter = 3\nprobe_min = \"12s\"\nprobe_max = \"12s\"\n";
    let home = Home::new(broker, &emulator.url(), &format!("{SHORT_WINDOWS}{health}"));
    home.subscribe("ops", "dingtalk", "ding-0001", &[]);
    emulator.robot("dingtalk", "ding-0001", json!({"state": "disabled"})).await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for number in 0..3 {
        publish(&publisher, "ops", number..number + 1).await;
        until("it is given up", LATER, || async {
            publisher.depth("dead.dingtalk").await == u32::try_from(number).unwrap() + 1
        })
        .await;
    }
    publish(&publisher, "ops", 3..13).await;
    let robots = || lines(&home.ok(&["robot", "list", "--json"], ""));
    until("the robot is held", LATER, || async { robots()[0]["cause"] == "robot_gone" }).await;
    let held = "roomcast_robots_held{platform=\"dingtalk\",cause=\"robot_gone\"}";
    until("a metric shows it", LATER, || async { daemon.metric(held).await == Some(1.0) }).await;
    until("the rest waits", LATER, || async {
        daemon.metric("roomcast_deliveries_total{platform=\"dingtalk\",outcome=\"deferred\"}").await
            >= Some(10.0)
    })
    .await;
    emulator.robot("dingtalk", "ding-0001", json!({"state": "ok"})).await;
    until("what waited arrives", LATER, || async {
        let given_up = publisher.depth("dead.dingtalk").await;
        emulator.count("accepted").await + u64::from(given_up) == 13
    })
    .await;
    assert!(
        publisher.depth("dead.dingtalk").await <= 4,
        "at most one probe was given up: attempts were not burnt"
    );
    until("the hold is lifted", LATER, || async { robots()[0]["cause"].is_null() }).await;
    until("the log says so", LATER, || async {
        home.log().contains("a robot is not held any longer")
    })
    .await;
    let log = home.log();
    assert_eq!(log.matches("a robot is held").count(), 1, "one line says what to do: {log}");
}
