//! The parts of scenarios: robots, traffic, ends of processes, final checks.
//!
//! Owns the parts that several scenarios share.
//!
//! Not here: the scenarios (`scenarios.rs`, `policies.rs`, `repeats.rs`).

use rand::{RngExt, rngs::SmallRng};
use roomcast::domain::{Platform, SubscriptionOptions};

use crate::{
    chats::closed,
    directory::Directory,
    oracle::{Oracle, Seen},
    time::{HOUR, MINUTE, Micros, SECOND},
    traffic::{How, Kind, Publication},
    world::{End, RESTART, World},
};

/// Robots of all platforms, mostly DingTalk. Only robot n subscribes to the topic `robot.n`.
pub fn robots(count: usize) -> Directory {
    let mut directory = Directory::default();
    for number in 0..count {
        let platform = match number % 8 {
            0 | 1 => Platform::Lark,
            2 | 3 => Platform::WeCom,
            4 => Platform::DingTalkInternal,
            _ => Platform::DingTalk,
        };
        directory.add_robot(platform);
        directory.subscribe(&topic(number), number);
    }
    directory
}

pub fn robots_of(platform: Platform, count: usize) -> Directory {
    robots_with(platform, count, &SubscriptionOptions::default())
}

/// The same, with options for each subscription.
pub fn robots_with(platform: Platform, count: usize, options: &SubscriptionOptions) -> Directory {
    let mut directory = Directory::default();
    for number in 0..count {
        directory.add_robot(platform);
        directory.subscribe_with(&topic(number), number, options.clone());
    }
    directory
}

pub fn topic(robot: usize) -> String {
    format!("robot.{robot}")
}

/// Numbers events in the order of their times.
pub fn numbered(mut planned: Vec<(Micros, String, How)>) -> Vec<Publication> {
    planned.sort_by_key(|(at, ..)| *at);
    let number = |place| u32::try_from(place).unwrap();
    planned
        .into_iter()
        .enumerate()
        .map(|(place, (at, topic, how))| Publication::new(number(place), at, &topic, how))
        .collect()
}

/// `count` events for each of `robots`, evenly from `from` to `to`.
pub fn evenly(
    robots: impl IntoIterator<Item = usize>,
    count: u64,
    from: Micros,
    to: Micros,
) -> Vec<(Micros, String, How)> {
    let one = move |robot| {
        (0..count)
            .map(move |place| (from + (to - from) * place / count, topic(robot), How::default()))
    };
    robots.into_iter().flat_map(one).collect()
}

/// Random properties of an event in mixed traffic.
pub fn mixed(dice: &mut SmallRng) -> How {
    How {
        kind: match dice.random_range(0..100) {
            0 => Kind::Broken,
            1 => Kind::Unwelcome,
            _ => Kind::Plain,
        },
        named: dice.random_bool(0.8),
        urgent_exchange: dice.random_bool(0.03),
        priority: dice.random_bool(0.03).then_some(9),
        time_to_live: None,
    }
}

/// Crashes and orderly stops at random times until `until`. After that there are no faults, and a
/// last process finishes all work.
pub fn live_through(world: &mut World, crashes: u64, stops: u64, until: Micros) {
    let mut dice = world.seed.dice("ends", 0, 0);
    let mut ends: Vec<_> = (0..crashes).map(|_| End::Crash(dice.random_range(0..until))).collect();
    ends.extend((0..stops).map(|_| End::Stop(dice.random_range(0..until))));
    let at = |end: &End| match end {
        End::Crash(at) | End::Stop(at) | End::Drained(at) => *at,
    };
    ends.sort_by_key(at);
    for end in ends.into_iter().filter(|end| at(end) < until) {
        if at(&end) > world.now {
            world.live(end);
            world.rest(dice.random_range(RESTART..20 * SECOND));
        }
    }
    world.live(End::Drained(until + 24 * HOUR));
}

/// Judges a run that has no unsettled message left.
pub fn judge_to_the_end(world: &World) -> Seen {
    let oracle = Oracle::of(world);
    let seen = oracle.judge();
    oracle.expect("nothing waits in the end", seen.waiting == 0, || format!("{} do", seen.waiting));
    oracle.verdict();
    seen
}

/// Checks that a fresh event for every robot still arrives at once at the end.
pub fn passes_fresh_events(world: &mut World) {
    world.rest(11 * MINUTE);
    let from = u32::try_from(world.published.len()).unwrap();
    let fresh = (0..world.directory.robots.len()).map(|robot| {
        Publication::new(
            from + u32::try_from(robot).unwrap(),
            world.now + SECOND,
            &topic(robot),
            How::default(),
        )
    });
    let fresh: Vec<_> = fresh.collect();
    world.publish(fresh);
    world.live(End::Drained(world.now + HOUR));
    let oracle = Oracle::of(world);
    let late = (0..world.directory.robots.len()).filter(|robot| {
        let last = *oracle.arrivals(*robot).last().expect("a robot that never took anything");
        last < world.published[from as usize].at
    });
    let late = late.count();
    oracle.expect("a fresh event passes", late == 0, || format!("{late} robots did not get it"));
    oracle.expect("nothing waits in the end", oracle.seen().waiting == 0, || {
        "something does".to_owned()
    });
    oracle.verdict();
}

/// Another sender uses up the quota of some robots, each at some time.
pub fn close_chats(world: &World, dice: &mut SmallRng, count: usize, until: Micros) {
    let mut chats = world.chats.lock().unwrap();
    for _ in 0..count {
        let robot = dice.random_range(0..chats.chats.len());
        let lengths = closed(chats.chats[robot].platform);
        let length = if lengths.is_empty() { lengths.start } else { dice.random_range(lengths) };
        let from = dice.random_range(0..until);
        chats.chats[robot].closed.push((from, from + length));
    }
}
