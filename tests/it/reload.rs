//! Reload by SIGHUP.
//!
//! Owns the promise that changed settings apply, and that settings which need a restart are named.
//!
//! Not here: invalid settings at start (`startup.rs`).

use std::{fs, time::Duration};

use rustix::process::{Signal, kill_process};

use crate::support::{
    broker,
    daemon::{Daemon, Home},
    until,
};

const SOON: Duration = Duration::from_secs(20);

/// Sends SIGHUP, and waits for this many reloads.
async fn hang_up(daemon: &Daemon<'_>, home: &Home, reloads: usize) {
    kill_process(daemon.pid(), Signal::HUP).unwrap();
    until("it was read anew", SOON, || async {
        home.log().matches("limits and log level were read anew").count() == reloads
    })
    .await;
}

#[tokio::test]
async fn each_setting_that_changed_is_named_as_counting_now_or_from_the_next_start_only() {
    let broker = broker::shared().await;
    let limits = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"20/60s\"]\n\
        [pace]\nheld_max = 5000\n";
    let home = Home::new(broker, "http://127.0.0.1:9", limits);
    let daemon = home.start().await;
    hang_up(&daemon, &home, 1).await;
    assert!(home.log().contains("changed=\"\""), "nothing had changed");
    assert!(!home.log().contains("from the next start only"));
    let home_file = home.path("roomcast.toml");
    let config = fs::read_to_string(&home_file).unwrap();
    let other = config
        .replace("20/60s", "10/60s")
        .replace("held_max = 5000", "held_max = 6000\nin_flight_max = 99\nhold_max = \"3s\"")
        .replace("127.0.0.1:9\"", "127.0.0.1:10\"")
        .replace("guest:guest", "guest:hunter2");
    fs::write(&home_file, other).unwrap();
    let waiting = "settings=\"broker.url pace.held_max pace.in_flight_max \
        platforms.dingtalk.base_url platforms.dingtalk_internal.base_url \
        platforms.lark.base_url platforms.wecom.base_url\"";
    hang_up(&daemon, &home, 2).await;
    until("the others are named", SOON, || async { home.log().contains(waiting) }).await;
    assert!(home.log().contains("changed=\"pace.hold_max platforms.wecom.windows\""));
    // Repeated as long as the setting differs, and not after it is restored.
    hang_up(&daemon, &home, 3).await;
    until("they are named again", SOON, || async { home.log().matches(waiting).count() == 2 })
        .await;
    fs::write(&home_file, config).unwrap();
    hang_up(&daemon, &home, 4).await;
    assert!(daemon.terminate().success());
    assert_eq!(home.log().matches("from the next start only").count(), 2);
    assert!(!home.log().contains("hunter2"));
}
