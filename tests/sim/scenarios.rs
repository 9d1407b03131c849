//! The main scenarios: traffic, faults, and the final expectations.
//!
//! Owns the promises on quota, order, loss and fairness over hours of traffic.
//!
//! Not here: the rules of every run (`oracle.rs`).

use rand::RngExt;
use roomcast::domain::{DeadReason, Platform};

use crate::{
    chats::limits,
    dice::each_seed,
    faults::Faults,
    oracle::Oracle,
    plans::{
        close_chats, evenly, judge_to_the_end, live_through, mixed, numbered, passes_fresh_events,
        robots, robots_of, topic,
    },
    time::{HOUR, MILLI, MINUTE, SECOND},
    traffic::How,
    world::{End, RESTART, Setup, World},
};

#[test]
fn a_thousand_robots_with_mixed_traffic_and_every_fault_for_two_hours() {
    each_seed("a_thousand_robots", 1, |seed| {
        let mut directory = robots(1000);
        directory.changes = Some(std::sync::Mutex::new(seed.dice("changes", 0, 0)));
        let mut dice = seed.dice("traffic", 0, 0);
        for group in 0..20 {
            for _ in 0..dice.random_range(2..150) {
                let robot = dice.random_range(0..1000);
                if !directory
                    .listeners(&format!("group.{group}"))
                    .any(|listed| listed.robot == robot)
                {
                    directory.subscribe(&format!("group.{group}"), robot);
                }
            }
        }
        let mut planned = Vec::new();
        for _ in 0..12_000 {
            planned.push((
                dice.random_range(0..2 * HOUR),
                topic(dice.random_range(0..1000)),
                mixed(&mut dice),
            ));
        }
        for _ in 0..300 {
            planned.push((
                dice.random_range(0..2 * HOUR),
                format!("group.{}", dice.random_range(0..20)),
                mixed(&mut dice),
            ));
        }
        for _ in 0..100 {
            let (at, robot) = (dice.random_range(0..2 * HOUR), dice.random_range(0..1000));
            planned.extend(
                (0..dice.random_range(10..80)).map(|_| (at, topic(robot), mixed(&mut dice))),
            );
        }
        let faults = Faults::swarm(seed, 2 * HOUR, 8000.0);
        let mut world = World::new(seed, directory, faults, Setup::default());
        close_chats(&world, &mut dice, 20, 2 * HOUR);
        world.publish(numbered(planned));
        let (crashes, stops) = (dice.random_range(1..5), dice.random_range(0..3));
        live_through(&mut world, crashes, stops, 2 * HOUR);
        let seen = judge_to_the_end(&world);
        let disturbed = seen.crashes + seen.sessions_lost + seen.duplicates > 0;
        assert!(
            disturbed && seen.returns > 0 && seen.letters > 0 && seen.closed > 0,
            "the run proves nothing: {seen:?}"
        );
        passes_fresh_events(&mut world);
    });
}

#[test]
fn a_backlog_of_ten_thousand_slows_no_other_robot_and_fills_neither_prefetch_nor_memory() {
    each_seed("a_backlog_of_ten_thousand", 1, |seed| {
        const QUIET: usize = 200;
        let mut planned = evenly(0..1, 10_000, 0, MINUTE);
        // Each of the quiet robots at its own time in every half minute.
        let quiet = evenly(1..1 + QUIET, 120, 0, HOUR).into_iter().enumerate();
        planned.extend(
            quiet.map(|(place, (at, topic, how))| {
                (at + place as u64 / 120 * 150 * MILLI, topic, how)
            }),
        );
        let faults = Faults::default();
        let mut world =
            World::new(seed, robots_of(Platform::DingTalk, 1 + QUIET), faults, Setup::default());
        world.publish(numbered(planned));
        world.live(End::Drained(12 * HOUR));
        let oracle = Oracle::of(&world);
        let seen = oracle.judge();
        oracle.expect("everything is delivered", seen.delivered == 10_000 + QUIET * 120, || {
            format!("{seen:?}")
        });
        let slowest = (1..1 + QUIET).flat_map(|robot| oracle.latencies(robot)).max().unwrap();
        oracle.expect("quiet robots are not slowed", slowest < SECOND, || {
            format!("one waited {slowest} µs")
        });
        // Memory is free of the backlog moments after its last publication.
        let samples = world.samples.lock().unwrap();
        let most = samples
            .iter()
            .filter(|sample| sample.at > 2 * MINUTE)
            .map(|sample| sample.unacked)
            .max()
            .unwrap();
        oracle.expect("what waits is not in hand", most <= 100, || format!("{most} messages are"));
        let robots = samples.last().unwrap().robots;
        oracle.expect("idle lanes are dropped", robots <= 1, || format!("{robots} are left"));
        let sustained = oracle.arrivals(0).len() as f64
            / (*oracle.arrivals(0).last().unwrap() as f64 / MINUTE as f64);
        oracle.expect("the quota is used", sustained >= 19.5, || format!("{sustained} a minute"));
        oracle.verdict();
    });
}

