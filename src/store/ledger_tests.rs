//! The ledger on files: truncated segments, old segments, sessions, disk use.
//!
//! Owns the proof that a crash loses only the group that was being written.
//!
//! Not here: what every ledger must do (`conformance/ledger.rs`).

use std::{collections::HashSet, fs, path::Path, time::Duration};

use futures_util::FutureExt;

use super::{
    FileLedger, LedgerSettings,
    ledger::{BYTES_MAX, SEGMENT_BYTES},
    segment,
};
use crate::{
    domain::Timestamp,
    settle::{ClaimedMessage, Ledger, LedgerKey, LedgerMark, LedgerRecord, RecordedMessage},
};

const T0: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

fn settings(dir: &Path) -> LedgerSettings {
    LedgerSettings { dir: dir.join("ledger"), window: Duration::from_secs(600) }
}

fn key(byte: u8) -> LedgerKey {
    LedgerKey([byte; 16])
}

fn marks<const N: usize>(bytes: [u8; N]) -> HashSet<LedgerMark> {
    bytes.map(|byte| LedgerMark([byte; 16])).into()
}

fn partial(name: u8, fingerprint: u8, done: &[u8]) -> LedgerRecord {
    LedgerRecord::Partial {
        key: key(name),
        fingerprint: [fingerprint; 16],
        event: [name; 16],
        done: done.iter().map(|one| LedgerMark([*one; 16])).collect(),
    }
}

fn lookup(ledger: &FileLedger, key: LedgerKey) -> RecordedMessage {
    ledger.lookup(key).now_or_never().unwrap().unwrap().unwrap_or_default()
}

fn is_closed(ledger: &FileLedger, key: LedgerKey) -> bool {
    lookup(ledger, key).is_closed
}

fn done(ledger: &FileLedger, key: LedgerKey) -> HashSet<LedgerMark> {
    lookup(ledger, key).done
}

fn claim(ledger: &FileLedger, fingerprint: [u8; 16]) -> Option<ClaimedMessage> {
    ledger.claim_unfinished(fingerprint).now_or_never().unwrap().unwrap()
}

#[test]
fn a_record_is_known_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = FileLedger::open(settings(dir.path()), T0).unwrap();
    ledger.append_now(vec![partial(1, 0, &[1]), LedgerRecord::Closed { key: key(2) }], T0).unwrap();
    ledger.append_now(vec![partial(1, 0, &[2])], T0).unwrap();
    drop(ledger);
    let ledger = FileLedger::open(settings(dir.path()), T0).unwrap();
    assert_eq!(done(&ledger, key(1)), marks([1, 2]));
    assert!(is_closed(&ledger, key(2)) && !is_closed(&ledger, key(1)));
}

#[test]
fn an_unfinished_message_is_adopted_once_in_each_session() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = FileLedger::open(settings(dir.path()), T0).unwrap();
    ledger.append_now(vec![partial(1, 7, &[1]), partial(2, 7, &[2])], T0).unwrap();
    assert_eq!(claim(&ledger, [7; 16]), None, "both are in hand in this session");
    for _ in 0..2 {
        ledger.begin_session_now(T0).unwrap();
        let (one, two) = (claim(&ledger, [7; 16]).unwrap(), claim(&ledger, [7; 16]).unwrap());
        assert_ne!(one.key, two.key);
        assert_eq!(claim(&ledger, [7; 16]), None);
    }
    ledger.append_now(vec![LedgerRecord::Closed { key: key(1) }], T0).unwrap();
    ledger.begin_session_now(T0).unwrap();
    assert_eq!(claim(&ledger, [7; 16]).unwrap().key, key(2));
    assert_eq!(claim(&ledger, [7; 16]), None);
    assert_eq!(claim(&ledger, [0; 16]), None, "a message with a name is not found by its content");
}

#[test]
fn a_crash_during_a_write_loses_only_that_write() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = FileLedger::open(settings(dir.path()), T0).unwrap();
    ledger.append_now(vec![LedgerRecord::Closed { key: key(1) }], T0).unwrap();
    ledger.append_now(vec![LedgerRecord::Closed { key: key(2) }], T0).unwrap();
    drop(ledger);
    let last = segment::find(&settings(dir.path()).dir).unwrap().pop().unwrap();
    let bytes = fs::read(&last.path).unwrap();
    fs::write(&last.path, &bytes[..bytes.len() - 1]).unwrap();
    for _ in 0..2 {
        let ledger = FileLedger::open(settings(dir.path()), T0).unwrap();
        assert!(is_closed(&ledger, key(1)) && !is_closed(&ledger, key(2)));
        ledger.append_now(vec![LedgerRecord::Closed { key: key(3) }], T0).unwrap();
        assert!(is_closed(&ledger, key(3)));
    }
}

