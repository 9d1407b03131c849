//! The committed stores of all formats.
//!
//! Owns the proof that every committed format opens for ever.
//!
//! Not here: the templates in them (`template_tests.rs`).

use std::{fs, path::Path};

use super::{
    ListFilter, StoreError,
    attack::make_private,
    conformance::{
        keys::master,
        samples::{TOKEN, opened, rename, subscription, with_overflow},
    },
    tests::{add, open, open_with},
};
use crate::{
    domain::{
        OverflowPolicy, SubscriptionOptions, SubscriptionPatch, SubscriptionSpec, SubscriptionState,
    },
    fanout::Subscriptions,
};

/// A writable copy of the committed store of `version`.
pub(super) fn golden(version: u8) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/store-{version}"));
    make_private(&dir.path().join("data/db"));
    let files: &[&str] = if version == 1 {
        &["slots", "db/conf", "db/db"]
    } else {
        &["slots", "db/conf", "db/db", "keyring", "removed"]
    };
    for file in files {
        fs::copy(from.join(file), dir.path().join("data").join(file)).unwrap();
    }
    dir
}

#[tokio::test]
async fn the_store_of_version_1_opens_with_everything_in_it() {
    let dir = golden(1);
    for _ in 0..2 {
        let store = open(dir.path());
        let listed = store.list(&ListFilter::default(), None, 10).unwrap().subscriptions;
        let found: Vec<_> =
            listed.iter().map(|one| (one.topic.as_str(), one.state, one.signed)).collect();
        assert_eq!(
            found,
            [
                ("db", SubscriptionState::Active, false),
                ("ops", SubscriptionState::Active, true),
                ("ops", SubscriptionState::Paused, true)
            ]
        );
        assert!(listed.iter().all(|one| one.options == SubscriptionOptions::default()));
        let recipient = store.find(listed[1].id).await.unwrap().unwrap();
        let opened = opened(&store, &recipient).await.unwrap();
        assert!(opened.endpoint.expose().ends_with(TOKEN));
        store.update(listed[2].id, with_overflow(OverflowPolicy::Queue)).unwrap();
    }
}

#[test]
#[ignore = "not a test: \
    makes a golden store of the format of today in the folder that GOLDEN_OUT names"]
fn make_a_golden_store() {
    let out = std::path::PathBuf::from(std::env::var("GOLDEN_OUT").unwrap());
    let store = open(&out);
    super::template_tests::golden(&store);
    let options = SubscriptionOptions {
        overflow: OverflowPolicy::Digest,
        group: Some("org-1".parse().unwrap()),
        ..SubscriptionOptions::default()
    };
    store.add(SubscriptionSpec { options, ..subscription("ops", TOKEN) }).unwrap();
    let paused = add(&store, "ops", "paused-token-0123456789");
    let removed = add(&store, "db", "removed-token-0123456789");
    add(&store, "db", "db-token-0123456789");
    store.set_state(paused, SubscriptionState::Paused).unwrap();
    let change = SubscriptionPatch {
        private: rename(None).private,
        ..with_overflow(OverflowPolicy::Latest)
    };
    store.update(paused, change).unwrap();
    store.remove(removed).unwrap();
    store.begin_rotation(&master(2)).unwrap();
    store.rotate().unwrap();
}

#[tokio::test]
async fn the_stores_of_versions_2_and_3_open_with_everything_in_them() {
    for version in [2, 3] {
        opens_with_everything(golden(version)).await;
    }
}

async fn opens_with_everything(dir: tempfile::TempDir) {
    // The store is in the middle of a rotation from the first key to the second.
    for key in [1, 2, 2] {
        let store = open_with(dir.path(), key).unwrap_or_else(|error| panic!("{error}"));
        store.rotate().unwrap();
        let listed = store.list(&ListFilter::default(), None, 10).unwrap().subscriptions;
        let found: Vec<_> = listed
            .iter()
            .map(|one| {
                (one.topic.as_str(), one.state, one.options.overflow, one.private.name.is_some())
            })
            .collect();
        assert_eq!(
            found,
            [
                ("db", SubscriptionState::Active, OverflowPolicy::Queue, true),
                ("ops", SubscriptionState::Active, OverflowPolicy::Digest, true),
                ("ops", SubscriptionState::Paused, OverflowPolicy::Latest, false),
            ]
        );
        let recipient = store.find(listed[1].id).await.unwrap().unwrap();
        assert_eq!(
            recipient.options.group.as_ref().map(ToString::to_string).as_deref(),
            Some("org-1")
        );
        assert!(opened(&store, &recipient).await.unwrap().endpoint.expose().ends_with(TOKEN));
        assert!(store.verify().unwrap().is_sound());
        assert_eq!(store.key_status().old.is_none(), key == 2);
    }
    assert!(matches!(open_with(dir.path(), 1), Err(StoreError::WrongKey { .. })));
}
