//! Robots whose attempts fail: seen at once, held, probed, and well again by themselves.
//!
//! Owns what operators see of a failing robot and of a failing platform.
//!
//! Not here: the waits and the order over hours (`tests/sim/outages.rs`).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    broker,
    browser::Browser,
    console::{sign_in, with_console},
    daemon::{Daemon, Home},
    emulator::Emulator,
    publisher::Publisher,
    until,
};

const SOON: Duration = Duration::from_secs(60);
/// Quick retries, and probes every second or two.
const QUICK: &str = r#"
[retry]
delays = ["100ms", "100ms", "1s", "2s", "2s", "2s", "2s", "2s", "2s", "2s", "2s", "2s", "2s", "2s"]
[send]
connect_timeout = "500ms"
deadline = "1s"
[breaker]
probe_min = "1s"
probe_max = "2s"
"#;

/// The robots that are busy or held.
fn robots(home: &Home) -> Vec<Value> {
    let listed = home.ok(&["robot", "list", "--json"], "");
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one robot of a platform.
fn robot_of(home: &Home, platform: &str) -> Value {
    let found = robots(home).into_iter().find(|one| one["platform"] == platform);
    found.unwrap_or_default()
}

async fn held(daemon: &Daemon<'_>, platform: &str) -> Option<f64> {
    let line = format!("roomcast_robots_held{{platform=\"{platform}\",cause=\"failing\"}}");
    daemon.metric(&line).await
}

#[tokio::test]
async fn a_robot_that_errs_hangs_or_cuts_is_seen_within_a_few_attempts_and_recovers_by_itself() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), QUICK);
    let cases = [
        ("wecom", "wecom-001", json!({"kind": "status", "status": 500}), "http_500"),
        ("lark", "lark-0001", json!({"kind": "hang"}), "timeout"),
        ("dingtalk", "ding-0001", json!({"kind": "cut"}), "broken"),
    ];
    for (platform, token, fault, _) in &cases {
        home.subscribe("ops", platform, token, &["--name", &format!("chat of {platform}")]);
        let mut fault = fault.clone();
        fault["token"] = json!(token);
        emulator.fault(fault).await;
    }
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "m0"})).await;
    for (platform, ..) in &cases {
        until("the robot fails", SOON, || async {
            robot_of(&home, platform)["cause"] == "failing"
        })
        .await;
    }
    // What comes now waits, and spends no attempt beyond the probes.
    for number in 1..=5 {
        publisher.publish("ops", &json!({"message": format!("m{number}")})).await;
    }
    for (platform, _, _, code) in &cases {
        until("deliveries wait, and the end is unknown", SOON, || async {
            let robot = robot_of(&home, platform);
            robot["waiting"].as_u64() >= Some(1) && robot["drained_in_seconds"].is_null()
        })
        .await;
        let robot = robot_of(&home, platform);
        let health = &robot["health"];
        assert_eq!(health["last_failure"]["code"], *code, "{robot}");
        assert_eq!(health["last_failure"]["verdict"], "try_again", "{robot}");
        assert!(health["failures_in_a_row"].as_u64() >= Some(3), "{robot}");
        assert!(health["failing_since"].is_string() && robot["held_since"].is_string(), "{robot}");
        assert_eq!(health["success_share_last_hour"], 0.0, "{robot}");
        until("the metric says so", SOON, || async { held(&daemon, platform).await == Some(1.0) })
            .await;
    }
    let table = home.ok(&["robot", "list"], "");
    for word in ["SINCE", "NEXT TRY IN", "LAST FAILURE", "http_500", "unknown"] {
        assert!(table.contains(word), "{word}: {table}");
    }
    emulator.no_faults().await;
    for (platform, token, ..) in &cases {
        until("everything arrives", SOON, || async {
            let shown = emulator.shown().await.remove(*token).unwrap_or_default();
            (0..=5).all(|number| shown.iter().any(|text| text.contains(&format!("m{number}"))))
        })
        .await;
        until("the robot is well", SOON, || async {
            robot_of(&home, platform)["cause"].is_null()
                && held(&daemon, platform).await == Some(0.0)
        })
        .await;
        for line in ["a robot is held: its attempts fail", "a robot answers again"] {
            let lines: Vec<_> = home.log().lines().map(str::to_owned).collect();
            let said: Vec<_> = lines
                .iter()
                .filter(|one| one.contains(line) && one.contains(&format!("chat of {platform}")))
                .collect();
            assert_eq!(said.len(), 1, "{platform}, {line}: {said:?}");
            assert!(said[0].contains("ops"), "{said:?}");
        }
    }
    assert_eq!(publisher.depth("dead.wecom").await, 0);
}

