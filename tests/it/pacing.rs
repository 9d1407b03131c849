//! Two hundred robots, a burst for each, the daemon killed twice on the way: no refusal, no loss, and hardly slower than the quota
//! allows.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use crate::support::{
    broker,
    daemon::{Home, call, endpoint},
    emulator::Emulator,
    publisher::Publisher,
    until,
};

const ROBOTS: usize = 200;
const BURST: usize = 100;
/// Messages in a window, and its length. Sixty seconds at the platforms are one window here.
const QUOTA: usize = 10;
const WINDOW: Duration = Duration::from_secs(10);
const MARGIN: Duration = Duration::from_millis(200);
const PLATFORMS: [&str; 3] = ["dingtalk", "wecom", "lark"];
/// A message whose answer the daemon had this long before it was killed is recorded, and does not arrive again.
const RECORDED_WITHIN: u64 = 1000;
const LONG: Duration = Duration::from_secs(240);

const SETTINGS: &str = "[platforms.dingtalk]\nbase_url = \"BASE_URL\"\nwindows = [\"10/10s\"]\nrate_per_second = 0\n\
    [platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"10/10s\"]\nrate_per_second = 0\n\
    [platforms.lark]\nbase_url = \"BASE_URL\"\nwindows = [\"10/10s\", \"5/167ms\"]\nrate_per_second = 0\n\
    [pace]\nhold_max = \"1s\"\nmargin = \"200ms\"\n";

/// One half of the robots hears one topic together, each of the other half has a topic of its own.
fn topic(robot: usize) -> String {
    if robot.is_multiple_of(2) { "shared".to_owned() } else { format!("own.{robot}") }
}

fn token(robot: usize) -> String {
    format!("robot-{robot:05}")
}

async fn subscribe_all(home: &Home, emulator: &Emulator) {
    for robot in 0..ROBOTS {
        let (platform, token) = (PLATFORMS[robot % 3], token(robot));
        emulator.robot(platform, &token, json!({"quota": QUOTA})).await;
        let wish = json!({"topic": topic(robot), "platform": platform, "endpoint": endpoint(platform, &token)});
        let (status, answer) = call(&home.path("admin.sock"), "POST", "/v1/subscriptions", &wish).await;
        assert!((200..300).contains(&status), "{status} {answer}");
    }
}

/// All bursts at once: the first event of each topic, then the second of each.
async fn publish_all(publisher: &Publisher) {
    for number in 0..BURST {
        let event = (format!("id-{number}"), json!({"message": format!("m{number}")}));
        publisher.try_publish_all("shared", std::slice::from_ref(&event)).await.unwrap();
        let topics: Vec<_> = (0..ROBOTS).map(topic).filter(|topic| topic != "shared").collect();
        let one = topics.iter().map(|topic| publisher.try_publish_all(topic, std::slice::from_ref(&event)));
        for published in futures_util::future::join_all(one).await {
            published.unwrap();
        }
    }
}

/// When each message of each robot arrived, in milliseconds of Unix time, repeats included.
async fn arrivals(emulator: &Emulator) -> BTreeMap<(String, String), Vec<u64>> {
    let mut arrivals = BTreeMap::<_, Vec<_>>::new();
    for one in emulator.received().await {
        assert_eq!(one["outcome"], "accepted", "a robot was refused: {one}");
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        arrivals.entry((text("token"), text("text"))).or_default().push(one["at_ms"].as_u64().unwrap());
    }
    arrivals
}

/// How many of these times, in milliseconds, lie in each second from the first.
fn each_second(times: Vec<u64>) -> Vec<usize> {
    let first = *times.iter().min().unwrap();
    let mut seconds = Vec::new();
    for second in times.into_iter().map(|at| usize::try_from((at - first) / 1000).unwrap()) {
        seconds.resize(seconds.len().max(second + 1), 0);
        seconds[second] += 1;
    }
    seconds
}

#[tokio::test]
async fn bursts_for_two_hundred_robots_take_what_the_quota_allows_though_the_daemon_is_killed_twice() {
    let window = WINDOW.as_secs().to_string();
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--window-seconds", &window]).await);
    let home = Home::new(broker, &emulator.url(), SETTINGS).with("level = \"debug\"", "level = \"info\"");
    {
        let daemon = home.start().await;
        subscribe_all(&home, &emulator).await;
        assert!(daemon.terminate().success());
    }
    // Everything is there before the daemon starts, so that nothing but the quota holds it up.
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publish_all(&publisher).await;
    let mut daemon = home.start().await;
    let mut kills = Vec::new();
    // Once when a window has just been filled, once in the middle of filling one.
    for (part, of) in [(20, 100), (55, 100)] {
        let enough = u64::try_from(ROBOTS * BURST * part / of).unwrap();
        until("some more arrive", LONG, || async { emulator.count("accepted").await >= enough }).await;
        daemon.kill();
        kills.push(u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap());
        daemon = home.start().await;
    }
    until("everything arrives", LONG, || async {
        emulator.count("accepted").await + emulator.count("refused").await >= u64::try_from(ROBOTS * BURST).unwrap()
            && arrivals(&emulator).await.len() == ROBOTS * BURST
    })
    .await;
    assert_eq!((emulator.count("refused").await, emulator.count("throttled").await), (0, 0));
    let arrivals = arrivals(&emulator).await;
    let repeats: Vec<_> = arrivals.iter().filter(|(_, times)| times.len() > 1).collect();
    for (delivery, times) in &repeats {
        let accounted = times[..times.len() - 1]
            .iter()
            .all(|first| kills.iter().any(|kill| first.saturating_sub(50) <= *kill && *kill < first + RECORDED_WITHIN));
        assert!(accounted, "{delivery:?} arrived at {times:?}, and the daemon was killed at {kills:?}");
    }
    let all = || arrivals.values().flatten();
    let took = Duration::from_millis(all().max().unwrap() - all().min().unwrap());
    let mut received = BTreeMap::<&str, usize>::new();
    for ((token, _), times) in &arrivals {
        *received.entry(token).or_default() += times.len();
    }
    // The first window of each robot is filled at once; each of the others begins a window and its margin after the one before. Repeats
    // take up room as well, so the robot that received most of all needs the longest.
    let most = received.into_values().max().unwrap();
    let allowed = (WINDOW + MARGIN) * u32::try_from(most.div_ceil(QUOTA) - 1).unwrap();
    println!("arrivals in each second: {:?}", each_second(all().copied().collect()));
    println!(
        "{} s, of which the quota needs {} s; {} repeats",
        took.as_secs_f64(),
        allowed.as_secs_f64(),
        repeats.len()
    );
    assert!(took >= WINDOW * 9, "the windows were not kept: {took:?}");
    assert!(took <= allowed.mul_f64(1.05), "{took:?}, where the quota allows {allowed:?}");
    for platform in PLATFORMS {
        assert_eq!(publisher.depth(&format!("dead.{platform}")).await, 0, "nothing is given up");
    }
    assert!(daemon.terminate().success());
}
