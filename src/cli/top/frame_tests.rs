//! The frames of every view, on a small, a narrow and a wide screen.
//!
//! Owns the proof that no view breaks at these sizes; the frames are in `snapshots/`.
//!
//! Not here: what keys do (`state_tests.rs`), and a real terminal (`tests/it/top.rs`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, style::Color};

use super::{
    draw::{self, Theme},
    fixtures::{self, NOW},
    keymap::KeyAction,
    requests::{ApiRequest, ApiResponse},
    state::TopState,
};
use crate::{
    admin::wire::{DeadLetterView, DeadPage, OutageView},
    cli::exit::Failure,
    domain::Platform,
};

const SMALL: (u16, u16) = (40, 10);
const NARROW: (u16, u16) = (80, 24);
const WIDE: (u16, u16) = (140, 30);

fn begin(pulse: fn(u64) -> super::live_data::Pulse) -> TopState {
    let mut top = TopState::new(NOW, 1000);
    for seconds in [0, 5] {
        top.tick();
        top.now = NOW + seconds * 1000;
        top.apply(0, Ok(ApiResponse::Pulse(pulse(seconds))));
    }
    top
}

fn busy() -> TopState {
    begin(fixtures::pulse)
}

/// Presses a key, and answers the request that it causes.
fn press(top: &mut TopState, key: KeyAction, answer: impl FnOnce() -> ApiResponse) {
    let asked: Vec<_> = top.press(key).into_iter().filter(|asked| asked.number != 0).collect();
    let [ApiRequest { number, .. }] = asked[..] else { panic!("one thing is asked: {asked:?}") };
    top.apply(number, Ok(answer()));
    top.apply(0, Ok(ApiResponse::Pulse(fixtures::pulse(6))));
}

fn buffer(top: &mut TopState, (width, height): (u16, u16), colour: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| {
            let drawn = draw::draw(frame, top, Theme { colour });
            top.drawn(drawn);
        })
        .unwrap();
    terminal.backend().buffer().clone()
}

fn screen(top: &mut TopState, size: (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal
        .draw(|frame| {
            let drawn = draw::draw(frame, top, Theme { colour: true });
            top.drawn(drawn);
        })
        .unwrap();
    terminal.backend().to_string()
}

macro_rules! seen {
    ($name:literal, $top:expr) => {{
        let mut top = $top;
        insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(concat!($name, "_small"), screen(&mut top, SMALL));
            insta::assert_snapshot!(concat!($name, "_narrow"), screen(&mut top, NARROW));
            insta::assert_snapshot!(concat!($name, "_wide"), screen(&mut top, WIDE));
        });
    }};
}

fn at(tab: usize) -> TopState {
    let mut top = busy();
    top.press(KeyAction::Tab(tab));
    top.apply(0, Ok(ApiResponse::Pulse(fixtures::pulse(6))));
    top
}

fn dead() -> TopState {
    let mut top = busy();
    press(&mut top, KeyAction::Tab(4), || ApiResponse::Summary(fixtures::summary()));
    top
}

fn held_robot() -> TopState {
    let mut top = at(2);
    let found = || ApiResponse::Robot {
        subscriptions: vec![fixtures::subscription()],
        letters: fixtures::page(),
    };
    press(&mut top, KeyAction::Open, found);
    top
}

fn one_letter() -> TopState {
    let mut top = held_robot();
    press(&mut top, KeyAction::Open, || ApiResponse::Letter(Box::new(fixtures::detail())));
    top
}

#[test]
fn the_overview_shows_the_rates_and_the_slowest_robots() {
    seen!("overview", busy());
}

#[test]
fn robots_stand_by_backlog_with_the_time_to_drain() {
    seen!("robots", at(1));
}

#[test]
fn a_hold_is_shown_with_its_cause_and_what_to_do() {
    seen!("holds", at(2));
}

#[test]
fn budgets_say_whether_they_last() {
    seen!("budgets", at(3));
}

#[test]
fn dead_letters_are_counted_by_kind() {
    seen!("dead", dead());
}

#[test]
fn a_robot_is_shown_with_its_hold_and_its_dead_letters() {
    seen!("robot", held_robot());
}

#[test]
fn the_letters_of_a_kind_are_listed_with_what_to_do() {
    let mut top = dead();
    press(&mut top, KeyAction::Open, || ApiResponse::Letters(fixtures::page()));
    seen!("letters", top);
}

