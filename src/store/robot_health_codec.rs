//! The format of a robot's health in a record of the journal.
//!
//! Owns the fields on the disk.
//!
//! Not here: the record around it (`pace_record_codec.rs`), the meaning (`pace/robot_health.rs`).

use crate::{
    domain::{Timestamp, VerdictKind, every},
    pace::{AttemptCount, FailureRun, HourOfAttempts, RobotFailure, RobotHealth},
};

/// Encodes it. A time that is missing is zero. A text has its length before it, in two bytes.
pub(super) fn encode(health: &RobotHealth) -> Vec<u8> {
    let RobotHealth { last_success, last_failure, run, hour } = health;
    let mut bytes = Vec::with_capacity(160);
    let run = run.unwrap_or(FailureRun { since: Timestamp::default(), failures: 0 });
    for at in [last_success.unwrap_or_default(), run.since] {
        bytes.extend(at.unix_millis().to_be_bytes());
    }
    bytes.extend(run.failures.to_be_bytes());
    bytes.extend(hour.newest.to_be_bytes());
    for AttemptCount { accepted, failed } in hour.parts {
        bytes.extend(accepted.to_be_bytes());
        bytes.extend(failed.to_be_bytes());
    }
    if let Some(RobotFailure { at, verdict, code, detail }) = last_failure {
        bytes.extend(at.unix_millis().to_be_bytes());
        for text in [verdict.as_str(), code, detail] {
            // Codes and texts are cut long before this length.
            let length = u16::try_from(text.len()).unwrap_or(0);
            bytes.extend(length.to_be_bytes());
            bytes.extend(text.bytes().take(length.into()));
        }
    }
    bytes
}

/// Decodes it; `None` if this version cannot read it.
pub(super) fn decode(bytes: &[u8]) -> Option<RobotHealth> {
    let mut rest = bytes;
    let last_success = Some(moment(&mut rest)?).filter(|at| *at != Timestamp::default());
    let since = moment(&mut rest)?;
    let failures = u32::from_be_bytes(take(&mut rest)?);
    let mut hour =
        HourOfAttempts { newest: u64::from_be_bytes(take(&mut rest)?), ..Default::default() };
    for part in &mut hour.parts {
        let accepted = u32::from_be_bytes(take(&mut rest)?);
        *part = AttemptCount { accepted, failed: u32::from_be_bytes(take(&mut rest)?) };
    }
    let last_failure = if rest.is_empty() { None } else { Some(failure(&mut rest)?) };
    let run = (failures > 0).then_some(FailureRun { since, failures });
    Some(RobotHealth { last_success, last_failure, run, hour })
}

fn failure(rest: &mut &[u8]) -> Option<RobotFailure> {
    let at = moment(rest)?;
    let name = text(rest)?;
    let verdict = every::<VerdictKind>().find(|verdict| verdict.as_str() == name)?;
    Some(RobotFailure { at, verdict, code: text(rest)?, detail: text(rest)? })
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::from(u16::from_be_bytes(take(rest)?));
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    String::from_utf8(text.to_vec()).ok()
}

fn moment(rest: &mut &[u8]) -> Option<Timestamp> {
    Some(Timestamp::from_unix_millis(u64::from_be_bytes(take(rest)?)))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*first)
}
