//! Texts that are too long for one message.
//!
//! Owns the promise that they arrive in numbered parts, each counted by the quota.
//!
//! Not here: where a text is cut (`src/platforms/split.rs`).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{broker, daemon::Home, emulator::Emulator, publisher::Publisher, until};

const LATER: Duration = Duration::from_secs(60);
const ROBOTS: [(&str, &str); 3] =
    [("dingtalk", "ding-0001"), ("lark", "lark-0001"), ("wecom", "wecom-001")];
/// Fewer messages than the platform accepts, so that wrong planning costs time instead of a
/// refusal.
const NARROW: &str = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"3/3s\"]\n\
    [pace]\nhold_max = \"1s\"\nmargin = \"100ms\"\n";

fn lines(count: usize) -> String {
    (0..count)
        .map(|number| format!("line {number} of the report\n"))
        .collect::<String>()
        .trim_end()
        .to_owned()
}

/// The text and number of a part. A part begins with `(2/3)`, followed by its subject, if any.
fn numbered(shown: &str) -> (usize, usize, &str) {
    let (number, rest) = shown.strip_prefix('(').unwrap().split_once(')').unwrap();
    let (at, of) = number.split_once('/').unwrap();
    (at.parse().unwrap(), of.parse().unwrap(), rest.split_once('\n').unwrap().1)
}

