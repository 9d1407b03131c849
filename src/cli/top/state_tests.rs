//! What keys and answers do, without a terminal and without a daemon.
//!
//! Owns the proof of navigation, confirmations and late answers.
//!
//! Not here: the frames (`frame_tests.rs`), and a real daemon (`tests/it/top.rs`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::{
    dialog::Dialog,
    fixtures::{self, HELD, NOW},
    keymap::KeyAction,
    navigation::{View, ViewData},
    requests::{ApiQuery, ApiRequest, ApiResponse},
    state::TopState,
};
use crate::{admin::wire::DeadQuery, cli::exit::Failure, domain::DeadReason};

fn top() -> TopState {
    let mut top = TopState::new(NOW, 1000);
    for seconds in [0, 1] {
        assert_eq!(top.tick().len(), 1);
        assert!(top.apply(0, Ok(ApiResponse::Pulse(fixtures::pulse(seconds)))).is_empty());
    }
    top
}

/// The only request that is not for a snapshot.
fn only(asked: Vec<ApiRequest>) -> ApiRequest {
    let mut asked: Vec<_> = asked.into_iter().filter(|one| one.number != 0).collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
    asked.remove(0)
}

fn view(top: &TopState) -> View {
    top.current_view().unwrap().view.clone()
}

/// The view of dead letters, with the first kind selected.
fn at_dead_letters() -> TopState {
    let mut top = top();
    let asked = only(top.press(KeyAction::Tab(4)));
    assert_eq!(asked.question, ApiQuery::Summary);
    top.apply(asked.number, Ok(ApiResponse::Summary(fixtures::summary())));
    top
}

#[test]
fn a_slow_answer_is_waited_for_and_not_asked_for_again() {
    let mut top = top();
    assert_eq!(top.tick().len(), 1);
    assert!(top.tick().is_empty(), "the daemon has not answered yet");
    top.apply(0, Err(Failure::Unavailable("gone".to_owned())));
    assert_eq!(top.live.why_lost(), Some("gone"));
    assert_eq!(top.tick().len(), 1, "it is asked again after it was lost");
}

#[test]
fn robots_are_asked_for_only_where_they_are_shown() {
    let mut top = top();
    let pulse = |robots, groups| ApiQuery::Pulse { robots, groups };
    assert_eq!(top.tick()[0].question, pulse(false, false));
    top.apply(0, Ok(ApiResponse::Pulse(fixtures::pulse(2))));
    assert_eq!(
        top.press(KeyAction::Tab(2))[0].question,
        pulse(true, false),
        "at once, not with the next tick"
    );
    top.apply(0, Ok(ApiResponse::Pulse(fixtures::pulse(3))));
    assert_eq!(top.press(KeyAction::Tab(3))[0].question, pulse(false, true));
}

#[test]
fn the_dead_queues_are_read_when_their_view_opens_and_on_a_key() {
    let mut top = at_dead_letters();
    top.apply(0, Ok(ApiResponse::Pulse(fixtures::pulse(2))));
    assert!(top.tick().iter().all(|asked| asked.number == 0), "not every second");
    top.press(KeyAction::Tab(0));
    assert!(
        top.press(KeyAction::Tab(4)).iter().all(|asked| asked.number == 0),
        "what was seen is still there"
    );
    let again = only(top.press(KeyAction::Refresh));
    assert_eq!(again.question, ApiQuery::Summary);
    assert!(top.press(KeyAction::Refresh).is_empty(), "one look at a time");
}

#[test]
fn a_robot_leads_to_its_letters_and_a_letter_is_shown_whole() {
    let mut top = top();
    top.press(KeyAction::Tab(2));
    let robot = only(top.press(KeyAction::Open));
    assert_eq!(robot.question, ApiQuery::Robot(HELD.parse().unwrap()));
    let found = ApiResponse::Robot {
        subscriptions: vec![fixtures::subscription()],
        letters: fixtures::page(),
    };
    top.apply(robot.number, Ok(found));
    top.press(KeyAction::Down);
    let letter = only(top.press(KeyAction::Open));
    assert_eq!(letter.question, ApiQuery::Letter("letter-2".to_owned()));
    top.press(KeyAction::Back);
    assert_eq!(view(&top), View::Robot(HELD.parse().unwrap()));
    top.apply(letter.number, Ok(ApiResponse::Letter(Box::new(fixtures::detail()))));
    assert!(
        matches!(top.current_view().unwrap().found, ViewData::Robot { .. }),
        "an answer that nobody waits for is dropped"
    );
    top.press(KeyAction::Back);
    top.press(KeyAction::Back);
    assert_eq!(view(&top), View::Holds, "there is nothing behind a view that is a key away");
}

#[test]
fn a_kind_of_letters_leads_to_those_letters() {
    let mut top = at_dead_letters();
    let ApiQuery::Letters(which) = only(top.press(KeyAction::Open)).question else {
        panic!("letters are asked for")
    };
    assert_eq!(
        (which.reason, which.code.as_deref()),
        (Some(DeadReason::RobotGone.into()), Some("93000"))
    );
}

