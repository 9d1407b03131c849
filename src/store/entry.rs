//! What the ledger is told, and its form on the disk.

use crate::domain::SubscriptionId;

/// The name of a message in the ledger: a keyless hash, or drawn at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LedgerKey(pub [u8; 16]);

/// One thing to remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// These deliveries of a message are settled, besides those that were recorded before; others are not.
    Partial {
        /// The message.
        key: LedgerKey,
        /// The hash of its content if its publisher gave it no name, else zeros.
        fingerprint: [u8; 16],
        /// The name it was given in that case, else zeros.
        event: [u8; 16],
        /// Whose deliveries are settled.
        done: Vec<SubscriptionId>,
    },
    /// All deliveries of a message are settled.
    Closed {
        /// The message.
        key: LedgerKey,
    },
}

const PARTIAL: u8 = 1;
const CLOSED: u8 = 2;
/// A robot was sent a message: said in the ledger before the journal was there, and passed over since. Robot 16 · platform 1 · time 8.
const SENT: u8 = 3;
const SENT_BYTES: usize = 1 + 16 + 1 + 8;

impl Entry {
    /// Appends the entry's form to `bytes`.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Partial { key, fingerprint, event, done } => {
                bytes.push(PARTIAL);
                bytes.extend(key.0);
                bytes.extend(fingerprint);
                bytes.extend(event);
                bytes.extend(u32::try_from(done.len()).unwrap_or(u32::MAX).to_be_bytes());
                done.iter().for_each(|one| bytes.extend(one.as_bytes()));
            }
            Self::Closed { key } => {
                bytes.push(CLOSED);
                bytes.extend(key.0);
            }
        }
    }

    /// What follows the entries that are of no use any more.
    pub(super) fn pass_over(mut bytes: &[u8]) -> &[u8] {
        while bytes.first() == Some(&SENT)
            && let Some(rest) = bytes.get(SENT_BYTES..)
        {
            bytes = rest;
        }
        bytes
    }

    /// Reads one entry; gives what follows it. Nothing if there is no whole entry.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&tag, rest) = bytes.split_first()?;
        let (&name, rest) = rest.split_first_chunk::<16>()?;
        match tag {
            PARTIAL => {
                let (&fingerprint, rest) = rest.split_first_chunk::<16>()?;
                let (&event, rest) = rest.split_first_chunk::<16>()?;
                let (&count, rest) = rest.split_first_chunk::<4>()?;
                let length = usize::try_from(u32::from_be_bytes(count)).ok()?.checked_mul(16)?;
                let (done, rest) = rest.split_at_checked(length)?;
                let done = done.as_chunks::<16>().0.iter().map(|id| SubscriptionId::from_bytes(*id)).collect();
                Some((Self::Partial { key: LedgerKey(name), fingerprint, event, done }, rest))
            }
            CLOSED => Some((Self::Closed { key: LedgerKey(name) }, rest)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_read_back_as_it_was_written() {
        let entries = [
            Entry::Partial {
                key: LedgerKey([1; 16]),
                fingerprint: [2; 16],
                event: [3; 16],
                done: vec![SubscriptionId::from_bytes([4; 16]), SubscriptionId::from_bytes([5; 16])],
            },
            Entry::Closed { key: LedgerKey([6; 16]) },
        ];
        let mut bytes = [&[SENT][..], &[7; SENT_BYTES - 1]].concat();
        entries.iter().for_each(|entry| entry.encode(&mut bytes));
        bytes.extend([&[SENT][..], &[7; SENT_BYTES - 1]].concat());
        let mut rest = Entry::pass_over(&bytes);
        for entry in entries {
            let (read, after) = Entry::decode(rest).unwrap();
            assert_eq!(read, entry);
            rest = Entry::pass_over(after);
        }
        assert!(rest.is_empty());
        assert_eq!(Entry::decode(&[9; 40]), None);
    }
}
