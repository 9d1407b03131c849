//! The broker's alarms for memory and disk.
//!
//! Owns the promise that the daemon waits during an alarm and stores its next steps after it,
//! without losing one.
//!
//! Not here: a broker that dies (`crash.rs`).

use std::{collections::BTreeMap, fs, process::Child, sync::Mutex, time::Duration};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{
    broker::Broker,
    daemon::{Daemon, Home},
    emulator::Emulator,
    processor::OutsideLoad,
    publisher::Publisher,
    receipts::Receipts,
    until,
};

const LATER: Duration = Duration::from_secs(60);
/// The timeouts of a confirm and of a silent broker: shorter than the alarm, and longer than a
/// loaded machine needs for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Robots have no quota, and failed attempts are repeated every second.
const IMPATIENT: &str = "\
    [platforms.dingtalk]\nbase_url = \"BASE_URL\"\nwindows = []\nrate_per_second = 0\n\
    [platforms.lark]\nbase_url = \"BASE_URL\"\nwindows = []\nrate_per_second = 0\n\
    [platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = []\nrate_per_second = 0\n\
    [outcome]\nreceipts = \"asked\"\n[shutdown]\ndrain = \"1s\"\n\
    [retry]\ndelays = [RETRIES]\njitter = 0.0\n";

fn home(broker: &Broker, emulator: &Emulator) -> Home {
    let retries = vec!["\"1s\""; 60].join(",");
    Home::new(broker, &emulator.url(), &IMPATIENT.replace("RETRIES", &retries))
        .with("[broker]\n", "[broker]\nconfirm_timeout = \"10s\"\nheartbeat = \"10s\"\n")
}

fn events(topic: &str, count: usize) -> Vec<(String, serde_json::Value)> {
    (0..count)
        .map(|number| {
            (format!("{topic}-{number}"), json!({"message": format!("{topic}-{number}")}))
        })
        .collect()
}

async fn settled(daemon: &Daemon<'_>, platform: &str, outcome: &str) -> f64 {
    let line =
        format!("roomcast_deliveries_total{{platform=\"{platform}\",outcome=\"{outcome}\"}}");
    daemon.metric(&line).await.unwrap_or_default()
}

async fn is_blocked(daemon: &Daemon<'_>) -> bool {
    daemon.metric("roomcast_broker_blocked").await == Some(1.0)
}

/// The output of a command that ends by itself, because it cannot complete.
async fn gives_up(mut command: Child) -> String {
    let ended = Mutex::new(&mut command);
    until("the command gives up", LATER, || async {
        ended.lock().unwrap().try_wait().unwrap().is_some()
    })
    .await;
    let output = command.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{said}");
    said
}

