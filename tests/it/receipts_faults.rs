//! Receipts while the broker dies, and while a bound queue does not answer.
//!
//! Owns the promise that receipts survive the first, and that the second delays no delivery.
//!
//! Not here: the content of receipts (`receipts.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};

use crate::support::{
    broker::{self, Broker},
    daemon::{Daemon, Home},
    emulator::Emulator,
    publisher::Publisher,
    receipts::{Receipts, bind_a_queue},
    until,
};

const LATER: Duration = Duration::from_secs(120);
const ROBOTS: [(&str, &str); 3] =
    [("dingtalk", "ding-0001"), ("lark", "lark-0001"), ("wecom", "wecom-001")];
const UNLIMITED: &str = "\
    [platforms.dingtalk]\nbase_url = \"BASE_URL\"\nwindows = []\nrate_per_second = 0\n\
    [platforms.lark]\nbase_url = \"BASE_URL\"\nwindows = []\nrate_per_second = 0\n\
    [platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = []\nrate_per_second = 0\n\
    [outcome]\nreceipts = \"all\"\n\
    [retry]\ndelays = [\"1s\", \"1s\", \"1s\", \"1s\"]\njitter = 0.0\n";

/// How often each event was shown in each chat, by platform and text.
async fn shown(emulator: &Emulator) -> BTreeMap<(&'static str, String), usize> {
    let mut shown = BTreeMap::new();
    let all = emulator.shown().await;
    for (platform, token) in ROBOTS {
        for text in all.get(token).into_iter().flatten() {
            *shown.entry((platform, text.clone())).or_default() += 1;
        }
    }
    shown
}

/// The number of repeats.
fn repeats<K>(counted: &BTreeMap<K, usize>) -> usize {
    counted.values().map(|count| count - 1).sum()
}

