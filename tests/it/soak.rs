//! The soak: a hanging platform, a huge fan-out, changes by an operator, clock steps, kills,
//! deleted queues, hostile frames and admin floods, all at once.
//!
//! Owns the judgement: nothing lost, no window exceeded, the latency of healthy platforms.
//!
//! The suite runs a short form. `ROOMCAST_SOAK_SECONDS=1800 cargo test --test it soak` is the long
//! form. With Debian's package `faketime` it also steps the daemon's clock.
//!
//! Not here: the troubles (`soak/trouble.rs`), and a proof of each promise by itself (the other
//! files of `tests/it/`).

mod trouble;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use lapin::BasicProperties;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{sync::RwLock, task::JoinSet};

use crate::support::{
    broker::Broker,
    console,
    daemon::{Home, endpoint},
    emulator::Emulator,
    processor::OutsideLoad,
    publisher::Publisher,
};

/// All windows of the emulator and of the daemon last a tenth of the platforms' windows.
const WINDOW_SECONDS: &str = "6";
const LIMITS: &str = "\
    [platforms.dingtalk]\nbase_url = \"BASE_URL\"\nwindows = [\"20/6s\"]\npenalty_min = \"6s\"\n\
    [platforms.lark]\nbase_url = \"BASE_URL\"\nwindows = [\"100/6s\", \"5/100ms\"]\n\
    penalty_min = \"1s\"\n\
    [platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"20/6s\"]\npenalty_min = \"6s\"\n\
    [retry]\ndelays = [\"1s\", \"5s\", \"15s\", \"15s\", \"15s\", \"15s\", \"15s\", \"15s\", \
    \"15s\", \"15s\", \"15s\", \"15s\", \"15s\", \"15s\", \"15s\", \"15s\", \
    \"15s\", \"15s\", \"15s\", \"15s\", \"15s\", \"15s\", \"15s\"]\n\
    [send]\ndeadline = \"5s\"\n[shutdown]\ndrain = \"10s\"\n";

/// Topics with one robot of each platform, whose latency is judged.
const WATCHED: usize = 40;
/// The topic of one robot that always has a backlog, while its subscription is changed.
const BUSY: &str = "busy";
/// The topic with very many robots.
const CROWD: &str = "crowd";
/// The largest latency of a message on a healthy platform, if the tests have the machine alone.
const LATENCY_MAX: Duration = Duration::from_secs(1);
const SETTLES_WITHIN: Duration = Duration::from_secs(600);

/// The duration, and the size of the fan-out.
struct Form {
    lasts: Duration,
    robots: usize,
    crowd_every: Duration,
}

impl Form {
    fn chosen() -> Self {
        match std::env::var("ROOMCAST_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()) {
            Some(seconds) => Self {
                lasts: Duration::from_secs(seconds),
                robots: 20_000,
                crowd_every: Duration::from_secs(300),
            },
            None => Self {
                lasts: Duration::from_secs(40),
                robots: 1_500,
                crowd_every: Duration::from_secs(30),
            },
        }
    }
}

/// The state that the troubles and the publishers share.
struct Scene {
    broker: Broker,
    emulator: Emulator,
    home: Home,
    admin: String,
    ends: Instant,
    /// Read-locked during a publish. A trouble that would lose unconfirmed messages takes the write
    /// lock.
    quiet: RwLock<()>,
    /// All confirmed events: topic and text.
    published: Mutex<Vec<Event>>,
    busy: String,
    watched: Vec<String>,
}

#[derive(Clone)]
struct Event {
    topic: String,
    text: String,
    at_ms: u64,
}