/// The processor time of a process so far.
fn cpu(daemon: &Daemon<'_>) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid().as_raw_nonzero())).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // In user mode and in the kernel, in hundredths of a second.
    let ticks = |place: usize| fields[place].parse::<u64>().unwrap();
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// The number of deliveries whose next step counts as stored.
async fn stored(daemon: &Daemon<'_>) -> f64 {
    settled(daemon, "dingtalk", "dead").await + settled(daemon, "lark", "retried").await
}

#[tokio::test]
async fn while_the_broker_is_short_of_memory_deliveries_go_on_and_what_has_to_be_stored_waits() {
    const COUNT: usize = 200;
    let (broker, emulator) = (Broker::start().await, Emulator::start(&["--no-quota"]).await);
    let home = home(&broker, &emulator);
    for (topic, platform, token) in [
        ("fine", "wecom", "wecom-001"),
        ("told", "wecom", "wecom-002"),
        ("fails", "lark", "lark-0001"),
        ("refused", "dingtalk", "ding-0001"),
    ] {
        home.subscribe(topic, platform, token, &[]);
    }
    emulator.fault(json!({"kind": "status", "status": 500, "token": "lark-0001"})).await;
    let refusal = json!({"errcode": 400105, "errmsg": "unsupported"});
    emulator
        .fault(json!({"kind": "answer", "status": 200, "body": refusal, "token": "ding-0001"}))
        .await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.try_publish_all("refused", &events("letter", 1)).await.unwrap();
    until("there is a letter", LATER, || async { publisher.depth("dead.dingtalk").await == 1 })
        .await;
    assert!(daemon.terminate().success());
    for topic in ["refused", "fails", "fine"] {
        publisher.try_publish_all(topic, &events(topic, COUNT)).await.unwrap();
    }
    let receipts = Receipts::bound(&broker.url(), &home.prefix, "#").await;
    let mut headers = FieldTable::default();
    headers.insert("x-roomcast-receipt".into(), AMQPValue::Boolean(true));
    let asking = BasicProperties::default().with_message_id("told".into()).with_headers(headers);
    publisher.publish_bytes("told", br#"{"message": "told"}"#, asking).await;

    broker.ctl(&["set_vm_memory_high_watermark", "0.00001"]);
    let daemon = home.start().await;
    until("the daemon says so", LATER, || async { is_blocked(&daemon).await }).await;
    let blocked_at = Instant::now();
    until("what needs nothing stored is delivered", LATER, || async {
        settled(&daemon, "wecom", "done").await == COUNT as f64
    })
    .await;
    let queue = format!("{}.publish", home.prefix);
    until("that is acked", LATER, || async { broker.messages(&queue) == 2 * COUNT + 1 }).await;
    let publishing = home.begin(&["publish", "--topic", "fine", "--message-id", "late", "late"]);
    let redriving = home.begin(&["dead", "redrive", "--event", "letter-0"]);
    let said = gives_up(publishing).await;
    assert!(said.contains("blocks publishers") && said.contains("--message-id late"), "{said}");
    let said = gives_up(redriving).await;
    assert!(said.contains("blocks publishers"), "{said}");
    // Listing and discarding store nothing.
    assert!(home.ok(&["dead", "list"], "").contains("letter-0"));
    home.ok(&["dead", "discard", "--event", "letter-0", "--yes"], "");
    let letters = format!("{}.dead.dingtalk", home.prefix);
    until("the letter is gone", LATER, || async { broker.messages(&letters) == 0 }).await;
    let (began, used) = (Instant::now(), cpu(&daemon));
    until("the alarm lasts", LATER, || async {
        blocked_at.elapsed() > TIMEOUT + Duration::from_secs(2)
            && began.elapsed() > Duration::from_secs(4)
    })
    .await;
    let used = cpu(&daemon) - used;
    assert!(used < Duration::from_secs(1), "it waits instead of asking again and again: {used:?}");
    assert!(is_blocked(&daemon).await);
    assert_eq!(stored(&daemon).await, 0.0, "nothing counts as stored that is not");
    assert_eq!(settled(&daemon, "wecom", "done").await, COUNT as f64, "one waits for its receipt");

    broker.ctl(&["set_vm_memory_high_watermark", "0.6"]);
    until("the daemon says so", LATER, || async { !is_blocked(&daemon).await }).await;
    until("retries are stored", LATER, || async {
        settled(&daemon, "lark", "retried").await >= COUNT as f64
    })
    .await;
    // The broker may have accepted the copy of the letter after all.
    until("dead letters are stored", LATER, || async {
        settled(&daemon, "dingtalk", "dead").await >= COUNT as f64
    })
    .await;
    until("the receipt comes", LATER, || async { receipts.of("told").len() == 1 }).await;
    assert_eq!(daemon.metric("roomcast_receipts_refused_total").await, Some(0.0));
    emulator.no_faults().await;
    until("what failed is delivered", LATER, || async {
        settled(&daemon, "lark", "done").await == COUNT as f64
    })
    .await;
    home.ok(&["publish", "--topic", "fine", "--message-id", "late", "late"], "");
    until("what was published twice arrives", LATER, || async {
        emulator.shown().await["wecom-001"].contains(&"late".to_owned())
    })
    .await;
    let log = home.log();
    assert_eq!(
        daemon.metric("roomcast_broker_sessions_total").await,
        Some(1.0),
        "the session went on:\n{log}"
    );
    assert_eq!(log.matches("the broker blocks publishers").count(), 1, "said once");
    assert_eq!(log.matches("the broker takes messages again").count(), 1, "said once");
    assert!(daemon.terminate().success());
    let shown = emulator.shown().await;
    let times = ["wecom-001", "wecom-002", "lark-0001"].map(|token| shown[token].len());
    assert_eq!(times, [COUNT + 1, 1, COUNT], "nothing is said twice");
    until("everything was acked", LATER, || async { broker.messages(&queue) == 0 }).await;
}

#[tokio::test]
async fn an_alarm_under_load_ends_no_session_and_a_daemon_that_ends_in_it_loses_nothing() {
    const COUNT: usize = 100;
    let (broker, emulator) = (Broker::start().await, Emulator::start(&["--no-quota"]).await);
    let home = home(&broker, &emulator);
    home.subscribe("fails", "lark", "lark-0001", &[]);
    emulator.fault(json!({"kind": "status", "status": 500})).await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.try_publish_all("fails", &events("fails", COUNT)).await.unwrap();
    broker.ctl(&["set_disk_free_limit", "1000000GB"]);
    until("the daemon says so", LATER, || async { is_blocked(&daemon).await }).await;
    broker.ctl(&["set_disk_free_limit", "50MB"]);
    until("it goes on", LATER, || async { !is_blocked(&daemon).await }).await;
    let before = stored(&daemon).await;
    until("steps are stored again", LATER, || async { stored(&daemon).await > before }).await;
    assert_eq!(daemon.metric("roomcast_broker_sessions_total").await, Some(1.0), "{}", home.log());

    broker.ctl(&["set_disk_free_limit", "1000000GB"]);
    until("the daemon says so", LATER, || async { is_blocked(&daemon).await }).await;
    let (began, load) = (Instant::now(), OutsideLoad::begin());
    assert!(daemon.terminate().success());
    let ending = began.elapsed();
    // It does not wait for the end of the alarm.
    let most = Duration::from_secs(8) + load.delay();
    assert!(ending < most, "shutdown.drain is 1 s: {ending:?}");
    let daemon = home.start().await;
    until("the next one says so too", LATER, || async { is_blocked(&daemon).await }).await;
    emulator.no_faults().await;
    broker.ctl(&["set_disk_free_limit", "50MB"]);
    let shown = async || {
        let mut shown = BTreeMap::<_, usize>::new();
        for text in emulator.shown().await.remove("lark-0001").unwrap_or_default() {
            *shown.entry(text).or_default() += 1;
        }
        shown
    };
    until("all are delivered", LATER, || async { shown().await.len() == COUNT }).await;
    let all =
        ["publish", "delivery.lark", "delay.1s"].map(|queue| format!("{}.{queue}", home.prefix));
    until("and acked", LATER, || async { all.iter().all(|queue| broker.messages(queue) == 0) })
        .await;
    assert!(daemon.terminate().success());
    // A retry on its way to the broker when the daemon ended may be accepted after the alarm, in
    // addition to the event that returned.
    assert!(shown().await.values().all(|times| *times <= 2), "{:?}", shown().await);
    assert_eq!(publisher.depth("dead.lark").await, 0, "nothing is given up");
}
