//! The troubles of the soak: loops that run until the scene ends.
//!
//! Owns the kinds of troubles and their times.
//!
//! Not here: the judgement of the results (`tests/it/soak.rs`).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    process::{Child, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use lapin::options::QueueDeleteOptions;
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Mutex, task::JoinSet};

use super::{BUSY, Scene};
use crate::support::{
    daemon::get,
    raw::{HEADERS, RawPublisher, long, nested},
    until,
};

const SOON: Duration = Duration::from_secs(120);
/// The exit code of a daemon whose store another process has open.
const STORE_IN_USE: i32 = 69;
/// Debian's libfaketime. Without it the clock is not changed.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// The running daemon; a kill replaces it.
pub(super) struct Running(Mutex<Option<Process>>);

/// A process that is killed when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    pub(super) async fn start(scene: &Scene) -> Self {
        Self(Mutex::new(Some(start(scene).await)))
    }
}

async fn start(scene: &Scene) -> Process {
    let clock = scene.home.path("clock");
    if !clock.exists() {
        fs::write(&clock, "+0").unwrap();
    }
    let mut command = scene.home.command(&["run"]);
    if Path::new(FAKETIME).exists() {
        command.env("LD_PRELOAD", FAKETIME).env("FAKETIME_TIMESTAMP_FILE", &clock);
        command.env("DONT_FAKE_MONOTONIC", "1").env("FAKETIME_CACHE_DURATION", "1");
    }
    let log = File::options().create(true).append(true).open(scene.home.path("log")).unwrap();
    let log = || Stdio::from(log.try_clone().unwrap());
    let mut process =
        Process(command.stderr(log()).stdout(Stdio::null()).stdin(Stdio::null()).spawn().unwrap());
    let socket = scene.home.path("admin.sock");
    let began = Instant::now();
    loop {
        let ready = get(&socket, "/readyz").await;
        if ready.starts_with("ready") {
            return process;
        }
        let mut ended = process.0.try_wait().unwrap();
        if ended.is_some_and(|status| status.code() == Some(STORE_IN_USE)) {
            // A command of the operator had the store for a moment. A supervisor starts it again.
            process = Process(command.stderr(log()).spawn().unwrap());
            ended = None;
        }
        assert!(
            ended.is_none() && began.elapsed() < SOON,
            "the daemon is not ready: {ended:?}, {ready}\n{}",
            end_of_the_log(scene)
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn end_of_the_log(scene: &Scene) -> String {
    let log = fs::read_to_string(scene.home.path("log")).unwrap();
    let lines: Vec<_> = log.lines().rev().take(40).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Starts all troubles. Each ends with the scene.
pub(super) fn begin(scene: &Arc<Scene>, running: &Arc<Running>, tasks: &mut JoinSet<()>) {
    tasks.spawn(hang(Arc::clone(scene)));
    tasks.spawn(operate(Arc::clone(scene)));
    tasks.spawn(step_the_clock(Arc::clone(scene)));
    tasks.spawn(flood(Arc::clone(scene)));
    tasks.spawn(send_what_no_client_would(Arc::clone(scene)));
    tasks.spawn(interrupt(Arc::clone(scene), Arc::clone(running)));
}

/// One platform does not answer most of the time.
async fn hang(scene: Arc<Scene>) {
    while scene.goes_on() {
        scene.emulator.fault(json!({"kind": "hang", "platform": "dingtalk"})).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        scene.emulator.no_faults().await;
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

/// Changes subscriptions while deliveries wait, and rotates keys.
async fn operate(scene: Arc<Scene>) {
    for round in 0.. {
        if !scene.goes_on() {
            return;
        }
        let scene = Arc::clone(&scene);
        tokio::task::spawn_blocking(move || {
            let name = format!("{BUSY}-{round}");
            ask(&scene, &["subscription", "update", &scene.busy, "--name", &name]);
            let one = &scene.watched[round % scene.watched.len()];
            ask(&scene, &["subscription", "update", one, "--name", &name]);
            if round % 10 == 5 {
                ask(&scene, &["key", "rotate", "--data"]);
            }
            if round % 20 == 10 {
                ask(&scene, &["key", "rotate"]);
            }
        })
        .await
        .unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Runs a command, which must succeed or report that no daemon runs, because it was just killed.
fn ask(scene: &Scene, arguments: &[&str]) {
    let output = scene.home.cli(arguments, "");
    let says = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 69)), "{arguments:?}: {says}");
}

/// Moves the daemon's wall clock forward and back.
async fn step_the_clock(scene: Arc<Scene>) {
    for step in ["+3600", "+0", "-600", "+30", "+0"].iter().cycle() {
        if !scene.goes_on() {
            return;
        }
        fs::write(scene.home.path("clock"), step).unwrap();
        tokio::time::sleep(Duration::from_secs(9)).await;
    }
}

/// Opens connections to the admin port that never finish their first request.
async fn flood(scene: Arc<Scene>) {
    let address = scene.admin.trim_start_matches("http://").to_owned();
    while scene.goes_on() {
        let mut open = Vec::new();
        for _ in 0..1100 {
            if let Ok(mut stream) = TcpStream::connect(&address).await {
                let _ =
                    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Never").await;
                open.push(stream);
            }
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

/// Publishes headers on which a client library's parser fails.
async fn send_what_no_client_would(scene: Arc<Scene>) {
    while scene.goes_on() {
        let shared = Arc::clone(&scene);
        tokio::task::spawn_blocking(move || {
            let mut publisher = RawPublisher::connect(&shared.broker.url());
            let exchange = format!("{}.publish", shared.home.prefix);
            publisher.publish(
                &exchange,
                b"w0",
                (HEADERS, &long(&nested(b'A', 2000))),
                b"{\"message\": \"deep\"}",
            );
            publisher.publish(&exchange, b"w0\xff", (0, &[]), b"{\"message\": \"not a topic\"}");
        })
        .await
        .unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

/// Kills the daemon and deletes the queue of events. Both happen while nothing is published, so
/// that latencies are those of a running daemon.
async fn interrupt(scene: Arc<Scene>, running: Arc<Running>) {
    for round in 0.. {
        tokio::time::sleep(Duration::from_secs(25)).await;
        if !scene.goes_on() {
            return;
        }
        let _nothing_is_published = scene.quiet.write().await;
        healthy_deliveries_have_arrived(&scene).await;
        if round % 2 == 0 {
            let mut daemon = running.0.lock().await;
            drop(daemon.take());
            *daemon = Some(start(&scene).await);
        } else {
            if !delete_the_queue_of_events(&scene).await {
                let robots = get(&scene.home.path("admin.sock"), "/v1/robots").await;
                drop(running.0.lock().await.take());
                panic!("these wait in memory:\n{}{robots}", unacked_events(&scene).await);
            }
        }
    }
}

/// The events that the daemon left unacknowledged. It must not run any more.
async fn unacked_events(scene: &Scene) -> String {
    let (publisher, mut found) = (scene.publisher().await, String::new());
    while let Some(message) = publisher.get("publish").await {
        let id = message.delivery.properties.message_id().clone();
        found.push_str(&format!("{}: {id:?}\n", message.delivery.routing_key));
    }
    found
}

/// Waits for the last event of each watched topic, so that none of them is in flight during an
/// interruption.
async fn healthy_deliveries_have_arrived(scene: &Scene) {
    let mut last = BTreeMap::new();
    for event in scene.published.lock().unwrap().iter().filter(|event| event.topic.starts_with('w'))
    {
        last.insert(event.topic.clone(), event.text.clone());
    }
    for (topic, text) in last {
        let number: usize = topic.trim_start_matches('w').parse().unwrap();
        for platform in ["lark", "wecom"] {
            let token = format!("watched-{platform}-{number:03}");
            until("what is healthy arrives", SOON, || async {
                scene.emulator.shows(&token, &text).await
            })
            .await;
        }
    }
}

/// Deletes the queue once all its events are acked. Returns whether they were in time.
async fn delete_the_queue_of_events(scene: &Scene) -> bool {
    let queue = format!("{}.publish", scene.home.prefix);
    let began = Instant::now();
    while scene.broker.messages(&queue) > 0 {
        if began.elapsed() > SOON {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let publisher = scene.publisher().await;
    let options = QueueDeleteOptions::default();
    publisher.channel().queue_delete(queue.as_str().into(), options).await.unwrap();
    until("the daemon has declared and consumes it again", SOON, || async {
        match scene.publisher().await.try_ready_and_consumers("publish").await {
            Ok((_, consumers)) => consumers == 1,
            Err(_) => false,
        }
    })
    .await;
    true
}
