//! Crashes of the daemon and of the broker under load.
//!
//! Owns the promise that no event is lost, and that repeats are bounded.
//!
//! Not here: receipts during crashes (`receipts_faults.rs`), the store (`store_crash.rs`).

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    broker::{self, Broker},
    daemon::Home,
    emulator::Emulator,
    publisher::Publisher,
    until,
};

const LONG: Duration = Duration::from_secs(180);
const UNLIMITED: &str = "\
    [platforms.dingtalk]\nbase_url = \"BASE_URL\"\nwindows = []\nrate_per_second = 0\n\
    [platforms.lark]\nbase_url = \"BASE_URL\"\nwindows = []\nrate_per_second = 0\n\
    [platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = []\nrate_per_second = 0\n\
    [retry]\njitter = 0.0\n";
const ROBOTS: [(&str, &str); 3] =
    [("dingtalk", "ding-0001"), ("lark", "lark-0001"), ("wecom", "wecom-001")];

fn events(count: usize) -> Vec<(String, Value)> {
    (0..count)
        .map(|number| (format!("id-{number}"), json!({"message": format!("m{number}")})))
        .collect()
}

/// Waits until every robot was shown every event; returns the number of repeats.
async fn repeated(emulator: &Emulator, count: usize) -> usize {
    let missing = async || {
        let shown = emulator.shown().await;
        let missing = ROBOTS.map(|(_, token)| {
            let found: BTreeSet<&String> = shown.get(token).into_iter().flatten().collect();
            (0..count).filter(|number| !found.contains(&format!("m{number}"))).count()
        });
        missing.iter().sum::<usize>()
    };
    // Unacknowledged messages are missing from the queues' counts, so the test waits for the
    // received messages.
    until("every event is shown in every chat", LONG, || async { missing().await == 0 }).await;
    let shown = emulator.shown().await;
    ROBOTS.map(|(_, token)| shown[token].len() - count).iter().sum()
}

#[tokio::test]
async fn a_daemon_killed_again_and_again_under_load_loses_nothing_and_repeats_little() {
    const COUNT: usize = 3000;
    const KILLS: u64 = 5;
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), UNLIMITED);
    for (platform, token) in ROBOTS {
        home.subscribe("ops", platform, token, &[]);
    }
    // Requests take a while, so that some are always in flight. Some fail, so that some always wait
    // in a tier.
    emulator.fault(json!({"kind": "status", "status": 500, "every": 40})).await;
    emulator.fault(json!({"kind": "slow", "milliseconds": 20})).await;
    let mut daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.try_publish_all("ops", &events(COUNT)).await.unwrap();
    for kill in 1..=KILLS {
        let enough = kill * (COUNT as u64 * 3) / (KILLS + 2);
        until("some more arrive", LONG, || async { emulator.count("accepted").await >= enough })
            .await;
        daemon.kill();
        daemon = home.start().await;
    }
    let repeated = repeated(&emulator, COUNT).await
        + usize::try_from(emulator.count("duplicate").await).unwrap();
    // At most the requests in flight and those settled since the last group commit are repeated,
    // which is far less than the whole fan-out. The room of each platform is `pace.in_flight_max`,
    // three quarters of it for deliveries that are not urgent: 192. As many again may have been
    // answered since the last group commit, because the groups of a loaded machine are large.
    let bound = usize::try_from(KILLS).unwrap() * ROBOTS.len() * 2 * 192;
    assert!(repeated <= bound, "{repeated} repeats");
    println!(
        "{repeated} repeats after {KILLS} kills with up to 256 posts in the air for each platform"
    );
    until("everything is settled", LONG, || async { broker.is_settled(&home.prefix) }).await;
    assert!(daemon.terminate().success());
    // Messages that the daemon had not acknowledged are back in their queue now.
    assert!(broker.is_settled(&home.prefix));
}

#[tokio::test]
async fn a_broker_killed_under_load_loses_nothing_and_is_logged_once() {
    const COUNT: usize = 2000;
    let mut broker = Broker::start().await;
    let emulator = Emulator::start(&["--no-quota"]).await;
    let home = Home::new(&broker, &emulator.url(), UNLIMITED);
    for (platform, token) in ROBOTS {
        home.subscribe("ops", platform, token, &[]);
    }
    emulator.fault(json!({"kind": "status", "status": 500, "every": 40})).await;
    emulator.fault(json!({"kind": "slow", "milliseconds": 10})).await;
    let daemon = home.start().await;
    let publishing = Publisher::insist(broker.url(), home.prefix.clone(), "ops", events(COUNT));
    for part in [1, 2] {
        until("some more arrive", LONG, || async {
            emulator.count("accepted").await >= part * COUNT as u64
        })
        .await;
        broker.kill();
        // An outage long enough for many reconnects.
        until("the daemon has noticed", LONG, || async {
            home.log().matches("still no session").count() >= 3 * usize::try_from(part).unwrap()
        })
        .await;
        broker.resume().await;
        daemon.ready().await;
    }
    publishing.await.unwrap();
    let repeated = repeated(&emulator, COUNT).await;
    println!("{repeated} repeats after two broker crashes");
    let log = home.log();
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(lines("WARN no session with the broker"), 2, "each outage is said once:\n{log}");
    assert_eq!(lines("connected to the broker again"), 2);
    until("everything is settled", LONG, || async { broker.is_settled(&home.prefix) }).await;
    assert!(daemon.terminate().success());
    // Messages that the daemon had not acknowledged are back in their queue now.
    assert!(broker.is_settled(&home.prefix));
}

#[tokio::test]
async fn a_terminated_daemon_finishes_the_attempts_in_flight() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), UNLIMITED);
    for (platform, token) in ROBOTS {
        home.subscribe("ops", platform, token, &[]);
    }
    emulator.fault(json!({"kind": "slow", "milliseconds": 300})).await;
    let publisher;
    {
        let daemon = home.start().await;
        publisher = Publisher::connect(&broker.url(), &home.prefix).await;
        publisher.try_publish_all("ops", &events(300)).await.unwrap();
        until("some arrive", LONG, || async { emulator.count("accepted").await > 0 }).await;
        assert!(daemon.terminate().success());
    }
    emulator.no_faults().await;
    let daemon = home.start().await;
    assert_eq!(repeated(&emulator, 300).await, 0, "an orderly end repeats nothing");
    assert_eq!(emulator.count("duplicate").await, 0);
    until("everything is settled", LONG, || async { broker.is_settled(&home.prefix) }).await;
    assert!(daemon.terminate().success());
    // Messages that the daemon had not acknowledged are back in their queue now.
    assert!(broker.is_settled(&home.prefix));
}
