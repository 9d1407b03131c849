//! `roomcast subscription test`.
//!
//! Owns the promise that a test message takes the way of every message, and that its outcome is a
//! sentence with an exit code of its own.
//!
//! Not here: the sentence of each outcome (`src/admin/test_message.rs`).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    broker,
    console::{TOKEN, http, with_console},
    daemon::Home,
    emulator::Emulator,
    letters::lines,
    publisher::Publisher,
    until,
};

const SOON: Duration = Duration::from_secs(30);

/// One message a minute for robots of WeCom; one refusal holds a robot.
const SETTINGS: &str = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"1/60s\"]\n\
    rate_per_second = 0\n[health]\nafter = 1\n";

#[tokio::test]
async fn a_test_message_reaches_its_chat_alone_and_uses_the_quota() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), SETTINGS);
    let picky = ["--mention-all", "--filter", r#"{"severity": ["critical"]}"#, "--quiet"];
    let picky = [&picky[..], &["mon-sat 00:00-24:00, sun 00:00-23:59"]].concat();
    let id = home.subscribe("ops", "wecom", "wecom-001", &picky);
    home.subscribe("ops", "wecom", "wecom-002", &[]);
    let test = ["subscription", "test", &id];
    let says = home.fails(&test, "", 69);
    assert!(says.contains("no daemon answers"), "{says}");

    let daemon = home.start().await;
    let says = home.ok(&test, "");
    assert!(says.starts_with("wecom accepted the test message within "), "{says}");
    let received = emulator.received().await;
    assert_eq!(received.len(), 1, "one message: {received:?}");
    let message = &received[0];
    assert_eq!(message["token"], "wecom-001");
    assert!(message["text"].as_str().unwrap().contains("测试消息"), "{message}");
    assert_eq!(message["mentions"]["all"], false, "nobody's phone rings: {message}");
    let attempts = "roomcast_attempts_total{platform=\"wecom\",verdict=\"delivered\"}";
    assert_eq!(daemon.metric(attempts).await, Some(1.0));
    let robot = || lines(&home.ok(&["robot", "list", "--json"], ""))[0].clone();
    assert_eq!((&robot()["used"], &robot()["waiting"]), (&json!(1), &json!(0)), "{}", robot());

    let says = home.fails(&test, "", 69);
    assert!(says.contains("no test message was sent: the robot's quota is used up"), "{says}");
    assert!(says.contains("not before 20"), "it says when: {says}");
    let json = home.cli(&[&test[..], &["--json"]].concat(), "");
    let view: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&view["outcome"], &view["wait"]["reason"]),
        (&"not_sent".into(), &"robot_quota".into())
    );
    assert_eq!(robot()["waiting"], 0, "it keeps no place: {}", robot());
    assert_eq!(emulator.received().await.len(), 1);
    // The one attempt is in the journal: the next process knows that the quota is used up.
    daemon.kill();
    let daemon = home.start().await;
    home.fails(&test, "", 69);
    assert!(daemon.terminate().success());
    let log = home.log();
    let audited = log.lines().find(|line| line.contains("a change through the admin API")).unwrap();
    assert!(audited.contains("/v1/subscriptions/{id}/test") && audited.contains(&id), "{audited}");
}

#[tokio::test]
async fn what_keeps_a_test_message_from_its_chat_is_said_with_what_to_do() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), SETTINGS);
    emulator.robot("dingtalk", "ding-0001", json!({"keyword": "告警"})).await;
    let refused = home.subscribe("ops", "dingtalk", "ding-0001", &[]);
    let paused = home.subscribe("ops", "dingtalk", "ding-0002", &[]);
    home.ok(&["subscription", "pause", &paused], "");
    let daemon = home.start().await;
    let test = |id: &str, code| home.fails(&["subscription", "test", id], "", code);
    let says = test(&refused, 1);
    assert!(says.contains("dingtalk did not accept the test message: code 310000"), "{says}");
    assert!(says.contains("compare keyword"), "it says what to do: {says}");
    let says = test(&refused, 69);
    assert!(says.contains("no test message was sent: the robot is on hold"), "{says}");
    assert!(says.contains("robot release"), "{says}");
    home.ok(&["subscription", "update", &refused, "--keyword", "告警"], "");
    let robots = lines(&home.ok(&["robot", "list", "--json"], ""));
    home.ok(&["robot", "release", robots[0]["robot"].as_str().unwrap()], "");
    assert!(home.ok(&["subscription", "test", &refused], "").contains("dingtalk accepted"));
    assert!(emulator.shown().await["ding-0001"][0].contains("告警"), "with its keyword");
    assert!(test(&paused, 64).contains("the subscription is paused"));
    assert!(test(&"0".repeat(32), 1).contains("there is no subscription"));
    assert!(test("nonsense", 64).contains("is not a subscription id"));
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for queue in ["dead.dingtalk", "dead.event"] {
        assert_eq!(publisher.depth(queue).await, 0, "a test leaves no dead letter: {queue}");
    }
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn a_test_message_goes_before_a_backlog_and_delays_no_order() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let settings = SETTINGS.replace("1/60s", "3/5s");
    let (home, address) = with_console(Home::new(broker, &emulator.url(), &settings));
    let id = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for number in 0..9 {
        publisher.publish("ops", &json!({"message": format!("m{number}")})).await;
    }
    until("the quota is used up", SOON, || async { emulator.received().await.len() >= 3 }).await;
    let bearer = format!("Bearer {TOKEN}");
    let path = format!("/v1/subscriptions/{id}/test");
    // The window opens within the time that a new delivery waits in memory, or a little later.
    let tested = async || {
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let answer = http(&address, "POST", &path, &headers, "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str::<Value>(&answer.body).unwrap()["outcome"] == "delivered"
    };
    until("the test is delivered", SOON, || async { tested().await }).await;
    let position = |shown: &[String]| shown.iter().position(|text| text.contains("测试")).unwrap();
    until("all are delivered", SOON, || async { emulator.shown().await["wecom-001"].len() == 10 })
        .await;
    let mut shown = emulator.shown().await.remove("wecom-001").unwrap();
    let at = position(&shown);
    assert!(at < 9, "it overtook the backlog: {shown:?}");
    shown.remove(at);
    let expected: Vec<_> = (0..9).map(|number| format!("m{number}")).collect();
    assert_eq!(shown, expected, "the others keep their order");
    assert!(daemon.terminate().success());
}
