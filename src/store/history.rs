//! The history on files: segments to which records are appended, each with an index.
//!
//! Owns the bounds of age and size: whole segments are deleted, the oldest first. A segment of an
//! earlier process is continued behind its last whole frame, so that restarts make no small files.
//!
//! Not here: the port and its promises (`history/port.rs`), the rows (`history_row.rs`), the index
//! (`history_index.rs`), and lookups (`history_lookup.rs`).

use std::{
    collections::VecDeque,
    fs, io, mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    error::HistoryError,
    free_space::{FREE_BYTES_MIN, free_bytes},
    history_index::{FrameIndex, FrameKey, IndexFile, in_all},
    history_lookup::{Candidates, SegmentView, page},
    history_row,
    history_scan::WholeFrames,
    history_text_key::HistoryTextKey,
    segment::{self, FileSync, Segment, SegmentFile},
};
use crate::{
    domain::Timestamp,
    history::{
        DeliveryHistory, HistoryCursor, HistoryPage, HistoryQuery, HistoryRecord,
        HistoryUnavailable,
    },
};

/// The first frame of each segment. A segment with another one is of a later version: it is neither
/// read nor continued.
const FORMAT: &[u8] = b"history 1";
/// The most bytes of a segment.
const SEGMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The segments of a full history. A bound is kept by deleting whole segments, so this is the
/// precision of both.
const SEGMENTS: u32 = 32;
/// A frame is ended when its payload has this many bytes. A lookup reads whole frames.
const FRAME_BYTES: usize = 64 * 1024;
/// Below this many free bytes on the disk nothing is written: the ledger and the store, on which
/// deliveries depend, need the rest.
const RESERVED_BYTES: u64 = 4 * FREE_BYTES_MIN;

/// Where the history is, and its bounds.
#[derive(Clone)]
pub struct FileHistorySettings {
    /// Its folder.
    pub dir: PathBuf,
    /// How long a record is kept.
    pub retention: Duration,
    /// How many bytes all files may have together.
    pub bytes_max: u64,
    /// Seals the texts of events; `None` if none is kept.
    pub text_key: Option<Arc<HistoryTextKey>>,
}

/// The open history.
pub struct FileHistory {
    settings: FileHistorySettings,
    segments: Mutex<HistorySegments>,
    sync: FileSync,
}

struct HistorySegments {
    /// The number of the newest segment.
    number: u64,
    current: Option<CurrentSegment>,
    /// The segments to which nothing is written any more, the oldest first.
    old: VecDeque<OldSegment>,
}

struct CurrentSegment {
    segment: Segment,
    index: FrameIndex,
    oldest: Timestamp,
    newest: Timestamp,
}

struct OldSegment {
    number: u64,
    /// The bytes of the segment and its index.
    bytes: u64,
    newest: Timestamp,
}

impl FileHistory {
    /// Opens the history, or creates it. Blocks on the disk.
    pub fn open(settings: FileHistorySettings, now: Timestamp) -> Result<Self, HistoryError> {
        Self::open_with(settings, now, FileSync::default())
    }

    /// The same with the caller's implementation of syncing.
    pub(super) fn open_with(
        settings: FileHistorySettings,
        now: Timestamp,
        sync: FileSync,
    ) -> Result<Self, HistoryError> {
        let failed = |source| HistoryError { path: settings.dir.clone(), verb: "opened", source };
        let segments = HistorySegments::open(&settings.dir, now).map_err(failed)?;
        let history = Self { settings, segments: Mutex::new(segments), sync };
        history.trim_now(now)?;
        Ok(history)
    }

