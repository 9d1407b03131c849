//! Quotas.
//!
//! Owns the promise that no robot is refused for speed: messages beyond the quota wait in the
//! broker, and delay no other robot.
//!
//! Not here: order and throughput under crashes (`pacing.rs`).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    broker, daemon::Home, emulator::Emulator, processor::OutsideLoad, publisher::Publisher, until,
};

const LATER: Duration = Duration::from_secs(60);

/// Sixty seconds of the platforms are three here.
const SHORT: [&str; 2] = ["--window-seconds", "3"];
const SHORT_WINDOWS: &str = "[platforms.dingtalk]\nbase_url = \"BASE_URL\"\nwindows = [\"20/3s\"]\n\
    [platforms.lark]\nbase_url = \"BASE_URL\"\nwindows = [\"100/3s\", \"5/50ms\"]\n\
    [platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"20/3s\"]\n\
    [pace]\nhold_max = \"1s\"\nmargin = \"200ms\"\n";

#[tokio::test]
async fn a_robot_gets_its_whole_quota_at_once_and_the_rest_later_without_a_refusal() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&SHORT).await);
    let home = Home::new(broker, &emulator.url(), SHORT_WINDOWS);
    home.subscribe("busy", "dingtalk", "ding-busy", &[]);
    home.subscribe("quiet", "dingtalk", "ding-quiet", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let events: Vec<_> = (0..70)
        .map(|number| (format!("id-{number}"), json!({"message": format!("m{number}")})))
        .collect();
    let load = OutsideLoad::begin();
    publisher.try_publish_all("busy", &events).await.unwrap();
    publisher.publish("quiet", &json!({"message": "not held up"})).await;
    until("all seventy arrive", LATER, || async { emulator.count("accepted").await == 71 }).await;
    assert_eq!(emulator.count("refused").await, 0);
    let deferred = daemon
        .metric("roomcast_deliveries_total{platform=\"dingtalk\",outcome=\"deferred\"}")
        .await;
    // A machine that stands still for a window sends another twenty at once.
    let least = 40.0 - 30.0 * load.share();
    assert!(deferred >= Some(least), "they waited in the broker: {deferred:?}");
    until("all are answered", LATER, || async {
        daemon.metric("roomcast_attempts_total{platform=\"dingtalk\",verdict=\"delivered\"}").await
            == Some(71.0)
    })
    .await;
    let (quiet, arrivals): (Vec<_>, Vec<_>) =
        emulator.received().await.into_iter().partition(|one| one["token"] == "ding-quiet");
    let at = |place: usize| arrivals[place]["at_ms"].as_u64().unwrap();
    let quiet = quiet[0]["at_ms"].as_u64().unwrap();
    let delay = u64::try_from(load.delay().as_millis()).unwrap();
    assert!(at(19) - at(0) < 1_500 + delay, "the whole quota leaves at once");
    assert!(quiet < at(19) + 3_000 + delay, "the quiet robot is not held up");
    assert!(at(69) - at(0) >= 9000, "the fourth window begins three windows later");
}

#[tokio::test]
async fn two_topics_with_one_webhook_share_one_quota() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&SHORT).await);
    let home = Home::new(broker, &emulator.url(), SHORT_WINDOWS);
    home.subscribe("one", "wecom", "wecom-shared", &[]);
    home.subscribe("two", "wecom", "wecom-shared", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for number in 0..15 {
        publisher.publish("one", &json!({"message": format!("one {number}")})).await;
        publisher.publish("two", &json!({"message": format!("two {number}")})).await;
    }
    until("all thirty arrive", LATER, || async { emulator.count("accepted").await == 30 }).await;
    assert_eq!(emulator.count("refused").await, 0);
}

#[tokio::test]
async fn a_quota_is_used_at_once_and_a_restart_does_not_forget_sent_messages() {
    let (broker, emulator) =
        (broker::shared().await, Emulator::start(&["--window-seconds", "10"]).await);
    let windows = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"20/10s\"]\n\
        [pace]\nhold_max = \"1s\"\nmargin = \"200ms\"\n";
    let home = Home::new(broker, &emulator.url(), windows);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let publisher;
    {
        let daemon = home.start().await;
        publisher = Publisher::connect(&broker.url(), &home.prefix).await;
        let event = |number| json!({"message": format!("before {number}")});
        let events: Vec<_> =
            (0..18).map(|number| (format!("id-{number}"), event(number))).collect();
        let load = OutsideLoad::begin();
        publisher.try_publish_all("ops", &events).await.unwrap();
        until("eighteen arrive", LATER, || async { emulator.count("accepted").await == 18 }).await;
        let queue = format!("{}.publish", home.prefix);
        until("they are recorded and acked", LATER, || async { broker.messages(&queue) == 0 })
            .await;
        daemon.kill();
        let received = emulator.received().await;
        let at = |place: usize| received[place]["at_ms"].as_u64().unwrap();
        let most = 1_500 + u64::try_from(load.delay().as_millis()).unwrap();
        assert!(at(17) - at(0) < most, "the quota is used at once");
    }
    let _daemon = home.start().await;
    for number in 0..10 {
        publisher.publish("ops", &json!({"message": format!("after {number}")})).await;
    }
    until("everything arrives", LATER, || async {
        emulator.shown().await["wecom-001"].iter().filter(|text| text.starts_with("after")).count()
            == 10
    })
    .await;
    assert_eq!(emulator.count("refused").await, 0);
}

