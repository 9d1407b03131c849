//! What keys and answers do, without a terminal and without a daemon.
//!
//! Owns the proof of navigation, confirmations and late answers.
//!
//! Not here: the frames (`frame_tests.rs`), and a real daemon (`tests/it/top.rs`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::{
    ask::{Answer, Asked, Question},
    dialog::Dialog,
    place::{Found, View},
    press::Press,
    samples::{self, HELD, NOW},
    state::Top,
};
use crate::{admin::wire::DeadQuery, cli::exit::Failure};

fn top() -> Top {
    let mut top = Top::new(NOW, 1000);
    for seconds in [0, 1] {
        assert_eq!(top.tick().len(), 1);
        assert!(top.told(0, Ok(Answer::Pulse(samples::pulse(seconds)))).is_empty());
    }
    top
}

/// The only request that is not for a snapshot.
fn only(asked: Vec<Asked>) -> Asked {
    let mut asked: Vec<_> = asked.into_iter().filter(|one| one.number != 0).collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
    asked.remove(0)
}

fn view(top: &Top) -> View {
    top.place().unwrap().view.clone()
}

/// The view of dead letters, with the first kind selected.
fn at_dead_letters() -> Top {
    let mut top = top();
    let asked = only(top.press(Press::Tab(4)));
    assert_eq!(asked.question, Question::Summary);
    top.told(asked.number, Ok(Answer::Summary(samples::summary())));
    top
}

#[test]
fn a_slow_answer_is_waited_for_and_not_asked_for_again() {
    let mut top = top();
    assert_eq!(top.tick().len(), 1);
    assert!(top.tick().is_empty(), "the daemon has not answered yet");
    top.told(0, Err(Failure::Unavailable("gone".to_owned())));
    assert_eq!(top.live.why_lost(), Some("gone"));
    assert_eq!(top.tick().len(), 1, "it is asked again after it was lost");
}

#[test]
fn robots_are_asked_for_only_where_they_are_shown() {
    let mut top = top();
    let pulse = |robots, groups| Question::Pulse { robots, groups };
    assert_eq!(top.tick()[0].question, pulse(false, false));
    top.told(0, Ok(Answer::Pulse(samples::pulse(2))));
    assert_eq!(top.press(Press::Tab(2))[0].question, pulse(true, false), "at once, not with the next tick");
    top.told(0, Ok(Answer::Pulse(samples::pulse(3))));
    assert_eq!(top.press(Press::Tab(3))[0].question, pulse(false, true));
}

#[test]
fn the_dead_queues_are_looked_through_when_somebody_wants_to_see_them_and_on_a_key() {
    let mut top = at_dead_letters();
    top.told(0, Ok(Answer::Pulse(samples::pulse(2))));
    assert!(top.tick().iter().all(|asked| asked.number == 0), "not every second");
    top.press(Press::Tab(0));
    assert!(top.press(Press::Tab(4)).iter().all(|asked| asked.number == 0), "what was seen is still there");
    let again = only(top.press(Press::Look));
    assert_eq!(again.question, Question::Summary);
    assert!(top.press(Press::Look).is_empty(), "one look at a time");
}

#[test]
fn a_robot_leads_to_its_letters_and_a_letter_is_shown_whole() {
    let mut top = top();
    top.press(Press::Tab(2));
    let robot = only(top.press(Press::Open));
    assert_eq!(robot.question, Question::Robot(HELD.to_owned()));
    let found = Answer::Robot { subscriptions: vec![samples::subscription()], letters: samples::page() };
    top.told(robot.number, Ok(found));
    top.press(Press::Down);
    let letter = only(top.press(Press::Open));
    assert_eq!(letter.question, Question::Letter("letter-2".to_owned()));
    top.press(Press::Back);
    assert_eq!(view(&top), View::Robot(HELD.to_owned()));
    top.told(letter.number, Ok(Answer::Letter(Box::new(samples::detail()))));
    assert!(matches!(top.place().unwrap().found, Found::Robot { .. }), "an answer that nobody waits for is dropped");
    top.press(Press::Back);
    top.press(Press::Back);
    assert_eq!(view(&top), View::Holds, "there is nothing behind a view that is a key away");
}

#[test]
fn a_kind_of_letters_leads_to_those_letters() {
    let mut top = at_dead_letters();
    let Question::Letters(which) = only(top.press(Press::Open)).question else { panic!("letters are asked for") };
    assert_eq!((which.reason.as_deref(), which.code.as_deref()), (Some("robot_gone"), Some("93000")));
}

