//! A row: the clear head, by which subscriptions are found and paced, and the sealed record.
//!
//! Head: version 1 byte · platform 1 · state 1 · robot 16 · slot 4 · generation 8 · created 8; then
//! topic length 1 · topic · options (from version 2) · sealed record.
//!
//! Owns this format, and which fields of the head the seal protects.
//!
//! Not here: the format of the options (`options.rs`) and of the sealed record
//! (`sealed_fields.rs`).

use super::options;
use crate::{
    crypto::{Binding, SealedRecord},
    domain::{
        Platform, RobotId, SubscriptionId, SubscriptionOptions, SubscriptionState, Timestamp,
        TopicName,
    },
};

/// The version of a row. The seal covers it, so a row keeps its version until it is resealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowVersion {
    /// Without options.
    V1,
    /// With options, which the seal covers.
    V2,
}

/// One row.
#[derive(Clone)]
pub(super) struct SubscriptionRow {
    pub(super) version: RowVersion,
    pub(super) id: SubscriptionId,
    pub(super) topic: TopicName,
    pub(super) platform: Platform,
    pub(super) robot: RobotId,
    pub(super) state: SubscriptionState,
    pub(super) slot: u32,
    pub(super) generation: u64,
    pub(super) created_at: Timestamp,
    /// The default in version 1.
    pub(super) options: SubscriptionOptions,
    pub(super) sealed: SealedRecord,
}

/// An unreadable row, with the fields that are known nevertheless.
#[derive(Clone, Debug, thiserror::Error)]
#[error("its row cannot be read by this version of roomcast")]
pub(super) struct DamagedRow {
    pub(super) id: SubscriptionId,
    /// The topic in its key.
    pub(super) topic: TopicName,
    /// `None` if the byte is not a known platform.
    pub(super) platform: Option<Platform>,
    /// Zeros if the row is too short.
    pub(super) robot: RobotId,
    /// `true` unless the row states that it is paused.
    pub(super) is_active: bool,
}

impl DamagedRow {
    /// The readable fields of a row that [`SubscriptionRow::decode`] rejects.
    pub(super) fn of(topic: TopicName, id: SubscriptionId, bytes: &[u8]) -> Self {
        let robot = bytes.get(3..19).and_then(|robot| robot.try_into().ok()).unwrap_or_default();
        Self {
            id,
            topic,
            platform: bytes.get(1).and_then(|code| Platform::from_number(*code)),
            robot: RobotId::from_bytes(robot),
            is_active: !is_paused(bytes),
        }
    }
}

/// The state of a paused subscription on the disk.
const PAUSED: u8 = 1;

/// Whether a row, readable or not, says that its subscription is paused.
pub(super) fn is_paused(bytes: &[u8]) -> bool {
    bytes.get(2) == Some(&PAUSED)
}

impl SubscriptionRow {
    /// The identity of the data key to which the sealed record is bound.
    pub(super) const fn binding(&self) -> Binding {
        Binding { record: *self.id.as_bytes(), slot: self.slot, generation: self.generation }
    }

    /// The part of the head that the seal protects. It lacks the state, which may change without
    /// resealing.
    pub(super) fn head(&self) -> Vec<u8> {
        let (version, options): (&[u8], _) = match self.version {
            RowVersion::V1 => (&[], Vec::new()),
            RowVersion::V2 => (&[2], options::encode(&self.options)),
        };
        let parts: [&[u8]; 6] = [
            version,
            &[self.platform.number()],
            self.robot.as_bytes(),
            &self.created_at.unix_millis().to_be_bytes(),
            // Options begin with their length, so two different heads never have the same bytes.
            &options,
            self.topic.as_str().as_bytes(),
        ];
        parts.concat()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let topic = self.topic.as_str().as_bytes();
        let state = match self.state {
            SubscriptionState::Active => 0,
            SubscriptionState::Paused => PAUSED,
        };
        let (version, options) = match self.version {
            RowVersion::V1 => (1, Vec::new()),
            RowVersion::V2 => (2, options::encode(&self.options)),
        };
        let parts: [&[u8]; 9] = [
            &[version, self.platform.number(), state],
            self.robot.as_bytes(),
            &self.slot.to_be_bytes(),
            &self.generation.to_be_bytes(),
            &self.created_at.unix_millis().to_be_bytes(),
            // A topic has at most 255 bytes.
            &[u8::try_from(topic.len()).unwrap_or(u8::MAX)],
            topic,
            &options,
            &self.sealed.0,
        ];
        parts.concat()
    }

    /// Decodes a row; `None` if it is damaged or of an unknown version.
    pub(super) fn decode(id: SubscriptionId, bytes: &[u8]) -> Option<Self> {
        let (&[version, platform, state], rest) = bytes.split_first_chunk::<3>()?;
        let version = match version {
            1 => RowVersion::V1,
            2 => RowVersion::V2,
            _ => return None,
        };
        let (robot, rest) = rest.split_first_chunk::<16>()?;
        let (slot, rest) = rest.split_first_chunk::<4>()?;
        let (generation, rest) = rest.split_first_chunk::<8>()?;
        let (created, rest) = rest.split_first_chunk::<8>()?;
        let (&length, rest) = rest.split_first()?;
        let (topic, rest) = rest.split_at_checked(length.into())?;
        let (options, sealed) = match version {
            RowVersion::V1 => (SubscriptionOptions::default(), rest),
            RowVersion::V2 => options::decode(rest)?,
        };
        Some(Self {
            version,
            id,
            topic: std::str::from_utf8(topic).ok()?.parse().ok()?,
            platform: Platform::from_number(platform)?,
            robot: RobotId::from_bytes(*robot),
            state: match state {
                0 => SubscriptionState::Active,
                PAUSED => SubscriptionState::Paused,
                _ => return None,
            },
            slot: u32::from_be_bytes(*slot),
            generation: u64::from_be_bytes(*generation),
            created_at: Timestamp::from_unix_millis(u64::from_be_bytes(*created)),
            options,
            sealed: SealedRecord(sealed.to_vec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::OverflowPolicy;

    #[test]
    fn a_row_is_read_back_as_it_was_written() {
        for (platform, state) in Platform::ALL
            .into_iter()
            .zip([SubscriptionState::Active, SubscriptionState::Paused].into_iter().cycle())
        {
            for version in [RowVersion::V1, RowVersion::V2] {
                let options = match version {
                    RowVersion::V1 => SubscriptionOptions::default(),
                    RowVersion::V2 => SubscriptionOptions {
                        overflow: OverflowPolicy::Latest,
                        group: Some("a-1".parse().unwrap()),
                        ..SubscriptionOptions::default()
                    },
                };
                let row = SubscriptionRow {
                    version,
                    id: SubscriptionId::from_bytes([3; 16]),
                    topic: "x".repeat(255).parse().unwrap(),
                    platform,
                    robot: RobotId::from_bytes([4; 16]),
                    state,
                    slot: 77,
                    generation: u64::MAX,
                    created_at: Timestamp::from_unix_millis(5),
                    options: options.clone(),
                    sealed: SealedRecord(vec![1, 2, 3]),
                };
                let read = SubscriptionRow::decode(row.id, &row.encode()).unwrap();
                assert_eq!(read.encode(), row.encode());
                assert_eq!((read.platform, read.state, read.options), (platform, state, options));
                assert!(SubscriptionRow::decode(row.id, &row.encode()[..200]).is_none());
                assert!(SubscriptionRow::decode(row.id, &[9; 300]).is_none());
            }
        }
    }
}
