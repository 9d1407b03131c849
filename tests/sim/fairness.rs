//! Scenarios of fairness: a topic with many robots next to other topics.
//!
//! Owns the promise that a large event delays no other one.
//!
//! Not here: the same with real processes (`tests/it/fairness.rs`).

use roomcast::domain::Platform;

use crate::{
    dice::each_seed,
    faults::Faults,
    oracle::Oracle,
    plans::{evenly, numbered, robots_of, topic},
    time::{HOUR, SECOND},
    traffic::How,
    world::{End, Setup, World},
};

#[test]
fn two_events_for_twenty_thousand_robots_delay_no_other_and_keep_rate_and_order() {
    each_seed("two_events_for_twenty_thousand", 1, |seed| {
        const LARGE: usize = 20_000;
        const IDLE: usize = 40;
        let mut directory = robots_of(Platform::WeCom, LARGE + IDLE);
        (0..LARGE).for_each(|robot| directory.subscribe("all", robot));
        for robot in LARGE + IDLE..LARGE + 2 * IDLE {
            directory.add_robot(Platform::Lark);
            directory.subscribe(&topic(robot), robot);
        }
        let mut planned: Vec<_> =
            [0, 10].map(|at| (at * SECOND, "all".to_owned(), How::default())).to_vec();
        // Each idle robot gets an event at a time of its own.
        let idle = evenly(LARGE..LARGE + 2 * IDLE, 1, SECOND, SECOND).into_iter().enumerate();
        planned
            .extend(idle.map(|(place, (at, topic, how))| (at + place as u64 * SECOND, topic, how)));
        let mut world = World::new(seed, directory, Faults::default(), Setup::default());
        world.publish(numbered(planned));
        world.live(End::Drained(HOUR));
        let oracle = Oracle::of(&world);
        let seen = oracle.judge();
        oracle.expect("everything is delivered", seen.delivered == 2 * (LARGE + IDLE), || {
            format!("{seen:?}")
        });
        let slowest =
            (LARGE..LARGE + 2 * IDLE).flat_map(|robot| oracle.latencies(robot)).max().unwrap();
        oracle.expect("others are not delayed", slowest < SECOND, || {
            format!("one waited {slowest} µs")
        });
        // 400 a second, and the rest of the window's margin.
        let mut arrivals: Vec<_> =
            (0..LARGE + IDLE).flat_map(|robot| oracle.arrivals(robot)).collect();
        arrivals.sort_unstable();
        let last = *arrivals.last().unwrap();
        oracle.expect("the rate is used", last < 110 * SECOND, || {
            format!("the last after {last} µs")
        });
        for guard in arrivals.windows(400 * 21 + 200) {
            let (first, last) = (guard[0], guard[guard.len() - 1]);
            oracle.expect("the rate is kept", last - first >= 20 * SECOND, || {
                format!("{} until {last}", guard.len())
            });
        }
        oracle.verdict();
    });
}