#[test]
fn a_redrive_counts_then_asks_then_does_it_then_says_what_happened() {
    let mut top = at_dead_letters();
    let Asked { number, question: Question::Redrive(counted) } = only(top.press(Press::Redrive)) else {
        panic!("it is counted first")
    };
    assert!(counted.dry_run, "nothing is changed before somebody says yes");
    top.press(Press::Yes);
    assert!(matches!(top.dialog, Some(Dialog::Counting { .. })), "yes to a question that was not asked yet");
    top.told(number, Ok(Answer::Redriven(samples::outcome(1_040, 1_037))));
    let Some(Dialog::Redrive { would, .. }) = &top.dialog else { panic!("it asks") };
    assert_eq!(would.done, 1_037);
    top.press(Press::Open);
    assert!(top.dialog.is_some(), "Enter is not yes");
    let Asked { number, question: Question::Redrive(done) } = only(top.press(Press::Yes)) else { panic!("it acts") };
    assert_eq!((done.dry_run, done.limit), (false, Some(1_037)), "no more than were counted");
    assert_eq!(
        done.which,
        DeadQuery {
            platform: Some("wecom".to_owned()),
            reason: Some("robot_gone".to_owned()),
            code: Some("93000".to_owned()),
            ..DeadQuery::default()
        }
    );
    assert!(top.press(Press::Redrive).is_empty(), "one thing at a time");
    let after = top.told(number, Ok(Answer::Redriven(samples::outcome(1_040, 1_036))));
    let said = top.said.clone().unwrap();
    assert!(said.contains("1,036 letters") && said.contains("4 more match"), "{said}");
    assert_eq!(only(after).question, Question::Summary, "what is shown is looked at again");
}

#[test]
fn no_means_no() {
    for no in [Press::No, Press::Back, Press::Quit] {
        let mut top = at_dead_letters();
        let counting = only(top.press(Press::Redrive));
        top.told(counting.number, Ok(Answer::Redriven(samples::outcome(5, 5))));
        assert!(top.press(no).is_empty());
        assert!(top.dialog.is_none() && top.acting.is_none() && !top.is_over());
        assert_eq!(top.said.as_deref(), Some("nothing was changed"));
        assert!(top.press(Press::Yes).is_empty(), "a late yes is too late");
    }
}

#[test]
fn an_answer_to_a_count_that_was_called_off_asks_nothing() {
    let mut top = at_dead_letters();
    let counting = only(top.press(Press::Redrive));
    top.press(Press::Back);
    top.told(counting.number, Ok(Answer::Redriven(samples::outcome(5, 5))));
    assert!(top.dialog.is_none());
}

#[test]
fn a_failed_redrive_says_so_and_a_count_of_nothing_does_not_ask() {
    let mut top = at_dead_letters();
    let counting = only(top.press(Press::Redrive));
    top.told(counting.number, Ok(Answer::Redriven(samples::outcome(0, 0))));
    assert!(top.dialog.is_none());
    assert!(top.said.clone().unwrap().contains("nothing to redrive"));
    let counting = only(top.press(Press::Redrive));
    top.told(counting.number, Ok(Answer::Redriven(samples::outcome(5, 5))));
    let acting = only(top.press(Press::Yes));
    top.told(acting.number, Err(Failure::Unavailable("the broker is gone".to_owned())));
    let said = top.said.clone().unwrap();
    assert!(said.contains("redriving 5 letters") && said.contains("failed: the broker is gone"), "{said}");
}

#[test]
fn nobody_breaks_off_a_redrive_without_knowing() {
    let mut top = at_dead_letters();
    let counting = only(top.press(Press::Redrive));
    top.told(counting.number, Ok(Answer::Redriven(samples::outcome(5, 5))));
    let _ = top.press(Press::Yes);
    top.press(Press::Quit);
    assert!(!top.is_over() && top.said.clone().unwrap().contains("still under way"));
    top.press(Press::Quit);
    assert!(top.is_over());
}

#[test]
fn all_letters_of_all_kinds_are_never_redriven_by_one_key() {
    let mut top = at_dead_letters();
    assert!(top.press(Press::RedriveAll).is_empty());
    assert!(top.dialog.is_none() && top.said.is_some());
}

#[test]
fn a_release_asks_first_and_only_about_robots_that_are_held() {
    let mut top = top();
    top.press(Press::Tab(1));
    top.press(Press::Release);
    assert!(top.dialog.is_none() && top.said.clone().unwrap().contains("is not held"), "the busiest is not held");
    top.press(Press::Down);
    assert!(top.press(Press::Release).is_empty());
    assert!(matches!(&top.dialog, Some(Dialog::Release { robot, .. }) if robot == HELD));
    let asked = only(top.press(Press::Yes));
    assert_eq!(asked.question, Question::Release(HELD.to_owned()));
    top.told(asked.number, Ok(Answer::Released { was_held: true }));
    assert!(top.said.clone().unwrap().starts_with("released"));
}

#[test]
fn control_c_leaves_even_from_a_question() {
    let mut top = at_dead_letters();
    let _ = top.press(Press::Redrive);
    top.press(Press::Leave);
    assert!(top.is_over());
}
