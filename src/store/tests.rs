//! The files of the store against wrong keys, damage and lost writes.
//!
//! Owns the proof that damage is found, costs only its own subscription, and erases no key.
//!
//! Not here: what every store must do (`conformance/`), an attacker with the files
//! (`erasure_tests.rs`), interrupted writes to the database (`interrupted_tests.rs`).

use std::{fs, path::Path};

use super::{
    ListFilter, Store, StoreError, StoreRefusal, StoreSettings,
    attack::files,
    conformance::{
        keys::master,
        samples::{TOKEN, endpoint, ids, opened, rename, subscription},
    },
    db::{Db, RowChange},
    key_slots::NamedSlot,
    row::SubscriptionRow,
};
use crate::{
    clock::Clock,
    crypto::SealedRecord,
    domain::{
        OverflowPolicy, Platform, SubscriptionId, SubscriptionOptions, SubscriptionPatch,
        SubscriptionSpec,
    },
    fanout::{OpenedRecipient, Recipient, Subscriptions},
};

pub(super) fn open(dir: &Path) -> Store {
    try_open(dir, 1).unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn open_with(dir: &Path, key: u8) -> Result<Store, StoreError> {
    try_open(dir, key)
}

fn try_open(dir: &Path, key: u8) -> Result<Store, StoreError> {
    let settings = StoreSettings::at(dir.join("data"));
    Store::open(&settings, &master(key), Clock::System)
}

pub(super) fn add(store: &Store, topic: &str, token: &str) -> SubscriptionId {
    store.add(subscription(topic, token)).unwrap().id
}

#[tokio::test]
async fn after_a_removal_nothing_on_the_disk_opens_the_endpoint() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = add(&store, "ops", TOKEN);
    let recipient = store.find(id).await.unwrap().unwrap();
    let before = fs::read(dir.path().join("data/slots")).unwrap();
    store.remove(id).unwrap();
    assert!(
        opened(&store, &recipient).await.is_none(),
        "not even a recipient already in hand opens"
    );
    assert!(matches!(
        store.remove(id),
        Err(StoreError::Refused(StoreRefusal::NoSuchSubscription { .. }))
    ));
    let after = fs::read(dir.path().join("data/slots")).unwrap();
    let held = |bytes: &[u8]| {
        bytes.chunks(128).skip(4).filter(|slot| slot[..8].iter().any(|byte| *byte != 0)).count()
    };
    assert_eq!((held(&before), held(&after)), (1, 0));
}

#[test]
fn no_file_of_the_store_holds_an_endpoint_or_secret_in_any_spelling() {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = add(&store, "ops", TOKEN);
    store.remove(id).unwrap();
    add(&store, "ops", TOKEN);
    drop(store);
    let found = files(dir.path());
    assert!(found.len() > 3, "the files were looked at");
    for marker in ["MARKERTOKEN", "SECmarker", "markername", "13800000000"] {
        for spelling in
            [marker.to_owned(), hex::encode(marker), BASE64_STANDARD.encode(&marker[..9])]
        {
            for (name, bytes) in &found {
                let holds =
                    bytes.windows(spelling.len()).any(|window| window == spelling.as_bytes());
                assert!(!holds, "{name} holds {spelling}");
            }
        }
    }
}

#[test]
fn another_master_key_and_a_second_opener_are_refused_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = add(&store, "ops", TOKEN);
    assert!(matches!(try_open(dir.path(), 1), Err(StoreError::Locked { .. })));
    drop(store);
    assert!(matches!(try_open(dir.path(), 2), Err(StoreError::WrongKey { .. })));
    assert!(open(dir.path()).show(id).is_ok());
}

#[test]
fn a_lost_slot_file_is_damage_and_not_a_deletion_of_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = add(&store, "ops", TOKEN);
    drop(store);
    let (slots, aside) = (dir.path().join("data/slots"), dir.path().join("aside"));
    fs::rename(&slots, &aside).unwrap();
    assert!(matches!(try_open(dir.path(), 1), Err(StoreError::Damaged { .. })));
    fs::write(&slots, &fs::read(&aside).unwrap()[..512]).unwrap();
    assert!(matches!(try_open(dir.path(), 1), Err(StoreError::Damaged { .. })));
    fs::rename(&aside, &slots).unwrap();
    assert!(open(dir.path()).show(id).is_ok());
}