impl Scene {
    async fn set(form: &Form) -> Self {
        let broker = Broker::start().await;
        let emulator = Emulator::start(&["--window-seconds", WINDOW_SECONDS]).await;
        let (home, admin) = console::with_console(Home::new(&broker, &emulator.url(), LIMITS));
        let home = home.with("level = \"debug\"", "level = \"info\"");
        let mut table = "topic,platform,endpoint,name\n".to_owned();
        for number in 0..WATCHED {
            for platform in ["dingtalk", "lark", "wecom"] {
                let token = format!("watched-{platform}-{number:03}");
                table.push_str(&format!(
                    "w{number},{platform},{},{token}\n",
                    endpoint(platform, &token)
                ));
            }
        }
        for number in 0..form.robots {
            let token = format!("crowd-{number:05}");
            table.push_str(&format!("{CROWD},wecom,{},{token}\n", endpoint("wecom", &token)));
        }
        home.ok(&["subscription", "import", "--format", "csv"], &table);
        let busy = home.subscribe(BUSY, "wecom", "busy-00001", &["--name", "busy"]);
        let listed = home.ok(
            &["subscription", "list", "--json", "--platform", "wecom", "--limit", "100000"],
            "",
        );
        let watched = listed
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|one| one["topic"].as_str().unwrap().starts_with('w'))
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect();
        let ends = Instant::now() + form.lasts;
        let (quiet, published) = (RwLock::default(), Mutex::default());
        Self { broker, emulator, home, admin, ends, quiet, published, busy, watched }
    }

    fn goes_on(&self) -> bool {
        Instant::now() < self.ends
    }

    async fn publisher(&self) -> Publisher {
        Publisher::connect(&self.broker.url(), &self.home.prefix).await
    }

    /// Publishes a unique text, and records it after the confirm.
    async fn publish(&self, publisher: &Publisher, topic: &str, number: usize, urgent: bool) {
        let _held = self.quiet.read().await;
        let text = format!("{topic} {number}");
        let at_ms = now_ms();
        let body = json!({"message": text, "time_to_live": 86400}).to_string();
        let exchange =
            format!("{}.publish{}", self.home.prefix, if urgent { ".urgent" } else { "" });
        let properties = BasicProperties::default().with_message_id(text.as_str().into());
        publisher.publish_to(&exchange, topic, body.as_bytes(), properties).await.unwrap();
        self.published.lock().unwrap().push(Event { topic: topic.to_owned(), text, at_ms });
    }
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A steady flow below all quotas: each watched topic gets an event about every four seconds.
async fn watch(scene: Arc<Scene>) {
    let publisher = scene.publisher().await;
    let mut every = tokio::time::interval(Duration::from_millis(100));
    for number in 0.. {
        every.tick().await;
        if !scene.goes_on() {
            return;
        }
        let topic = format!("w{}", number % WATCHED);
        scene.publish(&publisher, &topic, number, number % 5 == 0).await;
    }
}

