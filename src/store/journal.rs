//! The journal: the records from which the pacer restores its state after a crash. A page is a file
//! of check-summed records.
//!
//! Owns two rules. A record is in the file before the action that it describes, so it survives the
//! end of the process. It is synced with the next group commit, so it survives the end of the
//! machine before the message concerned is acked. A page is deleted once a later page repeats the
//! records that still matter.
//!
//! Not here: the meaning of the records and the port (`pace/`), their format
//! (`pace_record_codec.rs`), the frames (`segment.rs`).

use std::{
    fs::{self, File},
    io, mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    clock_readings::{ClockReading, ResumedClock},
    error::LedgerError,
    pace_record_codec,
    segment::{self, FileSync, Segment},
};
use crate::{
    clock::Clock,
    domain::Timestamp,
    pace::{
        AppendFailed, CheckpointDue, MonotonicWallClock, PaceLog, PaceLogUnavailable, PaceRecord,
        RestoredLog,
    },
    port::{PortFuture, at_once},
};

/// A page larger than this is followed by a new one.
const PAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The settings of the journal.
#[derive(Clone, Debug)]
pub struct JournalSettings {
    /// Its folder.
    pub dir: PathBuf,
    /// The minimum time for which the sent messages of a robot are remembered.
    pub window: Duration,
}

/// The open journal.
pub struct Journal {
    dir: PathBuf,
    boot_id: Vec<u8>,
    clock: Clock,
    timeline: MonotonicWallClock,
    disk: FileSync,
    /// Async threads lock this for each record, so no holder waits for a sync of the disk.
    pages: Mutex<JournalSegments>,
    /// Held during a sync, so that a caller that finds no unsynced file knows that all of them are
    /// durable.
    syncing: Mutex<()>,
    /// Held while a page is created or changed.
    turning: Mutex<()>,
}

/// A page to which nothing is written any more.
struct ClosedPage {
    path: PathBuf,
    closed_at: Timestamp,
}

struct JournalSegments {
    window: Duration,
    /// The last reading of the clocks that was written.
    read: ClockReading,
    /// The number of the newest page, including the one made ahead.
    number: u64,
    current: Option<Segment>,
    /// The page made ahead: empty, and durable already.
    next: Option<Segment>,
    began: Timestamp,
    /// Files of earlier pages that the next commit must sync.
    unsynced: Vec<File>,
    /// Pages that only a start reads, the oldest first.
    old: Vec<ClosedPage>,
}

impl Journal {
    /// Opens the journal, or creates it. Blocks on the disk.
    pub fn open(
        settings: JournalSettings,
        clock: Clock,
    ) -> Result<(Self, RestoredLog), LedgerError> {
        Self::open_on(FileSync::default(), settings, clock)
    }

    /// The same, with the caller's implementation of syncing.
    pub(super) fn open_on(
        disk: FileSync,
        settings: JournalSettings,
        clock: Clock,
    ) -> Result<(Self, RestoredLog), LedgerError> {
        let failed = |source| LedgerError { path: settings.dir.clone(), verb: "opened", source };
        fs::create_dir_all(&settings.dir).map_err(failed)?;
        let (mut records, mut paths, mut number) = (Vec::new(), Vec::new(), 0);
        let (mut same_boot, mut last) = (false, None);
        let boot_id = clock.boot_id();
        for found in segment::find(&settings.dir).map_err(failed)? {
            let bytes = fs::read(&found.path).map_err(failed)?;
            let mut frames = segment::read(&bytes).into_iter();
            let first = frames.next();
            if !segment::is_unused(&bytes, &boot_id) {
                same_boot = first.is_some_and(|first| !first.is_empty() && first == boot_id);
            }
            records.push(PaceRecord::SegmentStart);
            for frame in frames {
                match ClockReading::decode(frame) {
                    Some(reading) => last = Some(LastReading { reading, same_boot }),
                    None => records.extend(pace_record_codec::decode(frame)),
                }
            }
            paths.push(found.path);
            number = found.number;
        }
        let timeline = MonotonicWallClock::from(clock.clone(), resume(last, &mut records, &clock));
        let (now, read) = (timeline.now(), ClockReading::take(&clock, &timeline));
        let old = paths.into_iter().map(|path| ClosedPage { path, closed_at: now }).collect();
        let pages = JournalSegments {
            window: settings.window,
            read,
            number,
            current: None,
            next: None,
            began: now,
            unsynced: Vec::new(),
            old,
        };
        let journal = Self {
            dir: settings.dir,
            boot_id,
            clock,
            timeline: timeline.clone(),
            disk,
            pages: Mutex::new(pages),
            syncing: Mutex::default(),
            turning: Mutex::default(),
        };
        journal.begin().map_err(|source| journal.unwritten(source))?;
        Ok((journal, RestoredLog { records, complete: same_boot, timeline }))
    }

