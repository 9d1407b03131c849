//! Very many dead letters.
//!
//! Owns the promise that reading changes nothing, and that an interrupted operation loses and
//! duplicates nothing.
//!
//! With `ROOMCAST_LETTERS=100000` the command line needs minutes. A second thread answers the
//! broker meanwhile; otherwise the broker would close the connection of the test.
//!
//! Not here: the meaning of each operation (`dead_letters.rs`).

use std::{
    collections::{BTreeSet, HashSet},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::Home,
    emulator::Emulator,
    gate::Gate,
    letters::{Letter, lines, numbers},
    publisher::Publisher,
    until,
};

const SOON: Duration = Duration::from_secs(120);
const LONG: Duration = Duration::from_secs(240);
const UNLIMITED: &str = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = []\n\
    rate_per_second = 0\n[retry]\ndelays = []\n";

/// The number of letters: `ROOMCAST_LETTERS`, or a number for regular runs.
fn many() -> usize {
    std::env::var("ROOMCAST_LETTERS").ok().map_or(10_000, |count| count.parse().unwrap())
}

async fn buried(publisher: &Publisher, subscription: &str, count: usize) -> Vec<Letter> {
    let letters: Vec<_> = (0..count).map(|number| Letter::number(number, subscription)).collect();
    publisher.bury(&letters).await;
    letters
}

/// Waits until no consumer reads the letters and all remaining ones are ready. Some must remain,
/// because a busy queue reports none.
async fn returned(publisher: &Publisher) -> usize {
    let left = std::cell::Cell::new(0);
    until("all letters are back", LONG, || async {
        let (ready, consumers) = publisher.ready_and_consumers("dead.wecom").await;
        left.set(ready);
        ready > 0 && consumers == 0
    })
    .await;
    usize::try_from(left.get()).unwrap()
}