#[test]
fn old_segments_are_deleted_and_unfinished_entries_are_carried_over() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = FileLedger::open(settings(dir.path()), T0).unwrap();
    ledger.append_now(vec![partial(1, 7, &[1]), LedgerRecord::Closed { key: key(2) }], T0).unwrap();
    let mut now = T0;
    for _ in 0..40 {
        now = now.after(Duration::from_secs(60));
        ledger.append_now(vec![LedgerRecord::Closed { key: key(3) }], now).unwrap();
    }
    assert!(!is_closed(&ledger, key(2)), "forty minutes are four windows");
    assert!(is_closed(&ledger, key(3)));
    drop(ledger);
    assert!(segment::find(&settings(dir.path()).dir).unwrap().len() <= 8);
    let ledger = FileLedger::open(settings(dir.path()), now).unwrap();
    assert_eq!(claim(&ledger, [7; 16]).unwrap().done, marks([1]));
}

#[test]
fn an_unfinished_message_is_not_adopted_by_an_equal_text_of_many_sessions_later() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = FileLedger::open(settings(dir.path()), T0).unwrap();
    ledger
        .append_now(vec![partial(1, 7, &[1]), partial(2, 8, &[1]), partial(3, 0, &[1])], T0)
        .unwrap();
    let mut now = T0;
    for session in 0..24 {
        now = now.after(Duration::from_secs(60));
        ledger.begin_session_now(now).unwrap();
        assert_eq!(
            claim(&ledger, [7; 16]).is_some(),
            session < 16,
            "it comes back in each of the first, {session}"
        );
        // A session without entries, as during a long outage of the broker, does not count.
        ledger.begin_session_now(now).unwrap();
        if session < 16 {
            claim(&ledger, [7; 16]).unwrap();
        }
        ledger.append_now(vec![LedgerRecord::Closed { key: key(9) }], now).unwrap();
        if session == 15 {
            (0..9).for_each(|_| {
                ledger.begin_session_now(now).unwrap();
                ledger.append_now(vec![LedgerRecord::Closed { key: key(9) }], now).unwrap();
            });
        }
    }
    drop(ledger);
    let ledger = FileLedger::open(settings(dir.path()), now).unwrap();
    assert_eq!(
        claim(&ledger, [8; 16]),
        None,
        "it was purged, say: what has its text now is another message"
    );
    assert_eq!(done(&ledger, key(3)), marks([1]), "by its name it is known for longer");
}

#[test]
fn in_which_session_a_message_was_left_unfinished_is_known_after_segments_and_processes() {
    for (processes, comes_back) in [(1, true), (8, true), (9, false), (30, false)] {
        let dir = tempfile::tempdir().unwrap();
        let mut now = T0;
        for process in 0..processes {
            let ledger = FileLedger::open(settings(dir.path()), now).unwrap();
            if process == 0 {
                ledger.append_now(vec![partial(1, 7, &[1])], now).unwrap();
            }
            now = now.after(Duration::from_secs(160));
            ledger.append_now(vec![LedgerRecord::Closed { key: key(9) }], now).unwrap();
        }
        let ledger = FileLedger::open(settings(dir.path()), now).unwrap();
        assert_eq!(claim(&ledger, [7; 16]).is_some(), comes_back, "after {processes} processes");
    }
}

#[test]
fn the_disk_use_is_bounded_whatever_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = FileLedger::open(settings(dir.path()), T0).unwrap();
    let many: Vec<_> = (0..250_000_u64)
        .map(|number| {
            let mut name = [0; 16];
            name[..8].copy_from_slice(&number.to_be_bytes());
            LedgerRecord::Closed { key: LedgerKey(name) }
        })
        .collect();
    for _ in 0..20 {
        ledger.append_now(many.clone(), T0).unwrap();
    }
    let bytes: u64 =
        segment::find(&settings(dir.path()).dir).unwrap().iter().map(|one| one.bytes).sum();
    assert!(bytes <= BYTES_MAX + 2 * SEGMENT_BYTES, "{bytes}");
}

#[test]
fn a_ledger_that_cannot_be_written_says_so_and_goes_on_when_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = FileLedger::open(settings(dir.path()), T0).unwrap();
    let folder = settings(dir.path()).dir;
    let aside = dir.path().join("aside");
    fs::rename(&folder, &aside).unwrap();
    let later = T0.after(Duration::from_secs(300));
    assert!(ledger.append_now(vec![LedgerRecord::Closed { key: key(1) }], later).is_err());
    assert!(!is_closed(&ledger, key(1)));
    fs::rename(&aside, &folder).unwrap();
    ledger.append_now(vec![LedgerRecord::Closed { key: key(1) }], later).unwrap();
    assert!(is_closed(&ledger, key(1)));
}
