//! Floods of the admin port.
//!
//! Owns the promise that many connections to it delay no delivery, no call on the Unix socket, and
//! not the next caller.
//!
//! Not here: guesses of the token (`console_guard.rs`).

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    broker,
    console::{TOKEN, http, with_console},
    daemon::{Home, get},
    emulator::Emulator,
    processor::OutsideLoad,
    publisher::Publisher,
    until,
};

const SOON: Duration = Duration::from_secs(20);
const FLOOD: usize = 1100;

/// The test itself holds one end of each connection.
fn raise_own_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// Begins a request and never finishes it.
async fn half_open(host: &str) -> Option<TcpStream> {
    let mut stream =
        timeout(Duration::from_millis(200), TcpStream::connect(host)).await.ok()?.ok()?;
    let _ = stream.write_all(b"GET /v1/subscriptions HTTP/1.1\r\nhost: 127").await;
    Some(stream)
}

#[tokio::test]
async fn eleven_hundred_half_open_connections_stop_no_delivery_no_socket_and_no_other_caller() {
    raise_own_limit();
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let (home, address) = with_console(Home::new(broker, &emulator.url(), ""));
    for number in 0..40 {
        home.subscribe("ops", "dingtalk", &format!("flooded-{number:03}"), &[]);
    }
    let daemon = home.start_with_open_files(1024).await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let host = address.trim_start_matches("http://").to_owned();
    let mut flood = Vec::new();
    for _ in 0..FLOOD {
        flood.extend(half_open(&host).await);
    }
    publisher.publish("ops", &json!({"message": "in the flood"})).await;
    until("all deliveries are made", SOON, || async { emulator.count("accepted").await == 40 })
        .await;
    assert_eq!(home.ok(&["subscription", "list", "--limit", "1", "--json"], "").lines().count(), 1);
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("authorization", bearer.as_str())];
    let asked = http(&address, "GET", "/v1/subscriptions?limit=1", &headers, "");
    let (began, load) = (Instant::now(), OutsideLoad::begin());
    let answer = timeout(SOON, asked).await.expect("another caller is answered");
    assert!(began.elapsed() < Duration::from_secs(5) + load.delay(), "it is answered soon");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let metrics = get(&home.path("admin.sock"), "/metrics").await;
    let value = |name: &str| {
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_else(|| panic!("{name}"));
        line.trim().parse::<f64>().unwrap()
    };
    let open = value("roomcast_admin_connections{listener=\"tcp\"}");
    assert!(open <= 128.0, "an eighth of 1,024 descriptors at most: {open}");
    assert!(value("roomcast_admin_connections_refused_total{listener=\"tcp\"}") >= 900.0);
    assert_eq!(
        home.log().matches("more connections to the admin API than it takes").count(),
        1,
        "said once"
    );
    drop(flood);
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn a_connection_whose_request_does_not_end_is_closed() {
    let (home, address) = with_console(Home::new(broker::shared().await, "http://127.0.0.1:9", ""));
    let daemon = home.start().await;
    let host = address.trim_start_matches("http://").to_owned();
    let mut stream = half_open(&host).await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(40), stream.read_to_end(&mut answer))
        .await
        .expect("it is hung up on")
        .unwrap();
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    // A connection in the middle of its request does not keep the daemon from stopping.
    let _stream = half_open(&host).await.unwrap();
    until("it is there", SOON, || async {
        get(&home.path("admin.sock"), "/metrics")
            .await
            .contains("roomcast_admin_connections{listener=\"tcp\"} 1\n")
    })
    .await;
    let begun = std::time::Instant::now();
    assert!(daemon.terminate().success());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_daemon_raises_its_limit_of_open_files_and_says_when_that_is_not_enough() {
    let home = Home::new(broker::shared().await, "http://127.0.0.1:9", "");
    let hard = getrlimit(Resource::Nofile).maximum.unwrap();
    for (limits, soft, said) in [("-S -n 256", hard, 0), ("-n 300", 300, 1)] {
        let daemon = home.start_after(&format!("ulimit {limits}")).await;
        let pid = daemon.pid().as_raw_nonzero();
        let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
        assert_eq!(line.split_whitespace().nth(3), Some(soft.to_string().as_str()), "{line}");
        assert_eq!(home.log().matches("the process may open too few files").count(), said);
        assert!(daemon.terminate().success());
    }
}