#[test]
fn a_backlog_of_an_hour_needs_at_most_two_returns_on_average_and_keeps_its_order() {
    each_seed("a_backlog_of_an_hour", 2, |seed| {
        let planned = evenly(0..5, 1200, 0, 10 * SECOND);
        let mut world =
            World::new(seed, robots_of(Platform::DingTalk, 5), Faults::default(), Setup::default());
        world.publish(numbered(planned));
        world.live(End::Drained(3 * HOUR));
        let oracle = Oracle::of(&world);
        let seen = oracle.judge();
        oracle.expect("everything is delivered", seen.delivered == 6000, || format!("{seen:?}"));
        let returns = oracle.returns_per_delivery();
        oracle.expect("at most two returns", returns <= 2.0, || format!("{returns} on average"));
        let last = (0..5).filter_map(|robot| oracle.arrivals(robot).last().copied()).max().unwrap();
        // 1,200 messages are sixty quotas. The last leaves after fifty-nine windows.
        oracle.expect("the quota is used", last < 59 * (MINUTE + SECOND), || {
            format!("the last after {last} µs")
        });
        oracle.verdict();
    });
}

#[test]
fn order_is_kept_whatever_order_the_threads_run_in() {
    each_seed("order_is_kept_whatever", 2, |seed| {
        // Half of the robots also get every event of a topic that they share.
        let mut directory = robots_of(Platform::WeCom, 20);
        (0..10).for_each(|robot| directory.subscribe("shared", robot));
        directory.hesitation = Some(std::sync::Mutex::new(seed.dice("hesitation", 0, 0)));
        let mut planned = evenly(0..20, 100, 0, 10 * SECOND);
        planned.extend(
            (0..50).map(|place| (place * 200 * MILLI, "shared".to_owned(), How::default())),
        );
        let mut world = World::new(seed, directory, Faults::default(), Setup::default());
        world.publish(numbered(planned));
        world.live(End::Drained(3 * HOUR));
        let oracle = Oracle::of(&world);
        let seen = oracle.judge();
        oracle.expect("everything is delivered", seen.delivered == 20 * 100 + 10 * 50, || {
            format!("{seen:?}")
        });
        oracle.verdict();
    });
}

#[test]
fn under_sustained_overload_ninety_nine_percent_of_the_quota_are_used() {
    each_seed("under_sustained_overload", 1, |seed| {
        let mut directory = robots_of(Platform::DingTalk, 9);
        for robot in 9..20 {
            directory.add_robot(if robot < 19 { Platform::WeCom } else { Platform::Lark });
            directory.subscribe(&topic(robot), robot);
        }
        let mut planned = evenly(0..19, 22 * 120, 0, 2 * HOUR);
        planned.extend(evenly(19..20, 110 * 120, 0, 2 * HOUR));
        // Enough events at the beginning, so that the first window is full from the start.
        planned.extend(evenly(0..20, 40, 0, MILLI));
        let setup =
            Setup { config: "[pace]\nmargin = \"200ms\"", latency: (10 * MILLI, 100 * MILLI) };
        let mut world = World::new(seed, directory, Faults::default(), setup);
        world.publish(numbered(planned));
        world.live(End::Stop(2 * HOUR));
        let oracle = Oracle::of(&world);
        oracle.judge();
        for robot in 0..20 {
            let most = limits(world.directory.robots[robot].platform)[0].most as f64;
            let arrivals = oracle.arrivals(robot);
            let took = (2 * HOUR - arrivals[0]) as f64 / SECOND as f64;
            let quota = most * took / (60.0 + 0.2 + 0.1);
            let used = arrivals.len() as f64 / quota;
            oracle.expect("the quota is used", used >= 0.99, || {
                format!("robot {robot} used {used:.4} of it")
            });
        }
        oracle.verdict();
    });
}

