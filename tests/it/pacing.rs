//! Two hundred robots with a burst each, while the daemon is killed twice.
//!
//! Owns the promise of no refusal, no loss, and hardly more time than the quota requires.
//!
//! Not here: the same over simulated hours (`tests/sim/scenarios.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{
    broker,
    daemon::{Home, call, endpoint},
    emulator::Emulator,
    processor::OutsideLoad,
    publisher::Publisher,
    until,
};

const ROBOTS: usize = 200;
const BURST: usize = 100;
const PLATFORMS: [&str; 3] = ["dingtalk", "wecom", "lark"];
/// The messages in a window, and its length. Sixty seconds of the platforms are one window here.
/// The last window of a burst has spare room, which repeated messages need.
const QUOTA: usize = 12;
const WINDOW: u64 = 9_000;
const MARGIN: u64 = 200;
/// The bursts are spread evenly over one window, so that the load is even.
const APART: u64 = WINDOW / ROBOTS as u64;
/// A message answered this long before a kill is recorded, and does not arrive again.
const RECORDED_WITHIN: u64 = 1000;
const LONG: Duration = Duration::from_secs(240);

const SETTINGS: &str = "\
    [platforms.dingtalk]\nbase_url = \"BASE_URL\"\nwindows = [\"12/9s\"]\nrate_per_second = 0\n\
    [platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"12/9s\"]\nrate_per_second = 0\n\
    [platforms.lark]\nbase_url = \"BASE_URL\"\nwindows = [\"12/9s\", \"5/150ms\"]\n\
    rate_per_second = 0\n\
    [pace]\nhold_max = \"1s\"\nmargin = \"200ms\"\n";

/// Half of the robots have a topic of their own; the others share one by tens.
fn topic(robot: usize) -> String {
    if robot.is_multiple_of(2) { format!("shared.{}", robot / 20) } else { format!("own.{robot}") }
}

fn token(robot: usize) -> String {
    format!("robot-{robot:05}")
}

/// Milliseconds since the epoch.
fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap()
}

async fn subscribe_all(home: &Home, emulator: &Emulator) {
    for robot in 0..ROBOTS {
        let (platform, token) = (PLATFORMS[robot % 3], token(robot));
        emulator.robot(platform, &token, json!({"quota": QUOTA})).await;
        let wish = json!({
            "topic": topic(robot), "platform": platform, "endpoint": endpoint(platform, &token)
        });
        let (status, answer) =
            call(&home.path("admin.sock"), "POST", "/v1/subscriptions", &wish).await;
        assert!((200..300).contains(&status), "{status} {answer}");
    }
}

/// Publishes a burst to each topic; returns the start time of each.
async fn publish_all(publisher: &Publisher) -> BTreeMap<String, u64> {
    let (mut seen, mut bursts) = (BTreeSet::new(), Vec::new());
    for robot in 0..ROBOTS {
        let (topic, wait) = (topic(robot), Duration::from_millis(APART * robot as u64));
        if seen.insert(topic.clone()) {
            bursts.push(async move {
                let events: Vec<_> = (0..BURST)
                    .map(|number| {
                        (format!("id-{number}"), json!({"message": format!("m{number}")}))
                    })
                    .collect();
                tokio::time::sleep(wait).await;
                let began = now();
                publisher.try_publish_all(&topic, &events).await.unwrap();
                (topic, began)
            });
        }
    }
    join_all(bursts).await.into_iter().collect()
}

/// The arrival times of each robot's messages, repeats included.
async fn arrivals(emulator: &Emulator) -> BTreeMap<(String, String), Vec<u64>> {
    let mut arrivals = BTreeMap::<_, Vec<_>>::new();
    for one in emulator.received().await {
        assert_eq!(one["outcome"], "accepted", "a robot was refused: {one}");
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        arrivals
            .entry((text("token"), text("text")))
            .or_default()
            .push(one["at_ms"].as_u64().unwrap());
    }
    arrivals
}

/// The arrival of a burst's last message, if each leaves as soon as the quota permits and a daemon
/// runs.
fn allowed_end(began: u64, outages: &[(u64, u64)]) -> u64 {
    let mut sent: Vec<u64> = Vec::with_capacity(BURST);
    for place in 0..BURST {
        let free = place.checked_sub(QUOTA).map_or(began, |before| sent[before] + WINDOW + MARGIN);
        let outage = outages.iter().find(|(killed, ready)| (*killed..*ready).contains(&free));
        sent.push(outage.map_or(free, |(_, ready)| *ready));
    }
    sent[BURST - 1]
}