#[tokio::test]
async fn every_delivery_has_its_receipt_though_the_broker_is_killed_twice_and_the_daemon_once() {
    const COUNT: usize = 800;
    // The requests in flight, and as many again that were answered since the last group commit:
    // the groups of a loaded machine are large.
    const IN_HAND: usize = ROBOTS.len() * 2 * 192;
    const CONFIRMS: usize = 512;
    let (mut broker, emulator) = (Broker::start().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(&broker, &emulator.url(), UNLIMITED);
    for (platform, token) in ROBOTS {
        home.subscribe("ops", platform, token, &[]);
    }
    emulator.fault(json!({"kind": "status", "status": 500, "every": 40})).await;
    emulator.fault(json!({"kind": "slow", "milliseconds": 20})).await;
    let mut daemon = home.start().await;
    let mut queues = Vec::new();
    for kind in ["quorum", "classic"] {
        let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
        queues.push(bind_a_queue(publisher.channel(), &home.prefix, kind).await);
    }
    let events = (0..COUNT)
        .map(|number| (format!("id-{number}"), json!({"message": format!("m{number}")})))
        .collect();
    let publishing = Publisher::insist(broker.url(), home.prefix.clone(), "ops", events);
    for part in [1, 2] {
        let enough = part * COUNT as u64 * 3 / 5;
        until("some more arrive", LATER, || async { emulator.count("accepted").await >= enough })
            .await;
        broker.kill();
        broker.resume().await;
        daemon.ready().await;
    }
    let said_by_brokers = repeats(&shown(&emulator).await);
    until("some more arrive", LATER, || async {
        emulator.count("accepted").await >= COUNT as u64 * 12 / 5
    })
    .await;
    daemon.kill();
    daemon = home.start().await;
    publishing.await.unwrap();
    until("every delivery is made", LATER, || async { shown(&emulator).await.len() == 3 * COUNT })
        .await;
    until("everything is settled", LATER, || async { broker.is_settled(&home.prefix) }).await;
    assert!(daemon.terminate().success());
    assert!(broker.is_settled(&home.prefix), "and what was in hand was acked");

    let said = repeats(&shown(&emulator).await)
        + usize::try_from(emulator.count("duplicate").await).unwrap();
    assert_eq!(said_by_brokers, 0, "the daemon lived: it knew what was said");
    assert!(
        said <= IN_HAND,
        "at most what was in hand when the daemon was killed is said again: {said}"
    );
    for queue in &queues {
        let receipts = Receipts::kept(&broker.url(), queue).await;
        let told = || {
            let text = |one: &Value| one.as_str().unwrap().to_owned();
            let mut told = BTreeMap::<_, usize>::new();
            for one in receipts.all() {
                assert!(one.is_persistent() && one.body["outcome"] == "delivered", "{}", one.body);
                *told
                    .entry((text(&one.body["platform"]), text(&one.body["event"])))
                    .or_default() += 1;
            }
            told
        };
        until("every delivery has a receipt", LATER, || async { told().len() == 3 * COUNT }).await;
        until("the queue is empty", LATER, || async { broker.messages(queue) == 0 }).await;
        let told = told();
        println!(
            "{queue}: {} receipts more than deliveries; {said} deliveries repeated",
            repeats(&told)
        );
        // A crash repeats receipts on the way to the broker, and those confirmed but not recorded.
        assert!(
            told.values().all(|count| *count <= 1 + 3),
            "each crash tells a delivery once more at the most"
        );
        assert!(repeats(&told) <= 3 * CONFIRMS, "{}", repeats(&told));
    }
}

/// Publishes an event with this `message_id`, with or without a receipt.
async fn publish(publisher: &Publisher, topic: &str, id: &str, receipt: bool) {
    let mut headers = FieldTable::default();
    headers.insert("x-roomcast-receipt".into(), AMQPValue::Boolean(receipt));
    let properties = BasicProperties::default().with_message_id(id.into()).with_headers(headers);
    publisher.publish_bytes(topic, json!({"message": id}).to_string().as_bytes(), properties).await;
}

async fn counted(daemon: &Daemon<'_>, name: &str) -> f64 {
    daemon.metric(name).await.unwrap_or_default()
}

async fn settled(daemon: &Daemon<'_>, platform: &str, outcome: &str) -> f64 {
    counted(
        daemon,
        &format!("roomcast_deliveries_total{{platform=\"{platform}\",outcome=\"{outcome}\"}}"),
    )
    .await
}

#[tokio::test]
async fn a_queue_for_receipts_that_stands_still_delays_acks_and_keeps_nothing_else_waiting() {
    // More than the broker permits on the way to a queue that does not answer.
    const MANY: usize = 1000;
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), UNLIMITED)
        .with("[broker]\n", "[broker]\nconfirm_timeout = \"10s\"\n");
    home.subscribe("told", "wecom", "wecom-001", &[]);
    home.subscribe("untold", "lark", "lark-0001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let queue = bind_a_queue(publisher.channel(), &home.prefix, "quorum").await;
    publish(&publisher, "told", "before", true).await;
    until("its receipt is stored", LATER, || async {
        counted(&daemon, "roomcast_receipts_total").await == 1.0
    })
    .await;

    broker.stand_still(&queue, true);
    publish(&publisher, "told", "m", true).await;
    until("it is shown", LATER, || async { emulator.count("accepted").await == 2 }).await;
    assert_eq!(settled(&daemon, "wecom", "done").await, 1.0, "it waits for its receipt");
    let refused = async || counted(&daemon, "roomcast_receipts_refused_total").await;
    until("its receipt is given up", LATER, || async { refused().await == 1.0 }).await;
    until("it is settled", LATER, || async { settled(&daemon, "wecom", "done").await == 2.0 })
        .await;

    let events: Vec<_> =
        (0..MANY).map(|number| (format!("id-{number}"), json!({"message": "m"}))).collect();
    publisher.try_publish_all("told", &events).await.unwrap();
    // The next steps of other deliveries are still stored: each of these fails once, repeatedly.
    emulator
        .fault(json!({"kind": "status", "status": 500, "every": 2, "token": "lark-0001"}))
        .await;
    let mut untold = 0;
    while refused().await <= MANY as f64 {
        untold += 1;
        publish(&publisher, "untold", &format!("untold-{untold}"), false).await;
        until("it is delivered and settled", LATER, || async {
            settled(&daemon, "lark", "done").await == f64::from(untold)
        })
        .await;
    }
    assert!(settled(&daemon, "lark", "retried").await >= 1.0, "{untold} were published beside");
    assert_eq!(refused().await, MANY as f64 + 1.0);
    until("all are settled", LATER, || async {
        settled(&daemon, "wecom", "done").await == MANY as f64 + 2.0
    })
    .await;
    assert_eq!(emulator.shown().await["wecom-001"].len(), MANY + 2, "nothing is repeated");
    assert_eq!(
        counted(&daemon, "roomcast_broker_sessions_total").await,
        1.0,
        "the session went on:\n{}",
        home.log()
    );
    assert_eq!(home.log().matches("WARN a queue that somebody has bound").count(), 1, "said once");

    broker.stand_still(&queue, false);
    let receipts = Receipts::kept(&broker.url(), &queue).await;
    publish(&publisher, "told", "after", true).await;
    until("receipts come again", LATER, || async { receipts.of("after").len() == 1 }).await;
    until("and are counted", LATER, || async {
        counted(&daemon, "roomcast_receipts_total").await == 2.0
    })
    .await;
    assert_eq!(refused().await, MANY as f64 + 1.0);
    let told: BTreeSet<_> =
        receipts.all().iter().map(|one| one.body["event"].to_string()).collect();
    println!("{} of {MANY} receipts that were given up have come all the same", told.len() - 2);
    assert!(daemon.terminate().success());
    let events = format!("{}.publish", home.prefix);
    until("everything was acked", LATER, || async { broker.messages(&events) == 0 }).await;
}

#[tokio::test]
async fn a_lost_connection_for_receipts_ends_no_session_and_every_receipt_comes() {
    let (broker, emulator) = (Broker::start().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(&broker, &emulator.url(), UNLIMITED);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let receipts = Receipts::bound(&broker.url(), &home.prefix, "#").await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for round in 1..=3 {
        broker.close_connection("roomcast receipts").await;
        let name = format!("event-{round}");
        publisher
            .try_publish_all("ops", &[(name.clone(), json!({"message": name}))])
            .await
            .unwrap();
        until("its receipt comes", LATER, || async { !receipts.of(&name).is_empty() }).await;
    }
    assert_eq!(daemon.metric("roomcast_broker_sessions_total").await, Some(1.0), "{}", home.log());
    assert_eq!(daemon.metric("roomcast_receipts_refused_total").await, Some(0.0));
    assert!(daemon.terminate().success());
}
