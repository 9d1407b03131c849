//! The format of the pacer's records in the journal.
//!
//! Owns the tags and fields on the disk.
//!
//! Not here: the meaning of a record (`pace/pace_log.rs`), readings of the clocks
//! (`clock_readings.rs`).

use std::time::Duration;

use crate::{
    domain::{HoldCause, Platform, RobotId, Timestamp, WaitReason, every},
    pace::{Hold, PaceRecord},
};

use super::robot_health_codec;

const RESTATED: u8 = 0;
const BEGUN: u8 = 1;
const ANSWERED: u8 = 2;
const BOOKED: u8 = 3;
const HELD: u8 = 4;
const LIFTED: u8 = 5;
const SPENT: u8 = 6;
// 7 is the tag of a reading of the clocks: `clock_readings.rs`.
const HEALTH: u8 = 8;
const OUTAGE: u8 = 9;
const OUTAGE_ENDED: u8 = 10;

fn platforms(tag: u8, platform: Platform, at: Timestamp, more: &[u8]) -> Vec<u8> {
    let parts: [&[u8]; 3] = [&[tag, platform.number()], &at.unix_millis().to_be_bytes(), more];
    parts.concat()
}

/// Earlier versions leave out what follows the wait.
fn encode_hold(hold: &Hold) -> Vec<u8> {
    let wait = u64::try_from(hold.wait.as_millis()).unwrap_or(u64::MAX);
    let parts: [&[u8]; 4] = [
        &[code(hold.cause)],
        &hold.until.unix_millis().to_be_bytes(),
        &wait.to_be_bytes(),
        &hold.since.unix_millis().to_be_bytes(),
    ];
    parts.concat()
}

/// A hold that was recorded at `at`. Earlier versions did not write its beginning.
fn decode_hold(bytes: &[u8], at: Timestamp) -> Option<Hold> {
    let (&cause, rest) = bytes.split_first()?;
    let (until, rest) = moment(rest)?;
    let (wait, rest) = rest.split_first_chunk::<8>()?;
    let cause = every::<HoldCause>().find(|one| code(*one) == cause)?;
    let since = moment(rest).map_or(at, |(since, _)| since);
    Some(Hold { cause, since, until, wait: Duration::from_millis(u64::from_be_bytes(*wait)) })
}

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
        PaceRecord::HoldStarted { robot, platform, at, hold } => {
            robots(HELD, robot, *platform, *at, &encode_hold(hold))
        }
        PaceRecord::HealthChanged { robot, platform, at, health } => {
            robots(HEALTH, robot, *platform, *at, &robot_health_codec::encode(health))
        }
        PaceRecord::OutageStarted { platform, at, hold } => {
            platforms(OUTAGE, *platform, *at, &encode_hold(hold))
        }
        PaceRecord::OutageEnded { platform, at } => platforms(OUTAGE_ENDED, *platform, *at, &[]),
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
    if matches!(tag, OUTAGE | OUTAGE_ENDED) {
        let (&platform, rest) = rest.split_first()?;
        let platform = Platform::from_number(platform)?;
        let (at, rest) = moment(rest)?;
        return Some(match tag {
            OUTAGE => PaceRecord::OutageStarted { platform, at, hold: decode_hold(rest, at)? },
            _ => PaceRecord::OutageEnded { platform, at },
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
            let hold = decode_hold(rest, at)?;
            Some(PaceRecord::HoldStarted { robot, platform, at, hold })
        }
        HEALTH => {
            let health = Box::new(robot_health_codec::decode(rest)?);
            Some(PaceRecord::HealthChanged { robot, platform, at, health })
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
        HoldCause::Failing => 5,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::{AttemptOutcome, Verdict},
        pace::RobotHealth,
    };

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
        let (since, wait) = (Timestamp::from_unix_millis(900), Duration::from_secs(60));
        let held = every::<HoldCause>().map(|cause| Hold { cause, since, until: at, wait });
        records.extend(held.clone().map(|hold| PaceRecord::OutageStarted { platform, at, hold }));
        records.extend(held.map(|hold| PaceRecord::HoldStarted { robot, platform, at, hold }));
        records.push(PaceRecord::OutageEnded { platform, at });
        records.extend(healths().map(|health| {
            let health = Box::new(health);
            PaceRecord::HealthChanged { robot, platform, at, health }
        }));
        for record in records {
            let bytes = encode(&record);
            assert_eq!(decode(&bytes).as_ref(), Some(&record));
            assert!(bytes.len() == 1 || decode(&bytes[..8]).is_none());
        }
    }

    /// Healths of every kind: new, healthy, failing with each verdict.
    fn healths() -> impl Iterator<Item = RobotHealth> {
        let wait = Duration::from_secs(1);
        let verdicts = [
            Verdict::Delivered,
            Verdict::TryAgain { wait: None },
            Verdict::Security,
            Verdict::RobotGone,
            Verdict::BudgetSpent { wait },
        ];
        let mut health = RobotHealth::default();
        let mut counted = verdicts.into_iter().zip(1..).map(move |(verdict, second)| {
            let answer = AttemptOutcome::new(verdict, "http_502", "网关");
            health.count(&answer, Timestamp::from_unix_millis(second * 400_000));
            health.clone()
        });
        let first = counted.next();
        [RobotHealth::default()].into_iter().chain(first).chain(counted)
    }

    #[test]
    fn a_hold_of_an_earlier_version_began_when_it_was_recorded() {
        let (robot, platform, at) =
            (RobotId::from_bytes([7; 16]), Platform::Lark, Timestamp::from_unix_millis(1_700));
        let cause = HoldCause::Security;
        let (since, wait) = (Timestamp::from_unix_millis(5), Duration::from_secs(60));
        let hold = Hold { cause, since, until: at, wait };
        let bytes = encode(&PaceRecord::HoldStarted { robot, platform, at, hold });
        let earlier = decode(&bytes[..bytes.len() - 8]);
        let hold = Hold { since: at, ..hold };
        assert_eq!(earlier, Some(PaceRecord::HoldStarted { robot, platform, at, hold }));
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