    /// Makes all records so far survive the end of the machine. Blocks on the disk.
    pub(super) fn sync_now(&self) -> Result<(), LedgerError> {
        let _one_at_a_time = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files =
            self.pages().take_unsynced(&self.reading()).map_err(|source| self.unwritten(source))?;
        while let Some(file) = files.pop() {
            if let Err(source) = self.disk.sync(&file) {
                files.push(file);
                self.pages().unsynced.extend(files);
                return Err(self.unwritten(source));
            }
        }
        Ok(())
    }

    /// Begins a new page if the current one is old or large, and makes the next one ahead. Blocks
    /// on the disk.
    pub(super) fn begin_page(&self) -> Result<Option<CheckpointDue>, LedgerError> {
        let _one_at_a_time = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |source| self.unwritten(source);
        self.prepare().map_err(failed)?;
        if !self.pages().is_due(self.timeline.now()) {
            return Ok(None);
        }
        // From here on, records go to the new page. A change during the checkpoint may be on it
        // twice.
        self.pages().turn(&self.reading()).map_err(failed)?;
        Ok(Some(CheckpointDue::begun()))
    }

    /// Deletes the pages without use, once the new one repeats what matters. Blocks on the disk.
    pub(super) fn complete_page(&self, _due: CheckpointDue) -> Result<(), LedgerError> {
        let _one_at_a_time = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
        self.sync_now()?;
        let useless = self.pages().take_useless(self.timeline.now());
        useless.iter().for_each(|path| remove(path));
        self.prepare().map_err(|source| self.unwritten(source))
    }

    fn pages(&self) -> MutexGuard<'_, JournalSegments> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the first page of this process.
    fn begin(&self) -> io::Result<()> {
        self.prepare()?;
        self.pages().turn(&self.reading())?;
        self.prepare()
    }

    /// Makes the next page ahead, if there is none. Blocks on the disk.
    fn prepare(&self) -> io::Result<()> {
        let number = {
            let pages = self.pages();
            if pages.next.is_some() {
                return Ok(());
            }
            pages.number + 1
        };
        let page = Segment::create_with(&self.dir, number, &self.boot_id, &self.disk)?;
        let mut pages = self.pages();
        (pages.number, pages.next) = (number, Some(page));
        Ok(())
    }

    /// Makes the current page unwritable, like an error of the disk.
    #[cfg(test)]
    pub(super) fn break_segment(&self) {
        let mut pages = self.pages();
        if let Some(page) = &mut pages.current {
            // Opened for reading only, so that writes fail.
            page.file = File::open(&page.path).unwrap();
        }
        let _ = pages.write(&[], self.timeline.now());
    }

    fn write(&self, record: &PaceRecord) -> io::Result<()> {
        let (mut pages, reading) = (self.pages(), self.reading());
        if pages.current.is_none() {
            pages.turn(&reading)?;
        }
        pages.read(&reading)?;
        pages.write(&pace_record_codec::encode(record), reading.pace())
    }

    fn reading(&self) -> ClockReading {
        ClockReading::take(&self.clock, &self.timeline)
    }

    fn unwritten(&self, source: io::Error) -> LedgerError {
        LedgerError { path: self.dir.clone(), verb: "written", source }
    }
}

/// Records go to the page cache at once, which takes about a microsecond and outlives the process.
/// Whatever waits for the disk runs on threads that may.
#[async_trait]
impl PaceLog for Journal {
    fn append(&self, record: &PaceRecord) -> PortFuture<'static, Result<(), AppendFailed>> {
        at_once(self.write(record).map_err(|error| AppendFailed(error.into())))
    }

    async fn sync(self: Arc<Self>) -> Result<(), PaceLogUnavailable> {
        blocking(move || self.sync_now()).await
    }

    async fn begin_checkpoint(
        self: Arc<Self>,
    ) -> Result<Option<CheckpointDue>, PaceLogUnavailable> {
        blocking(move || self.begin_page()).await
    }

    async fn complete_checkpoint(
        self: Arc<Self>,
        due: CheckpointDue,
    ) -> Result<(), PaceLogUnavailable> {
        blocking(move || self.complete_page(due)).await
    }

    fn remember(&self, window: Duration) {
        self.pages().window = window;
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, PaceLogUnavailable> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| PaceLogUnavailable(error.into())),
        Err(panicked) => Err(PaceLogUnavailable(panicked.into())),
    }
}

