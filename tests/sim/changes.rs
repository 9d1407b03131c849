//! Subscriptions that change while their deliveries are prepared.
//!
//! Owns the promise that such a delivery neither blocks its robot nor gets lost.
//!
//! Not here: the same in mixed traffic (`scenarios.rs`), and with the real store
//! (`tests/it/replaced.rs`).

use std::sync::atomic::AtomicU32;

use roomcast::domain::{Platform, WaitReason};

use crate::{
    dice::each_seed,
    faults::Faults,
    oracle::Oracle,
    plans::{numbered, robots_of, topic},
    time::HOUR,
    traffic::How,
    world::{End, Setup, World},
};

#[test]
fn a_recipient_that_is_replaced_again_and_again_waits_and_says_so() {
    each_seed("a_recipient_that_is_replaced", 1, |seed| {
        // One look-up fewer, and the delivery would be sent at once.
        for (replaced, waits) in [(15, vec![]), (16, vec![Some(WaitReason::SubscriptionChanged)])] {
            let mut directory = robots_of(Platform::DingTalk, 1);
            directory.replaced = AtomicU32::new(replaced);
            let mut world = World::new(seed, directory, Faults::default(), Setup::default());
            world.publish(numbered(vec![(0, topic(0), How::default())]));
            world.live(End::Drained(HOUR));
            let stored = world.broker.lock().unwrap().waits.clone();
            let oracle = Oracle::of(&world);
            let seen = oracle.judge();
            oracle.expect("it is delivered", seen.delivered == 1, || format!("{seen:?}"));
            oracle.expect("its wait has a reason", stored == waits, || format!("{stored:?}"));
            oracle.verdict();
        }
    });
}
