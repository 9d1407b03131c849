//! Deliveries from end to end.
//!
//! Owns the promise that one publish reaches every subscribed chat, on each platform.
//!
//! Not here: platforms' own message forms (`message.rs`), quotas (`limits.rs`).

use std::time::Duration;

use serde_json::json;

use crate::support::{broker, daemon::Home, emulator::Emulator, publisher::Publisher, until};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn one_publish_reaches_all_four_platforms() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    emulator.robot("dingtalk", "ding-0001", json!({"secret": "SECding"})).await;
    emulator.robot("dingtalk_internal", "intern-01", json!({})).await;
    emulator.robot("lark", "lark-0001", json!({"secret": "larksecret", "keyword": "告警"})).await;
    emulator.robot("wecom", "wecom-001", json!({})).await;
    let home = Home::new(broker, &emulator.url(), "");
    let secret = home.path("secret");
    std::fs::write(&secret, "SECding\n").unwrap();
    home.subscribe("ops", "dingtalk", "ding-0001", &["--secret-file", secret.to_str().unwrap()]);
    home.subscribe("ops", "dingtalk_internal", "intern-01", &[]);
    std::fs::write(&secret, "larksecret\n").unwrap();
    home.subscribe(
        "ops",
        "lark",
        "lark-0001",
        &["--secret-file", secret.to_str().unwrap(), "--keyword", "告警"],
    );
    let daemon = home.start().await;
    // This command goes through the running daemon.
    home.subscribe("ops", "wecom", "wecom-001", &[]);

    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher
        .publish(
            "ops",
            &json!({"subject": "db-1", "message": "is *down*", "at": {"users": ["ann"]}}),
        )
        .await;
    publisher
        .publish("ops", &json!({"subject": "db-1", "message": "is **up**", "format": "markdown"}))
        .await;

    until("all eight arrive", SOON, || async { emulator.count("accepted").await == 8 }).await;
    let shown = emulator.shown().await;
    for (token, texts) in [
        ("ding-0001", ["db-1\nis *down*\n@ann", "### db-1\n\nis **up**"]),
        ("intern-01", ["db-1\nis *down*\n@ann", "### db-1\n\nis **up**"]),
        ("wecom-001", ["db-1\nis *down*", "### db-1\nis **up**"]),
    ] {
        let mut found = shown[token].clone();
        found.sort_by_key(|text| text.contains("up"));
        assert_eq!(found, texts, "{token}");
    }
    assert!(shown["lark-0001"].iter().all(|text| text.contains("告警")), "{shown:?}");
    assert_eq!(emulator.count("refused").await, 0);
    until("everything is acked", SOON, || async { publisher.depth("publish").await == 0 }).await;
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn an_event_has_the_content_for_each_platform() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    for (platform, token) in
        [("dingtalk", "ding-0001"), ("lark", "lark-0001"), ("wecom", "wecom-001")]
    {
        home.subscribe("ops", platform, token, &[]);
    }
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let event = json!({"message_structure": {
        "default": "for all",
        "lark": {
            "msg_type": "post",
            "content": {"post": {"zh_cn": {
                "title": "t", "content": [[{"tag": "text", "text": "own form"}]]
            }}}
        },
        "wecom": "for wecom"
    }});
    publisher.publish("ops", &event).await;
    until("all three arrive", SOON, || async { emulator.count("accepted").await == 3 }).await;
    let shown = emulator.shown().await;
    assert_eq!(shown["ding-0001"], ["for all"]);
    assert_eq!(shown["wecom-001"], ["for wecom"]);
    assert!(shown["lark-0001"][0].contains("own form"), "{shown:?}");
}

#[tokio::test]
async fn an_event_without_subscriptions_is_acked_and_counted() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("nobody", &json!({"message": "hello?"})).await;
    until("it is counted", SOON, || async {
        daemon.metric("roomcast_events_unheard_total").await == Some(1.0)
    })
    .await;
    assert!(daemon.terminate().success());
    let events = format!("{}.publish", home.prefix);
    until("it was acked", SOON, || async { broker.messages(&events) == 0 }).await;
}

