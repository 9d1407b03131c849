//! What the ledger is told, and its form on the disk.

use super::row;
use crate::domain::{Moment, Platform, RobotId, SubscriptionId};

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
    /// A robot was sent a message.
    Sent {
        /// The robot.
        robot: RobotId,
        /// Its platform.
        platform: Platform,
        /// When.
        at: Moment,
    },
}

const PARTIAL: u8 = 1;
const CLOSED: u8 = 2;
const SENT: u8 = 3;

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
            Self::Sent { robot, platform, at } => {
                bytes.push(SENT);
                bytes.extend(robot.as_bytes());
                bytes.push(row::code(*platform));
                bytes.extend(at.unix_millis().to_be_bytes());
            }
        }
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
            SENT => {
                let (&platform, rest) = rest.split_first()?;
                let (&at, rest) = rest.split_first_chunk::<8>()?;
                let at = Moment::from_unix_millis(u64::from_be_bytes(at));
                Some((Self::Sent { robot: RobotId::from_bytes(name), platform: row::platform(platform)?, at }, rest))
            }
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
            Entry::Sent {
                robot: RobotId::from_bytes([7; 16]),
                platform: Platform::WeCom,
                at: Moment::from_unix_millis(8),
            },
        ];
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| entry.encode(&mut bytes));
        let mut rest = bytes.as_slice();
        for entry in entries {
            let (read, after) = Entry::decode(rest).unwrap();
            assert_eq!(read, entry);
            rest = after;
        }
        assert!(rest.is_empty());
        assert_eq!(Entry::decode(&[9; 40]), None);
    }
}
