//! The journal: what the pace has to know after the process has died at any moment. Pages of check-summed notes.
//!
//! A note is written to the file before what it is about happens, so it survives the end of the process; it is synced with the next group
//! commit, so that it survives the end of the machine no later than what it led to is acked. Old pages are deleted once what still matters of
//! them is on a new one.

use std::{
    fs::{self, File},
    io, mem,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    error::LedgerError,
    note,
    readings::{Reading, Resumed},
    segment::{self, FileSync, Segment},
};
use crate::{
    clock::Clock,
    domain::Moment,
    pace::{NotNoted, Note, Notebook, Timeline},
};

/// A page larger than this is followed by a new one.
const PAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How the journal is kept.
#[derive(Clone, Debug)]
pub struct JournalSettings {
    /// Its folder.
    pub dir: PathBuf,
    /// For how long at least it is remembered what a robot was sent.
    pub window: Duration,
}

/// What was found when the journal was opened.
pub struct Recalled {
    /// Every note there is, in the order of writing.
    pub notes: Vec<Note>,
    /// Whether nothing can be missing: the machine has been running ever since the last page was begun.
    pub complete: bool,
    /// The pace's time, going on where the notes end.
    pub timeline: Timeline,
}

/// The open journal.
pub struct Journal {
    dir: PathBuf,
    boot_id: Vec<u8>,
    clock: Clock,
    timeline: Timeline,
    disk: FileSync,
    /// Taken by async threads for each note: whoever has it never waits for the disk to sync.
    pages: Mutex<Pages>,
    /// Held while files are synced, so that what another began to sync is durable for all who ask.
    syncing: Mutex<()>,
    /// Held while a page is made or turned.
    turning: Mutex<()>,
}

struct Pages {
    window: Duration,
    /// What the clocks showed when that was last written.
    read: Reading,
    /// The number of the last page that was made.
    number: u64,
    current: Option<Segment>,
    /// Durable already, and empty.
    next: Option<Segment>,
    began: Moment,
    /// Of pages that were turned: what has to be synced with the next commit.
    unsynced: Vec<File>,
    /// Pages that are only read at the next start, the oldest first, with the time of the page after them.
    old: Vec<(PathBuf, Moment)>,
}

impl Journal {
    /// Opens the journal, or begins one. Blocks on the disk.
    pub fn open(settings: JournalSettings, clock: Clock) -> Result<(Self, Recalled), LedgerError> {
        Self::open_on(FileSync::default(), settings, clock)
    }

