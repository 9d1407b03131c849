//! The format of the pacer's records in the journal.
//!
//! Owns the tags and fields on the disk.
//!
//! Not here: the meaning of a record (`pace/pace_log.rs`), readings of the clocks
//! (`clock_readings.rs`).

use std::time::Duration;

use crate::{
    domain::{HoldCause, Platform, RobotId, Timestamp, WaitReason, every},
    pace::PaceRecord,
};

const RESTATED: u8 = 0;
const BEGUN: u8 = 1;
const ANSWERED: u8 = 2;
const BOOKED: u8 = 3;
const HELD: u8 = 4;
const LIFTED: u8 = 5;
const SPENT: u8 = 6;
// 7 is the tag of a reading of the clocks: `clock_readings.rs`.

/// Encodes a record: the tag, then the fields in their order.
pub(super) fn encode(record: &PaceRecord) -> Vec<u8> {
    let robots = |tag: u8, robot: &RobotId, platform: Platform, at: Timestamp, more: &[u8]| {
        let parts: [&[u8]; 5] =
            [&[tag], robot.as_bytes(), &[platform.number()], &at.unix_millis().to_be_bytes(), more];
        parts.concat()
    };
    match record {
        // The file itself marks the beginning of a page.
        PaceRecord::SegmentStart => Vec::new(),
        PaceRecord::Checkpoint => vec![RESTATED],
        PaceRecord::AttemptStarted { robot, platform, at } => {
            robots(BEGUN, robot, *platform, *at, &[])
        }
        PaceRecord::AttemptEnded { robot, platform, at } => {
            robots(ANSWERED, robot, *platform, *at, &[])
        }
        // Earlier versions wrote no reason, and leave out what follows the slot.
        PaceRecord::SlotReserved { robot, platform, slot, reason } => {
            robots(BOOKED, robot, *platform, *slot, reason.as_str().as_bytes())
        }
        PaceRecord::HoldEnded { robot, platform, at } => robots(LIFTED, robot, *platform, *at, &[]),
        PaceRecord::HoldStarted { robot, platform, at, cause, until, wait } => {
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            let more: [&[u8]; 3] =
                [&[code(*cause)], &until.unix_millis().to_be_bytes(), &wait.to_be_bytes()];
            robots(HELD, robot, *platform, *at, &more.concat())
        }
        PaceRecord::QuotaUsed { group, month, used, refused_until } => {
            let refused = refused_until.map_or(0, Timestamp::unix_millis);
            let parts: [&[u8]; 5] = [
                &[SPENT],
                &month.unix_millis().to_be_bytes(),
                &used.to_be_bytes(),
                &refused.to_be_bytes(),
                group.as_str().as_bytes(),
            ];
            parts.concat()
        }
    }
}

/// Decodes a record; `None` if this version does not know it.
pub(super) fn decode(bytes: &[u8]) -> Option<PaceRecord> {
    let (&tag, rest) = bytes.split_first()?;
    if tag == RESTATED {
        return Some(PaceRecord::Checkpoint);
    }
    if tag == SPENT {
        let (month, rest) = moment(rest)?;
        let (used, rest) = rest.split_first_chunk::<8>()?;
        let (refused, name) = moment(rest)?;
        let group = std::str::from_utf8(name).ok()?.parse().ok()?;
        let refused_until = Some(refused).filter(|at| *at != Timestamp::default());
        return Some(PaceRecord::QuotaUsed {
            group,
            month,
            used: u64::from_be_bytes(*used),
            refused_until,
        });
    }
    let (robot, rest) = rest.split_first_chunk::<16>()?;
    let (&platform, rest) = rest.split_first()?;
    let (robot, platform) = (RobotId::from_bytes(*robot), Platform::from_number(platform)?);
    let (at, rest) = moment(rest)?;
    match tag {
        BEGUN => Some(PaceRecord::AttemptStarted { robot, platform, at }),
        ANSWERED => Some(PaceRecord::AttemptEnded { robot, platform, at }),
        BOOKED => {
            let named = std::str::from_utf8(rest).ok().and_then(WaitReason::named);
            let reason = named.unwrap_or(WaitReason::Unknown);
            Some(PaceRecord::SlotReserved { robot, platform, slot: at, reason })
        }
        LIFTED => Some(PaceRecord::HoldEnded { robot, platform, at }),
        HELD => {
            let (&cause, rest) = rest.split_first()?;
            let (until, rest) = moment(rest)?;
            let (wait, _) = rest.split_first_chunk::<8>()?;
            let cause = every::<HoldCause>().find(|one| code(*one) == cause)?;
            Some(PaceRecord::HoldStarted {
                robot,
                platform,
                at,
                cause,
                until,
                wait: Duration::from_millis(u64::from_be_bytes(*wait)),
            })
        }
        _ => None,
    }
}

fn moment(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (millis, rest) = bytes.split_first_chunk::<8>()?;
    Some((Timestamp::from_unix_millis(u64::from_be_bytes(*millis)), rest))
}

const fn code(cause: HoldCause) -> u8 {
    match cause {
        HoldCause::Throttled => 1,
        HoldCause::Budget => 2,
        HoldCause::Security => 3,
        HoldCause::RobotGone => 4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_note_is_read_back_as_it_was_written() {
        let (robot, platform, at) =
            (RobotId::from_bytes([7; 16]), Platform::Lark, Timestamp::from_unix_millis(1_700));
        let group: crate::domain::GroupName = "acme".parse().unwrap();
        let mut records = vec![
            PaceRecord::Checkpoint,
            PaceRecord::AttemptStarted { robot, platform, at },
            PaceRecord::AttemptEnded { robot, platform, at },
            PaceRecord::HoldEnded { robot, platform, at },
            PaceRecord::QuotaUsed { group: group.clone(), month: at, used: 9, refused_until: None },
            PaceRecord::QuotaUsed { group, month: at, used: 9, refused_until: Some(at) },
        ];
        records.extend(every::<WaitReason>().map(|reason| PaceRecord::SlotReserved {
            robot,
            platform,
            slot: at,
            reason,
        }));
        let wait = Duration::from_secs(60);
        records.extend(every::<HoldCause>().map(|cause| PaceRecord::HoldStarted {
            robot,
            platform,
            at,
            cause,
            until: at,
            wait,
        }));
        for record in records {
            let bytes = encode(&record);
            assert_eq!(decode(&bytes).as_ref(), Some(&record));
            assert!(bytes.len() == 1 || decode(&bytes[..8]).is_none());
        }
    }

    #[test]
    fn a_slot_of_an_earlier_version_has_an_unknown_reason() {
        let slot = Timestamp::from_unix_millis(1_700);
        let record = PaceRecord::SlotReserved {
            robot: RobotId::from_bytes([7; 16]),
            platform: Platform::Lark,
            slot,
            reason: WaitReason::Order,
        };
        let bytes = encode(&record);
        let earlier = &bytes[..bytes.len() - "order".len()];
        let Some(PaceRecord::SlotReserved { slot: read, reason, .. }) = decode(earlier) else {
            panic!("it is read");
        };
        assert_eq!((read, reason), (slot, WaitReason::Unknown));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&bytes);
        }
    }
}