fn kill(mut child: Child) {
    assert!(child.try_wait().unwrap().is_none(), "it is killed in the middle");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Starts a command that reaches the broker through a gate.
fn begin_through(gate: &Gate, home: &Home, arguments: &[&str]) -> Child {
    let mut command = home.command(arguments);
    command.env("ROOMCAST_BROKER_URL", gate.url()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Sends SIGINT, as Ctrl-C does.
fn interrupt(child: &Child) {
    rustix::process::kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn looking_and_acting_on_some_leaves_the_others_in_their_order() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), UNLIMITED);
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let letters = buried(&publisher, &subscription, 3000).await;
    for round in 0..3 {
        // An export is in the order of the queues.
        let listed = lines(&home.ok(&["dead", "export"], ""));
        let ids: Vec<_> = listed.iter().map(|one| one["id"].as_str().unwrap()).collect();
        assert!(ids.iter().eq(letters.iter().map(|letter| &letter.id)), "round {round}");
        home.ok(&["dead", "list", "--limit", "1"], "");
        home.ok(&["dead", "list", "--json", "--limit", "7"], "");
        assert!(
            home.ok(&["dead", "show", &letters[round * 999].id], "")
                .contains(&format!("m{}", round * 999))
        );
    }
    let counted = lines(&home.ok(&["dead", "list", "--by", "reason", "--json"], ""));
    assert_eq!(
        counted.iter().map(|row| row["count"].as_u64().unwrap()).collect::<Vec<_>>(),
        [1500, 1500]
    );
    home.ok(&["dead", "redrive", "--text", "m7"], "");
    home.ok(&["dead", "discard", "--reason", "expired", "--limit", "1000", "--yes"], "");
    let mut discarded = 0;
    let mut left = Vec::new();
    for (number, letter) in letters.iter().enumerate() {
        let redriven = format!("m{number}").contains("m7");
        if !redriven && letter.reason == "expired" && discarded < 1000 {
            discarded += 1;
        } else if !redriven {
            left.push(letter.id.clone());
        }
    }
    assert_eq!(returned(&publisher).await, left.len());
    let found: Vec<_> = publisher.drain("dead.wecom").await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(found, left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_redrive_killed_again_and_again_loses_nothing_and_delivers_everything_once() {
    let count = many();
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), UNLIMITED);
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    buried(&publisher, &subscription, count).await;
    for part in 1..=3 {
        // At this rate a redrive lasts for twenty seconds, so it is killed in the middle.
        let rate = format!("{}/s", count / 20);
        let redriving = home.begin(&["dead", "redrive", "--all", "--rate", &rate]);
        let enough = (part * count / 10) as u64;
        until("some more arrive", LONG, || async { emulator.count("accepted").await >= enough })
            .await;
        kill(redriving);
        let left = returned(&publisher).await;
        assert!(left > 0 && left < count, "{left} of {count} are left");
    }
    home.ok(&["dead", "redrive", "--all"], "");
    assert!(publisher.get("dead.wecom").await.is_none(), "no letter is left");
    until("every letter arrives", LONG, || async {
        emulator.count("accepted").await >= count as u64
    })
    .await;
    until("nothing is under way", LONG, || async {
        publisher.ready_and_consumers("delivery.wecom").await.0 == 0
    })
    .await;
    let skipped = daemon.metric("roomcast_duplicates_skipped_total").await.unwrap();
    // The daemon settles its messages before it ends.
    assert!(daemon.terminate().success());
    assert_eq!(
        numbers(&emulator.shown().await["wecom-001"]),
        (0..count).collect::<Vec<_>>(),
        "each once"
    );
    println!("{skipped} copies of letters whose redriving was interrupted were recognised");
    assert!(skipped <= 3.0 * 256.0, "at most a batch for each kill: {skipped}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_discard_killed_in_the_middle_deletes_only_selected_letters() {
    let count = many();
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), UNLIMITED);
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let letters = buried(&publisher, &subscription, count).await;
    // The command first selects letters, then returns them, then acts on them. A look shows how
    // many bytes a walk through all of them takes. In the middle of the second walk no more pass.
    let gate = Gate::before(&broker.url()).await;
    gate.lets(u64::MAX);
    let looking = begin_through(&gate, &home, &["dead", "list", "--limit", "1"]);
    assert!(looking.wait_with_output().unwrap().status.success());
    gate.lets(gate.passed() * 3 / 2);
    let discarding =
        begin_through(&gate, &home, &["dead", "discard", "--reason", "expired", "--yes"]);
    let queue = format!("{}.dead.wecom", home.prefix);
    until("some are discarded", LONG, || async { broker.messages(&queue) < count }).await;
    gate.is_shut().await;
    kill(discarding);
    gate.lets(u64::MAX);
    let left = returned(&publisher).await;
    assert!(left < count && left > count / 2, "{left} of {count} are left");
    println!("{} of {} letters were deleted when it was killed", count - left, count / 2);
    home.ok(&["dead", "discard", "--reason", "expired", "--yes"], "");
    assert_eq!(returned(&publisher).await, count / 2);
    let found: BTreeSet<_> =
        publisher.drain("dead.wecom").await.into_iter().map(|(id, _)| id).collect();
    let kept: BTreeSet<_> = letters
        .into_iter()
        .filter(|letter| letter.reason != "expired")
        .map(|letter| letter.id)
        .collect();
    assert_eq!(found.len(), kept.len());
    assert_eq!(found, kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_interrupted_redrive_ends_after_its_batch_and_says_how_far_it_came() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), UNLIMITED);
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let letters = buried(&publisher, &subscription, 1000).await;
    let redriving = home.begin(&["dead", "redrive", "--all", "--rate", "20/s"]);
    until("some arrive", LONG, || async { emulator.count("accepted").await >= 20 }).await;
    interrupt(&redriving);
    let output = redriving.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let left = returned(&publisher).await;
    let redriven = letters.len() - left;
    assert!(said.contains(&format!("interrupted: {redriven} of 1000 redriven")), "{said}");
    until("what was redriven arrives", LONG, || async {
        emulator.count("accepted").await == redriven as u64
    })
    .await;
    assert!((20..500).contains(&redriven), "{redriven} at 20 a second");
    let ids: Vec<_> = publisher.drain("dead.wecom").await.into_iter().map(|(id, _)| id).collect();
    assert!(
        ids.iter().eq(letters[redriven..].iter().map(|letter| &letter.id)),
        "the others are at their places"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_interrupted_look_gives_every_letter_back_to_its_place() {
    let count = many().max(30_000);
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), UNLIMITED);
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let letters = buried(&publisher, &subscription, count).await;
    // Less than a third of them.
    let gate = Gate::before(&broker.url()).await;
    gate.lets(4 * 1024 * 1024);
    let listing = begin_through(&gate, &home, &["dead", "list", "--json"]);
    gate.is_shut().await;
    interrupt(&listing);
    gate.lets(u64::MAX);
    let output = listing.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("interrupted; every letter is at its place"), "{said}");
    assert!(output.stdout.is_empty(), "half of a list is none");
    assert_eq!(returned(&publisher).await, count);
    let found: Vec<_> = publisher.drain("dead.wecom").await.into_iter().map(|(id, _)| id).collect();
    assert!(found.iter().eq(letters.iter().map(|letter| &letter.id)), "in their order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn dead_letters_can_be_listed_while_the_daemon_writes_them_and_while_others_list_them() {
    const EVENTS: usize = 1500;
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), UNLIMITED);
    // After a thousand failures in a row, a robot would be held.
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    home.subscribe("dev", "wecom", "wecom-002", &[]);
    emulator.fault(json!({"kind": "status", "status": 500})).await;
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let events: Vec<_> = (0..EVENTS)
        .map(|number| (format!("id-{number}"), json!({"message": format!("m{number}")})))
        .collect();
    let (first, second) = events.split_at(EVENTS / 2);
    publisher.try_publish_all("ops", first).await.unwrap();
    publisher.try_publish_all("dev", second).await.unwrap();
    let events_of = |text: &str| -> HashSet<String> {
        let events: Vec<Value> = lines(text);
        let names: HashSet<_> =
            events.iter().map(|one| one["event"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names.len(), events.len(), "nothing is listed twice");
        names
    };
    let (mut seen, began) = (0, Instant::now());
    while seen < EVENTS {
        assert!(began.elapsed() < SOON, "{seen} of {EVENTS} are listed");
        // Two commands at a time: each sees all letters that existed when it began.
        let two = [(); 2].map(|()| home.begin(&["dead", "list", "--json"]));
        let both = two.map(|child| {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            // On a busy machine one command reports that it waits for the other. A missing letter
            // would be a failure.
            let waits =
                |line: &str| line.starts_with("another reader works on the dead letters: waiting");
            assert!(output.status.success() && said.lines().all(waits), "{said}");
            events_of(&String::from_utf8(output.stdout).unwrap())
        });
        let fewest = both.iter().map(HashSet::len).min().unwrap();
        assert!(fewest >= seen, "{fewest} after {seen}: what was seen once stays");
        seen = fewest;
    }
    let listed = events_of(&home.ok(&["dead", "list", "--json"], ""));
    assert_eq!(listed, events.into_iter().map(|(id, _)| id).collect());
}
