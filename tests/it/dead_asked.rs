//! Mistakes and scripts at `roomcast dead`.
//!
//! Owns the promise that an empty selection acts on no letter, and that each failure has a sentence
//! and an exit code.
//!
//! Not here: regular use of these commands (`dead_letters.rs`).

use std::{
    fs::File,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::{Home, call},
    emulator::Emulator,
    letters::Letter,
    publisher::Publisher,
};

async fn post(home: &Home, path: &str, body: Value) -> (u16, String) {
    call(&home.path("admin.sock"), "POST", path, &body).await
}

#[tokio::test]
async fn a_command_that_names_no_letters_and_not_all_acts_on_none() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let letters: Vec<_> = (0..3).map(|number| Letter::number(number, &"07".repeat(16))).collect();
    publisher.bury(&letters).await;
    // Like a script with an empty variable.
    for act in [&["dead", "discard", "--yes", "--text", ""][..], &["dead", "redrive", "--text", ""]]
    {
        let says = home.fails(act, "", 64);
        assert!(says.contains("which dead letters?") && says.contains("--all"), "{says}");
    }
    for act in [
        &["dead", "discard", "--yes", "--all", "--limit", "0"][..],
        &["dead", "list", "--limit", "0"],
    ] {
        let says = home.fails(act, "", 64);
        assert!(says.contains("--limit"), "{says}");
    }
    for (body, says) in [
        (json!({"which": {"text": ""}}), "which dead letters?"),
        (json!({"all": true, "limit": 0}), "limit must be at least 1"),
    ] {
        let (status, answer) = post(&home, "/v1/dead/discard", body).await;
        assert!(status == 400 && answer.contains(says), "{status} {answer}");
    }
    assert_eq!(publisher.drain("dead.wecom").await.len(), 3, "all of them are still there");
}

#[tokio::test]
async fn a_letter_whose_subscription_was_removed_is_not_advised_to_be_redriven() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let letter = Letter::number(1, &subscription);
    let show = || home.ok(&["dead", "show", &letter.id], "");
    let advised = |shown: &str| shown.lines().nth(1).unwrap().to_owned();
    publisher.bury(std::slice::from_ref(&letter)).await;
    assert!(advised(&show()).contains(": redrive when"), "{}", show());
    home.ok(&["subscription", "remove", &subscription], "");
    let with_daemon = advised(&show());
    assert!(
        with_daemon.contains("was removed") && with_daemon.ends_with("discard"),
        "{with_daemon}"
    );
    daemon.terminate();
    assert_eq!(advised(&show()), with_daemon, "the store says the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_slow_redrive_lets_others_read_and_tells_waiting_callers_why() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let letters: Vec<_> = (0..90).map(|number| Letter::number(number, &"07".repeat(16))).collect();
    publisher.bury(&letters).await;
    let redriving = post(&home, "/v1/dead/redrive", json!({"all": true, "per_second": 1}));
    let looking = async {
        // A listing that comes between two portions of the redrive does not wait. The wait is
        // reported at the terminal; the runtime needs a second thread for that.
        loop {
            let listing = home.begin(&["dead", "list"]);
            let answer = call(&home.path("admin.sock"), "GET", "/v1/dead", &Value::Null).await;
            let listed = listing.wait_with_output().unwrap();
            let said = String::from_utf8(listed.stderr).unwrap();
            assert!(listed.status.success(), "{said}");
            if said.contains("another reader works on the dead letters: waiting") {
                break answer;
            }
        }
    };
    // The letters are held for 20 s at a time; all of them take a minute and a half.
    tokio::select! {
        (status, text) = looking => {
            assert!(status == 200 && text.contains("\"letters\""), "{status} {text}");
        }
        (status, text) = redriving => panic!("it was over first: {status} {text}"),
    }
}

#[tokio::test]
async fn a_command_before_the_first_start_of_a_daemon_says_so() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    for looking in [
        &["dead", "list"][..],
        &["dead", "show", "00000000-0000-0000-0000-000000000000"],
        &["dead", "redrive", "--all"],
        &["dead", "export"],
    ] {
        let says = home.fails(looking, "", 69);
        assert!(
            says.contains(&format!("{}.dead.dingtalk", home.prefix))
                && says.contains("first start"),
            "{says}"
        );
        assert!(says.contains("broker.prefix") && !says.contains("broker.declare"), "{says}");
    }
    assert!(
        home.fails(&["dead", "list", "--robot", "team-a"], "", 64)
            .contains("\"team-a\" is not a robot id")
    );
}

#[tokio::test]
async fn a_failed_write_is_an_error_and_a_closed_pipe_is_not_a_fault() {
    let broker = broker::shared().await;
    let home = Home::new(broker, "http://127.0.0.1:9", "");
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roomcast"));
        command
            .args(arguments)
            .arg("--config")
            .arg(home.path("roomcast.toml"))
            .env_clear()
            .stderr(Stdio::piped());
        command
    };
    let gone = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    let full = command(&["topology"])
        .stdout(File::options().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    let says = String::from_utf8_lossy(&full.stderr);
    assert!(full.status.code() == Some(69) && says.contains("No space left"), "{full:?}");
    for arguments in [&["completions", "bash"][..], &["topology"]] {
        let left = command(arguments).stdout(gone()).output().unwrap();
        assert!(left.status.success() && left.stderr.is_empty(), "{arguments:?}: {left:?}");
    }
    let unheard =
        command(&["dead", "redrive"]).stdout(Stdio::null()).stderr(gone()).status().unwrap();
    assert_eq!(
        unheard.code(),
        Some(64),
        "it is said to nobody, and the exit code is what it would be"
    );
}
