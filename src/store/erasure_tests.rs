//! Removed subscriptions in the files of a store, in its backups, and in the search for a proof.
//!
//! Owns the proof that no file yields the endpoint of a removed subscription.
//!
//! Not here: removals that a crash interrupts (`conformance/crashes.rs`,
//! `interrupted_tests.rs`).

use std::{
    fs::{self, File},
    path::Path,
};

use super::{
    Store, StoreSettings,
    attack::{copy, recovers},
    conformance::samples::{rename, subscription},
    erasure_audit::traces,
    key_slot,
    tests::open_with,
};
use crate::domain::{SubscriptionId, Timestamp};

const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);
const TOKEN: &str = "ATTACKED-token-0123456789abcdef";

fn with_some(dir: &Path) -> (Store, SubscriptionId) {
    let store = open_with(dir, 1).unwrap();
    store.add(subscription("others", "another-token-0123456789")).unwrap();
    let id = store.add(subscription("attacked", TOKEN)).unwrap().id;
    (store, id)
}

#[test]
fn folder_and_master_key_recover_a_subscription_before_its_removal_and_never_after() {
    let (dir, stolen) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, id) = with_some(dir.path());
    copy(&dir.path().join("data"), &stolen.path().join("before"));
    assert!(
        recovers(&stolen.path().join("before"), 1, id, TOKEN),
        "the attack works on what is not removed"
    );
    assert_eq!(traces(store.dir(), id).unwrap().keys.len(), 1);
    store.remove(id).unwrap();
    copy(&dir.path().join("data"), &stolen.path().join("after"));
    assert!(!recovers(&stolen.path().join("after"), 1, id, TOKEN));
    let left = traces(store.dir(), id).unwrap();
    assert!(left.keys.is_empty() && left.erased.len() == 1 && left.files > 4, "{left:?}");
    // A copy of the slot file in the store's folder is found as well.
    fs::copy(stolen.path().join("before/slots"), dir.path().join("data/slots.bak")).unwrap();
    assert_eq!(traces(store.dir(), id).unwrap().keys.len(), 1);
}

#[test]
fn a_backup_restores_everything_but_later_removals() {
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
    let restored = super::restore(&backup, &settings("new"), &lists, NOW).unwrap();
    assert_eq!((restored.subscriptions, restored.removed), (1500, 2));
    let store = open_with(&dir.path().join("new"), 1).unwrap();
    let verified = store.verify().unwrap();
    assert!(verified.is_sound() && verified.sound == 1500, "{verified:?}");
    assert!(store.show(id).is_err());
    assert!(traces(store.dir(), id).unwrap().keys.is_empty(), "not even its key is there");
    assert!(
        super::restore(&backup, &settings("new"), &[], NOW).is_err(),
        "a store is not overwritten"
    );
    let restored = super::restore(&backup, &settings("old"), &[], NOW).unwrap();
    assert_eq!((restored.subscriptions, restored.removed), (1502, 0));
    assert!(open_with(&dir.path().join("old"), 1).unwrap().show(id).is_ok());
    fs::write(backup.join("records"), &fs::read(backup.join("records")).unwrap()[..9000]).unwrap();
    fs::create_dir(dir.path().join("broken")).unwrap();
    assert!(
        super::restore(&backup, &settings("broken"), &[], NOW).is_err(),
        "half a backup is none"
    );
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
    // The slot of another subscription fails its check sum, so it may hold any key.
    let data = dir.path().join("one changed byte").join("data");
    copy(&dir.path().join("data"), &data);
    let mut slots = fs::read(data.join("slots")).unwrap();
    let used =
        (512..slots.len()).step_by(key_slot::SLOT_BYTES).find(|at| slots[*at..*at + 8] != [0; 8]);
    slots[used.unwrap() + 100] ^= 1;
    fs::write(data.join("slots"), slots).unwrap();
    let [of_kept, of_gone, of_never] = of(&data);
    assert_eq!(of_kept, "Kept");
    assert!(of_gone.starts_with("NotWhole") && of_never.starts_with("NotWhole"), "{of_gone}");
}
