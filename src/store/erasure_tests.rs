//! An attacker with the whole folder of a store and its master key, at every step of a removal.
//!
//! Owns the proof that no file yields the endpoint of a removed subscription.
//!
//! Not here: additions and removals that a crash interrupts (`interrupted_tests.rs`).

use std::{
    fs::{self, File},
    path::Path,
};

use super::{
    Store, StoreSettings,
    db::Db,
    erasure_audit::traces,
    key_slot::{self, KeySlotContent},
    key_slots::KeySlots,
    keyring::Keyring,
    row::SubscriptionRow,
    tests::{files, golden_key, make_private, open_with, rename, subscription},
};
use crate::{
    crypto::{DataKey, SealedRecord},
    domain::SubscriptionId,
};

const TOKEN: &str = "ATTACKED-token-0123456789abcdef";

/// Searches the raw files without sled: decodes each slot, and each block of bytes that looks like
/// one, and tries all the keys on each block of bytes that looks like a row of the subscription.
fn recovered(dir: &Path, key: u8, id: SubscriptionId) -> bool {
    let ring = Keyring::open(dir, &golden_key(key)).unwrap().ring;
    let all = files(dir);
    let mut keys: Vec<DataKey> = Vec::new();
    for (_, bytes) in &all {
        for at in (0..bytes.len().saturating_sub(key_slot::SLOT_BYTES)).step_by(4) {
            if let Ok(KeySlotContent::Key(found)) =
                key_slot::decode(0, &bytes[at..at + key_slot::SLOT_BYTES])
            {
                for number in 0..64 {
                    let binding = crate::crypto::Binding { slot: number, ..found.binding };
                    let opened = ring
                        .of(found.key)
                        .and_then(|keys| keys.unwrap_key(&binding, &found.wrapped).ok());
                    keys.extend(opened);
                }
            }
        }
    }
    let rows: Vec<SubscriptionRow> = all
        .iter()
        .filter(|(name, _)| name.contains("/db/"))
        .flat_map(|(_, bytes)| {
            (0..bytes.len()).filter_map(|at| SubscriptionRow::decode(id, &bytes[at..]))
        })
        .filter(|row| row.topic.as_str() == "attacked")
        .collect();
    assert!(!rows.is_empty(), "the sealed record lingers in sled's files");
    rows.iter().any(|row| {
        let longest = row.sealed.0.len().min(1200);
        (40..longest).any(|length| {
            let sealed = SealedRecord(row.sealed.0[..length].to_vec());
            let plain = |key: &DataKey| key.open(&row.binding(), &row.head(), &sealed).ok();
            keys.iter()
                .filter_map(plain)
                .any(|plain| plain.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()))
        })
    })
}

fn copy(from: &Path, to: &Path) {
    make_private(to);
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target)
        } else {
            fs::copy(&path, &target).map(|_| ()).unwrap()
        }
    }
}

fn with_some(dir: &Path) -> (Store, SubscriptionId) {
    let store = open_with(dir, 1).unwrap();
    store.add(subscription("others", "another-token-0123456789")).unwrap();
    let id = store.add(subscription("attacked", TOKEN)).unwrap().id;
    (store, id)
}

#[test]
fn who_has_folder_and_master_key_recovers_a_subscription_before_its_removal_and_never_after() {
    let (dir, stolen) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, id) = with_some(dir.path());
    copy(&dir.path().join("data"), &stolen.path().join("before"));
    assert!(
        recovered(&stolen.path().join("before"), 1, id),
        "the attack works on what is not removed"
    );
    assert_eq!(traces(store.dir(), id).unwrap().keys.len(), 1);
    store.remove(id).unwrap();
    copy(&dir.path().join("data"), &stolen.path().join("after"));
    assert!(!recovered(&stolen.path().join("after"), 1, id));
    let left = traces(store.dir(), id).unwrap();
    assert!(left.keys.is_empty() && left.erased.len() == 1 && left.files > 4, "{left:?}");
    // A copy of the slot file in the store's folder is found as well.
    fs::copy(stolen.path().join("before/slots"), dir.path().join("data/slots.bak")).unwrap();
    assert_eq!(traces(store.dir(), id).unwrap().keys.len(), 1);
}

