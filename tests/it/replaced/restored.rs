//! A store that is restored from a backup.
//!
//! Owns the promise that deliveries which waited before the restore arrive after it.
//!
//! Not here: the content of a backup (`tests/it/store.rs`).

use std::fs;

use serde_json::json;

use super::waiting::{Fixture, LATER, Where};
use crate::support::{daemon::Home, until};

/// Moves the store's folder away, or back.
fn renamed(home: &Home, from: &str, to: &str) {
    fs::rename(home.path(from), home.path(to)).unwrap();
}

#[tokio::test]
async fn what_waited_in_tiers_and_queues_arrives_after_the_store_was_restored() {
    let fixture = Fixture::new(Where::Tiers).await;
    let (home, emulator) = (&fixture.home, &fixture.emulator);
    home.subscribe("ops", "wecom", "wecom-001", &["--name", "as in the backup"]);
    home.subscribe("own", "wecom", "wecom-002", &[]);
    let backup = home.path("backup").display().to_string();
    home.ok(&["store", "backup", &backup], "");
    // The daemon uses records encrypted again after the backup. The backup has the older ones.
    home.ok(&["key", "rotate", "--data"], "");
    let running = fixture.start().await;
    running.forty_of_which_twenty_wait(Where::Tiers).await;
    assert!(running.daemon.terminate().success());
    assert_eq!(emulator.count("accepted").await, 20, "the others wait");
    let publisher = running.publisher;
    publisher.publish("own", &json!({"subject": "subject-040", "message": "m"})).await;
    renamed(home, "data", "old");
    let list = home.path("old/removed").display().to_string();
    home.ok(&["store", "restore", &backup, "--removed", &list], "");
    let running = fixture.start().await;
    until("what waited arrives", LATER, || async { emulator.count("accepted").await >= 41 }).await;
    running.until_deliveries("done", 21).await;
    fixture.each_arrived_once(0..41).await;
    assert_eq!(fixture.shown("wecom-002").await.len(), 1);
    running.nothing_is_lost().await;
}

#[tokio::test]
async fn a_store_is_not_restored_beside_a_running_daemon_even_if_its_folder_was_moved_away() {
    let fixture = Fixture::new(Where::Memory).await;
    let home = &fixture.home;
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let running = fixture.start().await;
    running.forty_of_which_twenty_wait(Where::Memory).await;
    let backup = home.path("backup").display().to_string();
    home.ok(&["store", "backup", &backup], "");
    let is_refused = || {
        let says = home.fails(&["store", "restore", &backup, "--yes"], "", 64);
        assert!(says.contains("a daemon runs") && says.contains("stop it"), "{says}");
        assert_eq!(says.trim_end().lines().count(), 1, "{says}");
    };
    is_refused();
    renamed(home, "data", "old");
    is_refused();
    assert!(
        !home.path("data").exists() && !home.path("data.restoring").exists(),
        "nothing was made"
    );
    renamed(home, "old", "data");
    running.publish("ops", 40..41).await;
    until("all arrive", LATER, || async { fixture.emulator.count("accepted").await >= 41 }).await;
    running.until_deliveries("done", 41).await;
    fixture.each_arrived_once(0..41).await;
    running.nothing_is_lost().await;
    home.ok(&["store", "verify"], "");
}
