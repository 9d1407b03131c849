//! Scenarios of repetition: events published twice, next steps stored twice, attempts whose next
//! step cannot be stored.
//!
//! Owns the promise that named events are not delivered twice.
//!
//! Not here: crashes in mixed traffic (`scenarios.rs`).

use roomcast::domain::{DeadReason, Platform};

use crate::{
    dice::each_seed,
    faults::Faults,
    oracle::Oracle,
    plans::{evenly, numbered, robots, robots_of, topic},
    time::{HOUR, MILLI, MINUTE, SECOND},
    traffic::{How, Publication},
    world::{End, Setup, World},
};

/// Each event a second time, later by this many microseconds.
fn repeated(publications: Vec<Publication>, later: u64) -> Vec<Publication> {
    let again: Vec<_> =
        publications.iter().map(|one| Publication { at: one.at + later, ..one.clone() }).collect();
    publications.into_iter().chain(again).collect()
}

#[test]
fn an_event_that_its_publisher_repeats_while_the_first_is_in_flight_arrives_once() {
    for (seed_name, later) in
        [("repeated_at_once", 0), ("repeated_soon", 30 * MILLI), ("repeated_late", 20 * SECOND)]
    {
        each_seed(seed_name, 1, |seed| {
            // Thirty at once exceed the quota, so that some wait, in memory and in the tiers.
            let mut planned = evenly(0..10, 60, 0, 2 * MINUTE);
            planned.extend((0..30).map(|_| (MINUTE, topic(3), How::default())));
            let mut world = World::new(
                seed,
                robots_of(Platform::WeCom, 10),
                Faults::default(),
                Setup::default(),
            );
            world.publish(repeated(numbered(planned), later));
            world.live(End::Drained(HOUR));
            let oracle = Oracle::of(&world);
            let seen = oracle.judge();
            let fine = seen.delivered == 630 && seen.duplicates == 0 && seen.waiting == 0;
            oracle.expect("each is heard once", fine, || format!("{seen:?}"));
            oracle.verdict();
        });
    }
}

#[test]
fn a_step_that_is_stored_without_our_knowing_repeats_no_delivery_of_a_named_event() {
    each_seed("a_step_that_is_stored", 3, |seed| {
        let mut planned = evenly(0..20, 60, 0, 10 * MINUTE);
        planned
            .extend((0..10).flat_map(|robot| {
                (0..25).map(move |_| (3 * MINUTE, topic(robot), How::default()))
            }));
        // Every second lost confirm belongs to a stored step.
        let faults =
            Faults { errors: 0.2, lost_confirms: 0.05, until: 10 * MINUTE, ..Faults::default() };
        let mut world = World::new(seed, robots(20), faults, Setup::default());
        world.publish(numbered(planned));
        world.live(End::Drained(6 * HOUR));
        let oracle = Oracle::of(&world);
        let seen = oracle.judge();
        oracle.expect("each is heard once", seen.duplicates == 0, || format!("{seen:?}"));
        oracle.verdict();
        drop(oracle);
        let unknown = world.broker.lock().unwrap().stored_unknown.len();
        assert!(unknown > 3 && seen.returns > 0, "the run proves nothing: {unknown}, {seen:?}");
    });
}

#[test]
fn a_step_stored_without_our_knowing_repeats_nothing_of_a_delivery_without_its_receipt() {
    each_seed("a_step_and_a_missing_receipt", 3, |seed| {
        let mut planned = evenly(0..20, 60, 0, 10 * MINUTE);
        planned
            .extend((0..10).flat_map(|robot| {
                (0..25).map(move |_| (3 * MINUTE, topic(robot), How::default()))
            }));
        // Many sessions end while receipts wait for their confirms, at short intervals.
        let faults = Faults {
            errors: 0.2,
            lost_confirms: 0.05,
            late_confirms: 0.3,
            until: 10 * MINUTE,
            ..Faults::default()
        };
        let setup = Setup { config: "[outcome]\nreceipts = \"all\"", ..Setup::default() };
        let mut world = World::new(seed, robots(20), faults, setup);
        world.publish(numbered(planned));
        world.live(End::Drained(6 * HOUR));
        let oracle = Oracle::of(&world);
        let seen = oracle.judge();
        oracle.expect("each is heard once", seen.duplicates == 0, || format!("{seen:?}"));
        oracle.every_outcome_has_a_receipt();
        oracle.verdict();
        drop(oracle);
        let unknown = world.broker.lock().unwrap().stored_unknown.len();
        assert!(unknown > 3 && seen.returns > 0, "the run proves nothing: {unknown}, {seen:?}");
    });
}

#[test]
fn a_message_that_panics_becomes_a_dead_letter_and_everything_else_goes_on() {
    each_seed("a_message_that_panics", 1, |seed| {
        let mut directory = robots_of(Platform::WeCom, 6);
        directory.panics = ([topic(2)].into(), [4].into());
        let mut planned = evenly([0, 1, 3, 5], 60, 0, 2 * MINUTE);
        let how = |named| How { named, ..How::default() };
        planned.extend([true, false].map(|named| (MINUTE, topic(2), how(named))));
        // Behind a full quota, these become separate messages in the tiers.
        planned.extend((0..30).map(|_| (MINUTE, topic(4), How::default())));
        let mut world = World::new(seed, directory, Faults::default(), Setup::default());
        world.publish(numbered(planned));
        world.live(End::Drained(HOUR));
        let oracle = Oracle::of(&world);
        let seen = oracle.judge();
        oracle.expect("no session ends for a message", seen.sessions_lost == 0, || {
            format!("{seen:?}")
        });
        let poison = oracle.letters(DeadReason::Poison).len();
        oracle.expect("each is given up", poison == 2 + 10 && seen.letters == poison, || {
            format!("{poison}: {seen:?}")
        });
        let delivered = seen.delivered == 4 * 60 + 20 && seen.waiting == 0;
        oracle.expect("everything else goes on", delivered, || format!("{seen:?}"));
        oracle.verdict();
    });
}

#[test]
fn attempts_whose_next_step_cannot_be_stored_count_and_come_to_an_end() {
    each_seed("attempts_whose_next_step", 1, |seed| {
        let until = 10 * MINUTE;
        let faults = Faults { errors: 1.0, unrouted_steps: 1.0, until, ..Faults::default() };
        // A robot that is held is not tried until its attempts are used up.
        let setup = Setup { config: "[breaker]\nafter = 1000", ..Setup::default() };
        let mut world = World::new(seed, robots_of(Platform::WeCom, 1), faults, setup);
        world.publish(numbered(vec![
            (0, topic(0), How::default()),
            (0, topic(0), How { named: false, ..How::default() }),
        ]));
        world.live(End::Drained(HOUR));
        let oracle = Oracle::of(&world);
        let seen = oracle.judge();
        let most = world.config.retry.delays.len() + 1;
        for event in 0..2 {
            let made = oracle.attempts(event, 0);
            oracle.expect("attempts are bounded", made == most, || {
                format!("{made} of {most} for event {event}")
            });
        }
        let exhausted = oracle.letters(DeadReason::Exhausted).len();
        oracle.expect("both are given up", exhausted == 2, || format!("{seen:?}"));
        oracle.verdict();
        assert!(seen.sessions_lost > 20, "the run proves nothing: {seen:?}");
    });
}