#[test]
fn a_crash_at_any_step_of_a_removal_leaves_it_whole_or_gone_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let (store, id) = with_some(dir.path());
    drop(store);
    let data = dir.path().join("data");
    let step = |name: &str| copy(&data, &dir.path().join(name).join("data"));
    step("0 nothing");
    let (db, mut slots) = (Db::open(&data).unwrap(), KeySlots::open(&data, true).unwrap().slots);
    let row = db.get(id).unwrap().unwrap();
    let epoch = slots.epoch() + 1;
    db.engine().set_word(super::engine::EPOCH_WORD, &epoch.to_be_bytes()).unwrap();
    slots.begin_epoch(epoch).unwrap();
    step("1 epoch");
    slots.erase(&[(row.slot, *id.as_bytes())]).unwrap();
    step("2 erased");
    let mut removed = super::tombstones::Tombstones::open(&data.join("removed")).unwrap();
    removed.append([id].into_iter(), crate::domain::Timestamp::from_unix_millis(1)).unwrap();
    step("3 listed");
    db.remove(&[row]).unwrap();
    step("4 row removed");
    drop((db, slots));
    for (name, gone) in [
        ("0 nothing", false),
        ("1 epoch", false),
        ("2 erased", true),
        ("3 listed", true),
        ("4 row removed", true),
    ] {
        let home = dir.path().join(name);
        assert_eq!(recovered(&home.join("data"), 1, id), !gone, "{name}, as it was found");
        let store = open_with(&home, 1).unwrap();
        assert_eq!(store.show(id).is_err(), gone, "{name}");
        let verified = store.verify().unwrap();
        assert!(
            verified.is_sound() && verified.sound == if gone { 1 } else { 2 },
            "{name}: {verified:?}"
        );
        drop(store);
        assert_eq!(recovered(&home.join("data"), 1, id), !gone, "{name}, after the next start");
    }
}

#[test]
fn a_crash_at_any_step_of_an_update_leaves_one_version_and_erases_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let (store, id) = with_some(dir.path());
    let before = copy_of(&store, dir.path(), "before");
    let old = store.0.db.get(id).unwrap().unwrap();
    store.update(id, rename(Some("new"))).unwrap();
    let new = store.0.db.get(id).unwrap().unwrap();
    drop(store);
    // A crash after the new slot was written and before the row was. The slots are those of the new
    // state with the old key put back; the database is the old one.
    let (slots_before, slots_after) = (
        fs::read(before.join("data/slots")).unwrap(),
        fs::read(dir.path().join("data/slots")).unwrap(),
    );
    let place = 512 + usize::try_from(old.slot).unwrap() * key_slot::SLOT_BYTES;
    let mut both = slots_after;
    both[place..place + key_slot::SLOT_BYTES]
        .copy_from_slice(&slots_before[place..place + key_slot::SLOT_BYTES]);
    fs::write(before.join("data/slots"), &both).unwrap();
    // A crash after the row was written and before the old slot was erased.
    fs::write(dir.path().join("data/slots"), &both).unwrap();
    for (home, name, kept, erased) in
        [(before.as_path(), "markername", &old, &new), (dir.path(), "new", &new, &old)]
    {
        let store = open_with(home, 1).unwrap();
        assert_eq!(store.show(id).unwrap().private.name.as_deref(), Some(name));
        assert!(
            store.0.table.holds(&kept.binding()) && !store.0.table.holds(&erased.binding()),
            "{name}"
        );
        assert!(store.verify().unwrap().is_sound());
    }
}

fn copy_of(store: &Store, dir: &Path, name: &str) -> std::path::PathBuf {
    copy(store.dir(), &dir.join(name).join("data"));
    dir.join(name)
}

