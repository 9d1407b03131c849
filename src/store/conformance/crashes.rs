//! Crashes at every step of a change.
//!
//! Owns the promise that a crash leaves each subscription whole, in its old or its new version, and
//! that a removed one is never found again.
//!
//! Not here: crashes of ledger and pace log (`ledger.rs`, `pace_log.rs`).

use super::{
    Harness, open,
    samples::{TOKEN, add, assert_sound, ids, rename, subscription},
    templates::{text, texts},
};
use crate::domain::{Audience, ListFilter};

const OTHER: &str = "another-token-0123456789";

pub(in crate::store) async fn a_cut_addition_is_whole_or_gone_and_can_be_made_again<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    let kept = add(&store, "ops", OTHER).await;
    let new = || vec![subscription("ops", TOKEN), subscription("db", TOKEN)];
    let cuts = harness
        .cuts(store, async |store| {
            store.admin.add(new()).await.unwrap();
        })
        .await;
    assert!(cuts.len() > 2, "the addition was cut");
    for (number, cut) in cuts.iter().enumerate() {
        let what = format!("cut {number} of {}", cuts.len());
        let store = open(cut).await;
        let page = store.admin.list(&ListFilter::default(), None, 10).await.unwrap();
        let count = page.subscriptions.len();
        assert_sound(&store, count, &what).await;
        assert!(page.subscriptions.iter().any(|one| one.id == kept), "{what}");
        assert!(number + 1 < cuts.len() || count == 3, "{what}: {count} of an acknowledged change");
        let again = store.admin.add(new()).await.unwrap();
        for (one, topic) in again.iter().zip(["ops", "db"]) {
            let was_there = page.subscriptions.iter().any(|old| old.id == one.id);
            assert_eq!(was_there, one.duplicate, "{what}, {topic}");
            assert!(ids(&*store.subscriptions, topic).await.contains(&one.id), "{what}, {topic}");
        }
        assert_sound(&store, 3, &what).await;
    }
}

pub(in crate::store) async fn a_cut_removal_is_finished_by_the_next_and_leaves_no_key<
    H: Harness,
>() {
    let harness = H::new();
    let store = open(&harness).await;
    let kept = add(&store, "attacked", OTHER).await;
    let id = add(&store, "attacked", TOKEN).await;
    let cuts = harness.cuts(store, async |store| store.admin.remove(id).await.unwrap()).await;
    assert!(cuts.len() > 2, "the removal was cut");
    for (number, cut) in cuts.iter().enumerate() {
        let what = format!("cut {number} of {}", cuts.len());
        let store = open(cut).await;
        let is_gone = store.admin.show(id).await.is_err();
        assert_sound(&store, if is_gone { 1 } else { 2 }, &what).await;
        assert!(number + 1 < cuts.len() || is_gone, "{what}: an acknowledged removal");
        drop(store);
        assert_eq!(cut.recovers(1, id, TOKEN), !is_gone, "{what}, after the next start");
        let store = open(cut).await;
        assert_eq!(store.admin.remove(id).await.is_err(), is_gone, "{what}");
        assert_eq!(ids(&*store.subscriptions, "attacked").await, [kept], "{what}");
        assert_sound(&store, 1, &what).await;
        drop(store);
        assert!(!cut.recovers(1, id, TOKEN), "{what}, after it was removed again");
    }
}

pub(in crate::store) async fn a_cut_update_leaves_one_version<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    let id = add(&store, "ops", TOKEN).await;
    let change = async |store: &super::OpenStore| {
        store.admin.update(id, rename(Some("new"))).await.unwrap();
    };
    let cuts = harness.cuts(store, change).await;
    assert!(cuts.len() > 2, "the update was cut");
    let mut names = Vec::new();
    for (number, cut) in cuts.iter().enumerate() {
        let store = open(cut).await;
        names.push(store.admin.show(id).await.unwrap().private.name.unwrap());
        // One data key: that of the other version is erased.
        assert_sound(&store, 1, &format!("cut {number}")).await;
    }
    assert_eq!(names.first().map(String::as_str), Some("markername"));
    assert_eq!(names.last().map(String::as_str), Some("new"));
    names.dedup();
    assert_eq!(names.len(), 2, "no cut goes back to the old version: {names:?}");
}

pub(in crate::store) async fn a_cut_change_of_a_template_leaves_one_text<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    let long = |word: &str| text("down", Audience::Everybody, &word.repeat(2000));
    store.admin.add_template(long("old "), false).await.unwrap();
    let cuts = harness
        .cuts(store, async |store| {
            store.admin.add_template(long("new text "), true).await.unwrap();
        })
        .await;
    for (number, cut) in cuts.iter().enumerate() {
        let store = open(cut).await;
        let [(_, _, text)] = <[_; 1]>::try_from(texts(&store)).unwrap();
        let is_new = text == long("new text ").text;
        assert!(is_new || text == long("old ").text, "cut {number}");
        assert!(number + 1 < cuts.len() || is_new);
    }
}
