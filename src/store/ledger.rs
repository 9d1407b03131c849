//! The ledger: which deliveries of a message are settled.
//!
//! Append-only segments with one frame for each group commit. It is not in sled, because sled
//! rewrites its pages and keeps the old ones. A ledger entry is useless after the window, so whole
//! files are deleted.
//!
//! Owns two rules: an entry is synced before the call returns, and the files together are bounded
//! by [`BYTES_MAX`] plus the unfinished messages.
//!
//! Not here: the lookup in memory (`index.rs`), the format of an entry (`ledger_record.rs`), when a
//! delivery counts as settled (`settle/ack_tracker.rs`).

use std::{
    collections::{HashSet, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    error::LedgerError,
    index::{ClaimedMessage, Index},
    ledger_record::{LedgerKey, LedgerMark, LedgerRecord},
    segment::{self, Segment},
};
use crate::domain::Timestamp;

/// A segment larger than this is followed by a new one.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// The number of segments in one window. It bounds how long an entry older than the window is kept.
const SEGMENTS_IN_WINDOW: u32 = 4;
/// Above this total size, the oldest segments are deleted.
const BYTES_MAX: u64 = 48 * 1024 * 1024;

/// The settings of the ledger.
#[derive(Clone, Debug)]
pub struct LedgerSettings {
    /// Its folder.
    pub dir: PathBuf,
    /// The minimum time for which a closed message is remembered.
    pub window: Duration,
}

/// The open ledger.
pub struct Ledger {
    writer: Mutex<LedgerWriter>,
    index: Mutex<Index>,
}

struct LedgerWriter {
    settings: LedgerSettings,
    number: u64,
    current: Option<Segment>,
    began: Timestamp,
    /// The segments that only a start reads, the oldest first.
    old: VecDeque<OldSegment>,
}

struct OldSegment {
    number: u64,
    path: PathBuf,
    bytes: u64,
    newest: Timestamp,
}

impl Ledger {
    /// Opens the ledger, or creates it. Blocks on the disk.
    pub fn open(settings: LedgerSettings, now: Timestamp) -> Result<Self, LedgerError> {
        let dir = settings.dir.clone();
        let failed = |source| LedgerError { path: dir.clone(), verb: "opened", source };
        fs::create_dir_all(&dir).map_err(failed)?;
        let (mut index, mut old) = (Index::default(), VecDeque::new());
        for found in segment::find(&dir).map_err(failed)? {
            let bytes = fs::read(&found.path).map_err(failed)?;
            let mut newest = Timestamp::from_unix_millis(0);
            for payload in segment::read(&bytes) {
                let Some((at, entries)) = decode(payload) else {
                    break;
                };
                newest = newest.max(at);
                entries.iter().for_each(|entry| index.apply(entry, found.number, at));
            }
            old.push_back(OldSegment {
                number: found.number,
                path: found.path,
                bytes: found.bytes,
                newest,
            });
        }
        index.begin_session();
        let number = old.back().map_or(0, |last| last.number);
        let writer = LedgerWriter { settings, number, current: None, began: now, old };
        let ledger = Self { writer: Mutex::new(writer), index: Mutex::new(index) };
        ledger.begin_session(now)?;
        Ok(ledger)
    }

    /// Begins a session: no message is in flight any more. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// The ledger is not writable. A session that cannot record would send every message and ack
    /// none.
    pub fn begin_session(&self, now: Timestamp) -> Result<(), LedgerError> {
        self.index().begin_session();
        self.append(&[], now)
    }

    /// Records entries; durable when it returns. Blocks on the disk.
    pub fn append(&self, entries: &[LedgerRecord], now: Timestamp) -> Result<(), LedgerError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.is_full(now) {
            let unfinished = self.index().unfinished(now);
            writer.rotate(&encode(unfinished.iter(), now), now)?;
            while let Some(number) = writer.drop_oldest(now) {
                self.index().forget_segment(number);
            }
        }
        let first = self.index().first_of_session().filter(|_| !entries.is_empty());
        writer.write(&encode(first.iter().chain(entries), now))?;
        let mut index = self.index();
        first.iter().chain(entries).for_each(|entry| index.apply(entry, writer.number, now));
        Ok(())
    }

    /// Whether all deliveries of a message are recorded as settled.
    #[must_use]
    pub fn is_closed(&self, key: LedgerKey) -> bool {
        self.index().is_closed(key)
    }

    /// Whether the ledger has an entry of a message.
    #[must_use]
    pub fn knows(&self, key: LedgerKey) -> bool {
        self.index().knows(key)
    }

    /// The finished marks of an unfinished message.
    #[must_use]
    pub fn done(&self, key: LedgerKey) -> HashSet<LedgerMark> {
        self.index().done(key)
    }

    /// Claims an unfinished message of that content that may still come back. Each one is claimed
    /// at most once in a session.
    #[must_use]
    pub fn claim_unfinished(&self, fingerprint: [u8; 16]) -> Option<ClaimedMessage> {
        self.index().claim_unfinished(fingerprint)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LedgerWriter {
    fn is_full(&self, now: Timestamp) -> bool {
        let old = now.since(self.began) > self.settings.window / SEGMENTS_IN_WINDOW;
        self.current.as_ref().is_none_or(|segment| segment.bytes > SEGMENT_BYTES || old)
    }

    fn rotate(&mut self, first: &[u8], now: Timestamp) -> Result<(), LedgerError> {
        if let Some(full) = self.current.take() {
            self.old.push_back(OldSegment {
                number: self.number,
                path: full.path,
                bytes: full.bytes,
                newest: now,
            });
        }
        self.number += 1;
        self.began = now;
        let segment = Segment::create(&self.settings.dir, self.number, first);
        self.current = Some(segment.map_err(|source| unwritten(&self.settings.dir, source))?);
        Ok(())
    }

    /// Deletes the oldest segment if it is older than the window or the size limit is exceeded;
    /// returns its number.
    fn drop_oldest(&mut self, now: Timestamp) -> Option<u64> {
        let current = self.current.as_ref().map_or(0, |segment| segment.bytes);
        let bytes = self.old.iter().map(|old| old.bytes).sum::<u64>() + current;
        let oldest = self.old.front()?;
        if now.since(oldest.newest) <= self.settings.window && bytes <= BYTES_MAX {
            return None;
        }
        if let Err(error) = fs::remove_file(&oldest.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(error = &error as &dyn std::error::Error, path = %oldest.path.display(), "an old part of the ledger stays on the disk");
        }
        self.old.pop_front().map(|gone| gone.number)
    }

    fn write(&mut self, payload: &[u8]) -> Result<(), LedgerError> {
        let Some(segment) = &mut self.current else {
            return Err(unwritten(&self.settings.dir, io::Error::other("it has no open segment")));
        };
        let appended = segment.append(payload);
        if appended.is_err()
            && let Some(broken) = self.current.take()
        {
            // The segment may end in a partial frame, and a reader stops there. So the next entry
            // begins a new segment.
            self.old.push_back(OldSegment {
                number: self.number,
                path: broken.path,
                bytes: broken.bytes,
                newest: self.began,
            });
        }
        appended.map_err(|source| unwritten(&self.settings.dir, source))
    }
}

fn unwritten(path: &Path, source: io::Error) -> LedgerError {
    LedgerError { path: path.to_owned(), verb: "written", source }
}

/// The time in milliseconds, then the entries.
fn encode<'a>(entries: impl Iterator<Item = &'a LedgerRecord>, now: Timestamp) -> Vec<u8> {
    let mut payload = now.unix_millis().to_be_bytes().to_vec();
    entries.for_each(|entry| entry.encode(&mut payload));
    payload
}

fn decode(payload: &[u8]) -> Option<(Timestamp, Vec<LedgerRecord>)> {
    let (at, mut rest) = payload.split_first_chunk::<8>()?;
    let mut entries = Vec::new();
    rest = LedgerRecord::pass_over(rest);
    while !rest.is_empty() {
        let (entry, after) = LedgerRecord::decode(rest)?;
        entries.push(entry);
        rest = LedgerRecord::pass_over(after);
    }
    Some((Timestamp::from_unix_millis(u64::from_be_bytes(*at)), entries))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn what_was_recorded_is_known_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(settings(dir.path()), T0).unwrap();
        ledger.append(&[partial(1, 0, &[1]), LedgerRecord::Closed { key: key(2) }], T0).unwrap();
        ledger.append(&[partial(1, 0, &[2])], T0).unwrap();
        drop(ledger);
        let ledger = Ledger::open(settings(dir.path()), T0).unwrap();
        assert_eq!(ledger.done(key(1)), marks([1, 2]));
        assert!(ledger.is_closed(key(2)) && !ledger.is_closed(key(1)));
    }

    #[test]
    fn an_unfinished_message_is_adopted_once_in_each_session() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(settings(dir.path()), T0).unwrap();
        ledger.append(&[partial(1, 7, &[1]), partial(2, 7, &[2])], T0).unwrap();
        assert_eq!(ledger.claim_unfinished([7; 16]), None, "both are in hand in this session");
        for _ in 0..2 {
            ledger.begin_session(T0).unwrap();
            let (one, two) = (
                ledger.claim_unfinished([7; 16]).unwrap(),
                ledger.claim_unfinished([7; 16]).unwrap(),
            );
            assert_ne!(one.key, two.key);
            assert_eq!(ledger.claim_unfinished([7; 16]), None);
        }
        ledger.append(&[LedgerRecord::Closed { key: key(1) }], T0).unwrap();
        ledger.begin_session(T0).unwrap();
        assert_eq!(ledger.claim_unfinished([7; 16]).unwrap().key, key(2));
        assert_eq!(ledger.claim_unfinished([7; 16]), None);
        assert_eq!(
            ledger.claim_unfinished([0; 16]),
            None,
            "a message with a name is not found by its content"
        );
    }

    #[test]
    fn a_crash_while_writing_loses_only_what_was_being_written() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(settings(dir.path()), T0).unwrap();
        ledger.append(&[LedgerRecord::Closed { key: key(1) }], T0).unwrap();
        ledger.append(&[LedgerRecord::Closed { key: key(2) }], T0).unwrap();
        drop(ledger);
        let last = segment::find(&settings(dir.path()).dir).unwrap().pop().unwrap();
        let bytes = fs::read(&last.path).unwrap();
        fs::write(&last.path, &bytes[..bytes.len() - 1]).unwrap();
        for _ in 0..2 {
            let ledger = Ledger::open(settings(dir.path()), T0).unwrap();
            assert!(ledger.is_closed(key(1)) && !ledger.is_closed(key(2)));
            ledger.append(&[LedgerRecord::Closed { key: key(3) }], T0).unwrap();
            assert!(ledger.is_closed(key(3)));
        }
    }

    #[test]
    fn old_segments_are_deleted_and_what_is_unfinished_is_carried_on() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(settings(dir.path()), T0).unwrap();
        ledger.append(&[partial(1, 7, &[1]), LedgerRecord::Closed { key: key(2) }], T0).unwrap();
        let mut now = T0;
        for _ in 0..40 {
            now = now.after(Duration::from_secs(60));
            ledger.append(&[LedgerRecord::Closed { key: key(3) }], now).unwrap();
        }
        assert!(!ledger.is_closed(key(2)), "forty minutes are four windows");
        assert!(ledger.is_closed(key(3)));
        drop(ledger);
        assert!(segment::find(&settings(dir.path()).dir).unwrap().len() <= 8);
        let ledger = Ledger::open(settings(dir.path()), now).unwrap();
        assert_eq!(ledger.claim_unfinished([7; 16]).unwrap().done, marks([1]));
    }

    #[test]
    fn an_unfinished_message_is_not_adopted_by_an_equal_text_of_many_sessions_later() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(settings(dir.path()), T0).unwrap();
        ledger
            .append(&[partial(1, 7, &[1]), partial(2, 8, &[1]), partial(3, 0, &[1])], T0)
            .unwrap();
        let mut now = T0;
        for session in 0..24 {
            now = now.after(Duration::from_secs(60));
            ledger.begin_session(now).unwrap();
            assert_eq!(
                ledger.claim_unfinished([7; 16]).is_some(),
                session < 16,
                "it comes back in each of the first, {session}"
            );
            // A session without entries, as during a long outage of the broker, does not count.
            ledger.begin_session(now).unwrap();
            if session < 16 {
                ledger.claim_unfinished([7; 16]).unwrap();
            }
            ledger.append(&[LedgerRecord::Closed { key: key(9) }], now).unwrap();
            if session == 15 {
                (0..9).for_each(|_| {
                    ledger.begin_session(now).unwrap();
                    ledger.append(&[LedgerRecord::Closed { key: key(9) }], now).unwrap();
                });
            }
        }
        drop(ledger);
        let ledger = Ledger::open(settings(dir.path()), now).unwrap();
        assert_eq!(
            ledger.claim_unfinished([8; 16]),
            None,
            "it was purged, say: what has its text now is another message"
        );
        assert_eq!(ledger.done(key(3)), marks([1]), "by its name it is known for longer");
    }

    #[test]
    fn in_which_session_a_message_was_left_unfinished_is_known_after_segments_and_processes() {
        for (processes, comes_back) in [(1, true), (8, true), (9, false), (30, false)] {
            let dir = tempfile::tempdir().unwrap();
            let mut now = T0;
            for process in 0..processes {
                let ledger = Ledger::open(settings(dir.path()), now).unwrap();
                if process == 0 {
                    ledger.append(&[partial(1, 7, &[1])], now).unwrap();
                }
                now = now.after(Duration::from_secs(160));
                ledger.append(&[LedgerRecord::Closed { key: key(9) }], now).unwrap();
            }
            let ledger = Ledger::open(settings(dir.path()), now).unwrap();
            assert_eq!(
                ledger.claim_unfinished([7; 16]).is_some(),
                comes_back,
                "after {processes} processes"
            );
        }
    }

    #[test]
    fn the_disk_use_is_bounded_whatever_is_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(settings(dir.path()), T0).unwrap();
        let many: Vec<_> = (0..250_000_u64)
            .map(|number| {
                let mut name = [0; 16];
                name[..8].copy_from_slice(&number.to_be_bytes());
                LedgerRecord::Closed { key: LedgerKey(name) }
            })
            .collect();
        for _ in 0..20 {
            ledger.append(&many, T0).unwrap();
        }
        let bytes: u64 =
            segment::find(&settings(dir.path()).dir).unwrap().iter().map(|one| one.bytes).sum();
        assert!(bytes <= BYTES_MAX + 2 * SEGMENT_BYTES, "{bytes}");
    }

    #[test]
    fn a_ledger_that_cannot_be_written_says_so_and_goes_on_when_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(settings(dir.path()), T0).unwrap();
        let folder = settings(dir.path()).dir;
        let aside = dir.path().join("aside");
        fs::rename(&folder, &aside).unwrap();
        let later = T0.after(Duration::from_secs(300));
        assert!(ledger.append(&[LedgerRecord::Closed { key: key(1) }], later).is_err());
        assert!(!ledger.is_closed(key(1)));
        fs::rename(&aside, &folder).unwrap();
        ledger.append(&[LedgerRecord::Closed { key: key(1) }], later).unwrap();
        assert!(ledger.is_closed(key(1)));
    }
}
