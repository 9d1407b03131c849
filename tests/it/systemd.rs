//! Notifications to systemd, received by a socket of the test.
//!
//! Owns the promise that systemd learns of start, reload and stop, and of a wait for the broker.
//!
//! Not here: exit codes (`startup.rs`).

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use rustix::process::{Signal, kill_process};
use tokio::net::UnixDatagram;

use crate::support::{broker, daemon::Home, until};

const SOON: Duration = Duration::from_secs(60);

struct Manager {
    socket: UnixDatagram,
    path: String,
    heard: Mutex<Vec<String>>,
}

impl Manager {
    fn beside(home: &Home) -> Self {
        let path = home.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self { socket, path: path.display().to_string(), heard: Mutex::default() }
    }

    /// All received notifications, line by line, in order.
    fn heard(&self) -> Vec<String> {
        let mut heard = self.heard.lock().unwrap();
        let mut message = [0; 4096];
        while let Ok(length) = self.socket.try_recv(&mut message) {
            heard.extend(
                std::str::from_utf8(&message[..length]).unwrap().lines().map(str::to_owned),
            );
        }
        heard.clone()
    }

    async fn hears(&self, line: &str) {
        until(line, SOON, || async { self.heard().iter().any(|one| one == line) }).await;
    }

    fn place(&self, line: &str) -> usize {
        let heard = self.heard();
        heard
            .iter()
            .position(|one| one == line)
            .unwrap_or_else(|| panic!("{line} is not in {heard:?}"))
    }
}

#[tokio::test]
async fn systemd_is_notified_of_start_reload_and_stop() {
    let home = Home::new(broker::shared().await, "http://127.0.0.1:9", "");
    let manager = Manager::beside(&home);
    let daemon = home.spawn_with(&[("NOTIFY_SOCKET", &manager.path)]);
    manager.hears("READY=1").await;
    daemon.ready().await;
    assert!(manager.place("STATUS=waiting for the broker") < manager.place("READY=1"));
    manager.hears("STATUS=in session with the broker").await;
    kill_process(daemon.pid(), Signal::HUP).unwrap();
    until("it has reloaded", SOON, || async {
        manager.heard().iter().filter(|one| *one == "READY=1").count() == 2
    })
    .await;
    let heard = manager.heard();
    let reloading = manager.place("RELOADING=1");
    assert!(heard[reloading + 1].starts_with("MONOTONIC_USEC="), "{heard:?}");
    assert_eq!(
        heard.iter().skip(reloading + 2).find(|line| !line.starts_with("STATUS")).unwrap(),
        "READY=1"
    );
    assert!(daemon.terminate().success());
    manager.hears("STOPPING=1").await;
    assert!(!manager.heard().iter().any(|line| line == "WATCHDOG=1"), "nobody asked for that");
}

#[tokio::test]
async fn a_daemon_that_waits_for_its_broker_asks_for_time_and_shows_that_it_lives() {
    let home =
        Home::with_prefix("amqp://guest:guest@127.0.0.1:9/%2f", "none", "http://127.0.0.1:9", "");
    let manager = Manager::beside(&home);
    let daemon = home.spawn_with(&[("NOTIFY_SOCKET", &manager.path), ("WATCHDOG_USEC", "400000")]);
    let began = Instant::now();
    let lives = || async { manager.heard().iter().filter(|one| *one == "WATCHDOG=1").count() > 5 };
    until("it shows that it lives", SOON, lives).await;
    manager.hears("STATUS=waiting for the broker").await;
    until("it asks for time", SOON, || async {
        manager.heard().iter().any(|line| line.starts_with("EXTEND_TIMEOUT_USEC="))
    })
    .await;
    let heard = manager.heard();
    // A start is reported as done after half a minute at the latest.
    assert!(
        began.elapsed() > Duration::from_secs(29) || !heard.contains(&"READY=1".to_owned()),
        "{heard:?}"
    );
    assert!(daemon.terminate().success());
    manager.hears("STOPPING=1").await;
}
