//! The terminal after a panic: a child process takes a real terminal and panics, and another
//! program continues in it.
//!
//! Owns the proof that the terminal is restored and the report is printed, on every way out.
//!
//! Not here: the usual ways out (`tests/it/top.rs`).
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::{
    env,
    io::Read,
    num::NonZeroU16,
    process::{Command, ExitStatus},
};

use pty_process::{Size, blocking};
use rustix::termios::tcgetattr;

use super::{draw::Theme, fixtures::NOW, screen::Screen, state::TopState};

/// The environment variable that tells the child how to panic.
const HOW: &str = "ROOMCAST_TEST_PANIC";

const ROWS: u16 = 40;
const COLUMNS: u16 = 240;

/// Starts this test again in a terminal, where it panics, and then another program. Returns how the
/// test ended, and the lines of the screen at the end.
fn after_a_panic(test: &str, how: &str) -> (ExitStatus, Vec<String>) {
    let (pty, pts) = blocking::open().unwrap();
    pty.resize(Size::new(ROWS, COLUMNS)).unwrap();
    let before = format!("{:?}", tcgetattr(&pty).unwrap());
    let test = format!("cli::top::screen_tests::{test}");
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "--nocapture", "--test-threads", "1", &test])
        .env(HOW, how)
        .env("RUST_BACKTRACE", "0");
    let mut child = blocking::Command::from(command).spawn_borrowed(&pts).unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(
        format!("{:?}", tcgetattr(&pty).unwrap()),
        before,
        "{how}: lines are edited and shown as before"
    );
    let mut next =
        blocking::Command::new("echo").arg("$ and what comes next").spawn_borrowed(&pts).unwrap();
    next.wait().unwrap();
    let size = |cells| NonZeroU16::new(cells).unwrap();
    let (mut terminal, mut said) = (vt100::Parser::new(size(ROWS), size(COLUMNS), 0), [0; 4096]);
    while !terminal.screen().contents().contains("$ and what comes next") {
        let read = (&pty).read(&mut said).unwrap();
        terminal.process(&said[..read]);
    }
    assert!(
        !terminal.screen().alternate_screen() && !terminal.screen().hide_cursor(),
        "{how}: the shell's own screen"
    );
    (ended, terminal.screen().rows(0, COLUMNS).collect())
}

/// In the child, how it panics; `None` in the test itself.
fn here() -> Option<String> {
    env::var(HOW).ok()
}

fn opened() -> Screen {
    println!("\n$ roomcast top");
    let mut screen = Screen::open().unwrap();
    assert!(screen.draw(&TopState::new(NOW, 1000), Theme { colour: true }).unwrap().is_some());
    screen
}

/// Asserts that a line with this beginning is directly followed by another.
fn stands(lines: &[String], first: &str, then: &str) {
    let at = lines.iter().position(|line| line.starts_with(first));
    let at = at.unwrap_or_else(|| panic!("{first:?} stands in {lines:#?}"));
    assert_eq!(lines[at + 1], then, "{lines:#?}");
}

#[test]
fn a_panic_gives_the_terminal_back_and_its_report_stands_there_whole() {
    const NAME: &str = "a_panic_gives_the_terminal_back_and_its_report_stands_there_whole";
    if here().is_some() {
        let _screen = opened();
        panic!("it broke");
    }
    let (ended, lines) = after_a_panic(NAME, "while it is drawn");
    assert_eq!(ended.code(), Some(101), "{lines:#?}");
    stands(
        &lines,
        &format!("thread 'cli::top::screen_tests::{NAME}' panicked at src/cli/top/screen_tests.rs"),
        "it broke",
    );
    let at = |text: &str| lines.iter().position(|line| line.contains(text));
    assert!(
        at("$ roomcast top") < at("it broke") && at("it broke") < at("$ and what comes next"),
        "{lines:#?}"
    );
    assert!(at("Overview").is_none(), "nothing is left of the other screen: {lines:#?}");
}

#[test]
fn a_panic_beside_the_drawing_is_said_when_the_terminal_is_given_back() {
    const NAME: &str = "a_panic_beside_the_drawing_is_said_when_the_terminal_is_given_back";
    if here().is_some() {
        let mut screen = opened();
        std::thread::Builder::new()
            .name("asks".to_owned())
            .spawn(|| panic!("it broke"))
            .unwrap()
            .join()
            .unwrap_err();
        // The task that draws may not know of the panic yet.
        screen.draw(&TopState::new(NOW + 60_000, 1000), Theme { colour: true }).unwrap();
        drop(screen);
        crate::cli::output::print_status("roomcast: a question failed");
        return;
    }
    let (ended, lines) = after_a_panic(NAME, "in a thread beside");
    assert_eq!(ended.code(), Some(0), "{lines:#?}");
    stands(&lines, "thread 'asks' panicked at src/cli/top/screen_tests.rs", "it broke");
    stands(&lines, "it broke", "roomcast: a question failed");
}

#[test]
fn a_panic_on_the_way_out_of_a_panic_gives_the_terminal_back_as_well() {
    const NAME: &str = "a_panic_on_the_way_out_of_a_panic_gives_the_terminal_back_as_well";
    struct Breaks;
    impl Drop for Breaks {
        fn drop(&mut self) {
            panic!("it broke again");
        }
    }
    if here().is_some() {
        let _screen = opened();
        let _breaks = Breaks;
        panic!("it broke");
    }
    let (ended, lines) = after_a_panic(NAME, "while it unwinds");
    assert!(!ended.success(), "{lines:#?}");
    stands(&lines, &format!("thread 'cli::top::screen_tests::{NAME}' panicked"), "it broke");
    assert!(lines.iter().any(|line| line == "it broke again"), "{lines:#?}");
}

#[test]
fn a_panic_after_the_terminal_was_given_back_is_said_at_once() {
    const NAME: &str = "a_panic_after_the_terminal_was_given_back_is_said_at_once";
    if here().is_some() {
        drop(opened());
        panic!("it broke");
    }
    let (_, lines) = after_a_panic(NAME, "afterwards");
    assert!(lines.iter().any(|line| line == "it broke"), "{lines:#?}");
}
