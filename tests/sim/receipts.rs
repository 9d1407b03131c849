//! Scenarios of delivery receipts.
//!
//! Owns the promise that every requested receipt is sent in spite of faults, and that receipts
//! repeat no message in a chat.
//!
//! Not here: receipts on a real broker (`tests/it/receipts.rs`).

use rand::RngExt;

use crate::{
    dice::each_seed,
    faults::Faults,
    oracle::Oracle,
    plans::{judge_to_the_end, live_through, mixed, numbered, robots, topic},
    time::MINUTE,
    world::{Setup, World},
};

#[test]
fn every_delivery_has_a_receipt_through_faults_and_crashes_and_no_chat_gets_more_messages() {
    each_seed("the_end_of_every_delivery", 2, |seed| {
        let mut dice = seed.dice("traffic", 0, 0);
        let mut directory = robots(60);
        (0..40).for_each(|robot| directory.subscribe("group", robot));
        let mut planned: Vec<_> = (0..2000)
            .map(|_| {
                (
                    dice.random_range(0..60 * MINUTE),
                    topic(dice.random_range(0..60)),
                    mixed(&mut dice),
                )
            })
            .collect();
        planned
            .extend((0..40).map(|_| {
                (dice.random_range(0..60 * MINUTE), "group".to_owned(), mixed(&mut dice))
            }));
        let mut faults = Faults::swarm(seed, 60 * MINUTE, 4000.0);
        // Failures of other steps end sessions while receipts wait for their confirms.
        (faults.late_confirms, faults.unrouted_steps, faults.errors) = (0.2, 0.05, 0.1);
        let setup = Setup { config: "[outcome]\nreceipts = \"all\"", ..Setup::default() };
        let mut world = World::new(seed, directory, faults, setup);
        world.publish(numbered(planned));
        live_through(&mut world, 6, 2, 60 * MINUTE);
        let seen = judge_to_the_end(&world);
        let oracle = Oracle::of(&world);
        let told = oracle.every_outcome_has_a_receipt();
        oracle.verdict();
        println!("{told} receipts of {} deliveries", seen.deliveries);
        assert!(
            seen.crashes > 3 && seen.sessions_lost > 3 && seen.letters > 0,
            "the run proves nothing: {seen:?}"
        );
        // One in twenty is refused and not sent again.
        assert!(told > seen.deliveries * 9 / 10, "{told} receipts: {seen:?}");
    });
}