#[tokio::test]
async fn a_platform_whose_robots_all_fail_is_one_hold_and_one_line_over_a_restart_too() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), QUICK);
    let tokens: Vec<_> = (0..30).map(|number| format!("wecom-{number:03}")).collect();
    for token in &tokens {
        home.subscribe("ops", "wecom", token, &[]);
    }
    emulator.fault(json!({"kind": "status", "status": 502})).await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "m0"})).await;
    let outage = "roomcast_platform_outage{platform=\"wecom\"}";
    until("the platform is held", SOON, || async { daemon.metric(outage).await == Some(1.0) })
        .await;
    publisher.publish("ops", &json!({"message": "m1"})).await;
    daemon.kill();
    let daemon = home.start().await;
    until("the outage is known", SOON, || async { daemon.metric(outage).await == Some(1.0) }).await;
    let lines = |part: &str| home.log().lines().filter(|line| line.contains(part)).count();
    assert_eq!(lines("most robots of a platform fail"), 1);
    assert_eq!(lines("a robot is held"), 0);
    emulator.no_faults().await;
    until("everything arrives", SOON, || async {
        let shown = emulator.shown().await;
        tokens.iter().all(|token| {
            let texts = shown.get(token).map(Vec::as_slice).unwrap_or_default();
            ["m0", "m1"].iter().all(|part| texts.iter().any(|text| text.contains(part)))
        })
    })
    .await;
    until("the outage is over", SOON, || async { daemon.metric(outage).await == Some(0.0) }).await;
    assert_eq!(lines("a platform answers again"), 1);
}

#[tokio::test]
async fn the_headline_of_the_console_names_failing_robots_and_a_platform_that_fails() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let (home, address) = with_console(Home::new(broker, &emulator.url(), QUICK));
    home.subscribe("one", "lark", "lark-0001", &["--name", "on call"]);
    for number in 0..6 {
        home.subscribe("ops", "wecom", &format!("wecom-00{number}"), &[]);
    }
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let browser = Browser::start().await;
    sign_in(&browser, &format!("{address}/console")).await;
    browser.says(".headline", "All is well").await;
    emulator.fault(json!({"kind": "status", "status": 503})).await;
    publisher.publish("one", &json!({"message": "m"})).await;
    browser.says(".headline", "1 robot fails").await;
    browser.says(".detail", "Its attempts get no usable answer.").await;
    browser.pictures("overview-failing").await;
    publisher.publish("ops", &json!({"message": "m"})).await;
    browser.says(".headline", "A platform fails: WeCom").await;
    browser.says(".detail", "1 robot elsewhere fails too.").await;
    browser.pictures("overview-outage").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    emulator.no_faults().await;
    // The messages above may be given up already, so others probe.
    for topic in ["one", "ops"] {
        publisher.publish(topic, &json!({"message": "m"})).await;
    }
    browser.says(".headline", "All is well").await;
}

#[tokio::test]
async fn a_robot_that_wants_a_signature_which_its_subscription_lacks_says_that_a_secret_is_missing()
{
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    for (platform, token) in [("dingtalk", "ding-0001"), ("lark", "lark-0001")] {
        emulator.robot(platform, token, json!({"secret": "SECwanted"})).await;
        home.subscribe(platform, platform, token, &[]);
    }
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for platform in ["dingtalk", "lark"] {
        publisher.publish(platform, &json!({"message": "m"})).await;
        until("it is given up", SOON, || async {
            publisher.depth(&format!("dead.{platform}")).await == 1
        })
        .await;
        let letter = home.ok(&["dead", "list", "--platform", platform, "--json"], "");
        let letter: Value = serde_json::from_str(&letter).unwrap();
        assert_eq!(
            (letter["reason"].as_str(), letter["code"].as_str(), letter["attempts"].as_u64()),
            (Some("security"), Some("no_secret"), Some(1))
        );
        assert!(letter["advice"].as_str().unwrap().contains("--secret-file"), "{letter}");
    }
}
