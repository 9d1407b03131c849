//! Memory for the bodies of messages.
//!
//! Owns the promise that it is bounded in bytes, whatever is published.
//!
//! Not here: headers that are too large (`carried.rs`, `hostile.rs`).

use std::{
    fs,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::{Daemon, Home},
    emulator::Emulator,
    letters::Letter,
    processor::OutsideLoad,
    publisher::{Publisher, text_header},
    until,
};

const SOON: Duration = Duration::from_secs(120);

const MIB: usize = 1024 * 1024;

const TOPICS: [&str; 10] = ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9"];

const SHORT_WINDOWS: &str = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"20/3s\"]\n\
    [pace]\nhold_max = \"1s\"\nmargin = \"200ms\"\n";

/// The peak memory of the daemon so far, in MiB.
fn peak(daemon: &Daemon<'_>) -> usize {
    peak_of(daemon.pid().as_raw_nonzero().get().unsigned_abs()).unwrap()
}

/// The same of any process; nothing if it has ended.
fn peak_of(pid: u32) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024)
}

/// The largest amount of memory that a command has until it ends, in MiB. It has to succeed.
async fn peak_to_the_end(mut command: Child) -> usize {
    let mut peak = 0;
    let ended = loop {
        peak = peak.max(peak_of(command.id()).unwrap_or_default());
        if let Some(ended) = command.try_wait().unwrap() {
            break ended;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(ended.success());
    peak
}

/// Whether as much is published as in the measurement of `docs/OPERATING.md`.
fn is_long() -> bool {
    std::env::var_os("ROOMCAST_LONG").is_some()
}

fn count() -> u8 {
    if is_long() { 30 } else { 10 }
}

#[tokio::test]
async fn bodies_that_are_too_large_are_dead_letters_byte_for_byte_and_one_at_a_time_in_memory() {
    let (broker, emulator) = (broker::for_large_bodies().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "before"})).await;
    until("an event arrives", SOON, || async { emulator.count("accepted").await == 1 }).await;
    let before = peak(&daemon);
    for number in 0..count() {
        let properties =
            BasicProperties::default().with_message_id(format!("large-{number}").as_str().into());
        publisher.publish_bytes("ops", &vec![number; 16 * MIB], properties).await;
    }
    until("all are dead letters", SOON, || async {
        publisher.depth("dead.event").await == u32::from(count())
    })
    .await;
    publisher.publish("ops", &json!({"message": "after"})).await;
    until("an event arrives", SOON, || async { emulator.count("accepted").await == 2 }).await;
    let after = peak(&daemon);
    println!("{} bodies of 16 MiB: {before} MiB before, {after} MiB at most", count());
    // One body exists three times: as received, as sent, and in frames.
    assert!(after < before + 64, "{before} MiB before, {after} MiB at most");

    let listed = home.ok(&["dead", "list", "--json"], "");
    assert_eq!(listed.lines().count(), usize::from(count()));
    for line in listed.lines() {
        let letter: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (letter["reason"].as_str(), letter["code"].as_str()),
            (Some("undecodable"), Some("size"))
        );
        assert_eq!(letter["topic"], "ops");
        assert!(letter["detail"].as_str().unwrap().contains("16777216 bytes"), "{letter}");
    }
    assert_eq!(daemon.metric("roomcast_events_undecodable_total").await, Some(count().into()));
    // A redriven letter is as large as before, and becomes a dead letter again.
    let first: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    home.ok(&["dead", "redrive", "--id", first["id"].as_str().unwrap()], "");
    until("it is a dead letter again", SOON, || async {
        publisher.depth("dead.event").await == u32::from(count())
    })
    .await;
    let mut numbers = Vec::new();
    for _ in 0..count() {
        let letter = publisher.get("dead.event").await.unwrap().delivery;
        let id = text_header(&letter.properties, "x-roomcast-event");
        assert_eq!(id, format!("large-{}", letter.data[0]));
        assert!(letter.data == vec![letter.data[0]; 16 * MIB], "{id}");
        numbers.push(letter.data[0]);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..count()).collect::<Vec<_>>());
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn events_without_room_in_memory_wait_in_the_broker_and_all_arrive() {
    let (of_each, prefetch_size, more) =
        if is_long() { (1000, 32 * MIB, 100) } else { (40, 2 * MIB, 40) };
    let (broker, emulator) =
        (broker::for_large_bodies().await, Emulator::start(&["--window-seconds", "3"]).await);
    let home = Home::new(broker, &emulator.url(), SHORT_WINDOWS)
        .with("dead_count_every", &format!("prefetch_size = {prefetch_size}\ndead_count_every"));
    for (number, topic) in TOPICS.iter().enumerate() {
        home.subscribe(topic, "wecom", &format!("wecom-{number:03}"), &[]);
    }
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("t0", &json!({"message": "before"})).await;
    until("an event arrives", SOON, || async { emulator.count("accepted").await == 1 }).await;
    let before = peak(&daemon);
    assert!(daemon.terminate().success());

    // The daemon does not trust a publisher's header about a missing body.
    let mut headers = FieldTable::default();
    headers.insert("x-roomcast-body-left-out".into(), AMQPValue::LongString("1".into()));
    for number in 0..of_each {
        let body = format!("{{\"message\": \"m\"{}}}", " ".repeat(MIB / 4 - 50 - number));
        let properties = BasicProperties::default().with_headers(headers.clone());
        join_all(
            TOPICS
                .iter()
                .map(|topic| publisher.publish_bytes(topic, body.as_bytes(), properties.clone())),
        )
        .await;
    }
    let daemon = home.start().await;
    let all = u64::try_from(TOPICS.len() * of_each).unwrap() + 1;
    let (began, limit) = (Instant::now(), if is_long() { SOON * 8 } else { SOON });
    until("all arrive", limit, || async { emulator.count("accepted").await == all }).await;
    println!("all arrived in {} s", began.elapsed().as_secs());
    let events = format!("{}.publish", home.prefix);
    until("all are settled", SOON, || async { broker.messages(&events) == 0 }).await;
    let after = peak(&daemon);
    println!("{all} events of 256 KiB: {before} MiB before, {after} MiB at most");
    assert!(after < before + more, "{before} MiB before, {after} MiB at most");
    assert_eq!(emulator.count("accepted").await, all);
    assert_eq!(emulator.count("refused").await, 0);
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn large_deliveries_that_wait_for_their_slots_keep_no_room_from_those_that_may_leave_now() {
    const IDLE: [&str; 5] = ["i0", "i1", "i2", "i3", "i4"];
    let (broker, emulator) =
        (broker::for_large_bodies().await, Emulator::start(&["--window-seconds", "60"]).await);
    // A delivery with a slot returns long before its slot.
    let settings = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"5/60s\"]\n\
        [delay]\ntiers = [\"1s\"]\n\
        [retry]\ndelays = [\"1s\"]\njitter = 0.0\n";
    let home = Home::new(broker, &emulator.url(), settings)
        .with("dead_count_every", "prefetch_size = 1048576\ndead_count_every");
    home.subscribe("busy", "wecom", "wecom-busy", &[]);
    for idle in IDLE {
        home.subscribe(idle, "wecom", &format!("wecom-{idle}"), &[]);
    }
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let body = |text: &str| format!("{{\"message\": \"{text}\"{}}}", " ".repeat(100 * 1024));
    for number in 0..40 {
        publisher
            .publish_bytes(
                "busy",
                body(&format!("m{number}")).as_bytes(),
                BasicProperties::default(),
            )
            .await;
    }
    // They exceed the memory for bodies three times.
    let deferred = "roomcast_deliveries_total{platform=\"wecom\",outcome=\"deferred\"}";
    until("all wait", SOON, || async { daemon.metric(deferred).await >= Some(35.0) }).await;
    let (mut waits, load) = (Vec::new(), OutsideLoad::begin());
    for idle in IDLE {
        let token = format!("wecom-{idle}");
        emulator.fault(json!({"kind": "status", "status": 500, "token": token, "times": 1})).await;
        publisher.publish_bytes(idle, body(idle).as_bytes(), BasicProperties::default()).await;
        until("it is tried again", SOON, || async { tries(&emulator, &token).await.len() == 2 })
            .await;
        let tried = tries(&emulator, &token).await;
        waits.push(tried[1] - tried[0]);
    }
    println!("tried again after {waits:?} ms");
    // The delay is one second. A delivery that waits for the room of the others waits for their
    // slots, a minute.
    let most = 3_500 + u64::try_from(load.delay().as_millis()).unwrap();
    assert!(waits.iter().all(|wait| *wait < most), "{waits:?}");
    assert!(daemon.terminate().success());
}

/// The times at which a robot got messages.
async fn tries(emulator: &Emulator, token: &str) -> Vec<u64> {
    let received = emulator.received().await;
    received
        .iter()
        .filter(|one| one["token"] == *token)
        .map(|one| one["at_ms"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn dead_letters_with_large_bodies_are_looked_at_and_redriven_few_at_a_time_in_memory() {
    let large = if is_long() { 40 } else { 12 };
    let (broker, emulator) = (broker::for_large_bodies().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    // It declares the queues, and is not to take what is redriven.
    assert!(home.start().await.terminate().success());
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    // By the first letters, all are small.
    let small: Vec<_> = (0..300).map(|number| Letter::number(number, &subscription)).collect();
    publisher.bury(&small).await;
    let peak_of_command = async |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        peak_to_the_end(command.spawn().unwrap()).await
    };
    let list = ["dead", "list", "--limit", "1"];
    let before = peak_of_command(&list).await;
    for number in 0..large {
        let body = vec![b'a' + u8::try_from(number).unwrap(); (8 + number % 9) * MIB];
        publisher.bury(&[Letter { body, ..Letter::number(number, &subscription) }]).await;
    }
    let listed = peak_of_command(&list).await;
    let redriven = peak_of_command(&["dead", "redrive", "--all"]).await;
    println!(
        "{large} of 8 to 16 MiB: {before} MiB before; listed {listed}, redriven {redriven} MiB"
    );
    // One is there as it came, as it goes, and in frames; the commands look at its text besides.
    for peak in [listed, redriven] {
        assert!(
            peak < before + 100,
            "{before} MiB before; listed {listed}, redriven {redriven} MiB"
        );
    }
    assert_eq!(publisher.depth("dead.wecom").await, 0);
    for letter in &small {
        let found = publisher.get("delivery.wecom").await.unwrap().delivery;
        assert_eq!(found.data, letter.body, "in their order");
    }
    for number in 0..large {
        let body = publisher.get("delivery.wecom").await.unwrap().delivery.data;
        let same = body.iter().all(|byte| *byte == b'a' + u8::try_from(number).unwrap());
        assert!(same && body.len() == (8 + number % 9) * MIB, "{number}: byte for byte");
    }
}

#[tokio::test]
async fn a_slow_redrive_of_large_letters_is_not_taken_for_a_broker_that_is_silent() {
    let (broker, emulator) = (broker::for_large_bodies().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "")
        .with("dead_count_every", "heartbeat = \"8s\"\ndead_count_every");
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    assert!(home.start().await.terminate().success());
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for number in 0..3 {
        publisher
            .bury(&[Letter { body: vec![b'a'; 8 * MIB], ..Letter::number(number, &subscription) }])
            .await;
    }
    // While one waits for its turn the next is not read, for longer than the broker may be silent.
    let said = home.ok(&["dead", "redrive", "--all", "--rate", "6/m"], "");
    assert!(said.starts_with("3 redriven"), "{said}");
    until("all are deliveries again", SOON, || async {
        let held = broker.held(&home.prefix);
        (held["dead.wecom"], held["delivery.wecom"]) == (0, 3)
    })
    .await;
}