/// The recorded bytes.
fn ledger(home: &Home) -> u64 {
    let files = std::fs::read_dir(home.path("data").join("ledger")).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

/// The numbers of the parts that one robot was shown.
async fn numbers(emulator: &Emulator) -> Vec<usize> {
    emulator
        .shown()
        .await
        .get("wecom-001")
        .into_iter()
        .flatten()
        .map(|part| numbered(part).0)
        .collect()
}

/// The number of parts.
async fn of(emulator: &Emulator) -> Option<usize> {
    emulator
        .shown()
        .await
        .get("wecom-001")
        .and_then(|parts| parts.first())
        .map(|part| numbered(part).1)
}

#[tokio::test]
async fn a_long_text_arrives_in_parts_in_order_mentions_once_and_nothing_comes_between_them() {
    let (broker, emulator) =
        (broker::shared().await, Emulator::start(&["--window-seconds", "3"]).await);
    let windows = "[platforms.dingtalk]\nbase_url = \"BASE_URL\"\nwindows = [\"20/3s\"]\n\
        [platforms.lark]\nbase_url = \"BASE_URL\"\nwindows = [\"100/3s\", \"5/50ms\"]\n\
        [platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"20/3s\"]\n\
        [pace]\nhold_max = \"1s\"\nmargin = \"200ms\"\norder_gap = \"10s\"\n";
    let home = Home::new(broker, &emulator.url(), windows);
    for (platform, token) in ROBOTS {
        home.subscribe(platform, platform, token, &["--mention-user", "ann"]);
    }
    home.subscribe("cut", "wecom", "wecom-cut", &["--too-long", "cut", "--language", "en"]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    // WeCom takes 2,048 bytes, the others 20,000.
    for (topic, count) in [("wecom", 400), ("dingtalk", 2_000), ("lark", 2_000), ("cut", 400)] {
        publisher.publish(topic, &json!({"subject": "nightly", "message": lines(count)})).await;
        publisher.publish(topic, &json!({"message": "afterwards"})).await;
    }
    until("everything arrives", LATER, || async {
        let shown = emulator.shown().await;
        let last =
            |token: &str| shown.get(token).and_then(|all| all.last()).cloned().unwrap_or_default();
        ["ding-0001", "lark-0001", "wecom-001", "wecom-cut"]
            .iter()
            .all(|token| last(token).contains("afterwards"))
    })
    .await;
    let (shown, received) = (emulator.shown().await, emulator.received().await);
    for (platform, token) in ROBOTS {
        let all = &shown[token];
        let parts = &all[..all.len() - 1];
        assert!(parts.len() > 1, "{platform}: {}", parts.len());
        let mut said = Vec::new();
        for (place, part) in parts.iter().enumerate() {
            let (at, of, text) = numbered(part);
            assert_eq!((at, of), (place + 1, parts.len()), "{platform}");
            said.extend(text.lines().filter(|line| line.starts_with("line ")).map(str::to_owned));
        }
        assert_eq!(
            said.join("\n"),
            lines(if platform == "wecom" { 400 } else { 2_000 }),
            "{platform}"
        );
        let mention = |body: &Value| body.to_string().contains("ann");
        let bodies: Vec<_> =
            received.iter().filter(|one| one["token"] == token).map(|one| &one["body"]).collect();
        let mentions: Vec<_> = bodies.iter().map(|body| mention(body)).collect();
        assert!(
            mentions[0] && mentions[1..parts.len()].iter().all(|mentions| !mentions),
            "{platform}: {mentions:?}"
        );
    }
    assert_eq!(shown["wecom-cut"].len(), 2);
    assert!(shown["wecom-cut"][0].contains("bytes left out)"));
    assert_eq!(emulator.count("refused").await, 0);
    let delivered = "roomcast_deliveries_total{platform=\"wecom\",outcome=\"done\"}";
    until("two messages each of two robots are delivered", LATER, || async {
        daemon.metric(delivered).await == Some(4.0)
    })
    .await;
}

#[tokio::test]
async fn parts_wait_in_the_broker_and_each_arrives_once_and_in_order_across_a_restart() {
    let (broker, emulator) =
        (broker::shared().await, Emulator::start(&["--window-seconds", "3"]).await);
    let home = Home::new(broker, &emulator.url(), NARROW);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": lines(600)})).await;
    until("the first window is used up", LATER, || async { numbers(&emulator).await.len() >= 3 })
        .await;
    assert!(daemon.terminate().success());
    let _daemon = home.start().await;
    until("the last part arrives", LATER, || async {
        of(&emulator).await == numbers(&emulator).await.last().copied()
    })
    .await;
    let (numbers, of) = (numbers(&emulator).await, of(&emulator).await.unwrap());
    assert!(of >= 6);
    assert_eq!(numbers, (1..=of).collect::<Vec<_>>());
    assert_eq!(emulator.count("refused").await, 0);
}

#[tokio::test]
async fn a_part_that_was_recorded_is_not_said_again_after_a_kill() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(
        broker,
        &emulator.url(),
        "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = []\n",
    );
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let (publisher, before) =
        (Publisher::connect(&broker.url(), &home.prefix).await, ledger(&home));
    emulator.fault(json!({"kind": "slow", "milliseconds": 300})).await;
    publisher.publish("ops", &json!({"message": lines(600)})).await;
    until("the second part is in the air, so the first was answered", LATER, || async {
        numbers(&emulator).await.len() >= 2
    })
    .await;
    until("that is recorded", LATER, || async { ledger(&home) > before }).await;
    daemon.kill();
    emulator.no_faults().await;
    let _daemon = home.start().await;
    until("the last part arrives", LATER, || async {
        of(&emulator).await == numbers(&emulator).await.last().copied()
    })
    .await;
    let numbers = numbers(&emulator).await;
    assert_eq!(numbers.iter().filter(|number| **number == 1).count(), 1, "{numbers:?}");
}

#[tokio::test]
async fn a_part_that_is_refused_is_a_dead_letter_that_names_it_and_is_redriven_from_there() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(
        broker,
        &emulator.url(),
        "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = []\n",
    );
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    // Every second message is refused permanently.
    let refusal = json!({"errcode": 40058, "errmsg": "invalid request parameter"});
    emulator.fault(json!({"kind": "answer", "status": 200, "every": 2, "body": refusal})).await;
    publisher.publish("ops", &json!({"message": lines(300)})).await;
    until("the second part is given up", LATER, || async {
        publisher.depth("dead.wecom").await == 1
    })
    .await;
    assert_eq!(numbers(&emulator).await, [1]);
    emulator.no_faults().await;
    home.ok(&["dead", "redrive", "--reason", "refused"], "");
    until("the rest arrives", LATER, || async {
        of(&emulator).await == numbers(&emulator).await.last().copied()
    })
    .await;
    let (numbers, of) = (numbers(&emulator).await, of(&emulator).await.unwrap());
    assert_eq!(numbers, (1..=of).collect::<Vec<_>>());
}
