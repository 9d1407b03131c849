//! Scenarios of options and settings: digests, only the latest, a monthly quota, robots that reject
//! messages.
//!
//! Owns the promises of these options over hours of traffic.
//!
//! Not here: the scenarios with default options (`scenarios.rs`).

use rand::RngExt;
use roomcast::domain::{DeadReason, OverflowPolicy, Platform, SubscriptionOptions};

use crate::{
    chats::Outcome,
    dice::each_seed,
    faults::Faults,
    oracle::Oracle,
    plans::{
        evenly, judge_to_the_end, numbered, passes_fresh_events, robots_of, robots_with, topic,
    },
    time::{HOUR, MILLI, MINUTE, SECOND},
    traffic::How,
    world::{End, RESTART, Setup, World},
};

fn overflow(overflow: OverflowPolicy) -> SubscriptionOptions {
    SubscriptionOptions { overflow, ..SubscriptionOptions::default() }
}

#[test]
fn digests_keep_up_with_three_times_the_quota_and_name_every_event() {
    each_seed("digests_keep_up", 1, |seed| {
        let directory = robots_with(Platform::DingTalk, 10, &overflow(OverflowPolicy::Digest));
        let mut world = World::new(seed, directory, Faults::default(), Setup::default());
        world.publish(numbered(evenly(0..10, 60 * 60, 0, HOUR)));
        world.live(End::Drained(3 * HOUR));
        let oracle = Oracle::of(&world);
        let seen = oracle.judge();
        oracle.expect("everything is delivered", seen.delivered == 36_000, || format!("{seen:?}"));
        for robot in 0..10 {
            let messages = oracle.messages(robot);
            let folded = messages.iter().filter(|names| names.len() > 1).count();
            oracle.expect("what waits is folded", folded > 0, || {
                format!("robot {robot}: {} messages", messages.len())
            });
            // Deliveries that miss this window leave in the next.
            let slowest = oracle.latencies(robot).into_iter().max().unwrap();
            oracle.expect("digests keep up", slowest < 65 * SECOND, || {
                format!("one waited {slowest} µs")
            });
        }
        oracle.verdict();
    });
}

#[test]
fn digests_lose_nothing_in_a_storm_of_faults_and_crashes() {
    each_seed("digests_lose_nothing", 2, |seed| {
        let mut dice = seed.dice("traffic", 0, 0);
        let mut planned = Vec::new();
        for _ in 0..40 {
            let (at, robot) = (dice.random_range(0..30 * MINUTE), dice.random_range(0..10));
            planned
                .extend((0..dice.random_range(1..60)).map(|_| (at, topic(robot), How::default())));
        }
        let directory = robots_with(Platform::WeCom, 10, &overflow(OverflowPolicy::Digest));
        let faults = Faults::swarm(seed, 30 * MINUTE, 2000.0);
        let mut world = World::new(seed, directory, faults, Setup::default());
        world.publish(numbered(planned));
        while world.now < 30 * MINUTE {
            world.live(End::Crash(world.now + dice.random_range(0..2 * MINUTE)));
            world.rest(dice.random_range(RESTART..10 * SECOND));
        }
        world.live(End::Drained(48 * HOUR));
        let seen = judge_to_the_end(&world);
        assert!(seen.crashes > 5 && seen.returns > 0, "the run proves nothing: {seen:?}");
        passes_fresh_events(&mut world);
    });
}