#[test]
fn a_letter_is_shown_whole() {
    seen!("letter", one_letter());
}

#[test]
fn before_the_first_answer_it_says_that_it_asks() {
    seen!("asking", TopState::new(NOW, 1000));
}

#[test]
fn where_there_is_nothing_it_says_so() {
    let quiet = |tab| {
        let mut top = begin(fixtures::quiet);
        top.press(KeyAction::Tab(tab));
        top
    };
    seen!("quiet_overview", quiet(0));
    for (tab, says) in [
        (1, "no robot is busy or held"),
        (2, "no robot is held"),
        (3, "no organisation"),
        (4, "looking through"),
    ] {
        let screen = screen(&mut quiet(tab), NARROW);
        assert!(screen.contains(says), "{screen}");
    }
}

#[test]
fn a_lost_connection_is_shown_at_the_top_and_the_old_data_stays() {
    let mut top = busy();
    top.apply(
        0,
        Err(Failure::Unavailable(
            "the daemon on /run/roomcast/admin.sock does not answer".to_owned(),
        )),
    );
    top.now += 12_000;
    seen!("lost", top);
}

#[test]
fn a_daemon_that_hangs_or_has_no_broker_is_said_as_well() {
    let mut top = busy();
    top.now += 9_000;
    assert!(screen(&mut top, NARROW).contains("THE DAEMON DOES NOT ANSWER, the data is 9 s old"));
    let mut pulse = fixtures::pulse(7);
    pulse.overview.broker_up = false;
    top.apply(0, Ok(ApiResponse::Pulse(pulse)));
    assert!(screen(&mut top, NARROW).contains("NO SESSION WITH THE BROKER"));
    let mut pulse = fixtures::pulse(8);
    pulse.overview.broker_blocked = true;
    top.apply(0, Ok(ApiResponse::Pulse(pulse)));
    assert!(screen(&mut top, NARROW).contains("THE BROKER BLOCKS PUBLISHERS"));
}

#[test]
fn a_platform_that_fails_is_said_at_the_top_of_every_view() {
    let mut top = busy();
    let mut pulse = fixtures::pulse(7);
    let since = "2026-11-25T02:11:00Z".to_owned();
    pulse.overview.robots.outages.push(OutageView { platform: Platform::WeCom, since });
    top.apply(0, Ok(ApiResponse::Pulse(pulse)));
    let screen = screen(&mut top, NARROW);
    assert!(screen.contains("PLATFORM FAILS, wecom since 2026-11-25T02:11:00Z: most"), "{screen}");
}

#[test]
fn a_redrive_asks_with_the_number_and_says_what_happened() {
    let mut top = dead();
    press(&mut top, KeyAction::Redrive, || {
        ApiResponse::Redriven(fixtures::outcome(12_000, 10_000))
    });
    seen!("redrive", top);
    let mut top = dead();
    press(&mut top, KeyAction::Redrive, || ApiResponse::Redriven(fixtures::outcome(37, 37)));
    press(&mut top, KeyAction::Yes, || ApiResponse::Redriven(fixtures::outcome(37, 36)));
    let screen = screen(&mut top, NARROW);
    assert!(screen.contains("redriven: 36 letters; 1 more match."), "{screen}");
}

#[test]
fn a_release_says_what_it_means() {
    let mut top = at(2);
    top.press(KeyAction::Release);
    seen!("release", top);
}

#[test]
fn the_help_names_every_key() {
    let mut top = busy();
    top.press(KeyAction::Help);
    seen!("help", top);
}

