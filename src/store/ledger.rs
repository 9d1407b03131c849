//! The ledger on files: which deliveries of a message are settled.
//!
//! Append-only segments with one frame for each group commit. It is not in sled, because sled
//! rewrites its pages and keeps the old ones. A ledger entry is useless after the window, so whole
//! files are deleted.
//!
//! Owns two rules: an entry is synced before the call returns, and the files together are bounded
//! by [`BYTES_MAX`] plus the unfinished messages.
//!
//! Not here: the lookup in memory (`index.rs`), the format of an entry (`ledger_entry.rs`), the
//! port and its promises (`settle/ledger.rs`).

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    error::LedgerError,
    index::Index,
    ledger_entry::LedgerEntry,
    segment::{self, Segment},
};
use crate::{
    domain::Timestamp,
    port::{PortFuture, at_once},
    settle::{ClaimedMessage, Ledger, LedgerKey, LedgerRecord, LedgerUnavailable, RecordedMessage},
};

/// A segment larger than this is followed by a new one.
pub(super) const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// The number of segments in one window. It bounds how long an entry older than the window is kept.
const SEGMENTS_IN_WINDOW: u32 = 4;
/// Above this total size, the oldest segments are deleted.
pub(super) const BYTES_MAX: u64 = 48 * 1024 * 1024;

/// The settings of the ledger.
#[derive(Clone, Debug)]
pub struct LedgerSettings {
    /// Its folder.
    pub dir: PathBuf,
    /// The minimum time for which a closed message is remembered.
    pub window: Duration,
}

/// The open ledger.
pub struct FileLedger {
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

impl FileLedger {
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
        ledger.begin_session_now(now)?;
        Ok(ledger)
    }

    /// Begins a session: no message is in flight any more. Blocks on the disk.
    pub(super) fn begin_session_now(&self, now: Timestamp) -> Result<(), LedgerError> {
        self.index().begin_session();
        self.append_now(Vec::new(), now)
    }

    /// Records a group; durable when it returns. Blocks on the disk.
    pub(super) fn append_now(
        &self,
        records: Vec<LedgerRecord>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.is_full(now) {
            let unfinished = self.index().unfinished(now);
            writer.rotate(&encode(&unfinished, now), now)?;
            while let Some(number) = writer.drop_oldest(now) {
                self.index().forget_segment(number);
            }
        }
        let first = self.index().first_of_session().filter(|_| !records.is_empty());
        let records = records.into_iter().map(LedgerEntry::Record);
        let entries: Vec<_> = first.into_iter().chain(records).collect();
        writer.write(&encode(&entries, now))?;
        let mut index = self.index();
        entries.iter().for_each(|entry| index.apply(entry, writer.number, now));
        Ok(())
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lookups are answered from memory. Writes run on threads that may wait for the disk.
#[async_trait]
impl Ledger for FileLedger {
    fn lookup(
        &self,
        key: LedgerKey,
    ) -> PortFuture<'_, Result<Option<RecordedMessage>, LedgerUnavailable>> {
        at_once(Ok(self.index().lookup(key)))
    }

    fn claim_unfinished(
        &self,
        fingerprint: [u8; 16],
    ) -> PortFuture<'_, Result<Option<ClaimedMessage>, LedgerUnavailable>> {
        at_once(Ok(self.index().claim_unfinished(fingerprint)))
    }

    async fn begin_session(self: Arc<Self>, now: Timestamp) -> Result<(), LedgerUnavailable> {
        blocking(move || self.begin_session_now(now)).await
    }

    async fn append(
        self: Arc<Self>,
        records: Vec<LedgerRecord>,
        now: Timestamp,
    ) -> Result<(), LedgerUnavailable> {
        blocking(move || self.append_now(records, now)).await
    }
}

async fn blocking(
    write: impl FnOnce() -> Result<(), LedgerError> + Send + 'static,
) -> Result<(), LedgerUnavailable> {
    match tokio::task::spawn_blocking(write).await {
        Ok(written) => written.map_err(|error| LedgerUnavailable(error.into())),
        Err(panicked) => Err(LedgerUnavailable(panicked.into())),
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
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                path = %oldest.path.display(),
                "an old part of the ledger stays on the disk"
            );
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
fn encode(entries: &[LedgerEntry], now: Timestamp) -> Vec<u8> {
    let mut payload = now.unix_millis().to_be_bytes().to_vec();
    entries.iter().for_each(|entry| entry.encode(&mut payload));
    payload
}

fn decode(payload: &[u8]) -> Option<(Timestamp, Vec<LedgerEntry>)> {
    let (at, mut rest) = payload.split_first_chunk::<8>()?;
    let mut entries = Vec::new();
    rest = LedgerEntry::pass_over(rest);
    while !rest.is_empty() {
        let (entry, after) = LedgerEntry::decode(rest)?;
        entries.push(entry);
        rest = LedgerEntry::pass_over(after);
    }
    Some((Timestamp::from_unix_millis(u64::from_be_bytes(*at)), entries))
}