    /// Deletes a history that is switched off. Blocks on the disk.
    pub fn clear(dir: &Path) -> Result<(), HistoryError> {
        match fs::remove_dir_all(dir) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(HistoryError { path: dir.to_owned(), verb: "deleted", source })
            }
            _ => Ok(()),
        }
    }

    /// Adds records; durable when it returns. Blocks on the disk.
    pub(super) fn append_now(
        &self,
        records: &[HistoryRecord],
        now: Timestamp,
    ) -> Result<(), HistoryError> {
        let dir = &self.settings.dir;
        if records.is_empty() {
            return Ok(());
        }
        if free_bytes(dir).is_some_and(|free| free < RESERVED_BYTES) {
            return Err(self.unwritten(io::ErrorKind::StorageFull.into()));
        }
        let mut segments = self.segments();
        if segments.is_full(&self.settings, now) {
            segments.seal(dir).map_err(|source| self.unwritten(source))?;
        }
        let appended = segments.append(&self.settings, records, now, &self.sync);
        if appended.is_err() {
            // The segment may end in a partial frame, and a reader stops there. So the next record
            // begins a new segment. If the index cannot be written, the next start makes it.
            let _ = segments.seal(dir);
        }
        segments.delete_oldest(&self.settings, now);
        appended.map_err(|source| self.unwritten(source))
    }

    /// Deletes what is beyond the bounds. Blocks on the disk.
    pub(super) fn trim_now(&self, now: Timestamp) -> Result<(), HistoryError> {
        let mut segments = self.segments();
        if segments.is_old(&self.settings, now) {
            segments.seal(&self.settings.dir).map_err(|source| self.unwritten(source))?;
        }
        segments.delete_oldest(&self.settings, now);
        Ok(())
    }

    /// One page of an answer. Blocks on the disk.
    pub(super) fn page_now(
        &self,
        query: &HistoryQuery,
        after: Option<HistoryCursor>,
        limit: usize,
    ) -> Result<HistoryPage, HistoryError> {
        let views = self.segments().views(&self.settings.dir, query);
        let key = self.settings.text_key.as_deref();
        page(&views, query, after, limit, key).map_err(|source| HistoryError {
            path: self.settings.dir.clone(),
            verb: "read",
            source,
        })
    }

    fn segments(&self) -> MutexGuard<'_, HistorySegments> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unwritten(&self, source: io::Error) -> HistoryError {
        HistoryError { path: self.settings.dir.clone(), verb: "written", source }
    }
}

/// All work runs on threads that may wait for the disk.
#[async_trait]
impl DeliveryHistory for FileHistory {
    async fn append(
        self: Arc<Self>,
        records: Vec<HistoryRecord>,
        now: Timestamp,
    ) -> Result<(), HistoryUnavailable> {
        blocking(move || self.append_now(&records, now)).await
    }

    async fn trim(self: Arc<Self>, now: Timestamp) -> Result<(), HistoryUnavailable> {
        blocking(move || self.trim_now(now)).await
    }

    async fn page(
        self: Arc<Self>,
        query: HistoryQuery,
        after: Option<HistoryCursor>,
        limit: usize,
    ) -> Result<HistoryPage, HistoryUnavailable> {
        blocking(move || self.page_now(&query, after, limit)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, HistoryUnavailable> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| HistoryUnavailable(error.into())),
        Err(panicked) => Err(HistoryUnavailable(panicked.into())),
    }
}