/// The last reading of the clocks on the pages.
struct LastReading {
    reading: ClockReading,
    /// Whether the machine has not been started anew since.
    same_boot: bool,
}

/// The pacer's time now, after all records on the pages.
fn resume(last: Option<LastReading>, records: &mut [PaceRecord], clock: &Clock) -> Timestamp {
    // A version without readings wrote the time of the wall clock when its process began.
    let wall = ResumedClock { now: clock.now(), ages_unknown: false };
    let resumed = last.map_or(wall, |last| last.reading.resumed(last.same_boot, clock));
    // The clock behind this estimate may have been set back, so no record may be later than now.
    let now = records.iter().filter_map(written_at).fold(resumed.now, Timestamp::max);
    if resumed.ages_unknown {
        for record in records {
            if let PaceRecord::AttemptEnded { at, .. } = record {
                *at = now;
            }
        }
    }
    now
}

/// The time at which a record was written, if it has one.
const fn written_at(record: &PaceRecord) -> Option<Timestamp> {
    match record {
        PaceRecord::AttemptStarted { at, .. }
        | PaceRecord::AttemptEnded { at, .. }
        | PaceRecord::HoldStarted { at, .. }
        | PaceRecord::HoldEnded { at, .. }
        | PaceRecord::OutageStarted { at, .. }
        | PaceRecord::OutageEnded { at, .. }
        | PaceRecord::HealthChanged { at, .. } => Some(*at),
        PaceRecord::SegmentStart
        | PaceRecord::Checkpoint
        | PaceRecord::SlotReserved { .. }
        | PaceRecord::QuotaUsed { .. } => None,
    }
}

/// No method here waits for a sync of the disk.
impl JournalSegments {
    fn is_due(&self, now: Timestamp) -> bool {
        let large = self.current.as_ref().is_none_or(|page| page.bytes > PAGE_BYTES_MAX);
        large || now.since(self.began) > self.window
    }

    /// Continues on the page made ahead.
    fn turn(&mut self, reading: &ClockReading) -> io::Result<()> {
        let page = self
            .next
            .take()
            .ok_or_else(|| io::Error::other("the journal has no page to write on"))?;
        if let Some(full) = self.current.replace(page) {
            self.set_aside(full, reading.pace());
        }
        self.began = reading.pace();
        self.write_reading(reading)
    }

    /// Closes a page: from now on only a start reads it.
    fn set_aside(&mut self, page: Segment, now: Timestamp) {
        if page.is_dirty() {
            self.unsynced.push(page.file);
        }
        self.old.push(ClosedPage { path: page.path, closed_at: now });
    }

    /// Takes the files with writes that are not synced.
    fn take_unsynced(&mut self, reading: &ClockReading) -> io::Result<Vec<File>> {
        self.read(reading)?;
        if let Some(page) = self.current.as_ref().filter(|page| page.is_dirty()) {
            self.unsynced.push(page.handle()?);
        }
        Ok(mem::take(&mut self.unsynced))
    }

    /// Writes a reading of the clocks if the wall clock was corrected.
    fn read(&mut self, reading: &ClockReading) -> io::Result<()> {
        if reading.is_corrected(&self.read) && self.current.is_some() {
            self.write_reading(reading)
        } else {
            Ok(())
        }
    }

    fn write_reading(&mut self, reading: &ClockReading) -> io::Result<()> {
        self.write(&reading.encode(), reading.pace())?;
        self.read = *reading;
        Ok(())
    }

    fn write(&mut self, payload: &[u8], now: Timestamp) -> io::Result<()> {
        let Some(page) = &mut self.current else {
            return Err(io::Error::other("the journal has no open page"));
        };
        let written = page.append_unsynced(payload);
        if written.is_err()
            && let Some(broken) = self.current.take()
        {
            // The page may end in a partial record now, and a reader stops there.
            self.set_aside(broken, now);
        }
        written
    }

    /// Takes the pages older than the window. A later page repeats the records of them that still
    /// matter.
    fn take_useless(&mut self, now: Timestamp) -> Vec<PathBuf> {
        let (window, mut useless) = (self.window, Vec::new());
        self.old.retain(|ClosedPage { path, closed_at }| {
            let matters = now.since(*closed_at) <= window;
            if !matters {
                useless.push(path.clone());
            }
            matters
        });
        useless
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                path = %path.display(),
                "an old page of the journal stays on the disk"
            );
        }
        _ => (),
    }
}
