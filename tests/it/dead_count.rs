//! The counts of the dead queues.
//!
//! Owns the promise that they become known, and that counting changes nothing.
//!
//! Not here: listing and redriving (`dead_letters.rs`).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    broker::{self, Broker},
    daemon::{Daemon, Home, get},
    emulator::Emulator,
    letters::{Letter, lines},
    processor::OutsideLoad,
    publisher::Publisher,
    until,
};

const LONG: Duration = Duration::from_secs(120);
const COUNTED: (&str, &str) = ("dead_count_every = \"0s\"", "dead_count_every = \"1s\"");

async fn of_wecom(daemon: &Daemon<'_>, name: &str, reason: &str) -> Option<f64> {
    daemon
        .metric(&format!("roomcast_dead_letters_{name}{{platform=\"wecom\",reason=\"{reason}\"}}"))
        .await
}

/// A home whose dead queue has this many letters; each is a second older than the next.
async fn with_letters(home: &Home, url: &str, count: usize) -> (Publisher, Vec<Letter>) {
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    // The daemon declares the topology.
    assert!(home.start().await.terminate().success());
    let publisher = Publisher::connect(url, &home.prefix).await;
    let mut letters: Vec<_> =
        (0..count).map(|number| Letter::number(number, &subscription)).collect();
    let newest = jiff::Timestamp::now();
    for (age, letter) in letters.iter_mut().rev().enumerate() {
        letter.dead_at = newest - jiff::SignedDuration::from_secs(i64::try_from(age).unwrap());
    }
    publisher.bury(&letters).await;
    (publisher, letters)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_lies_in_the_dead_queues_is_known_by_reason_and_age_until_it_is_gone() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), "").with(COUNTED.0, COUNTED.1);
    let (publisher, letters) = with_letters(&home, &broker.url(), 7).await;
    let daemon = home.start().await;
    let overview = || async {
        let overview: Value =
            serde_json::from_str(&get(&home.path("admin.sock"), "/v1/overview").await).unwrap();
        overview["dead"].clone()
    };
    // The overview has a count after the metrics have it.
    until("they are counted", LONG, || async { overview().await["letters"] == 7 }).await;
    assert_eq!(of_wecom(&daemon, "present", "expired").await, Some(4.0));
    assert_eq!(of_wecom(&daemon, "present", "exhausted").await, Some(3.0));
    assert_eq!(of_wecom(&daemon, "present", "refused").await, Some(0.0));
    let age = of_wecom(&daemon, "oldest_timestamp_seconds", "expired").await.unwrap();
    assert!((age - letters[0].dead_at.as_second() as f64).abs() < 1.0, "{age}");
    let dead = overview().await;
    assert_eq!((&dead["letters"], &dead["rows"][0]["count"]), (&json!(7), &json!(4)), "{dead}");
    assert_eq!(
        dead["oldest"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second(),
        age as i64
    );
    let counted = |dead: &Value| {
        dead["queues"].as_array().unwrap().iter().all(|queue| queue["letters"].is_u64())
    };
    assert!(counted(&dead), "empty queues are known to be empty: {dead}");

    home.ok(&["dead", "discard", "--reason", "expired", "--yes"], "");
    until("they are gone", LONG, || async { overview().await["letters"] == 3 }).await;
    assert_eq!(of_wecom(&daemon, "present", "expired").await, Some(0.0));
    assert_eq!(of_wecom(&daemon, "oldest_timestamp_seconds", "expired").await, None);
    home.ok(&["dead", "redrive", "--all"], "");
    until("nothing is left", LONG, || async { overview().await["letters"] == 0 }).await;
    assert_eq!(of_wecom(&daemon, "present", "exhausted").await, Some(0.0));
    assert!(publisher.get("dead.wecom").await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn counting_leaves_every_letter_in_its_position_and_blocks_no_reader() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), "").with(COUNTED.0, COUNTED.1);
    let (publisher, letters) = with_letters(&home, &broker.url(), 5000).await;
    let ids: Vec<_> = letters.iter().map(|letter| letter.id.as_str()).collect();
    for _ in 0..3 {
        // It begins to count right after the start.
        let daemon = home.start().await;
        // An export is in the order of the queues.
        let listed = lines(&home.ok(&["dead", "export"], ""));
        assert!(
            listed.iter().map(|one| one["id"].as_str().unwrap()).eq(ids.iter().copied()),
            "all, in their order"
        );
        until("they are counted", LONG, || async {
            of_wecom(&daemon, "present", "expired").await == Some(2500.0)
        })
        .await;
        assert!(daemon.terminate().success());
    }
    let drained = publisher.drain("dead.wecom").await;
    assert!(drained.iter().map(|(id, _)| id.as_str()).eq(ids), "all, in their order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_daemon_killed_while_it_counts_loses_no_letter() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), "").with(COUNTED.0, COUNTED.1);
    let (publisher, letters) = with_letters(&home, &broker.url(), 20_000).await;
    let all = u32::try_from(letters.len()).unwrap();
    for _ in 0..3 {
        let daemon = home.spawn();
        until("it has taken some", LONG, || async {
            let (ready, consumers) = publisher.ready_and_consumers("dead.wecom").await;
            consumers > 0 && ready < all
        })
        .await;
        daemon.kill();
        until("they are back", LONG, || async {
            publisher.ready_and_consumers("dead.wecom").await == (all, 0)
        })
        .await;
    }
    let mut drained: Vec<_> =
        publisher.drain("dead.wecom").await.into_iter().map(|(id, _)| id).collect();
    let mut ids: Vec<_> = letters.into_iter().map(|letter| letter.id).collect();
    drained.sort_unstable();
    ids.sort_unstable();
    assert!(drained == ids, "{} of {} are left", drained.len(), ids.len());
}

