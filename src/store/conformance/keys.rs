//! Rotations of the master key, and sealing anew.
//!
//! Owns the promises of `KeyStore`.
//!
//! Not here: random sequences with rotations (`model.rs`).

use std::time::Duration;

use super::{
    Harness, OpenStore, open,
    samples::{TOKEN, add, assert_sound, opened, recipients, subscription},
};
use crate::{
    admin::ports::{KeyStatus, StoreFailure, StoreRefusal},
    crypto::MasterKey,
};

/// The master key of that number.
pub(in crate::store) fn master(number: u8) -> MasterKey {
    MasterKey::from_bytes([number; 32])
}

/// Waits until work in the background has ended.
pub(super) async fn ended(store: &OpenStore, running: impl Fn(&KeyStatus) -> bool) {
    loop {
        let status = store.admin.key_status().await.unwrap();
        if !running(&status) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn with_many(store: &OpenStore, count: usize) {
    let tokens = (0..count).map(|number| format!("token-{number}-0123456789"));
    let new = tokens.map(|token| subscription("ops", &token)).collect();
    store.admin.add(new).await.unwrap();
}

pub(in crate::store) async fn a_rotation_goes_on_while_the_store_is_used_and_ends_with_the_new_key<
    H: Harness,
>() {
    let harness = H::new();
    let store = open(&harness).await;
    with_many(&store, 600).await;
    let first = recipients(&*store.subscriptions, "ops").await[0].clone();
    let refused = store.admin.begin_rotation(master(1)).await;
    let is_refused = |refused: &Result<(), StoreFailure>| {
        matches!(refused, Err(StoreFailure::Refused(StoreRefusal::Rotation { .. })))
    };
    assert!(is_refused(&refused), "it is that key already");
    store.admin.begin_rotation(master(2)).await.unwrap();
    store.admin.begin_rotation(master(2)).await.unwrap();
    assert!(is_refused(&store.admin.begin_rotation(master(3)).await), "one at a time");
    let late = add(&store, "late", TOKEN).await;
    store.admin.remove(first.subscription).await.unwrap();
    store.admin.rotate_in_background();
    ended(&store, |status| status.wrapping.is_some()).await;
    let status = store.admin.key_status().await.unwrap();
    assert!(status.old.is_some(), "the new key is not known to be in its place");
    drop(store);
    assert!(harness.open(3).await.is_err());
    for key in [1, 2] {
        drop(harness.open(key).await.unwrap_or_else(|why| panic!("{key}: {why}")));
    }
    let store = harness.open(2).await.unwrap_or_else(|why| panic!("{why}"));
    store.admin.replace_key_in_place().await.unwrap();
    store.admin.rotate_in_background();
    ended(&store, |status| status.old.is_some()).await;
    let shown = store.admin.show(late).await.unwrap();
    assert_eq!(shown.private.name.as_deref(), Some("markername"));
    let again = store.admin.add(vec![subscription("ops", "token-7-0123456789")]).await.unwrap();
    assert!(again[0].duplicate, "robots keep their names");
    assert_sound(&store, 600, "after the rotation").await;
    drop(store);
    assert!(harness.open(1).await.is_err() && harness.open(2).await.is_ok());
}

pub(in crate::store) async fn a_cut_rotation_opens_with_the_old_or_the_new_key<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    let id = add(&store, "ops", TOKEN).await;
    let cuts = harness
        .cuts(store, async |store| {
            store.admin.begin_rotation(master(2)).await.unwrap();
            store.admin.replace_key_in_place().await.unwrap();
            store.admin.rotate_in_background();
            ended(store, |status| status.old.is_some()).await;
        })
        .await;
    assert!(cuts.len() > 3, "the rotation was cut");
    let mut opens = Vec::new();
    for (number, cut) in cuts.iter().enumerate() {
        let mut keys = Vec::new();
        for key in [1, 2] {
            // With the new key the rotation may go on to its end, so the old one is tried first.
            if let Ok(store) = cut.open(key).await {
                let recipient = store.subscriptions.find(id).await.unwrap().unwrap();
                assert!(opened(&*store.subscriptions, &recipient).await.is_some(), "cut {number}");
                assert_sound(&store, 1, &format!("cut {number}, key {key}")).await;
                keys.push(key);
            }
        }
        opens.push(keys);
    }
    assert_eq!((opens[0].as_slice(), opens[1].as_slice()), (&[1][..], &[1, 2][..]));
    assert_eq!(opens.last().map(Vec::as_slice), Some(&[2][..]), "the old key is worthless");
    assert!(opens.is_sorted_by_key(|keys| *keys.last().unwrap()), "{opens:?}");
}

pub(in crate::store) async fn sealing_anew_shows_at_once_replaces_every_recipient_and_loses_none<
    H: Harness,
>() {
    let harness = H::new();
    let store = open(&harness).await;
    with_many(&store, 600).await;
    let before = recipients(&*store.subscriptions, "ops").await;
    store.admin.reseal_in_background();
    // A caller that waits for the end of the work begins to ask at once.
    ended(&store, |status| status.sealing.is_some()).await;
    for one in &before {
        assert!(
            opened(&*store.subscriptions, one).await.is_none(),
            "its old key exists, or the work had not begun"
        );
    }
    let after = recipients(&*store.subscriptions, "ops").await;
    assert_eq!(before.len(), after.len());
    for one in &after {
        assert!(opened(&*store.subscriptions, one).await.is_some());
    }
    drop(store);
    assert_sound(&open(&harness).await, 600, "after the next start").await;
}