#[test]
fn a_half_written_snapshot_does_not_keep_the_store_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = add(&store, "ops", TOKEN);
    drop(store);
    let half = dir.path().join("data/db/snap.00000000000FFFFF.generating");
    fs::write(&half, b"half").unwrap();
    assert!(open(dir.path()).show(id).is_ok());
    assert!(!half.exists());
}

#[test]
fn a_record_under_another_head_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = add(&store, "ops", TOKEN);
    drop(store);
    {
        let db = Db::open(&dir.path().join("data")).unwrap();
        let row = db.get(id).unwrap().unwrap();
        let new = SubscriptionRow { platform: Platform::Lark, ..row.clone() };
        db.replace(&[RowChange { old: row, new }]).unwrap();
    }
    assert!(matches!(
        open(dir.path()).show(id),
        Err(StoreError::Refused(StoreRefusal::DamagedRecord { .. }))
    ));
}

/// A store with two subscriptions to one topic, one of whose rows `change` replaces on the disk.
async fn with_one_of_two_changed(
    change: impl Fn(SubscriptionRow) -> Vec<u8>,
) -> (tempfile::TempDir, Store, SubscriptionId) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = add(&store, "ops", TOKEN);
    add(&store, "ops", "another-token-0123456789");
    drop(store);
    {
        let db = Db::open(&dir.path().join("data")).unwrap();
        let row = db.get(id).unwrap().unwrap();
        let key = [row.topic.as_str().as_bytes(), &[0], id.as_bytes()].concat();
        let bytes = change(row);
        db.engine().write(|trees| trees.rows.insert(&key, bytes.clone()).map(|_| ())).unwrap();
    }
    let store = open(dir.path());
    (dir, store, id)
}

#[tokio::test]
async fn a_record_that_does_not_open_is_found_like_any_other_and_written_anew_with_its_webhook() {
    let (_dir, store, id) = with_one_of_two_changed(|row| {
        let mut sealed = row.sealed.0.clone();
        sealed[40] ^= 1;
        SubscriptionRow { sealed: SealedRecord(sealed), ..row }.encode()
    })
    .await;
    let says = async |recipient: &Recipient| match Subscriptions::open(&store, recipient).await {
        Ok(OpenedRecipient::Damaged(what)) => what,
        _ => String::new(),
    };
    let page = store.page(&"ops".parse().unwrap(), None).await.unwrap().recipients;
    assert_eq!(page.len(), 2);
    for one in page.iter().chain(&store.find(id).await.unwrap()) {
        let expected = "its record does not open with its key";
        assert_eq!(says(one).await, if one.subscription == id { expected } else { "" });
    }
    assert_eq!(store.verify().unwrap().broken, [id]);
    let listed = store.list(&ListFilter::default(), None, 10).unwrap().subscriptions;
    assert_eq!(
        listed.iter().filter(|one| one.masked_endpoint == "the record is damaged").count(),
        1
    );
    assert_eq!(listed.len(), 2, "one damaged record hides no other");
    store.reseal().unwrap();
    let renamed = store.update(id, rename(Some("x")));
    assert!(matches!(renamed, Err(StoreError::Refused(StoreRefusal::DamagedRecord { .. }))));
    let again = endpoint(TOKEN);
    store
        .update(id, SubscriptionPatch { endpoint: Some(again), ..SubscriptionPatch::default() })
        .unwrap();
    let found = store.find(id).await.unwrap().unwrap();
    let mended = opened(&store, &found).await.unwrap();
    assert!(mended.endpoint.expose().ends_with(TOKEN));
    assert!(
        mended.secret.is_none() && mended.private.name.is_none(),
        "what could not be read is gone"
    );
    assert!(store.verify().unwrap().is_sound());
}