/// The number of these times in each second from the first.
fn each_second(times: &[u64]) -> Vec<usize> {
    let first = *times.iter().min().unwrap();
    let mut seconds = Vec::new();
    for second in times.iter().map(|at| usize::try_from((at - first) / 1000).unwrap()) {
        seconds.resize(seconds.len().max(second + 1), 0);
        seconds[second] += 1;
    }
    seconds
}

/// The number of messages that overtook an earlier one at their robot. Repeated messages are
/// ignored.
fn overtakers(arrivals: &BTreeMap<(String, String), Vec<u64>>) -> usize {
    let mut robots = BTreeMap::<&str, Vec<(u64, usize)>>::new();
    for ((token, text), times) in arrivals.iter().filter(|(_, times)| times.len() == 1) {
        robots.entry(token).or_default().push((times[0], text[1..].parse().unwrap()));
    }
    let overtakers = robots.into_values().map(|mut messages| {
        messages.sort_unstable();
        messages.windows(2).filter(|pair| pair[0].1 > pair[1].1).count()
    });
    overtakers.sum()
}

#[tokio::test]
async fn bursts_for_two_hundred_robots_take_the_time_of_the_quota_despite_two_kills() {
    let window = format!("{}", WINDOW / 1000);
    let (broker, emulator) =
        (broker::shared().await, Emulator::start(&["--window-seconds", &window]).await);
    let home =
        Home::new(broker, &emulator.url(), SETTINGS).with("level = \"debug\"", "level = \"info\"");
    let mut daemon = home.start().await;
    subscribe_all(&home, &emulator).await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let (mut outages, load) = (Vec::new(), OutsideLoad::begin());
    let killing = async {
        for part in [20, 55] {
            let enough = u64::try_from(ROBOTS * BURST * part / 100).unwrap();
            until("some more arrive", LONG, || async {
                emulator.count("accepted").await >= enough
            })
            .await;
            daemon.kill();
            let killed = now();
            daemon = home.start().await;
            outages.push((killed, now()));
        }
        daemon
    };
    let (began, daemon) = tokio::join!(publish_all(&publisher), killing);
    until("everything arrives", LONG, || async {
        assert_eq!(emulator.count("refused").await, 0, "a robot was refused");
        emulator.count("accepted").await >= u64::try_from(ROBOTS * BURST).unwrap()
    })
    .await;
    until("everything arrives", LONG, || async {
        arrivals(&emulator).await.len() == ROBOTS * BURST
    })
    .await;
    // Other processes on this machine delay all this. On a quiet machine the share is almost 0.
    let (outside, delay) = (load.share(), u64::try_from(load.delay().as_millis()).unwrap());
    assert_eq!((emulator.count("refused").await, emulator.count("throttled").await), (0, 0));

    let arrivals = arrivals(&emulator).await;
    let repeats: Vec<_> = arrivals.iter().filter(|(_, times)| times.len() > 1).collect();
    for (delivery, times) in &repeats {
        let accounted = times[..times.len() - 1].iter().all(|first| {
            outages.iter().any(|(killed, _)| {
                first.saturating_sub(50) <= *killed && *killed < first + RECORDED_WITHIN + delay
            })
        });
        assert!(
            accounted,
            "{delivery:?} arrived at {times:?}, and there was no daemon {outages:?}"
        );
    }

    let times: Vec<u64> = arrivals.values().flatten().copied().collect();
    let (first, last) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
    let ends = (0..ROBOTS).map(|robot| allowed_end(began[&topic(robot)], &outages));
    let allowed = ends.max().unwrap() - began.values().min().unwrap();
    println!("arrivals in each second: {:?}", each_second(&times));
    println!(
        "{} of {} arrived before one that was published earlier",
        overtakers(&arrivals),
        times.len()
    );
    let own = Duration::from_millis(last - first).mul_f64(1.0 - outside);
    println!(
        "{} ms, of which the quota needs {allowed} ms; {} repeats; other processes took {:.1} % of \
         the processor, which leaves {} ms",
        last - first,
        repeats.len(),
        outside * 100.0,
        own.as_millis()
    );
    assert!(last - first >= WINDOW * (BURST / QUOTA) as u64, "the windows were not kept");
    assert!(
        own <= Duration::from_millis(allowed).mul_f64(1.05),
        "{own:?}, where the quota allows {allowed} ms"
    );
    // Each message leaves after the answer to the one before, or 50 ms after it. A loaded machine
    // sometimes needs longer to receive it.
    let overtakers = overtakers(&arrivals);
    assert!(
        overtakers * 50 <= times.len(),
        "{overtakers} arrived before one that was published earlier"
    );
    for platform in PLATFORMS {
        assert_eq!(publisher.depth(&format!("dead.{platform}")).await, 0, "nothing is given up");
    }
    assert!(daemon.terminate().success());
}