    /// The same, on a disk of the caller's.
    pub(super) fn open_on(
        disk: FileSync,
        settings: JournalSettings,
        clock: Clock,
    ) -> Result<(Self, Recalled), LedgerError> {
        let failed = |source| LedgerError { path: settings.dir.clone(), verb: "opened", source };
        fs::create_dir_all(&settings.dir).map_err(failed)?;
        let (mut notes, mut paths, mut number) = (Vec::new(), Vec::new(), 0);
        let (mut same_boot, mut last) = (false, None);
        let boot_id = clock.boot_id();
        for found in segment::find(&settings.dir).map_err(failed)? {
            let bytes = fs::read(&found.path).map_err(failed)?;
            let mut frames = segment::read(&bytes).into_iter();
            let first = frames.next();
            if !segment::is_unused(&bytes, &boot_id) {
                same_boot = first.is_some_and(|first| !first.is_empty() && first == boot_id);
            }
            notes.push(Note::Page);
            for frame in frames {
                match Reading::decode(frame) {
                    Some(reading) => last = Some((same_boot, reading)),
                    None => notes.extend(note::decode(frame)),
                }
            }
            paths.push(found.path);
            number = found.number;
        }
        let timeline = Timeline::from(clock.clone(), resume(last, &mut notes, &clock));
        let (now, read) = (timeline.now(), Reading::take(&clock, &timeline));
        let old = paths.into_iter().map(|path| (path, now)).collect();
        let pages = Pages {
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
        Ok((journal, Recalled { notes, complete: same_boot, timeline }))
    }

    /// Makes everything noted so far survive the end of the machine. Blocks on the disk.
    pub fn sync(&self) -> Result<(), LedgerError> {
        let _one_at_a_time = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = self.pages().take_unsynced(&self.reading()).map_err(|source| self.unwritten(source))?;
        while let Some(file) = files.pop() {
            if let Err(source) = self.disk.sync(&file) {
                files.push(file);
                self.pages().unsynced.extend(files);
                return Err(self.unwritten(source));
            }
        }
        Ok(())
    }

    /// Begins a new page if the current one is old or large, has what still matters noted there, and deletes the pages that are of no
    /// use any more. Blocks on the disk. Called every few seconds: it makes the next page ahead.
    pub fn turn_page(&self, restate: impl FnOnce() -> Result<(), NotNoted>) -> Result<(), LedgerError> {
        let _one_at_a_time = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |source| self.unwritten(source);
        self.prepare().map_err(failed)?;
        if !self.pages().is_due(self.timeline.now()) {
            return Ok(());
        }
        self.pages().turn(&self.reading()).map_err(failed)?;
        // From here on notes go to the new page: what happens meanwhile is on it, perhaps twice.
        restate().map_err(|NotNoted(source)| failed(source))?;
        self.sync()?;
        let useless = self.pages().take_useless(self.timeline.now());
        useless.iter().for_each(|path| remove(path));
        self.prepare().map_err(failed)
    }

    /// Remembers for so long from now on.
    pub fn remember(&self, window: Duration) {
        self.pages().window = window;
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the first page of this process.
    fn begin(&self) -> io::Result<()> {
        self.prepare()?;
        self.pages().turn(&self.reading())?;
        self.prepare()
    }

    /// Makes the next page, if there is none. Blocks on the disk.
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

    /// The current page cannot be written on any more, as after an error of the disk.
    #[cfg(test)]
    pub(super) fn break_page(&self) {
        let mut pages = self.pages();
        if let Some(page) = &mut pages.current {
            // For reading only.
            page.file = File::open(&page.path).unwrap();
        }
        let _ = pages.write(&[], self.timeline.now());
    }

    fn reading(&self) -> Reading {
        Reading::take(&self.clock, &self.timeline)
    }

    fn unwritten(&self, source: io::Error) -> LedgerError {
        LedgerError { path: self.dir.clone(), verb: "written", source }
    }
}

impl Notebook for Journal {
    fn note(&self, note: &Note) -> Result<(), NotNoted> {
        let (mut pages, reading) = (self.pages(), self.reading());
        if pages.current.is_none() {
            pages.turn(&reading).map_err(NotNoted)?;
        }
        pages.read(&reading).and_then(|()| pages.write(&note::encode(note), reading.pace())).map_err(NotNoted)
    }
}

/// What time it is for the pace, after everything that is on the pages.
fn resume(last: Option<(bool, Reading)>, notes: &mut [Note], clock: &Clock) -> Moment {
    // A version that knew no readings wrote the wall clock's time as it was when its process began.
    let wall = Resumed { now: clock.now(), ages_unknown: false };
    let resumed = last.map_or(wall, |(same_boot, reading)| reading.resumed(same_boot, clock));
    // The clock with which that is reckoned may have been set back.
    let now = notes.iter().filter_map(written_at).fold(resumed.now, Moment::max);
    if resumed.ages_unknown {
        for note in notes {
            if let Note::Answered { at, .. } = note {
                *at = now;
            }
        }
    }
    now
}

/// When a note was written, if it says so.
const fn written_at(note: &Note) -> Option<Moment> {
    match note {
        Note::Begun { at, .. } | Note::Answered { at, .. } | Note::Held { at, .. } | Note::Lifted { at, .. } => {
            Some(*at)
        }
        Note::Page | Note::Restated | Note::Booked { .. } | Note::Spent { .. } => None,
    }
}

/// Nothing here waits for the disk to sync.
impl Pages {
    fn is_due(&self, now: Moment) -> bool {
        let large = self.current.as_ref().is_none_or(|page| page.bytes > PAGE_BYTES_MAX);
        large || now.since(self.began) > self.window
    }

    /// Goes on with the next page.
    fn turn(&mut self, reading: &Reading) -> io::Result<()> {
        let page = self.next.take().ok_or_else(|| io::Error::other("the journal has no page to write on"))?;
        if let Some(full) = self.current.replace(page) {
            self.set_aside(full, reading.pace());
        }
        self.began = reading.pace();
        self.write_reading(reading)
    }

    /// The page is only read from now on.
    fn set_aside(&mut self, page: Segment, now: Moment) {
        if page.is_dirty() {
            self.unsynced.push(page.file);
        }
        self.old.push((page.path, now));
    }

    /// The files that hold what was written and not synced yet.
    fn take_unsynced(&mut self, reading: &Reading) -> io::Result<Vec<File>> {
        self.read(reading)?;
        if let Some(page) = self.current.as_ref().filter(|page| page.is_dirty()) {
            self.unsynced.push(page.handle()?);
        }
        Ok(mem::take(&mut self.unsynced))
    }

    /// Writes down what the clocks show if the wall clock was corrected.
    fn read(&mut self, reading: &Reading) -> io::Result<()> {
        if reading.is_corrected(&self.read) && self.current.is_some() { self.write_reading(reading) } else { Ok(()) }
    }

    fn write_reading(&mut self, reading: &Reading) -> io::Result<()> {
        self.write(&reading.encode(), reading.pace())?;
        self.read = *reading;
        Ok(())
    }

    fn write(&mut self, payload: &[u8], now: Moment) -> io::Result<()> {
        let Some(page) = &mut self.current else {
            return Err(io::Error::other("the journal has no open page"));
        };
        let written = page.append_unsynced(payload);
        if written.is_err()
            && let Some(broken) = self.current.take()
        {
            // It may end in half a note now, behind which nothing would be read.
            self.set_aside(broken, now);
        }
        written
    }

    /// The pages that are older than the window: what still matters of them is on a later one.
    fn take_useless(&mut self, now: Moment) -> Vec<PathBuf> {
        let (window, mut useless) = (self.window, Vec::new());
        self.old.retain(|(path, until)| {
            let matters = now.since(*until) <= window;
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
            tracing::warn!(error = &error as &dyn std::error::Error, path = %path.display(), "an old page of the journal stays on the disk");
        }
        _ => (),
    }
}