#[tokio::test]
async fn a_row_that_does_not_decode_fails_no_page_and_never_opens() {
    let (_dir, store, id) = with_one_of_two_changed(|row| {
        let mut bytes = row.encode();
        bytes[0] = 99;
        bytes
    })
    .await;
    assert_eq!(ids(&store, "ops").await.len(), 2);
    let recipient = store.find(id).await.unwrap().unwrap();
    assert_eq!(recipient.platform, Platform::DingTalk, "what can be read of it is kept");
    assert!(matches!(
        Subscriptions::open(&store, &recipient).await.unwrap(),
        OpenedRecipient::Damaged(_)
    ));
    assert_eq!(store.verify().unwrap().broken, [id]);
    let (_dir, store, id) = with_one_of_two_changed(|_| Vec::new()).await;
    assert_eq!(ids(&store, "ops").await.len(), 2);
    assert!(store.find(id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_fresh_look_says_gone_of_a_removal_at_every_step_and_never_of_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = add(&store, "ops", TOKEN);
    let before = store.find(id).await.unwrap().unwrap();
    let ops = "ops".parse().unwrap();
    let page = store.page(&ops, None).await.unwrap().recipients;
    store.reseal().unwrap();
    for old in page.iter().chain([&before]) {
        assert!(matches!(
            Subscriptions::open(&store, old).await.unwrap(),
            OpenedRecipient::Replaced
        ));
    }
    let fresh = store.find(id).await.unwrap().unwrap();
    assert!(opened(&store, &fresh).await.is_some());
    // A removal erases the key, then deletes the row.
    let row = store.0.db.get(id).unwrap().unwrap();
    store.0.writer().slots.erase(&[NamedSlot::of(&row)]).unwrap();
    assert!(matches!(
        Subscriptions::open(&store, &fresh).await.unwrap(),
        OpenedRecipient::Replaced
    ));
    assert!(store.find(id).await.unwrap().is_none());
}

#[tokio::test]
async fn options_stand_in_the_clear_head_and_the_seal_protects_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let options = SubscriptionOptions {
        overflow: OverflowPolicy::Digest,
        group: Some("org-1".parse().unwrap()),
        ..SubscriptionOptions::default()
    };
    let id = store
        .add(SubscriptionSpec { options: options.clone(), ..subscription("ops", TOKEN) })
        .unwrap()
        .id;
    drop(store);
    let store = open(dir.path());
    let recipient = store.find(id).await.unwrap().unwrap();
    assert_eq!(recipient.options, options);
    assert_eq!(opened(&store, &recipient).await.unwrap().options, options);
    assert_eq!(store.show(id).unwrap().options, options);
    drop(store);
    {
        let db = Db::open(&dir.path().join("data")).unwrap();
        let row = db.get(id).unwrap().unwrap();
        let new = SubscriptionRow { options: SubscriptionOptions::default(), ..row.clone() };
        db.replace(&[RowChange { old: row, new }]).unwrap();
    }
    assert!(matches!(
        open(dir.path()).show(id),
        Err(StoreError::Refused(StoreRefusal::DamagedRecord { .. }))
    ));
}

#[test]
fn a_newer_format_is_refused_and_not_guessed() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    Db::open(&dir.path().join("data")).unwrap().engine().set_word("format", &[4]).unwrap();
    assert!(matches!(try_open(dir.path(), 1), Err(StoreError::Newer { found: 4, known: 3, .. })));
}

#[test]
fn a_database_that_lost_rows_is_damage_and_no_key_is_erased_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    add(&store, "ops", TOKEN);
    drop(store);
    let earlier: Vec<_> = files(&dir.path().join("data/db"));
    let store = open(dir.path());
    let id = add(&store, "ops", "another-token-0123456789");
    drop(store);
    let (db, aside) = (dir.path().join("data/db"), dir.path().join("aside"));
    fs::rename(&db, &aside).unwrap();
    assert!(
        matches!(try_open(dir.path(), 1), Err(StoreError::Damaged { .. })),
        "an empty database"
    );
    fs::remove_dir_all(&db).unwrap();
    fs::create_dir(&db).unwrap();
    for (path, bytes) in &earlier {
        fs::write(db.join(Path::new(path).file_name().unwrap()), bytes).unwrap();
    }
    assert!(
        matches!(try_open(dir.path(), 1), Err(StoreError::Damaged { .. })),
        "an older database"
    );
    fs::remove_dir_all(&db).unwrap();
    fs::rename(&aside, &db).unwrap();
    assert!(open(dir.path()).show(id).is_ok(), "nothing was lost");
}
