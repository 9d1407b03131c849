//! The end of a session with the broker, and its replacement.
//!
//! Owns the promise that a session ends soon, whatever the platforms do meanwhile, and that the
//! next one begins. A silent broker is noticed.
//!
//! Not here: crashes of the broker (`crash.rs`), its alarms (`blocked.rs`).

use std::time::{Duration, Instant};

use lapin::{BasicProperties, options::QueueDeleteOptions};
use serde_json::{Value, json};

use crate::{
    startup::declare,
    support::{
        broker::{self, Broker},
        daemon::{Daemon, Home, get},
        emulator::Emulator,
        processor::OutsideLoad,
        publisher::Publisher,
        until,
    },
};

const LATER: Duration = Duration::from_secs(60);
const UNLIMITED: &str = "\
    [platforms.lark]\nbase_url = \"BASE_URL\"\nwindows = []\nrate_per_second = 0\n\
    [platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = []\nrate_per_second = 0\n\
    [retry]\njitter = 0.0\n";

/// Deliveries without a concurrency permit wait in memory, for longer than any test.
const PATIENT: &str = "[pace]\nhold_max = \"60s\"\n";

async fn is_ready(daemon: &Daemon<'_>) -> bool {
    get(&daemon.home.path("admin.sock"), "/readyz").await.starts_with("ready")
}

async fn sessions(daemon: &Daemon<'_>) -> Option<f64> {
    daemon.metric("roomcast_broker_sessions_total").await
}

/// The daemon's topology, reduced to one queue and its bindings.
fn only(definitions: &Value, queue: &str) -> Value {
    let those = |what: &str, key: &str| -> Vec<Value> {
        definitions[what]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one[key] == queue)
            .cloned()
            .collect()
    };
    json!({
        "exchanges": [], "queues": those("queues", "name"),
        "bindings": those("bindings", "destination")
    })
}

#[tokio::test]
async fn a_queue_that_is_deleted_and_made_again_is_consumed_again_whichever_it_is() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), UNLIMITED);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let definitions: Value = serde_json::from_str(&home.ok(&["topology"], "")).unwrap();
    for (letters, queue) in
        (1..).zip(["publish", "publish.urgent", "delivery.wecom", "delivery.lark"])
    {
        let name = format!("{}.{queue}", home.prefix);
        let cause = format!("cancelled the consumer of queue {name}");
        publisher
            .channel()
            .queue_delete(name.as_str().into(), QueueDeleteOptions::default())
            .await
            .unwrap();
        // RabbitMQ 3.10 tells its consumers at its next look at the queue. If the queue is there
        // again before, it tells them nothing and gives them nothing.
        until(&cause, LATER, || async { home.log().contains(&cause) }).await;
        declare(&broker.url(), &only(&definitions, &name)).await;
        // A message that cannot be read is a dead letter once it is consumed.
        publisher.publish_to("", &name, b"?", BasicProperties::default()).await.unwrap();
        until(&format!("a later session consumes {queue}"), LATER, || async {
            publisher.depth("dead.event").await == letters
        })
        .await;
    }
    publisher.publish("ops", &json!({"message": "heard"})).await;
    until("an event arrives", LATER, || async { emulator.count("accepted").await == 1 }).await;
    for queue in ["publish", "publish.urgent", "delivery.dingtalk", "delivery.lark"] {
        let line = format!("roomcast_queue_consumers{{queue=\"{queue}\"}}");
        until("the consumers are counted", LATER, || async {
            daemon.metric(&line).await == Some(1.0)
        })
        .await;
    }
    assert_eq!(
        daemon.metric("roomcast_queue_consumers{queue=\"dead.wecom\"}").await,
        None,
        "nobody has to consume it"
    );
}

/// Publishes events for two robots of a platform that never answers, and waits until the daemon has
/// taken all of them.
async fn with_a_hanging_platform(home: &Home, emulator: &Emulator, publisher: &Publisher) {
    const COUNT: usize = 500;
    emulator.fault(json!({"kind": "hang", "platform": "wecom"})).await;
    let events: Vec<_> = (0..COUNT)
        .map(|n| (format!("slow-{n}"), json!({"message": format!("slow {n}")})))
        .collect();
    publisher.try_publish_all("slow", &events).await.unwrap();
    until("all are in hand", LATER, || async {
        publisher.ready_and_consumers("publish").await == (0, 1)
    })
    .await;
    until("many are in the air", LATER, || async { emulator.received().await.len() >= 64 }).await;
    assert!(!home.log().contains("WARN"), "{}", home.log());
}