#[test]
fn of_the_waiting_deliveries_only_the_latest_is_delivered_and_the_others_are_superseded() {
    each_seed("of_what_waits_only_the_latest", 2, |seed| {
        let directory = robots_with(Platform::DingTalk, 5, &overflow(OverflowPolicy::Latest));
        let bursts = (0..6)
            .flat_map(|burst| evenly(0..5, 100, burst * 10 * MINUTE, burst * 10 * MINUTE + SECOND));
        let mut world = World::new(seed, directory, Faults::default(), Setup::default());
        let planned = numbered(bursts.collect());
        world.publish(planned.clone());
        world.live(End::Drained(3 * HOUR));
        let oracle = Oracle::of(&world);
        let seen = oracle.judge();
        let superseded = oracle.letters(DeadReason::Superseded).len();
        let ended =
            seen.delivered + superseded == 3000 && seen.letters == superseded && superseded > 0;
        oracle.expect("each is delivered or superseded", ended, || format!("{seen:?}"));
        for robot in 0..5 {
            let messages = oracle.messages(robot);
            let bursts: Vec<_> =
                planned.iter().filter(|one| one.published.routing_key == topic(robot)).collect();
            for burst in bursts.chunks(100) {
                let newest = burst[99].number;
                let delivered = messages.iter().any(|names| names.contains(&newest));
                oracle.expect("the newest is delivered", delivered, || {
                    format!("event {newest} for robot {robot}")
                });
            }
            let slowest = oracle.latencies(robot).into_iter().max().unwrap();
            oracle.expect("only one waits", slowest < 65 * SECOND, || {
                format!("one waited {slowest} µs")
            });
        }
        oracle.verdict();
    });
}

#[test]
fn an_organisation_uses_its_month_to_the_last_call_and_waits_for_the_next_despite_a_crash() {
    each_seed("an_organisation_uses_its_month", 2, |seed| {
        // The month ends an hour after the simulated time begins.
        let options = SubscriptionOptions {
            group: Some("acme".parse().unwrap()),
            ..SubscriptionOptions::default()
        };
        let directory = robots_with(Platform::DingTalk, 20, &options);
        let setup = Setup { config: "[groups.acme]\nmonthly = 450", ..Setup::default() };
        let mut world = World::new(seed, directory, Faults::default(), setup);
        world.publish(numbered(evenly(0..20, 40, 0, 50 * MINUTE)));
        let mut dice = seed.dice("crash", 0, 0);
        for _ in 0..5 {
            world.live(End::Crash(world.now + dice.random_range(MINUTE..8 * MINUTE)));
            world.rest(dice.random_range(RESTART..10 * SECOND));
        }
        world.live(End::Drained(5 * HOUR));
        let oracle = Oracle::of(&world);
        let seen = oracle.judge();
        oracle.expect("everything is delivered", seen.delivered == 800, || format!("{seen:?}"));
        let arrivals = (0..20).flat_map(|robot| oracle.arrivals(robot));
        let before = arrivals.filter(|at| *at < HOUR).count();
        // A request in flight at a crash is counted, even if it did not arrive.
        oracle.expect("the month is used", (435..=450).contains(&before), || {
            format!("{before} calls of 450")
        });
        oracle.verdict();
    });
}

#[test]
fn a_robot_whose_security_setting_refuses_is_left_alone_until_it_is_corrected() {
    each_seed("a_robot_whose_security_setting", 2, |seed| {
        let mut world =
            World::new(seed, robots_of(Platform::DingTalk, 3), Faults::default(), Setup::default());
        world.chats.lock().unwrap().chats[0].ill.push((10 * MINUTE, 3 * HOUR));
        world.publish(numbered(evenly(0..3, 240, 0, 4 * HOUR)));
        world.live(End::Drained(12 * HOUR));
        let oracle = Oracle::of(&world);
        let seen = oracle.judge();
        let dead = oracle.letters(DeadReason::Security).len();
        let ended = seen.delivered + dead == 3 * 240 && seen.letters == dead;
        oracle.expect("each is delivered or refused", ended, || format!("{seen:?}"));
        // Three in a row, then one each after 1, 2, 4, … minutes, up to an hour.
        let refused = oracle.count(0, Outcome::Ill);
        oracle.expect("ill robots are left alone", (3..=3 + 10).contains(&refused), || {
            format!("{refused} attempts")
        });
        oracle.probes_go_alone();
        for robot in 1..3 {
            let slowest = oracle.latencies(robot).into_iter().max().unwrap();
            oracle.expect("others are not slowed", slowest < SECOND + 300 * MILLI, || {
                format!("one waited {slowest} µs")
            });
        }
        oracle.verdict();
    });
}