#[tokio::test]
async fn a_refusal_for_speed_holds_the_robot_costs_no_attempt_and_ends_in_delivery() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&SHORT).await);
    // Another sender uses the same robot, so the platform permits less than roomcast expects.
    emulator.robot("lark", "lark-0001", json!({"quota": 3})).await;
    let penalty = "[platforms.lark]\nbase_url = \"BASE_URL\"\nwindows = [\"100/3s\"]\n\
        penalty_min = \"1s\"\npenalty_max = \"3s\"\n[retry]\ndelays = []\n";
    let home = Home::new(broker, &emulator.url(), penalty);
    home.subscribe("ops", "lark", "lark-0001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let event = |number| json!({"message": format!("m{number}")});
    let events: Vec<_> = (0..8).map(|number| (format!("id-{number}"), event(number))).collect();
    publisher.try_publish_all("ops", &events).await.unwrap();
    until("all eight arrive", LATER, || async { emulator.count("accepted").await == 8 }).await;
    assert!(emulator.count("throttled").await > 0, "the platform did refuse");
    assert!(
        daemon.metric("roomcast_robot_holds_total{platform=\"lark\",cause=\"throttled\"}").await
            > Some(0.0)
    );
    // Retries are disabled, so a throttled attempt that counted would have become a dead letter.
    assert_eq!(publisher.depth("dead.lark").await, 0);
    assert_eq!(home.cli(&["dead", "list"], "").status.code(), Some(0));
}

#[tokio::test]
async fn a_delivery_that_cannot_leave_within_its_time_to_live_is_a_dead_letter_at_once() {
    let (broker, emulator) =
        (broker::shared().await, Emulator::start(&["--window-seconds", "60"]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let events: Vec<_> = (0..22)
        .map(|number| {
            (format!("id-{number}"), json!({"message": format!("m{number}"), "time_to_live": 20}))
        })
        .collect();
    publisher.try_publish_all("ops", &events).await.unwrap();
    until("two are given up", LATER, || async { publisher.depth("dead.wecom").await == 2 }).await;
    until("the others arrive", LATER, || async { emulator.count("accepted").await == 20 }).await;
    let letters = home.ok(&["dead", "list", "--json"], "");
    for line in letters.lines() {
        let letter: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (letter["reason"].as_str(), letter["attempts"].as_u64()),
            (Some("expired"), Some(0))
        );
    }
}

#[tokio::test]
async fn an_operator_sees_the_learned_penalty_and_can_end_it() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    emulator.robot("wecom", "wecom-001", json!({"quota": 1})).await;
    let penalty = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"20/3s\"]\n\
        penalty_min = \"5m\"\npenalty_max = \"10m\"\n";
    let home = Home::new(broker, &emulator.url(), penalty);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for number in 0..2 {
        publisher.publish("ops", &json!({"message": format!("m{number}")})).await;
    }
    let robot =
        || serde_json::from_str::<Value>(&home.ok(&["robot", "list", "--json"], "")).unwrap();
    until("the robot is held", LATER, || async { robot()["cause"] == "throttled" }).await;
    assert_eq!(robot()["penalty_seconds"], 300);
    assert!(
        robot()["held_for_seconds"].as_u64().is_some_and(|left| (200..=300).contains(&left)),
        "{}",
        robot()
    );
    publisher.publish("ops", &json!({"message": "waits"})).await;
    emulator.robot("wecom", "wecom-001", json!({"quota": 0})).await;
    let id = robot()["robot"].as_str().unwrap().to_owned();
    until("two wait in the broker", LATER, || async { robot()["waiting"] == 2 }).await;
    let released = home.ok(&["robot", "release", &id], "");
    let said = "released; about 2 deliveries that wait in the broker come back within ";
    let within =
        released.strip_prefix(said).and_then(|rest| rest.strip_suffix(" s")?.parse::<u64>().ok());
    assert!(within.is_some_and(|within| (200..=303).contains(&within)), "{released}");
    assert_eq!(
        home.cli(&["robot", "release", &id], "").status.code(),
        Some(1),
        "it is not held any longer"
    );
    publisher.publish("ops", &json!({"message": "at once"})).await;
    let (began, load) = (Instant::now(), OutsideLoad::begin());
    until("what comes then leaves at once", LATER, || async {
        emulator.shown().await["wecom-001"].iter().any(|text| text.contains("at once"))
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(10) + load.delay(), "it is not held");
    assert!(robot()["cause"].is_null());
}
