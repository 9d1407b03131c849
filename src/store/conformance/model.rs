//! The store against a model: random changes, with the store reopened in between.
//!
//! Owns the proof that the store contains exactly the acknowledged changes.
//!
//! Not here: crashes (`crashes.rs`).

use std::collections::BTreeMap;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{
    Harness, OpenStore,
    keys::{ended, master},
    samples::{rename, repoint, subscription, with_overflow},
};
use crate::domain::{
    ListFilter, OverflowPolicy, SubscriptionId, SubscriptionPatch, SubscriptionState,
};

#[derive(Clone, Debug)]
enum Step {
    Add { topic: u8, tokens: Vec<u8> },
    Rename { which: usize, name: u8 },
    Repoint { which: usize, token: u8 },
    Pause { which: usize },
    Remove { which: usize },
    RemoveTopic { topic: u8 },
    Rotate,
    Reseal,
    Reopen,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    topic: u8,
    token: u8,
    name: Option<u8>,
    paused: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = 0..64_usize;
    let step = prop_oneof![
        4 => (0..3_u8, prop::collection::vec(0..12_u8, 1..5))
            .prop_map(|(topic, tokens)| Step::Add { topic, tokens }),
        2 => (which.clone(), any::<u8>()).prop_map(|(which, name)| Step::Rename { which, name }),
        2 => (which.clone(), 0..12_u8).prop_map(|(which, token)| Step::Repoint { which, token }),
        1 => which.clone().prop_map(|which| Step::Pause { which }),
        3 => which.prop_map(|which| Step::Remove { which }),
        1 => (0..3_u8).prop_map(|topic| Step::RemoveTopic { topic }),
        1 => Just(Step::Rotate),
        1 => Just(Step::Reseal),
        2 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..30)
}

fn topic(number: u8) -> String {
    format!("t{number}")
}

fn token(number: u8) -> String {
    format!("token-{number:03}-0123456789abcdef")
}

struct World<H> {
    harness: H,
    store: Option<OpenStore>,
    key: u8,
    model: BTreeMap<SubscriptionId, Held>,
}

impl<H: Harness> World<H> {
    fn store(&self) -> &OpenStore {
        self.store.as_ref().unwrap()
    }

    fn pick(&self, which: usize) -> Option<SubscriptionId> {
        (!self.model.is_empty()).then(|| *self.model.keys().nth(which % self.model.len()).unwrap())
    }

    fn find(&self, at: u8, of: u8) -> Option<SubscriptionId> {
        self.model.iter().find(|(_, held)| held.topic == at && held.token == of).map(|(id, _)| *id)
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Add { topic: at, tokens } => {
                let new = tokens.iter().map(|of| subscription(&topic(*at), &token(*of))).collect();
                let added = self.store().admin.add(new).await.unwrap();
                for (added, of) in added.iter().zip(tokens) {
                    let known = self.find(*at, *of);
                    assert_eq!(
                        (added.duplicate, known.unwrap_or(added.id)),
                        (known.is_some(), added.id)
                    );
                    let held = Held { topic: *at, token: *of, name: None, paused: false };
                    self.model.entry(added.id).or_insert(held);
                }
            }
            Step::Rename { which, name } => {
                let Some(id) = self.pick(*which) else { return };
                let change = SubscriptionPatch {
                    private: rename(Some(&format!("name {name}"))).private,
                    ..with_overflow(OverflowPolicy::Digest)
                };
                self.store().admin.update(id, change).await.unwrap();
                self.model.get_mut(&id).unwrap().name = Some(*name);
            }
            Step::Repoint { which, token: of } => {
                let Some(id) = self.pick(*which) else { return };
                let at = self.model[&id].topic;
                let taken = self.find(at, *of).is_some_and(|other| other != id);
                let outcome = self.store().admin.update(id, repoint(&token(*of))).await;
                assert_eq!(outcome.is_err(), taken);
                if !taken {
                    self.model.get_mut(&id).unwrap().token = *of;
                }
            }
            Step::Pause { which } => {
                let Some(id) = self.pick(*which) else { return };
                self.store().admin.set_state(id, SubscriptionState::Paused).await.unwrap();
                self.model.get_mut(&id).unwrap().paused = true;
            }
            Step::Remove { which } => {
                let Some(id) = self.pick(*which) else { return };
                self.store().admin.remove(id).await.unwrap();
                self.model.remove(&id);
            }
            Step::RemoveTopic { topic: at } => {
                let name = topic(*at).parse().unwrap();
                while self.store().admin.remove_batch(&name).await.unwrap() > 0 {}
                self.model.retain(|_, held| held.topic != *at);
            }
            Step::Rotate => {
                self.key = self.key.wrapping_add(1).max(1);
                let admin = &self.store().admin;
                admin.begin_rotation(master(self.key)).await.unwrap();
                admin.replace_key_in_place().await.unwrap();
                admin.rotate_in_background();
                ended(self.store(), |status| status.old.is_some()).await;
            }
            Step::Reseal => {
                self.store().admin.reseal_in_background();
                ended(self.store(), |status| status.sealing.is_some()).await;
            }
            Step::Reopen => {
                drop(self.store.take());
                let opened = self.harness.open(self.key).await;
                self.store = Some(opened.unwrap_or_else(|why| panic!("{why}")));
            }
        }
    }

    async fn check(&self) {
        let admin = &self.store().admin;
        let all = ListFilter::default();
        let listed = admin.list(&all, None, 1000).await.unwrap().subscriptions;
        let decrypted = admin.list_decrypted(&all, None, 1000).await.unwrap().subscriptions;
        let mut found = BTreeMap::new();
        for one in listed {
            let opened = decrypted.iter().find(|other| other.id == one.id).unwrap();
            let token = opened.endpoint.expose().rsplit_once("token-").unwrap().1[..3].parse();
            let name = one.private.name.as_deref();
            let held = Held {
                topic: one.topic.as_str()[1..].parse().unwrap(),
                token: token.unwrap(),
                name: name.and_then(|name| name.strip_prefix("name ")?.parse().ok()),
                paused: one.state == SubscriptionState::Paused,
            };
            found.insert(one.id, held);
        }
        assert_eq!(found, self.model);
        let verified = admin.verify().await.unwrap();
        assert!(verified.is_sound() && verified.sound == self.model.len(), "{verified:?}");
    }
}

/// Compares a store with the model after random changes.
pub(in crate::store) fn run<H: Harness>() {
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    let outcome = runner.run(&steps(), |steps| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let harness = H::new();
            let store = harness.open(1).await.unwrap_or_else(|why| panic!("{why}"));
            let mut world = World { harness, store: Some(store), key: 1, model: BTreeMap::new() };
            for step in &steps {
                world.take(step).await;
            }
            world.check().await;
            world.take(&Step::Reopen).await;
            world.check().await;
        });
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
