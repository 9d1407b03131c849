//! Subscriptions that change while their deliveries are prepared.
//!
//! Owns the promise that such a delivery neither blocks its robot nor gets lost.
//!
//! Not here: the same in mixed traffic (`scenarios.rs`), and with the real store
//! (`tests/it/replaced.rs`).

use std::sync::atomic::AtomicU32;

use roomcast::{
    domain::{Audience, Platform, Template, TemplateEngine, Timestamp, WaitReason},
    fanout::{TemplateRegistry, Templates},
};

use crate::{
    dice::each_seed,
    faults::Faults,
    oracle::Oracle,
    plans::{evenly, numbered, robots_of, topic},
    time::{HOUR, SECOND},
    traffic::{How, UNWELCOME},
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

/// A text of the template `t`.
fn text(audience: Audience, text: &str) -> Template {
    Template {
        name: "t".parse().unwrap(),
        audience,
        engine: TemplateEngine::Tags,
        format: None,
        text: text.to_owned(),
        written_at: Timestamp::default(),
    }
}

#[test]
fn a_stored_delivery_whose_subscription_moves_to_another_platform_gets_the_text_of_that_platform() {
    each_seed("a_stored_delivery_whose_subscription_moves", 1, |seed| {
        let mut directory = robots_of(Platform::DingTalk, 1);
        directory.moved_to = Some(directory.add_robot(Platform::Lark));
        let mut world = World::new(seed, directory, Faults::default(), Setup::default());
        // The double of DingTalk refuses its own text.
        let ding = format!("{{n}} {UNWELCOME}");
        world.templates = TemplateRegistry::new(Templates::kept([
            text(Audience::Everybody, "{n}"),
            text(Audience::On(Platform::DingTalk), &ding),
        ]));
        let planned = evenly(0..1, 21, 0, SECOND);
        let mut events = numbered(planned);
        for event in &mut events {
            let body = format!(
                "{{\"message_template_name\":\"t\",\"tags\":{{\"n\":\"#{}#\"}}}}",
                event.number
            );
            event.published.body = body.into_bytes();
        }
        world.publish(events);
        world.live(End::Drained(HOUR));
        let letters = world.broker.lock().unwrap().letters.len();
        let oracle = Oracle::of(&world);
        let arrived = (oracle.arrivals(0).len(), oracle.arrivals(1).len());
        oracle.expect("twenty are refused, and the last one moves", letters == 20, || {
            format!("{letters} letters")
        });
        oracle
            .expect("the last one has another text", arrived == (0, 1), || format!("{arrived:?}"));
        oracle.verdict();
    });
}
