//! Additions and removals that a crash interrupts after any write to the database.
//!
//! Owns the proof that the next start completes or undoes them. The tests delete the last writes
//! from the database.
//!
//! Not here: crashes between slot, list and row of a removal (`erasure_tests.rs`).

use std::path::Path;

use super::{
    Store, StoreError,
    conformance::samples::subscription,
    db::Db,
    engine::EPOCH_WORD,
    key_slots::{KeySlots, NamedSlot},
    open::{UNNAMED_MAX, UNVERIFIED},
    row::SubscriptionRow,
    tests::open_with,
};
use crate::domain::SubscriptionId;

/// The trees in which the database has an entry of the subscription.
#[derive(Clone, Copy)]
struct Written {
    id: bool,
    row: bool,
    robot: bool,
}

/// The states that an interrupted addition leaves, and from which a removal may have to go on.
const NOTHING: Written = Written { id: false, row: false, robot: false };
const ID: Written = Written { id: true, ..NOTHING };
const ROW: Written = Written { row: true, ..ID };
const ALL: Written = Written { robot: true, ..ROW };

fn cut(db: &Db, row: &SubscriptionRow, left: Written) {
    let key = |rest: &[u8]| [row.topic.as_str().as_bytes(), &[0], rest].concat();
    let cut = db.engine().write(|trees| {
        if !left.robot {
            assert!(trees.robots.remove(key(row.robot.as_bytes()))?.is_some());
        }
        if !left.row {
            assert!(trees.rows.remove(key(row.id.as_bytes()))?.is_some());
        }
        if !left.id {
            assert!(trees.ids.remove(row.id.as_bytes())?.is_some());
        }
        Ok(())
    });
    cut.unwrap();
}

fn with_two(dir: &Path) -> (SubscriptionId, SubscriptionId) {
    let store = open_with(dir, 1).unwrap();
    let added = store.add_all(vec![
        subscription("ops", "one-0123456789abc"),
        subscription("ops", "two-0123456789abc"),
    ]);
    let ids: Vec<_> = added.unwrap().iter().map(|added| added.id).collect();
    (ids[0], ids[1])
}

fn assert_sound(store: &Store, count: usize, what: &str) {
    let verified = store.verify().unwrap();
    assert!(verified.is_sound() && verified.sound == count, "{what}: {verified:?}");
    assert_eq!(store.key_status().data_keys, count, "{what}");
}

#[test]
fn an_addition_that_was_interrupted_anywhere_is_whole_or_gone_and_can_be_made_again() {
    for (what, left, whole) in [
        ("nothing", NOTHING, false),
        ("the id", ID, false),
        ("the row", ROW, true),
        ("all", ALL, true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (kept, id) = with_two(dir.path());
        let db = Db::open(&dir.path().join("data")).unwrap();
        cut(&db, &db.get(id).unwrap().unwrap(), left);
        drop(db);
        let store = open_with(dir.path(), 1).unwrap();
        assert_eq!(store.show(id).is_ok(), whole, "{what}");
        assert_sound(&store, if whole { 2 } else { 1 }, what);
        let again = store.add(subscription("ops", "two-0123456789abc")).unwrap();
        assert_eq!((again.duplicate, again.id == id), (whole, whole), "{what}");
        assert!(store.add(subscription("ops", "one-0123456789abc")).unwrap().id == kept);
        assert_sound(&store, 2, what);
    }
}

#[test]
fn a_removal_that_was_interrupted_anywhere_is_finished() {
    for (what, left) in [("all", ALL), ("the row", ROW), ("the id", ID), ("nothing", NOTHING)] {
        let dir = tempfile::tempdir().unwrap();
        let (kept, id) = with_two(dir.path());
        let data = dir.path().join("data");
        let (db, mut slots) =
            (Db::open(&data).unwrap(), KeySlots::open(&data, true).unwrap().slots);
        let epoch = slots.epoch() + 1;
        db.engine().set_word(EPOCH_WORD, &epoch.to_be_bytes()).unwrap();
        slots.begin_epoch(epoch).unwrap();
        let row = db.get(id).unwrap().unwrap();
        slots.erase(&[NamedSlot::of(&row)]).unwrap();
        cut(&db, &row, left);
        drop((db, slots));
        let store = open_with(dir.path(), 1).unwrap();
        assert!(store.show(id).is_err() && store.show(kept).is_ok(), "{what}");
        assert_sound(&store, 1, what);
    }
}

#[test]
fn an_entry_that_leads_to_no_row_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (_, id) = with_two(dir.path());
    let store = open_with(dir.path(), 1).unwrap();
    let row = store.0.db.get(id).unwrap().unwrap();
    cut(&store.0.db, &row, Written { row: false, ..ALL });
    assert_eq!(store.verify().unwrap().lost_entries, 2);
}

#[test]
fn a_store_that_is_damaged_does_not_claim_that_nothing_was_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (_, id) = with_two(dir.path());
    let store = open_with(dir.path(), 1).unwrap();
    let lost = (0..=UNNAMED_MAX).map(|number| format!("lost-{number:05}-0123456789"));
    store.add_all(lost.map(|token| subscription("lost", &token)).collect()).unwrap();
    drop(store);
    let data = dir.path().join("data");
    let (db, mut slots) = (Db::open(&data).unwrap(), KeySlots::open(&data, true).unwrap().slots);
    // More rows are lost than one crash can cost.
    let lost = db.of_topic(&"lost".parse().unwrap(), None, UNNAMED_MAX + 1).unwrap();
    db.remove(&lost).unwrap();
    // Before that, a removal was interrupted.
    let row = db.get(id).unwrap().unwrap();
    slots.erase(&[NamedSlot::of(&row)]).unwrap();
    drop((db, slots));
    std::fs::write(data.join(UNVERIFIED), "").unwrap();

    let error = open_with(dir.path(), 1).err().unwrap();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(Db::open(&data).unwrap().get(id).unwrap().is_none(), "the removal was finished");
    assert!(!error.to_string().contains("nothing was changed"), "{error}");
}
