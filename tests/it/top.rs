//! `roomcast top` with a real daemon, in a real terminal and without one.
//!
//! Owns the promise that its numbers are true, and that it restores the terminal. `target/tmp/top/`
//! has the screens afterwards.
//!
//! Not here: its layout (tests in `src/cli/top/`).

use rustix::process::Signal;
use serde_json::{Value, json};

use super::support::{
    broker,
    daemon::{Daemon, Home, get},
    emulator::Emulator,
    publisher::Publisher,
    terminal::Terminal,
    until,
};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn without_a_daemon_or_a_terminal_it_says_so_in_one_sentence() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let says = home.fails(&["top"], "", 69);
    assert!(
        says.starts_with("roomcast: no daemon answers on ") && says.lines().count() == 1,
        "{says}"
    );
    let _daemon = home.start().await;
    let says = home.fails(&["top"], "", 64);
    assert!(
        says.starts_with("roomcast: top needs a terminal") && says.lines().count() == 1,
        "{says}"
    );
}

#[tokio::test]
async fn the_overview_counts_what_happened() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    emulator.robot("wecom", "wecom-gone", json!({"state": "gone"})).await;
    home.subscribe("ops", "lark", "lark-0001", &[]);
    home.subscribe("ops", "wecom", "wecom-gone", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "hello"})).await;
    let socket = home.path("admin.sock");
    let overview = || async {
        serde_json::from_str::<Value>(&get(&socket, "/v1/overview").await).unwrap_or_default()
    };
    let flow = |overview: &Value, name: &str| -> Value {
        let platforms = overview["platforms"].as_array().cloned().unwrap_or_default();
        platforms.into_iter().find(|flow| flow["platform"] == name).unwrap_or_default()
    };
    until("one is delivered and one given up", SOON, || async {
        let overview = overview().await;
        flow(&overview, "lark")["done"] == 1 && flow(&overview, "wecom")["dead"] == 1
    })
    .await;
    let overview = overview().await;
    assert_eq!(
        (&overview["events"], &overview["broker_up"]),
        (&json!(1), &json!(true)),
        "{overview}"
    );
    assert!(overview["since"].as_u64() <= overview["at"].as_u64(), "{overview}");
    assert_eq!(flow(&overview, "lark")["attempts"]["delivered"], 1, "{overview}");
    let wecom = flow(&overview, "wecom");
    assert_eq!(
        (&wecom["attempts"]["robot_gone"], &wecom["reasons"]["robot_gone"]),
        (&json!(1), &json!(1)),
        "{overview}"
    );
}

const USUAL: (u16, u16) = (80, 24);
/// A robot that is gone is held after three letters.
const HEALTH: &str = "[health]\nafter = 3\n";

fn top(home: &Home, size: (u16, u16)) -> Terminal {
    Terminal::start(home.command(&["top"]), size)
}

/// A daemon with two robots: one is gone and has three dead letters, one has used up its quota.
async fn with_a_backlog<'a>(home: &'a Home, emulator: &Emulator) -> Daemon<'a> {
    let broker = broker::shared().await;
    emulator.robot("wecom", "wecom-gone", json!({"state": "gone"})).await;
    home.subscribe("ops", "wecom", "wecom-gone", &["--name", "值班群 🚨 on call"]);
    home.subscribe("ops", "dingtalk", "dingtalk-1", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for number in 0..25 {
        publisher
            .publish("ops", &json!({"subject": "磁盘满了", "message": format!("第 {number} 条")}))
            .await;
    }
    until("there is a backlog, and letters", SOON, || async {
        publisher.depth("dead.wecom").await >= 3
            && serde_json::from_str::<Value>(&get(&home.path("admin.sock"), "/v1/overview").await)
                .is_ok_and(|overview| overview["robots"]["waiting"].as_u64() >= Some(5))
    })
    .await;
    daemon
}

#[tokio::test]
async fn keys_lead_down_to_one_letter_and_back_to_the_shell() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), HEALTH);
    let _daemon = with_a_backlog(&home, &emulator).await;
    let terminal = top(&home, USUAL);
    terminal.shows("Slowest to drain").await;
    terminal.shows("[1 Overview]").await;
    terminal.press("5");
    // The overview shows the reason too, but not the code.
    terminal.shows("93000").await;
    terminal.press("\r");
    terminal.shows("Dead letters › ").await;
    terminal.shows("What to do").await;
    terminal.press("\r");
    terminal.shows("redriven      never").await;
    terminal.press("G");
    // The list shows the subject too, but not the raw body.
    terminal.shows("\"subject\":").await;
    terminal.press("\u{1b}");
    terminal
        .becomes("back in the list", |rows| rows.iter().all(|row| !row.contains("› letter ")))
        .await;
    terminal.shows("磁盘满了").await;
    terminal.press("q");
    let (ended, rows) = terminal.given_back().await;
    assert_eq!((ended.code(), rows.len()), (Some(0), 2), "{rows:#?}");
}

#[tokio::test]
async fn a_signal_leaves_as_q_does_and_the_terminal_is_as_it_was() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let _daemon = home.start().await;
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let terminal = top(&home, USUAL);
        terminal.shows("nothing waits").await;
        terminal.signal(signal);
        let (ended, rows) = terminal.given_back().await;
        assert_eq!((ended.code(), rows.len()), (Some(0), 2), "{signal:?}: {rows:#?}");
    }
}

#[tokio::test]
async fn it_ends_with_its_terminal() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let _daemon = home.start().await;
    let terminal = top(&home, USUAL);
    terminal.shows("nothing waits").await;
    assert_eq!(terminal.close().await.code(), Some(0));
}

#[tokio::test]
async fn every_window_is_filled_and_none_is_left_half_drawn_by_another_size() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), HEALTH);
    let _daemon = with_a_backlog(&home, &emulator).await;
    let terminal = top(&home, (40, 10));
    terminal.shows("q quit").await;
    // Each size follows a smaller and a larger one.
    for (columns, rows) in [(40, 10), (80, 24), (200, 60), (80, 24), (40, 10), (200, 60), (40, 10)]
    {
        terminal.resize((columns, rows));
        for (key, what) in [("1", "[1"), ("2", "[2"), ("3", "[3"), ("4", "[4"), ("5", "[5")] {
            terminal.press(key);
            terminal
                .becomes(&format!("{what} at {columns} x {rows}"), |seen| {
                    seen.len() == usize::from(rows)
                        && seen[0].contains(" held")
                        && seen[1].contains(what)
                        && seen[usize::from(rows) - 1].contains("q quit")
                        && seen.iter().filter(|row| row.contains("quit")).count() == 1
                })
                .await;
            terminal.picture(&format!("view-{key}-{columns}x{rows}"));
        }
    }
    // A key that is pressed during a resize is not lost.
    for round in 0..50 {
        let (size, key, what) =
            if round % 2 == 0 { ((80, 24), "1", "[1") } else { ((90, 30), "2", "[2") };
        terminal.resize(size);
        terminal.press(key);
        terminal.becomes(&format!("{what} in round {round}"), |seen| seen[1].contains(what)).await;
    }
    // A key that is pressed during a resize is not lost.
    for round in 0..50 {
        let (size, key, what) =
            if round % 2 == 0 { ((80, 24), "1", "[1") } else { ((90, 30), "2", "[2") };
        terminal.resize(size);
        terminal.press(key);
        terminal.becomes(&format!("{what} in round {round}"), |seen| seen[1].contains(what)).await;
    }
    terminal.press("q");
    assert_eq!(terminal.given_back().await.0.code(), Some(0));
}