#[test]
fn a_redrive_counts_then_asks_then_does_it_then_says_what_happened() {
    let mut top = at_dead_letters();
    let ApiRequest { number, question: ApiQuery::Redrive(counted) } =
        only(top.press(KeyAction::Redrive))
    else {
        panic!("it is counted first")
    };
    assert!(counted.dry_run, "nothing is changed before somebody says yes");
    top.press(KeyAction::Yes);
    assert!(
        matches!(top.dialog, Some(Dialog::Counting { .. })),
        "yes to a question that was not asked yet"
    );
    top.apply(number, Ok(ApiResponse::Redriven(fixtures::outcome(1_040, 1_037))));
    let Some(Dialog::Redrive { would, .. }) = &top.dialog else { panic!("it asks") };
    assert_eq!(would.done, 1_037);
    top.press(KeyAction::Open);
    assert!(top.dialog.is_some(), "Enter is not yes");
    let ApiRequest { number, question: ApiQuery::Redrive(done) } = only(top.press(KeyAction::Yes))
    else {
        panic!("it acts")
    };
    assert_eq!((done.dry_run, done.limit), (false, Some(1_037)), "no more than were counted");
    assert_eq!(
        done.which,
        DeadQuery {
            platform: Some("wecom".parse().unwrap()),
            reason: Some(DeadReason::RobotGone.into()),
            code: Some("93000".to_owned()),
            ..DeadQuery::default()
        }
    );
    assert!(top.press(KeyAction::Redrive).is_empty(), "one thing at a time");
    let after = top.apply(number, Ok(ApiResponse::Redriven(fixtures::outcome(1_040, 1_036))));
    let said = top.status_line.clone().unwrap();
    assert!(said.contains("1,036 letters") && said.contains("4 more match"), "{said}");
    assert_eq!(only(after).question, ApiQuery::Summary, "what is shown is looked at again");
}

#[test]
fn no_means_no() {
    for no in [KeyAction::No, KeyAction::Back, KeyAction::Quit] {
        let mut top = at_dead_letters();
        let counting = only(top.press(KeyAction::Redrive));
        top.apply(counting.number, Ok(ApiResponse::Redriven(fixtures::outcome(5, 5))));
        assert!(top.press(no).is_empty());
        assert!(top.dialog.is_none() && top.acting.is_none() && !top.should_quit());
        assert_eq!(top.status_line.as_deref(), Some("nothing was changed"));
        assert!(top.press(KeyAction::Yes).is_empty(), "a late yes is too late");
    }
}

#[test]
fn an_answer_to_a_count_that_was_called_off_asks_nothing() {
    let mut top = at_dead_letters();
    let counting = only(top.press(KeyAction::Redrive));
    top.press(KeyAction::Back);
    top.apply(counting.number, Ok(ApiResponse::Redriven(fixtures::outcome(5, 5))));
    assert!(top.dialog.is_none());
}

#[test]
fn a_failed_redrive_says_so_and_a_count_of_nothing_does_not_ask() {
    let mut top = at_dead_letters();
    let counting = only(top.press(KeyAction::Redrive));
    top.apply(counting.number, Ok(ApiResponse::Redriven(fixtures::outcome(0, 0))));
    assert!(top.dialog.is_none());
    assert!(top.status_line.clone().unwrap().contains("nothing to redrive"));
    let counting = only(top.press(KeyAction::Redrive));
    top.apply(counting.number, Ok(ApiResponse::Redriven(fixtures::outcome(5, 5))));
    let acting = only(top.press(KeyAction::Yes));
    top.apply(acting.number, Err(Failure::Unavailable("the broker is gone".to_owned())));
    let said = top.status_line.clone().unwrap();
    assert!(
        said.contains("redriving 5 letters") && said.contains("failed: the broker is gone"),
        "{said}"
    );
}

#[test]
fn a_first_quit_during_a_redrive_warns_and_a_second_one_ends() {
    let mut top = at_dead_letters();
    let counting = only(top.press(KeyAction::Redrive));
    top.apply(counting.number, Ok(ApiResponse::Redriven(fixtures::outcome(5, 5))));
    let _ = top.press(KeyAction::Yes);
    top.press(KeyAction::Quit);
    assert!(!top.should_quit() && top.status_line.clone().unwrap().contains("still under way"));
    top.press(KeyAction::Quit);
    assert!(top.should_quit());
}

#[test]
fn all_letters_of_all_kinds_are_never_redriven_by_one_key() {
    let mut top = at_dead_letters();
    assert!(top.press(KeyAction::RedriveAll).is_empty());
    assert!(top.dialog.is_none() && top.status_line.is_some());
}

#[test]
fn a_release_asks_first_and_only_about_robots_that_are_held() {
    let mut top = top();
    top.press(KeyAction::Tab(1));
    top.press(KeyAction::Release);
    assert!(
        top.dialog.is_none() && top.status_line.clone().unwrap().contains("is not held"),
        "the busiest is not held"
    );
    top.press(KeyAction::Down);
    assert!(top.press(KeyAction::Release).is_empty());
    let Some(Dialog::Release { robot, .. }) = &top.dialog else { panic!("no question") };
    assert_eq!(robot.robot.to_string(), HELD);
    let asked = only(top.press(KeyAction::Yes));
    assert_eq!(asked.question, ApiQuery::Release(HELD.parse().unwrap()));
    top.apply(asked.number, Ok(ApiResponse::Released { was_held: true }));
    assert!(top.status_line.clone().unwrap().starts_with("released"));
}

#[test]
fn control_c_leaves_even_from_a_question() {
    let mut top = at_dead_letters();
    let _ = top.press(KeyAction::Redrive);
    top.press(KeyAction::Leave);
    assert!(top.should_quit());
}
