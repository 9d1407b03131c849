//! An entry of the ledger, and its format on the disk.
//!
//! Owns the format: a reader skips an entry of a later version, because from kind 4 on each entry
//! states its length.
//!
//! Not here: the meaning of a record (`settle/ledger.rs`), the files (`segment.rs`).

use crate::settle::{LedgerKey, LedgerMark, LedgerRecord};

/// One entry of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LedgerEntry {
    /// A record of the port.
    Record(LedgerRecord),
    /// The entries that follow were recorded in this session. The number counts over all processes.
    Session {
        /// The number of the session.
        number: u64,
    },
}

const PARTIAL: u8 = 1;
const CLOSED: u8 = 2;
/// A message was sent to a robot. Versions before the journal wrote this entry; it is skipped
/// since. Robot 16 bytes · platform 1 · time 8.
const SENT: u8 = 3;
const SENT_BYTES: usize = 1 + 16 + 1 + 8;
/// From this kind on, an entry has its length (4 bytes) behind its kind. So a version that does not
/// know the kind can skip the entry.
const MEASURED: u8 = 4;
const SESSION: u8 = 4;

impl LedgerEntry {
    /// Appends the encoded entry to `bytes`.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Record(LedgerRecord::Partial { key, fingerprint, event, done }) => {
                bytes.push(PARTIAL);
                bytes.extend(key.0);
                bytes.extend(fingerprint);
                bytes.extend(event);
                bytes.extend(u32::try_from(done.len()).unwrap_or(u32::MAX).to_be_bytes());
                done.iter().for_each(|one| bytes.extend(one.0));
            }
            Self::Record(LedgerRecord::Closed { key }) => {
                bytes.push(CLOSED);
                bytes.extend(key.0);
            }
            Self::Session { number } => {
                bytes.push(SESSION);
                bytes.extend(8_u32.to_be_bytes());
                bytes.extend(number.to_be_bytes());
            }
        }
    }

    /// Skips entries that are obsolete or of a later version; returns the rest.
    pub(super) fn pass_over(mut bytes: &[u8]) -> &[u8] {
        loop {
            let after = match bytes.first() {
                Some(&SENT) => bytes.get(SENT_BYTES..),
                Some(&tag) if tag > SESSION => measured(bytes).map(|(_, after)| after),
                _ => None,
            };
            match after {
                Some(after) => bytes = after,
                None => return bytes,
            }
        }
    }

    /// Reads one entry and returns the rest. `None` if the entry is incomplete.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&tag, rest) = bytes.split_first()?;
        if tag >= MEASURED {
            let (fields, after) = measured(bytes)?;
            let number = u64::from_be_bytes(*fields.first_chunk::<8>().filter(|_| tag == SESSION)?);
            return Some((Self::Session { number }, after));
        }
        let (&name, rest) = rest.split_first_chunk::<16>()?;
        match tag {
            PARTIAL => {
                let (&fingerprint, rest) = rest.split_first_chunk::<16>()?;
                let (&event, rest) = rest.split_first_chunk::<16>()?;
                let (&count, rest) = rest.split_first_chunk::<4>()?;
                let length = usize::try_from(u32::from_be_bytes(count)).ok()?.checked_mul(16)?;
                let (done, rest) = rest.split_at_checked(length)?;
                let done = done.as_chunks::<16>().0.iter().map(|mark| LedgerMark(*mark)).collect();
                let key = LedgerKey(name);
                let partial = LedgerRecord::Partial { key, fingerprint, event, done };
                Some((Self::Record(partial), rest))
            }
            CLOSED => Some((Self::Record(LedgerRecord::Closed { key: LedgerKey(name) }), rest)),
            _ => None,
        }
    }
}

/// The fields of an entry that states its length, and the rest.
fn measured(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.get(1..)?.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_read_back_as_it_was_written() {
        let entries = [
            LedgerEntry::Record(LedgerRecord::Partial {
                key: LedgerKey([1; 16]),
                fingerprint: [2; 16],
                event: [3; 16],
                done: vec![LedgerMark([4; 16]), LedgerMark([5; 16])],
            }),
            LedgerEntry::Record(LedgerRecord::Closed { key: LedgerKey([6; 16]) }),
            LedgerEntry::Session { number: 7 },
            LedgerEntry::Record(LedgerRecord::Closed { key: LedgerKey([8; 16]) }),
        ];
        let later = [&[SESSION + 1][..], &3_u32.to_be_bytes(), b"any"].concat();
        let mut bytes = [&[SENT][..], &[7; SENT_BYTES - 1], &later].concat();
        entries.iter().for_each(|entry| {
            entry.encode(&mut bytes);
            bytes.extend(&later);
        });
        bytes.extend([&[SENT][..], &[7; SENT_BYTES - 1]].concat());
        let mut rest = LedgerEntry::pass_over(&bytes);
        for entry in entries {
            let (read, after) = LedgerEntry::decode(rest).unwrap();
            assert_eq!(read, entry);
            rest = LedgerEntry::pass_over(after);
        }
        assert!(rest.is_empty());
        let cut = [SESSION + 1, 0, 0, 0, 9, 1];
        assert_eq!(
            LedgerEntry::decode(LedgerEntry::pass_over(&cut)),
            None,
            "it says that it is longer than it is"
        );
    }
}
