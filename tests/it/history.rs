//! The history: what became of an event, after it ended.
//!
//! Owns the promise that an operator can look back, that a crash costs the last second at most, and
//! that no delivery depends on the history.
//!
//! Not here: lookups, bounds and cuts of the files (`store/history_tests.rs`).

use std::time::{Duration, Instant};

use lapin::BasicProperties;
use serde_json::{Value, json};

use crate::support::{
    broker,
    browser::{Browser, key},
    console::{TOKEN, http, sign_in, with_console},
    daemon::Home,
    emulator::Emulator,
    publisher::Publisher,
    until,
};

const SOON: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(90);
const RETRIES: &str = "[retry]\ndelays = [\"4s\", \"4s\"]\njitter = 0.0\n";

async fn publish(publisher: &Publisher, topic: &str, id: &str) {
    let properties = BasicProperties::default().with_message_id(id.into());
    publisher.publish_bytes(topic, br#"{"message": "TEXTMARKER"}"#, properties).await;
}

/// The life of an event; `null` if the history has nothing of it.
fn event(home: &Home, id: &str) -> Value {
    let output = home.cli(&["event", "show", id, "--json"], "");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn history(home: &Home, filter: &[&str]) -> Vec<Value> {
    let found = home.ok(&[&["history", "--json"], filter].concat(), "");
    found.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The outcomes of one subscription in the life of an event, in their order.
fn outcomes(event: &Value, subscription: &str) -> Vec<String> {
    let entries = event["entries"].as_array().into_iter().flatten();
    let of = entries.filter(|entry| entry["delivery"]["subscription"] == subscription);
    of.map(|entry| entry["outcome"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_operator_sees_the_whole_life_of_an_event_over_all_its_subscriptions() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), RETRIES);
    let taken = home.subscribe("ops.db", "wecom", "wecom-001", &["--name", "night shift"]);
    let retried = home.subscribe("ops.db", "dingtalk", "ding-0001", &[]);
    let refused = home.subscribe("ops.db", "lark", "lark-0001", &[]);
    let clock = |hours: i64| {
        let at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
        at.strftime("%H:%M").to_string()
    };
    let hours = format!("{}-{}", clock(-1), clock(2));
    let quiet = ["--quiet", &hours, "--quiet-zone", "UTC"];
    let quiet = home.subscribe("ops.db", "wecom", "wecom-002", &quiet);
    let removed = home.subscribe("ops.db", "wecom", "wecom-003", &[]);
    let other = r#"{"team": [{"exists": true}]}"#;
    home.subscribe("ops.db", "wecom", "wecom-004", &["--filter", other]);
    let refusal = json!({"code": 9499, "msg": "Bad Request"});
    let fault = json!({"token": "lark-0001", "kind": "answer", "status": 200, "body": refusal});
    emulator.fault(fault).await;
    let failing = json!({"token": "ding-0001", "kind": "status", "status": 503, "times": 1});
    emulator.fault(failing).await;
    emulator.fault(json!({"token": "wecom-003", "kind": "status", "status": 503})).await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publish(&publisher, "ops.db", "event-7").await;
    publish(&publisher, "nobody", "event-8").await;
    until("an attempt failed", LONG, || async {
        outcomes(&event(&home, "event-7"), &removed) == ["retried"]
    })
    .await;
    home.ok(&["subscription", "remove", &removed, "--yes"], "");
    until("the event is settled as far as it can be", LONG, || async {
        let event = event(&home, "event-7");
        outcomes(&event, &retried) == ["retried", "delivered"]
            && outcomes(&event, &refused) == ["dead"]
            && outcomes(&event, &taken) == ["delivered"]
            && outcomes(&event, &quiet) == ["deferred"]
            && outcomes(&event, &removed) == ["retried", "dropped"]
    })
    .await;

    emulator.no_faults().await;
    home.ok(&["dead", "redrive", "--all"], "");
    until("the letter is delivered", LONG, || async {
        outcomes(&event(&home, "event-7"), &refused) == ["dead", "redriven", "delivered"]
    })
    .await;
    let life = event(&home, "event-7");
    let entries = life["entries"].as_array().unwrap();
    let of = |subscription: &str, place: usize| {
        let mut found =
            entries.iter().filter(|entry| entry["delivery"]["subscription"] == subscription);
        found.nth(place).unwrap()
    };
    let received = entries.iter().find(|entry| entry["outcome"] == "received").unwrap();
    assert_eq!((&received["subscriptions"], &received["deliveries"]), (&json!(6), &json!(5)));
    assert_eq!(received["topic"], "ops.db");
    let first = of(&retried, 0);
    assert_eq!(first["attempt"]["verdict"], "try_again", "{first}");
    assert_eq!(
        (&first["attempt"]["code"], &first["wait"]["reason"]),
        (&json!("http_503"), &json!("retry"))
    );
    assert_eq!(of(&quiet, 0)["wait"]["reason"], "quiet_hours");
    assert!(of(&quiet, 0)["attempt"].is_null(), "none was made");
    let dead = of(&refused, 0);
    assert_eq!(
        (&dead["dead"]["reason"], &dead["dead"]["code"]),
        (&json!("refused"), &json!("9499"))
    );
    assert_eq!(dead["attempt"]["verdict"], "refused");
    assert_eq!(of(&refused, 2)["delivery"]["generation"], 1, "it was redriven");
    assert_eq!(of(&taken, 0)["delivery"]["name"], "night shift");
    let times: Vec<_> = entries.iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    assert!(times.iter().all(|at| at.parse::<jiff::Timestamp>().is_ok()));
    let whole = life["deliveries"].as_array().unwrap();
    let summary = whole.iter().find(|one| one["subscription"] == retried).unwrap();
    assert_eq!((&summary["outcome"], &summary["attempts_made"]), (&json!("delivered"), &json!(2)));
    assert_eq!(whole.len(), 5, "one for each subscription that the event is for");

    let shown = home.ok(&["event", "show", "event-7"], "");
    for said in ["night shift", "quiet hours", "redriven: delivered in", "waits until", "9499"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let everything = format!("{life}{shown}{:?}", history(&home, &[]));
    for secret in ["TEXTMARKER", "wecom-001", "ding-0001", "https://"] {
        assert!(!everything.contains(secret), "{secret}: {everything}");
    }

    let robot = of(&taken, 0)["delivery"]["robot"].as_str().unwrap();
    for (filter, found) in [
        (&["--subscription", &refused, "--outcome", "delivered"][..], &["delivered"][..]),
        (&["--subscription", &refused, "--outcome", "redriven"], &["redriven"]),
        (&["--subscription", &refused, "--outcome", "dead"], &["dead"]),
        (&["--robot", robot, "--since", "1h"], &["delivered"]),
        (&["--robot", robot, "--since", "2020-01-01T00:00:00Z"], &["delivered"]),
        (&["--topic", "nobody"], &["unheard"]),
        (&["--topic", "nobody", "--event", "event-7"], &[]),
        (&["--since", "2100-01-01T00:00:00Z"], &[]),
    ] {
        let entries = history(&home, filter);
        let told: Vec<_> = entries.iter().map(|entry| entry["outcome"].as_str().unwrap()).collect();
        assert_eq!(told, found, "{filter:?}");
    }
    let newest = history(&home, &["--limit", "1"]);
    let table = home.cli(&["history", "--limit", "1"], "");
    let note = String::from_utf8(table.stderr).unwrap();
    let cursor = note.split_whitespace().skip_while(|word| *word != "--after").nth(1).unwrap();
    let next = history(&home, &["--limit", "1", "--after", cursor]);
    assert_eq!((newest.len(), next.len()), (1, 1));
    assert_ne!(newest, next);
    assert!(home.fails(&["event", "show", "event-9"], "", 1).contains("has no event \"event-9\""));
    let wrong = home.fails(&["history", "--outcome", "lost"], "", 64);
    assert!(wrong.contains("unknown outcome \"lost\""), "{wrong}");

    // What a subscription got is known after its removal, under its id.
    home.ok(&["subscription", "remove", &taken, "--yes"], "");
    let kept = history(&home, &["--subscription", &taken]);
    assert_eq!((kept.len(), &kept[0]["delivery"]["name"]), (1, &Value::Null));
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn what_an_operator_does_with_dead_letters_is_in_the_history() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let (home, address) = with_console(Home::new(broker, &emulator.url(), ""));
    let id = home.subscribe("ops", "lark", "lark-0001", &[]);
    let refusal = json!({"code": 9499, "msg": "Bad Request"});
    emulator.fault(json!({"kind": "answer", "status": 200, "body": refusal})).await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for name in ["event-1", "event-2"] {
        publish(&publisher, "ops", name).await;
        until("it is dead", SOON, || async { outcomes(&event(&home, name), &id) == ["dead"] })
            .await;
    }
    let listed = home.ok(&["dead", "list", "--event", "event-1", "--json"], "");
    let letter: Value = serde_json::from_str(&listed).unwrap();
    home.ok(&["dead", "discard", "--event", "event-1", "--yes"], "");
    until("the history says so", SOON, || async {
        outcomes(&event(&home, "event-1"), &id) == ["dead", "discarded"]
    })
    .await;
    let entry = &history(&home, &["--outcome", "discarded"])[0];
    assert_eq!(
        (&entry["dead"]["reason"], &entry["dead"]["code"]),
        (&json!("refused"), &json!("9499"))
    );
    assert_eq!(entry["letter"], letter["id"], "{entry}");
    // The command line does it itself, so the audit log learns of it from the note.
    assert!(home.log().contains("0 redriven, 1 discarded"), "{}", home.log());
    // The same through the API.
    let body = json!({"which": {"event": "event-2"}}).to_string();
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    let answer = http(&address, "POST", "/v1/dead/discard", &headers, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    until("the history says so", SOON, || async {
        outcomes(&event(&home, "event-2"), &id) == ["dead", "discarded"]
    })
    .await;
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn the_hold_of_a_failing_robot_and_its_end_are_in_the_history() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let delays = ["\"100ms\""; 14].join(", ");
    let quick = &format!(
        "[retry]\ndelays = [{delays}]\n[breaker]\nprobe_min = \"2s\"\nprobe_max = \"2s\"\n"
    );
    let home = Home::new(broker, &emulator.url(), quick);
    let id = home.subscribe("ops", "wecom", "wecom-001", &[]);
    emulator.fault(json!({"kind": "status", "status": 503})).await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publish(&publisher, "ops", "event-1").await;
    let held = || history(&home, &["--outcome", "held"]);
    until("the robot is held", LONG, || async { !held().is_empty() }).await;
    let entry = &held()[0];
    assert_eq!(entry["hold"]["cause"], "failing", "{entry}");
    assert_eq!(entry["hold"]["code"], "http_503", "{entry}");
    assert_eq!(entry["event"], "event-1");
    assert!(entry["hold"]["until"].as_str().is_some_and(|at| at.contains('T')), "{entry}");
    let says = entry["says"].as_str().unwrap();
    assert!(
        says.starts_with("its robot held until") && says.contains("failing (http_503"),
        "{says}"
    );
    until("a retry waits for the hold", LONG, || async {
        let waits = history(&home, &["--subscription", &id, "--outcome", "retried"]);
        waits.iter().any(|one| one["wait"]["reason"] == "hold_failing")
    })
    .await;
    emulator.no_faults().await;
    let robot = entry["hold"]["robot"].as_str().unwrap().to_owned();
    until("the robot is released", LONG, || async {
        !history(&home, &["--robot", &robot, "--outcome", "released"]).is_empty()
    })
    .await;
    let shown = home.ok(&["event", "show", "event-1"], "");
    assert!(shown.contains("its robot released: a message got through"), "{shown}");
    assert!(daemon.terminate().success());
}

/// Whether any file below this folder contains the text.
fn is_on_disk(dir: &std::path::Path, text: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return is_on_disk(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text)
    })
}

#[tokio::test]
async fn texts_are_kept_sealed_if_asked_for_and_no_text_opens_after_they_were_switched_off() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "[history]\ntext = true\n");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let text = |home: &Home| {
        let life = event(home, "event-1");
        let entries = life["entries"].as_array().cloned().unwrap_or_default();
        entries.iter().find_map(|entry| entry["text"].as_str().map(str::to_owned))
    };
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publish(&publisher, "ops", "event-1").await;
    until("the text is in the history", SOON, || async {
        text(&home).as_deref() == Some("TEXTMARKER")
    })
    .await;
    assert!(home.ok(&["event", "show", "event-1"], "").contains("TEXTMARKER"));
    assert!(daemon.terminate().success());
    assert!(!is_on_disk(&home.path("data"), b"TEXTMARKER"));
    assert!(is_on_disk(&home.path("data"), b"event-1"), "the search finds what is there");
    assert!(home.path("data/history.key").exists());
    let daemon = home.start().await;
    assert_eq!(text(&home).as_deref(), Some("TEXTMARKER"), "the next start opens it");
    assert!(daemon.terminate().success());

    let home = home.with("text = true", "text = false");
    let daemon = home.start().await;
    assert!(!event(&home, "event-1").is_null());
    assert_eq!(text(&home), None);
    assert!(!home.path("data/history.key").exists());
    assert!(daemon.terminate().success());
    let home = home.with("text = false", "text = true");
    let daemon = home.start().await;
    assert_eq!(text(&home), None, "the key is gone for good");
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn a_killed_daemon_loses_the_last_second_of_its_history_at_most() {
    const COUNT: usize = 800;
    const LATENCY: i64 = 20;
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let unlimited = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = []\n\
        rate_per_second = 0\n[pace]\nin_flight_max = 4\n";
    let home = Home::new(broker, &emulator.url(), unlimited);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    emulator.fault(json!({"kind": "slow", "milliseconds": LATENCY})).await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for number in 0..COUNT {
        publish(&publisher, "ops", &format!("event-{number}")).await;
    }
    until("half of them is delivered", LONG, || async {
        emulator.count("accepted").await >= COUNT as u64 / 2
    })
    .await;
    daemon.kill();
    let killed = jiff::Timestamp::now().as_millisecond();
    let accepted = emulator.received().await;
    // Nothing may be delivered anew, so that what the history has is of the killed daemon.
    emulator.no_faults().await;
    emulator.fault(json!({"kind": "status", "status": 503})).await;
    let daemon = home.start().await;
    let kept = history(&home, &["--outcome", "delivered", "--limit", "10000"]);
    // A robot's messages leave in order, so their number says which of them are missing.
    let arrived = accepted.iter().map(|request| request["at_ms"].as_i64().unwrap());
    let old = arrived.filter(|at| killed - at > 1000 + LATENCY).count();
    assert!(old > 0, "it ran for more than a second");
    assert!((old..=accepted.len()).contains(&kept.len()), "{} of {old}", kept.len());
    let before = kept.len();
    emulator.no_faults().await;
    publish(&publisher, "ops", "the last").await;
    until("the history goes on", LONG, || async { !event(&home, "the last").is_null() }).await;
    assert!(history(&home, &["--limit", "10000"]).len() > before);
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn an_orderly_stop_loses_no_record() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let id = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publish(&publisher, "ops", "event-1").await;
    until("it is delivered", SOON, || async { emulator.count("accepted").await == 1 }).await;
    assert!(daemon.terminate().success());
    let daemon = home.start().await;
    assert_eq!(outcomes(&event(&home, "event-1"), &id), ["delivered"]);
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn a_history_ends_after_its_retention_and_one_that_is_off_leaves_no_files() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "[history]\nretention = \"3s\"\n");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let began = Instant::now();
    publish(&publisher, "ops", "event-1").await;
    until("it is in the history", SOON, || async { !event(&home, "event-1").is_null() }).await;
    until("it is too old", SOON, || async { event(&home, "event-1").is_null() }).await;
    assert!(began.elapsed() >= Duration::from_secs(3));
    assert_eq!(std::fs::read_dir(home.path("data/history")).unwrap().count(), 0);
    assert!(daemon.terminate().success());

    let home = home.with("retention = \"3s\"", "retention = \"0s\"");
    let daemon = home.start().await;
    publish(&publisher, "ops", "event-2").await;
    until("it is delivered", SOON, || async { emulator.count("accepted").await == 2 }).await;
    let off = home.fails(&["history"], "", 1);
    assert!(off.contains("there is no history: history.retention"), "{off}");
    home.fails(&["event", "show", "event-2"], "", 1);
    assert!(!home.path("data/history").exists());
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn a_history_that_cannot_be_used_costs_no_delivery() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    // A file where the folder must be.
    std::fs::write(home.path("data/history"), "").unwrap();
    let daemon = home.start().await;
    assert!(home.log().contains("the history cannot be used until the next start"));
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publish(&publisher, "ops", "event-1").await;
    until("it is delivered", SOON, || async { emulator.count("accepted").await == 1 }).await;
    home.fails(&["history"], "", 1);
    assert!(daemon.terminate().success());

    std::fs::remove_file(home.path("data/history")).unwrap();
    let daemon = home.start().await;
    publish(&publisher, "ops", "event-2").await;
    until("it is in the history", SOON, || async { !event(&home, "event-2").is_null() }).await;
    assert_eq!(daemon.metric("roomcast_history_lost_total").await, Some(0.0));
    assert!(daemon.metric("roomcast_history_records_total").await > Some(0.0));
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn the_console_finds_the_history_of_an_event_and_leads_there_from_a_subscription() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let (home, address) = with_console(Home::new(broker, &emulator.url(), ""));
    let id = home.subscribe("ops.db", "wecom", "wecom-001", &["--name", "night shift"]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publish(&publisher, "ops.db", "event-7").await;
    publish(&publisher, "nobody", "event-8").await;
    until("both are in the history", SOON, || async {
        outcomes(&event(&home, "event-7"), &id) == ["delivered"]
            && !event(&home, "event-8").is_null()
    })
    .await;
    let browser = Browser::start().await;
    sign_in(&browser, &format!("{address}/console/history")).await;
    browser.counts(".history tbody tr", 3).await;
    browser.says(".count", "3 entries, the newest first.").await;
    browser.find("#filter-event").await.send_keys("event-7").await.unwrap();
    browser.press(key::ENTER).await;
    browser.counts(".history tbody tr", 2).await;
    browser.says(".history tbody", "Delivered in").await;
    browser.says(".history tbody", "Received; 1 delivery of 1 subscription began").await;
    let mark = "const mark = getComputedStyle(document.querySelector('.platform'), '::before'); \
        return mark.backgroundColor";
    let mark = browser.evaluate(mark).await;
    assert_ne!(mark, "rgba(0, 0, 0, 0)", "the mark of a platform has a colour");
    browser.pictures("history").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    assert_eq!(browser.nameless().await, Vec::<String>::new());
    browser.open(&format!("{address}/console/subscriptions")).await;
    browser.click(".subscriptions", "history").await;
    browser.counts(".history tbody tr", 1).await;
    browser.says(".history tbody", "night shift").await;
    browser.open(&format!("{address}/console/history?outcome=unheard")).await;
    browser.says(".history tbody", "Received; its topic has no subscription").await;
    browser.open(&format!("{address}/console/history?robot=wrong")).await;
    browser.says(".notice.bad", "Robot: \"wrong\" is not a robot id").await;
    assert!(daemon.terminate().success());
}