#[tokio::test]
async fn an_event_published_again_by_name_is_delivered_once_and_another_body_is_another_event() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let named = |text: &str| [("same-name".to_owned(), json!({"message": text}))];
    publisher.try_publish_all("ops", &named("first")).await.unwrap();
    until("it arrives", SOON, || async { emulator.count("accepted").await == 1 }).await;
    until("it is acked", SOON, || async {
        daemon.metric("roomcast_deliveries_total{platform=\"wecom\",outcome=\"done\"}").await
            == Some(1.0)
    })
    .await;
    until("the repeat is recognised", SOON, || async {
        publisher.try_publish_all("ops", &named("first")).await.unwrap();
        daemon.metric("roomcast_duplicates_skipped_total").await > Some(0.0)
    })
    .await;
    publisher.try_publish_all("ops", &named("second")).await.unwrap();
    until("the other body arrives", SOON, || async {
        emulator.shown().await["wecom-001"].contains(&"second".to_owned())
    })
    .await;
}

#[tokio::test]
async fn a_repeated_attempt_is_recognised_by_dingtalk_itself() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "[retry]\ndelays = [\"1s\", \"1s\"]\n");
    home.subscribe("ops", "dingtalk", "ding-0001", &[]);
    let _daemon = home.start().await;
    // The message arrives, but the answer is lost.
    emulator.fault(json!({"kind": "cut_after", "times": 1})).await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "once"})).await;
    until("it is tried again", SOON, || async { emulator.count("duplicate").await == 1 }).await;
    assert_eq!(emulator.shown().await["ding-0001"], ["once"]);
}

#[tokio::test]
async fn a_paused_subscription_is_passed_by_and_a_removed_one_is_never_sent_to_again() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let paused = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let removed = home.subscribe("ops", "wecom", "wecom-002", &[]);
    home.subscribe("ops", "wecom", "wecom-003", &[]);
    let _daemon = home.start().await;
    home.ok(&["subscription", "pause", &paused], "");
    home.ok(&["subscription", "remove", &removed], "");
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "one"})).await;
    until("the third hears it", SOON, || async { emulator.count("accepted").await == 1 }).await;
    home.ok(&["subscription", "resume", &paused], "");
    publisher.publish("ops", &json!({"message": "two"})).await;
    until("both hear it", SOON, || async { emulator.count("accepted").await == 3 }).await;
    let shown = emulator.shown().await;
    assert_eq!(shown["wecom-001"], ["two"]);
    assert!(!shown.contains_key("wecom-002"));
    let listed = home.ok(&["subscription", "list"], "");
    assert!(
        !listed.contains(&removed) && listed.contains(&paused) && listed.contains("****"),
        "{listed}"
    );
}

#[tokio::test]
async fn signatures_follow_the_platforms_clock_where_ours_is_wrong() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(
        broker,
        &emulator.url(),
        "[retry]\ndelays = [\"1s\", \"1s\", \"1s\"]\njitter = 0.0\n",
    );
    let secret = home.path("secret");
    std::fs::write(&secret, "SECRETSECRET\n").unwrap();
    for (platform, token) in [("dingtalk", "ding-0001"), ("lark", "lark-0001")] {
        emulator.robot(platform, token, json!({"secret": "SECRETSECRET"})).await;
        home.subscribe("ops", platform, token, &["--secret-file", secret.to_str().unwrap()]);
    }
    emulator.fault(json!({"kind": "skew", "seconds": 9_000})).await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "in their time"})).await;
    until("both arrive", Duration::from_secs(30), || async {
        emulator.count("accepted").await == 2
    })
    .await;
    for platform in ["dingtalk", "lark"] {
        let skew =
            daemon.metric(&format!("roomcast_clock_skew_seconds{{platform=\"{platform}\"}}")).await;
        assert!(skew.is_some_and(|seconds| (8_990.0..9_010.0).contains(&seconds)), "{skew:?}");
    }
    assert!(home.log().contains("this machine's clock differs from the platform's"));
}