/// More than the quota of one robot, repeatedly.
async fn crowd_the_busy_one(scene: Arc<Scene>) {
    let publisher = scene.publisher().await;
    for round in 0.. {
        if !scene.goes_on() {
            return;
        }
        for number in 0..40 {
            scene.publish(&publisher, BUSY, round * 40 + number, false).await;
        }
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
}

async fn fan_out(scene: Arc<Scene>, every: Duration) {
    let publisher = scene.publisher().await;
    for number in 0.. {
        if !scene.goes_on() {
            return;
        }
        scene.publish(&publisher, CROWD, number, false).await;
        tokio::time::sleep(every).await;
    }
}

/// The emulator's record of one message.
#[derive(Deserialize)]
struct Seen {
    at_ms: u64,
    platform: String,
    token: String,
    text: String,
    outcome: String,
    code: String,
    duplicate: bool,
}

/// The result of the comparison.
struct Judgement {
    missing: BTreeSet<(String, String)>,
    repeats: usize,
    slow: Vec<(u64, String, String)>,
    median_ms: u64,
    slowest_ms: u64,
}

impl Judgement {
    /// Compares the published events with the content of each chat.
    fn of(scene: &Scene, form: &Form, seen: &[Seen], latency_max: Duration) -> Self {
        let mut shown = BTreeMap::<(&str, &str), Vec<&Seen>>::new();
        for one in seen.iter().filter(|one| one.outcome == "accepted" && !one.duplicate) {
            shown.entry((&one.token, &one.text)).or_default().push(one);
        }
        let (mut missing, mut slow, mut repeats, mut latencies) =
            (BTreeSet::new(), Vec::new(), 0, Vec::new());
        for event in scene.published.lock().unwrap().iter() {
            for token in tokens(&event.topic, form) {
                let Some(found) = shown.get(&(token.as_str(), event.text.as_str())) else {
                    missing.insert((token, event.text.clone()));
                    continue;
                };
                repeats += found.len() - 1;
                let took = found[0].at_ms.saturating_sub(event.at_ms);
                if event.topic.starts_with('w') && found[0].platform != "dingtalk" {
                    latencies.push(took);
                    if u128::from(took) > latency_max.as_millis() {
                        slow.push((took, token, event.text.clone()));
                    }
                }
            }
        }
        latencies.sort_unstable();
        let at = |index: usize| latencies.get(index).copied().unwrap_or_default();
        let (median_ms, slowest_ms) =
            (at(latencies.len() / 2), at(latencies.len().saturating_sub(1)));
        Self { missing, repeats, slow, median_ms, slowest_ms }
    }
}

/// The robots subscribed to a topic.
fn tokens(topic: &str, form: &Form) -> Vec<String> {
    match topic {
        BUSY => vec!["busy-00001".to_owned()],
        CROWD => (0..form.robots).map(|number| format!("crowd-{number:05}")).collect(),
        watched => {
            let number: usize = watched.trim_start_matches('w').parse().unwrap();
            ["dingtalk", "lark", "wecom"]
                .map(|platform| format!("watched-{platform}-{number:03}"))
                .into()
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_no_window_is_exceeded_though_everything_goes_wrong_at_once() {
    let form = Form::chosen();
    let scene = Arc::new(Scene::set(&form).await);
    let load = OutsideLoad::begin();
    let running = Arc::new(trouble::Running::start(&scene).await);
    let mut tasks = JoinSet::new();
    tasks.spawn(watch(Arc::clone(&scene)));
    tasks.spawn(crowd_the_busy_one(Arc::clone(&scene)));
    tasks.spawn(fan_out(Arc::clone(&scene), form.crowd_every));
    trouble::begin(&scene, &running, &mut tasks);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    scene.emulator.no_faults().await;
    let outside = load.share();
    let latency_max = LATENCY_MAX.div_f64(1.0 - outside);

    let judged = async || {
        let seen: Vec<Seen> =
            serde_json::from_value(Value::Array(scene.emulator.received().await)).unwrap();
        let judgement = Judgement::of(&scene, &form, &seen, latency_max);
        (seen, judgement)
    };
    let patience = Instant::now();
    let mut state = judged().await;
    while !state.1.missing.is_empty() && patience.elapsed() < SETTLES_WITHIN {
        tokio::time::sleep(Duration::from_secs(1)).await;
        state = judged().await;
    }
    let (seen, Judgement { missing, repeats, slow, median_ms, slowest_ms }) = state;
    let letters = scene.home.ok(&["dead", "list", "--json", "--limit", "20"], "");
    println!(
        "{} events; repeats {repeats}; \
         healthy latency: median {median_ms} ms, slowest {slowest_ms} ms; \
         other processes took {:.1} % of the processor, so {} ms are allowed",
        scene.published.lock().unwrap().len(),
        outside * 100.0,
        latency_max.as_millis()
    );
    let throttled = seen
        .iter()
        .filter(|one| one.outcome == "refused")
        .map(|one| &one.code)
        .collect::<BTreeSet<_>>();
    let first: Vec<_> = missing.iter().take(10).collect();
    assert!(
        missing.is_empty(),
        "{} are missing, such as {first:?}; letters: {letters}",
        missing.len()
    );
    assert!(throttled.is_empty(), "a window was exceeded: {throttled:?}");
    let late: Vec<_> = slow.iter().take(10).collect();
    assert!(slow.is_empty(), "{} healthy messages were late, such as {late:?}", slow.len());
    let hostile = "every letter is one of the hostile messages";
    assert!(
        letters.lines().all(|line| line.contains("\"reason\":\"undecodable\"")),
        "{hostile}: {letters}"
    );
    drop(running);
}
