//! One slot of the slot file, 128 bytes.
//!
//! Generation 8 · record 16 · master key id 8 · wrapped key 72 · kind 1; then epoch 4 · number of
//! the replaced slot plus one 4 · zeros 11 · CRC 4 over all of it. An erased slot keeps record and
//! epoch; its other fields are zeros. An unused slot is all zeros. Version 1 ends with the CRC
//! behind the wrapped key, and erases with zeros.
//!
//! Owns this format, and the rule that an erased slot contains nothing of the key.
//!
//! Not here: the file (`key_slots.rs`), the wrapping of keys (`crypto/`).

use crate::crypto::{Binding, KeyId, WRAPPED_BYTES, WrappedKey};

pub(super) const SLOT_BYTES: usize = 128;
/// The bytes before the check sum.
const CHECKED_BYTES: usize = SLOT_BYTES - 4;
const V1_BYTES: usize = 8 + 16 + 8 + WRAPPED_BYTES;
const KEY: u8 = 1;
const ERASED: u8 = 2;

/// A slot with a key.
#[derive(Clone, Copy)]
pub(super) struct KeySlot {
    /// The record, slot and generation of the key.
    pub(super) binding: Binding,
    /// The master key that wraps it.
    pub(super) key: KeyId,
    /// The wrapped key.
    pub(super) wrapped: WrappedKey,
    /// The epoch of the write. Epochs count up; the changes of all epochs but the last are whole on
    /// the disk.
    pub(super) epoch: u32,
    /// The slot with the record's previous key, to be erased once the row names this slot.
    pub(super) replaced: Option<u32>,
}

/// The content of a slot.
#[derive(Clone)]
pub(super) enum KeySlotContent {
    /// Never used.
    Empty,
    /// Erased.
    Erased {
        /// The record of the erased key.
        record: [u8; 16],
        /// The epoch of the erasure.
        epoch: u32,
    },
    /// A key.
    Key(KeySlot),
    /// The check sum does not match; the text names the slot.
    Damaged(String),
}

pub(super) fn encode(slot: &KeySlot) -> [u8; SLOT_BYTES] {
    let parts: [&[u8]; 7] = [
        &slot.binding.generation.to_be_bytes(),
        &slot.binding.record,
        &slot.key.0,
        &slot.wrapped.0,
        &[KEY],
        &slot.epoch.to_be_bytes(),
        &slot.replaced.map_or(0, |at| at.saturating_add(1)).to_be_bytes(),
    ];
    checked(&parts.concat())
}

pub(super) fn erased(record: [u8; 16], epoch: u32) -> [u8; SLOT_BYTES] {
    let parts: [&[u8]; 5] =
        [&[0; 8], &record, &[0; 8 + WRAPPED_BYTES], &[ERASED], &epoch.to_be_bytes()];
    checked(&parts.concat())
}

fn checked(content: &[u8]) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes.iter_mut().zip(content).for_each(|(to, from)| *to = *from);
    let check = bytes.first_chunk::<CHECKED_BYTES>().map_or(0, |content| crc32fast::hash(content));
    bytes.iter_mut().skip(CHECKED_BYTES).zip(check.to_be_bytes()).for_each(|(to, from)| *to = from);
    bytes
}

/// Decodes the slot of that number, or describes the damage.
pub(super) fn decode(at: u32, bytes: &[u8]) -> Result<KeySlotContent, String> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(KeySlotContent::Empty);
    }
    read(at, bytes)
        .ok_or_else(|| format!("slot {at} in the file slots does not pass its check sum"))
}

fn read(at: u32, bytes: &[u8]) -> Option<KeySlotContent> {
    let (content, check) = bytes.split_last_chunk::<4>()?;
    let whole = crc32fast::hash(content) == u32::from_be_bytes(*check);
    let (generation, rest) = content.split_first_chunk::<8>()?;
    let (record, rest) = rest.split_first_chunk::<16>()?;
    let (key, rest) = rest.split_first_chunk::<8>()?;
    let (wrapped, rest) = rest.split_first_chunk::<WRAPPED_BYTES>()?;
    let slot = KeySlot {
        binding: Binding { record: *record, slot: at, generation: u64::from_be_bytes(*generation) },
        key: KeyId(*key),
        wrapped: WrappedKey(*wrapped),
        epoch: 0,
        replaced: None,
    };
    if !whole {
        let (check, rest) = rest.split_first_chunk::<4>()?;
        let first_version = rest.iter().chain(bytes.last_chunk::<4>()?).all(|byte| *byte == 0);
        let whole = crc32fast::hash(bytes.get(..V1_BYTES)?) == u32::from_be_bytes(*check);
        return (first_version && whole).then_some(KeySlotContent::Key(slot));
    }
    let (&kind, rest) = rest.split_first()?;
    let (epoch, rest) = rest.split_first_chunk::<4>()?;
    let (replaced, _) = rest.split_first_chunk::<4>()?;
    let epoch = u32::from_be_bytes(*epoch);
    match kind {
        KEY => Some(KeySlotContent::Key(KeySlot {
            epoch,
            replaced: u32::from_be_bytes(*replaced).checked_sub(1),
            ..slot
        })),
        ERASED => Some(KeySlotContent::Erased { record: *record, epoch }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> KeySlot {
        KeySlot {
            binding: Binding { record: [3; 16], slot: 7, generation: 9 },
            key: KeyId([1; 8]),
            wrapped: WrappedKey([5; WRAPPED_BYTES]),
            epoch: 4,
            replaced: Some(0),
        }
    }

    #[test]
    fn a_slot_is_read_back_as_it_was_written_and_a_changed_byte_is_seen() {
        let bytes = encode(&slot());
        let Ok(KeySlotContent::Key(read)) = decode(7, &bytes) else { panic!("no key") };
        assert_eq!((read.binding, read.epoch, read.replaced), (slot().binding, 4, Some(0)));
        for at in 0..SLOT_BYTES {
            let mut changed = bytes;
            changed[at] ^= 1;
            assert!(decode(7, &changed).is_err(), "byte {at}");
        }
        let Ok(KeySlotContent::Erased { record, epoch }) = decode(7, &erased([3; 16], 6)) else {
            panic!("not erased")
        };
        assert_eq!((record, epoch), ([3; 16], 6));
        assert!(matches!(decode(7, &[0; SLOT_BYTES]), Ok(KeySlotContent::Empty)));
    }

    #[test]
    fn an_erased_slot_has_nothing_of_the_key() {
        let bytes = erased([3; 16], 1);
        assert!(bytes[24..24 + 8 + WRAPPED_BYTES].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_slot_of_version_1_is_read() {
        let mut bytes = encode(&KeySlot { epoch: 0, ..slot() });
        bytes[V1_BYTES..].fill(0);
        let check = crc32fast::hash(&bytes[..V1_BYTES]).to_be_bytes();
        bytes[V1_BYTES..V1_BYTES + 4].copy_from_slice(&check);
        let Ok(KeySlotContent::Key(read)) = decode(7, &bytes) else { panic!("no key") };
        assert_eq!((read.epoch, read.replaced), (0, None));
        bytes[V1_BYTES] ^= 1;
        assert!(decode(7, &bytes).is_err());
    }
}
