//! The slot file: writing, erasing, growing, epochs, damage.
//!
//! Owns the proof that an erased key is nowhere in the file.
//!
//! Not here: rows and their slots together (`store/tests.rs`).

use super::*;
use crate::crypto::{Binding, KeyId, WRAPPED_BYTES, WrappedKey};

fn slot(at: u32, byte: u8) -> KeySlot {
    KeySlot {
        binding: Binding { record: [byte; 16], slot: at, generation: u64::from(byte) },
        key: KeyId([1; 8]),
        wrapped: WrappedKey([byte; WRAPPED_BYTES]),
        epoch: 0,
        replaced: None,
    }
}

fn open(dir: &Path) -> KeySlots {
    let mut slots = KeySlots::open(dir, false).unwrap().slots;
    let epoch = slots.epoch() + 1;
    slots.begin_epoch(epoch).unwrap();
    slots
}

#[test]
fn written_slots_are_there_after_reopening_and_erased_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut slots = open(dir.path());
    let taken = slots.take(2).unwrap();
    let (a, b) = (taken[0], taken[1]);
    slots.write(&[slot(a, 0xaa), slot(b, 0xbb)]).unwrap();
    slots.erase(&[NamedSlot { at: a, record: [1; 16] }]).unwrap();
    slots.release([a]);
    drop(slots);
    let bytes = std::fs::read(dir.path().join("slots")).unwrap();
    assert!(!bytes.windows(8).any(|window| window == [0xaa; 8]));
    let mut slots = open(dir.path());
    assert!(slots.table().find(&slot(a, 0xaa).binding).unwrap().is_none());
    assert!(slots.table().find(&slot(b, 0xbb).binding).unwrap().is_some());
    assert!(slots.table().find(&slot(b, 0xba).binding).unwrap().is_none());
    assert_eq!(slots.take(1).unwrap(), [a], "an erased slot is used again");
}

#[test]
fn only_the_slots_of_the_last_epoch_are_checked_when_the_file_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let mut slots = open(dir.path());
    for byte in 1..=3 {
        let at = slots.take(1).unwrap()[0];
        slots.write(&[slot(at, byte)]).unwrap();
        let full = slots.settled(if byte == 1 { CHANGES_IN_EPOCH } else { 1 });
        assert_eq!(full, byte == 1);
        if full {
            slots.begin_epoch(2).unwrap();
        }
    }
    drop(slots);
    let recent: Vec<_> =
        KeySlots::open(dir.path(), true).unwrap().recent.iter().map(|slot| slot.at).collect();
    assert_eq!(recent, [1, 2]);
}

#[test]
fn the_file_grows_when_it_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let mut slots = open(dir.path());
    let taken: std::collections::HashSet<_> =
        slots.take(GROWTH_MIN * 2 + 1).unwrap().into_iter().collect();
    assert_eq!(taken.len(), GROWTH_MIN * 2 + 1);
    assert_eq!(slots.table().len(), GROWTH_MIN * 3);
}

#[test]
fn a_changed_byte_costs_its_own_slot_and_many_or_a_missing_or_foreign_file_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut slots = open(dir.path());
    let taken = slots.take(DAMAGED_MAX + 2).unwrap();
    slots.write(&taken.iter().map(|at| slot(*at, 0xaa)).collect::<Vec<_>>()).unwrap();
    drop(slots);
    let path = dir.path().join("slots");
    let change = |at: u32| {
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[usize::try_from(offset(at)).unwrap() + 40] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
    };
    change(taken[0]);
    let found = KeySlots::open(dir.path(), true).unwrap();
    assert_eq!(found.damaged, 1);
    let table = found.slots.table();
    assert!(
        table
            .find(&slot(taken[0], 0xaa).binding)
            .is_err_and(|error| error.kind() == io::ErrorKind::Other)
    );
    assert!(table.find(&slot(taken[1], 0xaa).binding).unwrap().is_some());
    assert!(!found.slots.free.contains(&taken[0]), "it is not used again before it is erased");
    taken.iter().skip(1).for_each(|at| change(*at));
    assert!(matches!(KeySlots::open(dir.path(), true), Err(StoreError::Damaged { .. })));
    std::fs::write(&path, [7; 1024]).unwrap();
    assert!(matches!(KeySlots::open(dir.path(), true), Err(StoreError::Damaged { .. })));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(KeySlots::open(dir.path(), true), Err(StoreError::Damaged { .. })));
}