#[tokio::test]
async fn a_session_that_ends_while_a_platform_hangs_is_noticed_at_once_and_replaced_soon() {
    // As long as this the requests in flight hold up the next session, so the test sees the outage.
    const DEADLINE: Duration = Duration::from_secs(12);
    let (broker, emulator) = (Broker::start().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(
        &broker,
        &emulator.url(),
        &format!("{UNLIMITED}{PATIENT}[send]\nconnect_timeout = \"5s\"\ndeadline = \"12s\"\n"),
    );
    for token in ["wecom-001", "wecom-002"] {
        home.subscribe("slow", "wecom", token, &[]);
    }
    home.subscribe("fine", "lark", "lark-0001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    with_a_hanging_platform(&home, &emulator, &publisher).await;
    let load = OutsideLoad::begin();
    broker.ctl(&["close_all_connections", "a test"]);
    let began = Instant::now();
    until("it is not ready", DEADLINE, || async { !is_ready(&daemon).await }).await;
    let noticed = began.elapsed();
    assert!(noticed < Duration::from_secs(1) + load.delay(), "after {noticed:?}");
    until("the outage has begun", DEADLINE, || async {
        daemon.metric("roomcast_broker_up").await == Some(0.0)
    })
    .await;
    // The line follows the metric.
    until("the log says so once", LATER, || async {
        home.log().matches("WARN no session with the broker").count() == 1
    })
    .await;
    // The daemon has to learn whether the requests in flight arrived. All other messages return by
    // themselves.
    until("there is a session again", LATER, || async {
        sessions(&daemon).await == Some(2.0) && is_ready(&daemon).await
    })
    .await;
    let replaced = began.elapsed();
    println!("the next session came after {replaced:?}");
    let most = DEADLINE + Duration::from_secs(5) + load.delay();
    assert!(replaced < most, "after {replaced:?}");
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    emulator.no_faults().await;
    publisher.publish("fine", &json!({"message": "fine"})).await;
    until("nothing is lost", LATER, || async {
        let shown = emulator.shown().await;
        ["wecom-001", "wecom-002"]
            .iter()
            .all(|token| shown.get(*token).is_some_and(|texts| texts.len() == 500))
            && shown.contains_key("lark-0001")
    })
    .await;
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn a_daemon_that_is_stopped_ends_in_time_though_a_platform_hangs() {
    const DRAIN: Duration = Duration::from_secs(7);
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let more =
        format!("{UNLIMITED}{PATIENT}[send]\ndeadline = \"60s\"\n[shutdown]\ndrain = \"7s\"\n");
    let home = Home::new(broker, &emulator.url(), &more);
    for token in ["wecom-001", "wecom-002"] {
        home.subscribe("slow", "wecom", token, &[]);
    }
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    with_a_hanging_platform(&home, &emulator, &publisher).await;
    let (began, load) = (Instant::now(), OutsideLoad::begin());
    assert!(daemon.terminate().success());
    let took = began.elapsed();
    println!("it ended after {took:?}");
    assert!(took < DRAIN + Duration::from_secs(5) + load.delay(), "{took:?}");
    emulator.no_faults().await;
    let daemon = home.start().await;
    until("nothing is lost", LATER, || async {
        let shown = emulator.shown().await;
        ["wecom-001", "wecom-002"]
            .iter()
            .all(|token| shown.get(*token).is_some_and(|texts| texts.len() == 500))
    })
    .await;
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn a_daemon_is_not_ready_within_a_heartbeat_of_a_broker_that_falls_silent() {
    const HEARTBEAT: Duration = Duration::from_secs(10);
    let (broker, emulator) = (Broker::start().await, Emulator::start(&[]).await);
    let home = Home::new(&broker, &emulator.url(), "")
        .with("[broker]\n", "[broker]\nheartbeat = \"10s\"\n");
    let daemon = home.start().await;
    let (began, load) = (Instant::now(), OutsideLoad::begin());
    broker.fall_silent(true);
    until("it is not ready", LATER, || async { !is_ready(&daemon).await }).await;
    // A moment more than the heartbeat, because the check itself takes a moment.
    let (noticed, most) = (began.elapsed(), HEARTBEAT + Duration::from_secs(1) + load.delay());
    assert!(noticed < most, "after {noticed:?}");
    broker.fall_silent(false);
    until("it is ready again", LATER, || async { is_ready(&daemon).await }).await;
    assert!(daemon.terminate().success());
}

/// Lets a queue take no more than one message, as an operator's policy may.
fn limit(broker: &Broker, queue: &str) {
    let definition = r#"{"max-length": 1, "overflow": "reject-publish"}"#;
    broker.ctl(&["set_policy", "--apply-to", "queues", "limit", &format!("^{queue}$"), definition]);
}

#[tokio::test]
async fn a_dead_queue_that_takes_no_more_holds_up_its_own_letters_alone_and_loses_none() {
    let (broker, emulator) = (Broker::start().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(&broker, &emulator.url(), UNLIMITED);
    home.subscribe("bad", "wecom", "wecom-001", &[]);
    home.subscribe("fine", "lark", "lark-0001", &[]);
    let refusal = json!({"errcode": 40058, "errmsg": "missing field"});
    emulator
        .fault(json!({"platform": "wecom", "kind": "answer", "status": 200, "body": refusal}))
        .await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    limit(&broker, &format!("{}.dead.wecom", home.prefix));
    const LETTERS: usize = 20;
    let events: Vec<_> = (0..LETTERS)
        .map(|n| (format!("bad-{n}"), json!({"message": format!("bad {n}")})))
        .collect();
    // The queue tells its publishers that it is full once it is, so what comes in one burst it
    // still takes. It is full after two letters.
    let refused = async || daemon.metric("roomcast_steps_refused_total").await > Some(0.0);
    for (n, event) in events.iter().take(2).enumerate() {
        publisher.try_publish_all("bad", std::slice::from_ref(event)).await.unwrap();
        until("the letter is there or refused", LATER, || async {
            broker.held(&home.prefix)["dead.wecom"] > n || refused().await
        })
        .await;
    }
    publisher.try_publish_all("bad", &events[2..]).await.unwrap();
    until("the queue refuses", LATER, || async { refused().await }).await;
    publisher.publish("fine", &json!({"message": "fine"})).await;
    until("another delivery arrives", LATER, || async {
        emulator.shows("lark-0001", "fine").await
    })
    .await;
    assert_eq!(sessions(&daemon).await, Some(1.0), "the session goes on:\n{}", home.log());
    let names_the_queue = format!("exchange {}.dead, routing key wecom.", home.prefix);
    assert!(home.log().contains(&names_the_queue), "{}", home.log());

    let began = Instant::now();
    assert!(daemon.terminate().success());
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "it does not wait for the queue: {:?}",
        began.elapsed()
    );
    let _daemon = home.start().await;
    broker.ctl(&["clear_policy", "limit"]);
    until("each letter is there", LATER, || async {
        broker.held(&home.prefix)["dead.wecom"] == LETTERS
    })
    .await;
    until("nothing is left", LATER, || async {
        let held = broker.held(&home.prefix);
        held.iter()
            .all(|(queue, count)| *count == 0 || queue == "dead.wecom" || queue == "dead.lock")
    })
    .await;
}

#[tokio::test]
async fn a_consumer_that_is_lost_without_a_word_is_missed_once_messages_wait() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), UNLIMITED);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    broker.lose_consumers(&format!("{}.publish", home.prefix));
    assert_eq!(publisher.ready_and_consumers("publish").await, (0, 0));
    publisher.publish("ops", &json!({"message": "heard"})).await;
    // The queues are looked at every 15 s, and two looks have to agree.
    until("the event arrives", LATER, || async { emulator.count("accepted").await == 1 }).await;
    assert_eq!(sessions(&daemon).await, Some(2.0));
    let cause = "messages wait in queue publish, which has no consumer any more";
    assert_eq!(home.log().matches(cause).count(), 1, "{}", home.log());
}