impl HistorySegments {
    fn open(dir: &Path, now: Timestamp) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let mut segments = Self { number: 0, current: None, old: VecDeque::new() };
        let mut found = segment::find(dir)?;
        let last = found.pop();
        for file in found {
            segments.number = file.number;
            segments.open_old(dir, file, now)?;
        }
        if let Some(last) = last {
            segments.number = last.number;
            match IndexFile::open(&index_path(dir, last.number))? {
                Some(_) => segments.open_old(dir, last, now)?,
                None => segments.open_last(dir, last, now)?,
            }
        }
        segments.delete_strays(dir)?;
        Ok(segments)
    }

    /// A segment to which nothing is written any more. Its index is made again if a crash came
    /// before it.
    fn open_old(&mut self, dir: &Path, file: SegmentFile, now: Timestamp) -> io::Result<()> {
        let path = index_path(dir, file.number);
        let (newest, index_bytes) = match IndexFile::open(&path)? {
            Some(index) => (index.newest, index.bytes),
            None => {
                let Some(found) = WholeFrames::read(&file.path, FORMAT)? else {
                    // A later version wrote it. It ages from now on.
                    let old = OldSegment { number: file.number, bytes: file.bytes, newest: now };
                    self.old.push_back(old);
                    return Ok(());
                };
                found.index.write(&path, found.newest)?;
                (found.newest, found.index.bytes())
            }
        };
        let bytes = file.bytes + index_bytes;
        self.old.push_back(OldSegment { number: file.number, bytes, newest });
        Ok(())
    }

    /// The segment that was written when the last process ended.
    fn open_last(&mut self, dir: &Path, file: SegmentFile, now: Timestamp) -> io::Result<()> {
        match WholeFrames::read(&file.path, FORMAT)? {
            Some(found) => {
                self.current = Some(CurrentSegment {
                    segment: Segment::reopen(file.path, found.end)?,
                    index: found.index,
                    oldest: found.oldest.unwrap_or(now),
                    newest: found.newest,
                });
                Ok(())
            }
            // A crash came before its first frame was whole.
            None if segment::is_unused(&fs::read(&file.path)?, FORMAT) => {
                fs::remove_file(&file.path)
            }
            None => self.open_old(dir, file, now),
        }
    }

    /// Deletes the indexes without a segment, and those that were never finished.
    fn delete_strays(&self, dir: &Path) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let is_index = path.extension().is_some_and(|end| end == "index");
            let is_unfinished = path.extension().is_some_and(|end| end == "new");
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            let is_used = self.old.iter().any(|old| Some(old.number) == number);
            if is_unfinished || (is_index && !is_used) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn is_full(&self, settings: &FileHistorySettings, now: Timestamp) -> bool {
        let most = (settings.bytes_max / u64::from(SEGMENTS)).min(SEGMENT_BYTES_MAX);
        let bytes = |current: &CurrentSegment| current.segment.bytes + current.index.bytes();
        self.current.as_ref().is_some_and(|current| bytes(current) > most)
            || self.is_old(settings, now)
    }

    fn is_old(&self, settings: &FileHistorySettings, now: Timestamp) -> bool {
        let span = settings.retention / SEGMENTS;
        self.current.as_ref().is_some_and(|current| now.since(current.oldest) > span)
    }

    fn append(
        &mut self,
        settings: &FileHistorySettings,
        records: &[HistoryRecord],
        now: Timestamp,
        sync: &FileSync,
    ) -> io::Result<()> {
        let key = settings.text_key.as_deref();
        if self.current.is_none() {
            self.number += 1;
            let created = Segment::create_with(&settings.dir, self.number, FORMAT, sync);
            self.current = Some(CurrentSegment {
                // A disk that refuses for hours must not fill the folder with empty files.
                segment: created
                    .inspect_err(|_| remove(&segment_path(&settings.dir, self.number)))?,
                index: FrameIndex::default(),
                oldest: now,
                newest: Timestamp::default(),
            });
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        let mut rest = records;
        while !rest.is_empty() {
            let (mut payload, mut count) = (Vec::new(), 0);
            while let Some(record) = rest.get(count).filter(|_| payload.len() < FRAME_BYTES) {
                history_row::encode(record, key, &mut payload);
                count += 1;
            }
            let (written, after) = rest.split_at(count);
            current.append(&payload, written)?;
            rest = after;
        }
        sync.sync(&current.segment.handle()?)
    }

    /// Ends the current segment: its index goes to a file. Blocks on the disk.
    fn seal(&mut self, dir: &Path) -> io::Result<()> {
        let Some(sealed) = mem::take(&mut self.current) else { return Ok(()) };
        let written = sealed.index.write(&index_path(dir, self.number), sealed.newest);
        let bytes = sealed.segment.bytes + sealed.index.bytes();
        self.old.push_back(OldSegment { number: self.number, bytes, newest: sealed.newest });
        written
    }

    /// Deletes the oldest segments that are older than the retention, or too many bytes.
    fn delete_oldest(&mut self, settings: &FileHistorySettings, now: Timestamp) {
        let current = self
            .current
            .as_ref()
            .map_or(0, |current| current.segment.bytes + current.index.bytes());
        let mut bytes = self.old.iter().map(|old| old.bytes).sum::<u64>() + current;
        while let Some(oldest) = self.old.front()
            && (now.since(oldest.newest) > settings.retention || bytes > settings.bytes_max)
        {
            remove(&segment_path(&settings.dir, oldest.number));
            remove(&index_path(&settings.dir, oldest.number));
            bytes -= oldest.bytes;
            self.old.pop_front();
        }
    }

    /// The segments that may have an answer, the newest first.
    fn views(&self, dir: &Path, query: &HistoryQuery) -> Vec<SegmentView> {
        let keys = FrameKey::of_query(query);
        let current = self.current.as_ref().map(|current| SegmentView {
            number: self.number,
            path: current.segment.path.clone(),
            newest: current.newest,
            candidates: Candidates::Known(in_all(
                keys.iter().map(|key| current.index.offsets(*key)),
            )),
        });
        let old = self.old.iter().rev().map(|old| SegmentView {
            number: old.number,
            path: segment_path(dir, old.number),
            newest: old.newest,
            candidates: Candidates::InFile(index_path(dir, old.number), keys.clone()),
        });
        current.into_iter().chain(old).collect()
    }
}

impl CurrentSegment {
    fn append(&mut self, payload: &[u8], records: &[HistoryRecord]) -> io::Result<()> {
        let offset = u32::try_from(self.segment.bytes).map_err(io::Error::other)?;
        self.segment.append_unsynced(payload)?;
        self.index.add(offset, records);
        self.newest = records.iter().map(|record| record.at).fold(self.newest, Timestamp::max);
        Ok(())
    }
}

fn segment_path(dir: &Path, number: u64) -> PathBuf {
    segment::path(dir, number)
}

fn index_path(dir: &Path, number: u64) -> PathBuf {
    segment::path(dir, number).with_extension("index")
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let error = &error as &dyn std::error::Error;
            let path = path.display();
            tracing::warn!(error, %path, "an old part of the history stays on the disk");
        }
        _ => (),
    }
}