#[test]
fn a_storm_of_crashes_exceeds_no_window_and_loses_nothing() {
    each_seed("a_storm_of_crashes", 3, |seed| {
        let mut dice = seed.dice("traffic", 0, 0);
        let mut planned = Vec::new();
        for _ in 0..80 {
            let (at, robot) = (dice.random_range(0..30 * MINUTE), dice.random_range(0..50));
            planned.extend(
                (0..dice.random_range(1..60)).map(|_| (at, topic(robot), mixed(&mut dice))),
            );
        }
        let faults = Faults::swarm(seed, 30 * MINUTE, 4000.0);
        let mut world = World::new(seed, robots(50), faults, Setup::default());
        world.publish(numbered(planned));
        while world.now < 30 * MINUTE {
            // Soon after a start, during a burst, or after a while.
            let life = if dice.random_bool(0.5) {
                dice.random_range(0..5 * SECOND)
            } else {
                dice.random_range(0..MINUTE)
            };
            world.live(End::Crash(world.now + life));
            world.rest(dice.random_range(RESTART..10 * SECOND));
        }
        world.live(End::Drained(48 * HOUR));
        let seen = judge_to_the_end(&world);
        assert!(
            seen.crashes > 20 && seen.returns > 0 && seen.letters > 0,
            "the run proves nothing"
        );
        passes_fresh_events(&mut world);
    });
}

#[test]
fn after_a_crash_a_robot_that_was_idle_has_its_whole_quota_at_once() {
    each_seed("after_a_crash_a_robot_that_was_idle", 2, |seed| {
        let mut planned = evenly(0..1, 20, 10 * SECOND, 11 * SECOND);
        planned.extend(evenly(1..2, 20, 31 * SECOND, 31 * SECOND + MILLI));
        let mut world =
            World::new(seed, robots_of(Platform::WeCom, 2), Faults::default(), Setup::default());
        world.publish(numbered(planned));
        world.live(End::Crash(20 * SECOND));
        world.rest(10 * SECOND);
        world.live(End::Drained(HOUR));
        let oracle = Oracle::of(&world);
        oracle.judge();
        let slowest = oracle.latencies(1).into_iter().max().unwrap();
        oracle.expect("no needless cold start", slowest < 2 * SECOND, || {
            format!("it waited {slowest} µs")
        });
        oracle.verdict();
    });
}

#[test]
fn after_the_machine_went_down_restored_messages_count_as_sent_in_every_session() {
    each_seed("after_the_machine_went_down", 2, |seed| {
        let setup = Setup { latency: (5 * SECOND, 5 * SECOND), ..Setup::default() };
        let mut world = World::new(seed, robots_of(Platform::WeCom, 1), Faults::default(), setup);
        world.publish(numbered(evenly(0..1, 40, 0, SECOND)));
        // A whole quota is in flight, and no request is answered.
        world.live(End::Crash(4 * SECOND));
        world.go_down();
        world.rest(RESTART);
        world.live(End::Drained(HOUR));
        judge_to_the_end(&world);
    });
}

