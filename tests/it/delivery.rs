//! One publish reaches every chat that subscribed.

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
    home.subscribe("ops", "lark", "lark-0001", &["--secret-file", secret.to_str().unwrap(), "--keyword", "告警"]);
    let daemon = home.start().await;
    // Through the running daemon as well.
    home.subscribe("ops", "wecom", "wecom-001", &[]);

    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"subject": "db-1", "message": "is *down*", "at": {"users": ["ann"]}})).await;
    publisher.publish("ops", &json!({"subject": "db-1", "message": "is **up**", "format": "markdown"})).await;

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
