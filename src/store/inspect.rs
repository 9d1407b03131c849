//! An inspection of a store from outside: whether it would open, judged by its lock, key ring and
//! slots.
//!
//! Owns the promise that nothing on the disk changes. So it does not open the database: sled cannot
//! open it without writing.
//!
//! Not here: the check of every record of an open store (`verify.rs`), the opening (`open.rs`).

use std::path::Path;

use super::{StoreError, StoreSettings, key_slots::KeySlots, keyring::Keyring, lock};
use crate::crypto::MasterKey;

/// The result of an inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// There is no store yet; opening it creates one.
    Nothing,
    /// The key is on the key ring, and the slots are readable.
    Fits,
    /// The key is on the key ring, and no subscription was ever added: the creation was
    /// interrupted.
    Begun,
    /// There is no key ring: the store has format 1, or its creation was interrupted. Only opening
    /// it tells whether the key fits.
    NoKeyring,
}

/// Inspects a store and changes nothing. Blocks on the disk.
///
/// # Errors
///
/// Those of opening the store, for example [`StoreError::Locked`] if another process has it open.
pub fn inspect(settings: &StoreSettings, master: &MasterKey) -> Result<Inspection, StoreError> {
    let dir = &settings.dir;
    let there = |path: &Path| {
        path.try_exists().map_err(|source| StoreError::Disk {
            dir: dir.clone(),
            verb: "opened",
            source,
        })
    };
    if !there(dir)? {
        return Ok(Inspection::Nothing);
    }
    let _lock = lock::take_if_there(dir)?;
    let keyring = there(&dir.join("keyring"))?;
    if keyring {
        Keyring::inspect(dir, master)?;
    }
    let slots = KeySlots::inspect(dir)?;
    match (keyring, slots, there(&dir.join("db"))?) {
        (true, true, _) => Ok(Inspection::Fits),
        // The file `removed` is created after the slots, so the slots existed once.
        (true, false, _) if there(&dir.join("removed"))? => Err(KeySlots::missing(dir)),
        (true, false, _) => Ok(Inspection::Begun),
        (false, _, true) => Ok(Inspection::NoKeyring),
        (false, _, false) => Ok(Inspection::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path, time::SystemTime};

    use super::*;
    use crate::{clock::Clock, store::Store};

    fn master(byte: u8) -> MasterKey {
        MasterKey::from_bytes([byte; 32])
    }

    /// Every file with its bytes and the time of its last change.
    fn files(dir: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(files(&path));
            } else {
                let changed = fs::metadata(&path).unwrap().modified().unwrap();
                found.insert(path.display().to_string(), (fs::read(&path).unwrap(), changed));
            }
        }
        found
    }

    #[test]
    fn a_look_tells_whether_the_store_would_open_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let settings = StoreSettings::at(folder.path().join("store"));
        assert_eq!(inspect(&settings, &master(1)).unwrap(), Inspection::Nothing);
        assert!(!settings.dir.exists());
        let store = Store::open(&settings, &master(1), Clock::System).unwrap();
        assert!(matches!(inspect(&settings, &master(1)), Err(StoreError::Locked { .. })));
        drop(store);
        let keyring = settings.dir.join("keyring");
        // A crash came between the two copies. Opening the store repairs that, an inspection does
        // not.
        let mut torn = fs::read(&keyring).unwrap();
        torn[600] ^= 1;
        fs::write(&keyring, &torn).unwrap();
        let before = files(&settings.dir);
        assert_eq!(inspect(&settings, &master(1)).unwrap(), Inspection::Fits);
        assert!(matches!(inspect(&settings, &master(2)), Err(StoreError::WrongKey { .. })));
        assert!(files(&settings.dir) == before, "something was changed");
        fs::write(settings.dir.join("slots"), [7; 1024]).unwrap();
        assert!(matches!(inspect(&settings, &master(1)), Err(StoreError::Damaged { .. })));
        fs::remove_file(settings.dir.join("slots")).unwrap();
        assert!(
            matches!(inspect(&settings, &master(1)), Err(StoreError::Damaged { .. })),
            "slots were there once"
        );
        fs::remove_file(settings.dir.join("removed")).unwrap();
        assert_eq!(inspect(&settings, &master(1)).unwrap(), Inspection::Begun);
        fs::remove_file(keyring).unwrap();
        assert_eq!(inspect(&settings, &master(1)).unwrap(), Inspection::NoKeyring);
    }
}
