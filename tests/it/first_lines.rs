//! The first lines of the daemon's log.
//!
//! Owns the promise that they say what runs, where, and with how much.
//!
//! Not here: starts that fail (`startup.rs`).

use crate::support::{broker, console::with_console, daemon::Home};

const NOWHERE: &str = "http://127.0.0.1:9";

#[tokio::test]
async fn the_first_lines_name_version_settings_broker_subscriptions_and_where_the_daemon_answers() {
    let broker = broker::shared().await;
    let (home, console) = with_console(Home::new(broker, NOWHERE, ""));
    for (topic, token) in [("ops", "wecom-001"), ("ops", "wecom-002"), ("db", "wecom-001")] {
        home.subscribe(topic, "wecom", token, &[]);
    }
    assert!(home.start().await.terminate().success());
    let log = home.log();
    let line = |says: &str| {
        let found = log.lines().find(|line| line.contains(says));
        found.unwrap_or_else(|| panic!("no line says {says}: {log}")).to_owned()
    };
    let first = line("roomcast starts");
    assert_eq!(log.lines().next(), Some(first.as_str()), "it comes before everything else");
    let file = home.path("roomcast.toml").display().to_string();
    let url = broker.url();
    let host = url.rsplit('@').next().unwrap().split('/').next().unwrap();
    for said in [env!("CARGO_PKG_VERSION"), &file, host, &home.prefix] {
        assert!(first.contains(said), "{said}: {first}");
    }
    let credentials = url.split_once("://").unwrap().1.split('@').next().unwrap();
    assert!(!log.contains(credentials), "no credential is in the log");
    let store = line("the store is open");
    assert!(store.contains("subscriptions=3") && store.contains("topics=2"), "{store}");
    let admin = line("the admin API listens");
    let socket = home.path("admin.sock").display().to_string();
    assert!(admin.contains(&format!("{console}/console")) && admin.contains(&socket), "{admin}");
}

#[tokio::test]
async fn a_daemon_without_a_tcp_address_says_so() {
    let home = Home::new(broker::shared().await, NOWHERE, "");
    assert!(home.start().await.terminate().success());
    let log = home.log();
    assert!(log.contains("the admin API listens on its socket alone"), "{log}");
    assert!(log.contains("subscriptions=0") && log.contains("topics=0"), "{log}");
}
