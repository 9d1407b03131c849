//! The store against a model: random operations, with the store reopened in between.
//!
//! Owns the proof that the store contains exactly the acknowledged changes.
//!
//! Not here: crashes and damage (`tests.rs`, `interrupted_tests.rs`).

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::{golden_key, open_with, rename, subscription, with_overflow};
use super::{ListFilter, Store};
use crate::domain::{OverflowPolicy, SubscriptionId, SubscriptionPatch, SubscriptionState};

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
        4 => (0..3_u8, prop::collection::vec(0..12_u8, 1..5)).prop_map(|(topic, tokens)| Step::Add { topic, tokens }),
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

struct World {
    dir: tempfile::TempDir,
    store: Option<Store>,
    key: u8,
    model: BTreeMap<SubscriptionId, Held>,
}

impl World {
    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn pick(&self, which: usize) -> Option<SubscriptionId> {
        (!self.model.is_empty()).then(|| *self.model.keys().nth(which % self.model.len()).unwrap())
    }

    fn find(&self, at: u8, of: u8) -> Option<SubscriptionId> {
        self.model.iter().find(|(_, held)| held.topic == at && held.token == of).map(|(id, _)| *id)
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Add { topic: at, tokens } => {
                let new = tokens.iter().map(|of| subscription(&topic(*at), &token(*of))).collect();
                let added = self.store().add_all(new).unwrap();
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
                self.store().update(id, change).unwrap();
                self.model.get_mut(&id).unwrap().name = Some(*name);
            }
            Step::Repoint { which, token: of } => {
                let Some(id) = self.pick(*which) else { return };
                let change = SubscriptionPatch {
                    endpoint: Some(subscription("x", &token(*of)).endpoint),
                    ..SubscriptionPatch::default()
                };
                let at = self.model[&id].topic;
                let taken = self.find(at, *of).is_some_and(|other| other != id);
                assert_eq!(self.store().update(id, change).is_err(), taken);
                if !taken {
                    self.model.get_mut(&id).unwrap().token = *of;
                }
            }
            Step::Pause { which } => {
                let Some(id) = self.pick(*which) else { return };
                self.store().set_state(id, SubscriptionState::Paused).unwrap();
                self.model.get_mut(&id).unwrap().paused = true;
            }
            Step::Remove { which } => {
                let Some(id) = self.pick(*which) else { return };
                self.store().remove(id).unwrap();
                self.model.remove(&id);
            }
            Step::RemoveTopic { topic: at } => {
                while self.store().remove_batch(&topic(*at).parse().unwrap()).unwrap() > 0 {}
                self.model.retain(|_, held| held.topic != *at);
            }
            Step::Rotate => {
                self.key = self.key.wrapping_add(1).max(1);
                self.store().begin_rotation(&golden_key(self.key)).unwrap();
                self.store().replace_key_in_place().unwrap();
                self.store().rotate().unwrap();
                assert_eq!(self.store().key_status().old, None);
            }
            Step::Reseal => self.store().reseal().unwrap(),
            Step::Reopen => {
                drop(self.store.take());
                self.store = Some(open_with(self.dir.path(), self.key).unwrap());
            }
        }
    }

    fn check(&self) {
        let listed = self.store().list(&ListFilter::default(), None, 1000).unwrap().subscriptions;
        let found: BTreeMap<_, _> = listed
            .into_iter()
            .map(|one| {
                let opened = self.store().list_decrypted(
                    &ListFilter { robot: Some(one.robot), ..ListFilter::default() },
                    None,
                    1000,
                );
                let opened =
                    opened.unwrap().0.into_iter().find(|other| other.id == one.id).unwrap();
                let token =
                    opened.endpoint.expose().rsplit_once("token-").unwrap().1[..3].parse().unwrap();
                let name = one
                    .private
                    .name
                    .as_deref()
                    .and_then(|name| name.strip_prefix("name ")?.parse().ok());
                let topic = one.topic.as_str()[1..].parse().unwrap();
                (
                    one.id,
                    Held { topic, token, name, paused: one.state == SubscriptionState::Paused },
                )
            })
            .collect();
        assert_eq!(found, self.model);
        let verified = self.store().verify().unwrap();
        assert!(verified.is_sound() && verified.sound == self.model.len(), "{verified:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_the_store_holds_what_was_acknowledged(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let store = open_with(dir.path(), 1).unwrap();
        let mut world = World { dir, store: Some(store), key: 1, model: BTreeMap::new() };
        steps.iter().for_each(|step| world.take(step));
        world.check();
        world.take(&Step::Reopen);
        world.check();
    }
}
