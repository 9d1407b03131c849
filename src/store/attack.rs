//! An attacker with the whole folder of a store and its master key, for tests.
//!
//! Owns the search of the raw files without sled.
//!
//! Not here: what it must not find (`erasure_tests.rs`, `conformance/`).

use std::{fs, path::Path};

use super::{
    conformance::keys::master,
    key_slot::{self, KeySlotContent},
    keyring::Keyring,
    row::SubscriptionRow,
};
use crate::{
    crypto::{Binding, DataKey, SealedRecord},
    domain::SubscriptionId,
};

/// Decodes each slot, and each block of bytes that looks like one. Tries all the keys on each block
/// of bytes that looks like a row of the subscription to `attacked`. Returns whether a record opens
/// and has the token.
pub(super) fn recovers(dir: &Path, key: u8, id: SubscriptionId, token: &str) -> bool {
    let ring = Keyring::open(dir, &master(key)).unwrap().ring;
    let all = files(dir);
    let mut keys: Vec<DataKey> = Vec::new();
    for (_, bytes) in &all {
        for at in (0..bytes.len().saturating_sub(key_slot::SLOT_BYTES)).step_by(4) {
            if let Ok(KeySlotContent::Key(found)) =
                key_slot::decode(0, &bytes[at..at + key_slot::SLOT_BYTES])
            {
                for number in 0..64 {
                    let binding = Binding { slot: number, ..found.binding };
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
                .any(|plain| plain.windows(token.len()).any(|part| part == token.as_bytes()))
        })
    })
}

/// Every file below a folder, with its content.
pub(super) fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

/// Copies a folder with everything in it.
pub(super) fn copy(from: &Path, to: &Path) {
    make_private(to);
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Creates a folder with the permissions of the store's own folder.
pub(super) fn make_private(path: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).unwrap();
}