#[test]
fn without_colours_nothing_is_missing_and_nothing_is_coloured() {
    let mut lost = busy();
    lost.apply(0, Err(Failure::Unavailable("gone".to_owned())));
    let mut asks = dead();
    press(&mut asks, KeyAction::Redrive, || ApiResponse::Redriven(fixtures::outcome(37, 37)));
    for top in
        [&mut busy(), &mut at(1), &mut at(2), &mut dead(), &mut held_robot(), &mut lost, &mut asks]
    {
        let (with, without) = (buffer(top, NARROW, true), buffer(top, NARROW, false));
        let symbols = |buffer: &Buffer| {
            buffer.content.iter().map(|cell| cell.symbol().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(symbols(&with), symbols(&without), "no word depends on colour");
        assert!(
            without.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
        );
        assert!(with.content.iter().any(|cell| cell.fg != Color::Reset));
    }
}

#[test]
fn a_letter_never_commands_the_terminal() {
    let mut top = one_letter();
    for _ in 0..40 {
        let buffer = buffer(&mut top, NARROW, true);
        assert!(buffer.content.iter().all(|cell| !cell.symbol().contains(char::is_control)));
        top.press(KeyAction::Down);
    }
}

#[test]
fn a_text_is_scrolled_to_its_end_and_not_beyond() {
    let mut top = one_letter();
    let first = screen(&mut top, NARROW);
    top.press(KeyAction::Last);
    let last = screen(&mut top, NARROW);
    assert!(last.contains("took over") && !first.contains("took over"), "{last}");
    let end = top.current_view().unwrap().at;
    top.press(KeyAction::Down);
    assert_eq!(screen(&mut top, NARROW), last);
    assert_eq!(top.current_view().unwrap().at, end, "so that the next key up is seen at once");
}

#[test]
fn the_row_that_is_chosen_is_in_sight_however_many_there_are() {
    let mut top = busy();
    top.press(KeyAction::Tab(1));
    let mut pulse = fixtures::pulse(6);
    let robot = fixtures::robots().remove(0);
    let many = (0..500).map(|number| crate::admin::wire::RobotView {
        robot: format!("{number:03}{}", "0".repeat(29)).parse().unwrap(),
        ..robot.clone()
    });
    pulse.robots = Some(many.collect());
    top.apply(0, Ok(ApiResponse::Pulse(pulse)));
    let _ = screen(&mut top, NARROW);
    top.press(KeyAction::PageDown);
    top.press(KeyAction::PageDown);
    assert!(screen(&mut top, NARROW).contains(&format!("▸ {:03}0", 2 * top.page)));
    top.press(KeyAction::Last);
    assert!(screen(&mut top, NARROW).contains("▸ 4990"));
}

#[test]
fn on_a_small_screen_the_help_is_scrolled_to_its_end_and_a_question_shows_its_answers() {
    let mut top = busy();
    top.press(KeyAction::Help);
    assert!(screen(&mut top, SMALL).contains("↑↓ scroll; any other key goes back"));
    for _ in 0..100 {
        top.press(KeyAction::Down);
    }
    let last = screen(&mut top, SMALL);
    assert!(last.contains("the last ten seconds."), "{last}");
    top.press(KeyAction::Up);
    assert_ne!(screen(&mut top, SMALL), last, "it scrolls back at once");
    top.press(KeyAction::Open);
    assert!(top.dialog.is_none());
    let mut asks = at(2);
    asks.press(KeyAction::Release);
    assert!(screen(&mut asks, SMALL).contains("y yes, release    n no"));
}

#[test]
fn wide_letters_of_others_are_cut_whole_and_shift_nothing() {
    let mut top = dead();
    let wide = |says: &str| DeadLetterView {
        topic: "告警".repeat(40),
        code: "错误🚨".repeat(9),
        ..fixtures::letter("letter-1", says)
    };
    let letters =
        DeadPage { letters: vec![wide(&"磁盘满了".repeat(40)), wide("x")], ..fixtures::page() };
    press(&mut top, KeyAction::Open, || ApiResponse::Letters(letters));
    for width in 40..200 {
        let buffer = buffer(&mut top, (width, 24), true);
        let row = |y| (0..width).map(move |x| (x, y));
        let head: String = row(4).map(|at| buffer[at].symbol()).collect();
        let topic = head.find("TOPIC").map(|at| u16::try_from(head[..at].chars().count()).unwrap());
        for line in [5, 6] {
            assert!(topic.is_none_or(|topic| buffer[(topic, line)].symbol() == "告"), "{width}");
            let last = buffer[(width - 1, line)].symbol();
            assert!(
                textwrap::core::display_width(last) <= 1,
                "{width}: nothing stands out of the window"
            );
        }
    }
}

#[test]
fn no_screen_is_too_small_to_be_drawn() {
    for size in [(1, 1), (5, 3), (20, 6), (40, 10), (300, 100)] {
        let mut asks = dead();
        press(&mut asks, KeyAction::Redrive, || ApiResponse::Redriven(fixtures::outcome(37, 37)));
        for top in [
            &mut busy(),
            &mut at(1),
            &mut at(2),
            &mut at(3),
            &mut dead(),
            &mut held_robot(),
            &mut one_letter(),
            &mut asks,
        ] {
            let _ = screen(top, size);
        }
    }
}