#[test]
fn a_backup_restores_everything_but_what_was_removed_since() {
    let dir = tempfile::tempdir().unwrap();
    let (store, id) = with_some(dir.path());
    let tokens: Vec<_> = (0..1500).map(|number| format!("token-{number}-0123456789")).collect();
    let more =
        store.add_all(tokens.iter().map(|token| subscription("many", token)).collect()).unwrap();
    let backup = dir.path().join("backup");
    assert_eq!(store.backup(&backup).unwrap().subscriptions, 1502);
    assert!(store.backup(&backup).is_err(), "a backup overwrites nothing");
    store.remove(id).unwrap();
    store.remove(more[7].id).unwrap();
    drop(store);
    let settings = |name: &str| StoreSettings::at(dir.path().join(name).join("data"));
    fs::create_dir(dir.path().join("new")).unwrap();
    fs::create_dir(dir.path().join("old")).unwrap();
    let lists = [dir.path().join("data/removed")];
    let restored = super::restore(&backup, &settings("new"), &lists).unwrap();
    assert_eq!((restored.subscriptions, restored.removed), (1500, 2));
    let store = open_with(&dir.path().join("new"), 1).unwrap();
    let verified = store.verify().unwrap();
    assert!(verified.is_sound() && verified.sound == 1500, "{verified:?}");
    assert!(store.show(id).is_err());
    assert!(traces(store.dir(), id).unwrap().keys.is_empty(), "not even its key is there");
    assert!(super::restore(&backup, &settings("new"), &[]).is_err(), "a store is not overwritten");
    let restored = super::restore(&backup, &settings("old"), &[]).unwrap();
    assert_eq!((restored.subscriptions, restored.removed), (1502, 0));
    assert!(open_with(&dir.path().join("old"), 1).unwrap().show(id).is_ok());
    fs::write(backup.join("records"), &fs::read(backup.join("records")).unwrap()[..9000]).unwrap();
    fs::create_dir(dir.path().join("broken")).unwrap();
    assert!(super::restore(&backup, &settings("broken"), &[]).is_err(), "half a backup is none");
    assert!(!settings("broken").dir.exists());
}

#[test]
fn that_no_key_is_found_proves_nothing_about_a_store_that_is_not_whole_or_an_id_that_never_was() {
    let dir = tempfile::tempdir().unwrap();
    let (store, gone) = with_some(dir.path());
    let kept = store.add(subscription("ops", "kept-token-0123456789")).unwrap().id;
    // An update leaves an erased slot that names an existing subscription.
    store.update(kept, rename(Some("new"))).unwrap();
    store.remove(gone).unwrap();
    let never = SubscriptionId::make();
    let proof = |dir: &Path, id| format!("{:?}", traces(dir, id).unwrap().proof());
    let of = |dir: &Path| [kept, gone, never].map(|id| proof(dir, id));
    assert_eq!(of(store.dir()), ["Kept", "Erased", "Unknown"]);
    drop(store);
    assert_eq!(of(&dir.path().join("data")), ["Kept", "Erased", "Unknown"]);
    // The folder itself may be a link, like the state folders of systemd.
    std::os::unix::fs::symlink(dir.path().join("data"), dir.path().join("link")).unwrap();
    assert_eq!(of(&dir.path().join("link")), ["Kept", "Erased", "Unknown"]);
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(of(empty.path()), ["Unknown", "Unknown", "Unknown"]);
    let broken = |name: &str, damage: &dyn Fn(&Path)| {
        let data = dir.path().join(name).join("data");
        copy(&dir.path().join("data"), &data);
        damage(&data);
        for (id, proof) in [kept, gone, never].iter().zip(of(&data)) {
            assert!(proof.starts_with("NotWhole"), "{name}, {id}: {proof}");
        }
    };
    broken("slots behind a link", &|data| {
        fs::rename(data.join("slots"), data.join("../slots")).unwrap();
        std::os::unix::fs::symlink(data.join("../slots"), data.join("slots")).unwrap();
    });
    broken("no slots", &|data| fs::remove_file(data.join("slots")).unwrap());
    broken("no key ring", &|data| {
        fs::remove_file(data.join("keyring")).unwrap();
        fs::remove_file(data.join("slots")).unwrap();
    });
    broken("a changed byte in each slot", &|data| {
        let mut slots = fs::read(data.join("slots")).unwrap();
        (512 + 40..slots.len()).step_by(key_slot::SLOT_BYTES).for_each(|at| slots[at] ^= 1);
        fs::write(data.join("slots"), slots).unwrap();
    });
    broken("slots cut short", &|data| {
        File::options().write(true).open(data.join("slots")).unwrap().set_len(600).unwrap();
    });
    broken("slots of an empty store", &|data| {
        let slots = fs::read(data.join("slots")).unwrap();
        fs::write(data.join("slots"), &slots[..512]).unwrap();
    });
    broken("no list of what was removed", &|data| {
        fs::remove_file(data.join("slots")).unwrap();
        fs::remove_file(data.join("removed")).unwrap();
    });
}