#[test]
fn a_robot_that_another_program_uses_is_probed_by_one_message_and_keeps_its_order() {
    each_seed("a_robot_that_somebody_else_uses", 2, |seed| {
        let mut dice = seed.dice("traffic", 0, 0);
        let mut planned = Vec::new();
        for robot in 0..10 {
            for _ in 0..6 * 120 {
                planned.push((dice.random_range(0..2 * HOUR), topic(robot), How::default()));
            }
        }
        let mut world = World::new(seed, robots(10), Faults::default(), Setup::default());
        close_chats(&world, &mut dice, 20, 2 * HOUR);
        world.publish(numbered(planned));
        world.live(End::Drained(6 * HOUR));
        let oracle = Oracle::of(&world);
        let seen = oracle.judge();
        let delivered = (seen.delivered, seen.letters) == (10 * 6 * 120, 0);
        oracle.expect("everything is delivered", delivered, || format!("{seen:?}"));
        assert!(seen.closed > 0, "the run proves nothing");
        oracle.probes_go_alone();
        let most = oracle.refused_while_closed().into_iter().max().unwrap();
        // The requests in flight at the first refusal, then one after each wait, which doubles.
        oracle.expect("probes wait longer and longer", most <= 8, || {
            format!("{most} refusals in one penalty")
        });
        oracle.verdict();
    });
}

#[test]
fn a_delivery_that_cannot_leave_in_time_expires_as_soon_as_that_is_certain_and_no_sooner() {
    each_seed("what_cannot_leave_in_time", 2, |seed| {
        let how = How { time_to_live: Some(600), ..How::default() };
        let planned = (0..1200).map(|place| (place * MILLI, topic(0), how)).collect();
        let mut world =
            World::new(seed, robots_of(Platform::DingTalk, 1), Faults::default(), Setup::default());
        world.publish(numbered(planned));
        world.live(End::Drained(2 * HOUR));
        let oracle = Oracle::of(&world);
        let seen = oracle.judge();
        let expired = oracle.letters(DeadReason::Expired);
        let ended = expired.len() + seen.delivered == 1200 && seen.waiting == 0;
        oracle.expect("each is delivered or expired", ended, || format!("{seen:?}"));
        // Ten windows begin within ten minutes, the last of them a bit more than nine minutes after
        // the first.
        let fine = (190..=200).contains(&seen.delivered);
        oracle.expect("what can leave in time does", fine, || {
            format!("{} were delivered", seen.delivered)
        });
        let late = expired.iter().map(|(event, at)| at - oracle.event(*event).at).max().unwrap();
        oracle
            .expect("expired as soon as certain", late < 5 * SECOND, || format!("after {late} µs"));
        let last = oracle.arrivals(0).last().copied().unwrap();
        let in_time = last <= oracle.event(1199).expires_at.unwrap();
        oracle.expect("nothing is delivered after its time", in_time, || format!("one at {last}"));
        oracle.verdict();
    });
}

#[test]
fn slow_look_ups_of_one_platform_hold_up_no_other_and_nothing_urgent() {
    each_seed("slow_look_ups", 1, |seed| {
        let mut directory = robots_of(Platform::DingTalk, 1);
        directory.add_robot(Platform::WeCom);
        directory.subscribe(&topic(1), 1);
        directory.slow = Some((Platform::DingTalk, std::time::Duration::from_secs(10)));
        let mut world = World::new(seed, directory, Faults::default(), Setup::default());
        // Of each robot's events twenty leave at once. The others return from the tiers, and are
        // looked up one by one.
        let planned = [evenly(0..1, 200, 0, SECOND), evenly(1..2, 60, SECOND, 2 * SECOND)].concat();
        world.publish(numbered(planned));
        world.live(End::Drained(12 * HOUR));
        let oracle = Oracle::of(&world);
        // Slow look-ups delay their deliveries, whatever the order of return, so order is not
        // checked.
        oracle.no_window_is_exceeded();
        oracle.nothing_is_lost_or_invented();
        let seen = oracle.seen();
        oracle.expect("everything is delivered", seen.delivered == 260, || format!("{seen:?}"));
        let slowest = oracle.latencies(1).into_iter().max().unwrap();
        oracle.expect("the other platform keeps its pace", slowest < 3 * MINUTE, || {
            format!("one waited {slowest} µs")
        });
        oracle.verdict();
    });
}
