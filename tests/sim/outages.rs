//! Scenarios of robots and platforms that answer every message with an error for a while.
//!
//! Owns the promises of the circuit breaker: nothing is lost, order is kept, probes are few.
//!
//! Not here: single failed attempts in mixed traffic (`scenarios.rs`), and robots that refuse
//! (`policies.rs`).

use roomcast::domain::Platform;

use crate::{
    chats::Outcome,
    dice::each_seed,
    faults::Faults,
    oracle::Oracle,
    plans::{evenly, numbered, passes_fresh_events, robots_of},
    time::{HOUR, MINUTE, Micros, SECOND},
    world::{End, RESTART, Setup, World},
};

const FROM: Micros = 10 * MINUTE;
const TO: Micros = 50 * MINUTE;

/// The most probes from a time after the beginning of an outage until its end: the waits are 10,
/// 20, 40, 80, 160 and then 300 s.
const PROBES: usize = 6 + 8;

fn fail(world: &World, robots: std::ops::Range<usize>) {
    let mut chats = world.chats.lock().unwrap();
    chats.chats[robots].iter_mut().for_each(|chat| chat.down.push((FROM, TO)));
}

#[test]
fn a_robot_that_fails_is_probed_a_few_times_loses_nothing_and_holds_up_no_other() {
    each_seed("a_robot_that_fails_is_probed", 2, |seed| {
        for crash in [false, true] {
            let robots = robots_of(Platform::WeCom, 6);
            let mut world = World::new(seed, robots, Faults::default(), Setup::default());
            fail(&world, 0..1);
            world.publish(numbered(evenly(0..6, 120, 0, HOUR)));
            if crash {
                world.live(End::Crash(30 * MINUTE));
                world.rest(RESTART);
            }
            world.live(End::Drained(6 * HOUR));
            let oracle = Oracle::of(&world);
            let seen = oracle.judge();
            let delivered = (seen.delivered, seen.letters) == (6 * 120, 0);
            oracle.expect("everything is delivered", delivered, || format!("{seen:?}"));
            let failed = oracle.count(0, Outcome::Down);
            // Three failures open the breaker. A restart may find a probe due.
            let most = 3 + PROBES + usize::from(crash);
            oracle.expect("probes are few", (6..=most).contains(&failed), || {
                format!("{failed} requests failed")
            });
            // 80 messages wait. They are four quotas, and leave after the last probe. Those that
            // probed wait for their next attempt.
            let arrivals = oracle.arrivals(0);
            let late = arrivals.iter().filter(|at| **at > TO + 12 * MINUTE).count();
            oracle.expect("it recovers by itself", late <= PROBES, || {
                format!("{late} messages arrived late: {arrivals:?}")
            });
            if !crash {
                let slowest = (1..6).flat_map(|robot| oracle.latencies(robot)).max().unwrap();
                oracle.expect("other robots are not held up", slowest < 2 * SECOND, || {
                    format!("one waited {slowest} µs")
                });
            }
            oracle.verdict();
            drop(oracle);
            passes_fresh_events(&mut world);
        }
    });
}

#[test]
fn a_platform_that_fails_is_probed_by_one_message_at_a_time_whatever_the_number_of_robots() {
    each_seed("a_platform_that_fails", 2, |seed| {
        const ROBOTS: usize = 60;
        for crash in [false, true] {
            let mut robots = robots_of(Platform::Lark, ROBOTS);
            let other = robots.add_robot(Platform::WeCom);
            robots.subscribe("robot.60", other);
            let mut world = World::new(seed, robots, Faults::default(), Setup::default());
            fail(&world, 0..ROBOTS);
            world.publish(numbered(evenly(0..=ROBOTS, 60, 0, HOUR)));
            if crash {
                world.live(End::Crash(30 * MINUTE));
                world.rest(RESTART);
            }
            world.live(End::Drained(6 * HOUR));
            let oracle = Oracle::of(&world);
            let seen = oracle.judge();
            let delivered = (seen.delivered, seen.letters) == ((ROBOTS + 1) * 60, 0);
            oracle.expect("everything is delivered", delivered, || format!("{seen:?}"));
            let late = oracle.sent_with(Outcome::Down, FROM + 2 * MINUTE);
            let all = oracle.sent_with(Outcome::Down, 0);
            oracle.expect("probes are few", late <= PROBES + usize::from(crash), || {
                format!("{late} requests failed after the first minutes, {all} in all")
            });
            oracle.expect("the breaker opens soon", all <= 4 * ROBOTS, || format!("{all}"));
            let quick = |robot: usize| oracle.latencies(robot).into_iter().max().unwrap();
            if !crash {
                oracle.expect("other platforms are not held up", quick(ROBOTS) < SECOND, || {
                    format!("one waited {} µs", quick(ROBOTS))
                });
            }
            let last = (0..ROBOTS).filter_map(|robot| oracle.arrivals(robot).last().copied());
            let last = last.max().unwrap();
            // Those that probed wait for their next attempt.
            oracle.expect("it recovers by itself", last < HOUR + 30 * MINUTE, || {
                format!("the last arrived at {last}")
            });
            let late = (0..ROBOTS).flat_map(|robot| oracle.arrivals(robot));
            let late = late.filter(|at| *at > HOUR + MINUTE).count();
            oracle.expect("what was not tried leaves soon", late <= ROBOTS + PROBES, || {
                format!("{late} messages arrived after an hour")
            });
            oracle.verdict();
            drop(oracle);
            passes_fresh_events(&mut world);
        }
    });
}
