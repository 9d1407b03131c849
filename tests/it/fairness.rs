//! Fairness between deliveries.
//!
//! Owns the promise that a hanging platform, or a topic with many robots, delays no other delivery.
//!
//! Not here: the same over simulated hours (`tests/sim/fairness.rs`).

use std::{
    collections::BTreeMap,
    fmt::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lapin::BasicProperties;
use serde_json::json;

use crate::support::{
    broker, daemon::Home, emulator::Emulator, processor::OutsideLoad, publisher::Publisher, until,
};

const LATER: Duration = Duration::from_secs(90);

fn now() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

/// Subscribes many robots at once: for each pair of topic and platform this many.
fn subscribe(home: &Home, all: &[(&str, &str, usize)]) {
    let mut csv = "topic,platform,endpoint\n".to_owned();
    for (topic, platform, count) in all {
        for number in 0..*count {
            let token = format!("{topic}-{platform}-{number:05}").replace('_', "-");
            let url = match *platform {
                "wecom" => format!("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={token}"),
                "lark" => format!("https://open.feishu.cn/open-apis/bot/v2/hook/{token}"),
                _ => format!("https://oapi.dingtalk.com/robot/send?access_token={token}"),
            };
            writeln!(csv, "{topic},{platform},{url}").unwrap();
        }
    }
    home.ok(&["subscription", "import", "--format", "csv"], &csv);
}

/// Single events next to the large ones: the publication time of each event, by its text.
#[derive(Default)]
struct Beside(BTreeMap<String, u64>);

impl Beside {
    async fn publish(&mut self, (publisher, home): (&Publisher, &Home), topic: &str, urgent: bool) {
        let text = format!("{topic} {} {}", if urgent { "urgent" } else { "plain" }, self.0.len());
        let exchange = format!("{}.publish{}", home.prefix, if urgent { ".urgent" } else { "" });
        self.0.insert(text.clone(), now());
        let body = json!({ "message": text }).to_string();
        publisher
            .publish_to(&exchange, topic, body.as_bytes(), BasicProperties::default())
            .await
            .unwrap();
    }

    /// The latency of each, at robots whose token lacks this prefix.
    async fn latencies(&self, emulator: &Emulator, without: &str) -> BTreeMap<String, u64> {
        let mut latencies = BTreeMap::new();
        for one in emulator.received().await {
            let (text, token) = (
                one["text"].as_str().unwrap_or_default(),
                one["token"].as_str().unwrap_or_default(),
            );
            if let Some(at) = self
                .0
                .get(text)
                .filter(|_| one["outcome"] == "accepted" && !token.contains(without))
            {
                latencies
                    .insert(text.to_owned(), one["at_ms"].as_u64().unwrap().saturating_sub(*at));
            }
        }
        latencies
    }

    /// All of them arrive: half within a second, and each within four, or later by what other
    /// processes delay. An event queued behind the large ones would need longer.
    async fn arrives_soon(&self, emulator: &Emulator, without: &str, load: &OutsideLoad) {
        until("what was published beside arrives", LATER, || async {
            self.latencies(emulator, without).await.len() == self.0.len()
        })
        .await;
        let mut latencies: Vec<_> = self.latencies(emulator, without).await.into_values().collect();
        latencies.sort_unstable();
        let (median, slowest) = (latencies[latencies.len() / 2], latencies[latencies.len() - 1]);
        println!(
            "{} events, half of them within {median} ms, the slowest after {slowest} ms",
            latencies.len()
        );
        let delay = millis(load.delay());
        assert!(median < 1_000 + delay && slowest < 4_000 + delay, "{delay} ms: {latencies:?}");
    }
}

#[tokio::test]
async fn a_platform_that_hangs_delays_no_other_platform() {
    let (broker, emulator) =
        (broker::shared().await, Emulator::start(&["--window-seconds", "1"]).await);
    let settings = "\
        [platforms.dingtalk]\nbase_url = \"BASE_URL\"\nwindows = []\nrate_per_second = 0\n\
        [platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = []\n\
        [platforms.lark]\nbase_url = \"BASE_URL\"\nwindows = []\n\
        [pace]\nheld_max = 300\n[send]\ndeadline = \"15s\"\n[retry]\njitter = 0.0\n";
    let home =
        Home::new(broker, &emulator.url(), settings).with("level = \"debug\"", "level = \"info\"");
    // One of the topics also has robots of the hanging platform.
    subscribe(&home, &[("ding", "dingtalk", 300), ("wecom", "wecom", 1), ("lark", "lark", 1)]);
    subscribe(&home, &[("both", "wecom", 1), ("both", "dingtalk", 1)]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    emulator.fault(json!({"kind": "hang", "platform": "dingtalk"})).await;
    for number in 0..4 {
        publisher.publish("ding", &json!({"message": format!("m{number}")})).await;
    }
    let deferred = "roomcast_deliveries_total{platform=\"dingtalk\",outcome=\"deferred\"}";
    let (mut beside, load) = (Beside::default(), OutsideLoad::begin());
    for round in 0..50 {
        for topic in ["wecom", "lark", "both"] {
            beside.publish((&publisher, &home), topic, round % 5 == 0).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    beside.arrives_soon(&emulator, "dingtalk", &load).await;
    until("what has no room goes back to the broker", LATER, || async {
        daemon.metric(deferred).await > Some(0.0)
    })
    .await;
    until("events are received though the platform hangs", LATER, || async {
        publisher.ready_and_consumers("publish").await == (0, 1)
    })
    .await;
    emulator.no_faults().await;
    until("everything arrives", LATER, || async {
        let shown = emulator.shown().await;
        let of = |text: &str| {
            shown
                .iter()
                .filter(|(token, texts)| token.starts_with(text) && !texts.is_empty())
                .count()
        };
        of("ding-dingtalk") == 300
            && shown
                .iter()
                .filter(|(token, _)| token.starts_with("ding-"))
                .all(|(_, texts)| texts.len() >= 4)
    })
    .await;
    assert_eq!(publisher.depth("dead.dingtalk").await, 0, "no attempt was wasted on waiting");
}

#[tokio::test]
async fn a_topic_with_many_robots_delays_no_other_topic_and_keeps_the_rate() {
    const ROBOTS: usize = 1500;
    const RATE: usize = 75;
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let settings = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nrate_per_second = 75\n";
    let home =
        Home::new(broker, &emulator.url(), settings).with("level = \"debug\"", "level = \"info\"");
    subscribe(
        &home,
        &[("all", "wecom", ROBOTS), ("one", "wecom", 1), ("lark", "lark", 1), ("few", "wecom", 20)],
    );
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let (began, load) = (now(), OutsideLoad::begin());
    publisher.publish("all", &json!({"message": "to all"})).await;
    let mut beside = Beside::default();
    for round in 0..10 {
        for topic in ["one", "lark"] {
            beside.publish((&publisher, &home), topic, round % 2 == 0).await;
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    beside.arrives_soon(&emulator, "all", &load).await;
    until("everything arrives", LATER, || async {
        emulator.count("accepted").await >= u64::try_from(ROBOTS + beside.0.len()).unwrap()
    })
    .await;
    let mut times: Vec<_> =
        emulator.received().await.iter().map(|one| one["at_ms"].as_u64().unwrap()).collect();
    assert_eq!(times.len(), ROBOTS + beside.0.len(), "each arrives once");
    keep_the_rate(&mut times, began, RATE, load.delay());
    let took = times.last().unwrap() - began;
    println!("{ROBOTS} robots in {took} ms");
    let most = 1250 * (ROBOTS / RATE) as u64 + millis(load.delay());
    assert!(took < most, "the rate is used: {took} ms");
}

/// Since the beginning there were never more messages than the rate, and one second's worth in
/// addition; in any five seconds neither. Messages that other processes delay arrive together, so
/// in five seconds there may be those of the delay as well.
fn keep_the_rate(times: &mut [u64], began: u64, rate: usize, delay: Duration) {
    times.sort_unstable();
    let late = usize::try_from(millis(delay)).unwrap() * rate / 1000;
    for (place, at) in times.iter().enumerate() {
        let most = rate * usize::try_from(at - began).unwrap() / 1000 + rate + rate / 10;
        assert!(place < most, "{} within {} ms", place + 1, at - began);
        let count = times[place..].iter().take_while(|later| **later < at + 5000).count();
        assert!(count <= rate * 6 + rate / 10 + late, "{count} within 5 s");
    }
}

#[tokio::test]
async fn both_kinds_of_dingtalk_robots_together_keep_the_rate_of_their_one_address() {
    const ROBOTS: usize = 300;
    const RATE: usize = 40;
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    // The smaller of the two rates applies to the shared host.
    let settings = "[platforms.dingtalk]\nbase_url = \"BASE_URL\"\nrate_per_second = 40\n\
        [platforms.dingtalk_internal]\nbase_url = \"BASE_URL\"\nrate_per_second = 80\n";
    let home =
        Home::new(broker, &emulator.url(), settings).with("level = \"debug\"", "level = \"info\"");
    subscribe(&home, &[("custom", "dingtalk", ROBOTS), ("internal", "dingtalk_internal", ROBOTS)]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let (began, load) = (now(), OutsideLoad::begin());
    for topic in ["custom", "internal"] {
        publisher.publish(topic, &json!({"message": "to all"})).await;
    }
    until("everything arrives", LATER, || async { emulator.received().await.len() == 2 * ROBOTS })
        .await;
    let mut times: Vec<_> =
        emulator.received().await.iter().map(|one| one["at_ms"].as_u64().unwrap()).collect();
    keep_the_rate(&mut times, began, RATE, load.delay());
}