/// Each event arrives within a second, in the first session of the daemon.
async fn deliveries_go_on(
    daemon: &Daemon<'_>,
    emulator: &Emulator,
    publisher: &Publisher,
    name: &str,
) {
    for number in 0..3 {
        let text = format!("{name} {number}");
        let (began, load) = (Instant::now(), OutsideLoad::begin());
        publisher.publish("fine", &json!({"message": text})).await;
        until("it arrives", LONG, || emulator.shows("lark-0001", &text)).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(1) + load.delay(), "{text} took {took:?}");
    }
    assert_eq!(
        daemon.metric("roomcast_broker_sessions_total").await,
        Some(1.0),
        "the session goes on"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counting_that_is_cut_off_or_hangs_ends_no_session_and_holds_up_no_delivery() {
    let (broker, emulator) = (Broker::start().await, Emulator::start(&["--no-quota"]).await);
    let unlimited = "[platforms.lark]\nbase_url = \"BASE_URL\"\nwindows = []\n";
    let home = Home::new(&broker, &emulator.url(), unlimited).with(COUNTED.0, COUNTED.1);
    home.subscribe("fine", "lark", "lark-0001", &[]);
    let (publisher, _) = with_letters(&home, &broker.url(), 6).await;
    // The broker closes the first connection that counts, as soon as it opens.
    let cut = "spawn(fun() -> Is = fun(C) -> \
        [{client_properties, P}] = rabbit_networking:connection_info(C, [client_properties]), \
        lists:member({<<\"connection_name\">>, longstr, <<\"roomcast dead\">>}, P) end, \
        F = fun F() -> case [C || C <- rabbit_networking:connections(), (catch Is(C)) =:= true] of \
            [] -> timer:sleep(1), F(); \
            [C | _] -> rabbit_networking:close_connection(C, <<\"a test\">>) end end, F() end).";
    broker.eval(cut);
    let daemon = home.start().await;
    until("it cannot count", LONG, || async {
        home.log().contains("WARN dead letters cannot be counted")
    })
    .await;
    deliveries_go_on(&daemon, &emulator, &publisher, "cut off").await;
    until("they are counted later", LONG, || async {
        of_wecom(&daemon, "present", "expired").await == Some(3.0)
    })
    .await;

    let (queue, seen) =
        (format!("{}.dead.wecom", home.prefix), "roomcast_queue_messages{queue=\"dead.wecom\"}");
    until("it is known what lies there", LONG, || async { daemon.metric(seen).await == Some(6.0) })
        .await;
    broker.stand_still(&queue, true);
    until("the queue does not say any more", LONG, || async {
        daemon.metric(seen).await != Some(6.0)
    })
    .await;
    deliveries_go_on(&daemon, &emulator, &publisher, "standing still").await;
    broker.stand_still(&queue, false);
    until("it says again", LONG, || async { daemon.metric(seen).await == Some(6.0) }).await;
    until("it is counted again", LONG, || async {
        of_wecom(&daemon, "present", "expired").await == Some(3.0)
    })
    .await;
    deliveries_go_on(&daemon, &emulator, &publisher, "afterwards").await;
    until("every letter is at its place", LONG, || async {
        publisher.ready_and_consumers("dead.wecom").await == (6, 0)
    })
    .await;
    assert!(daemon.terminate().success());
}
