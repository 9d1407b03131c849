//! The journal: what the pace has to know after the process has died at any moment. Pages of check-summed notes.
//!
//! A note is written to the file before what it is about happens, so it survives the end of the process; it is synced with the next group
//! commit, so that it survives the end of the machine no later than what it led to is acked. Old pages are deleted once what still matters of
//! them is on a new one.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    error::LedgerError,
    note,
    readings::{Reading, Resumed},
    segment::{self, Segment},
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
    clock: Clock,
    timeline: Timeline,
    pages: Mutex<Pages>,
}

struct Pages {
    window: Duration,
    /// What the clocks showed when that was last written.
    read: Reading,
    number: u64,
    current: Option<Segment>,
    began: Moment,
    /// Pages that are only read at the next start, the oldest first, with the time of the page after them.
    old: Vec<(PathBuf, Moment)>,
}

impl Journal {
    /// Opens the journal, or begins one. Blocks on the disk.
    pub fn open(settings: JournalSettings, clock: Clock) -> Result<(Self, Recalled), LedgerError> {
        let failed = |source| LedgerError { path: settings.dir.clone(), verb: "opened", source };
        fs::create_dir_all(&settings.dir).map_err(failed)?;
        let (mut notes, mut paths, mut number) = (Vec::new(), Vec::new(), 0);
        let (mut same_boot, mut last) = (false, None);
        let boot_id = clock.boot_id();
        for found in segment::find(&settings.dir).map_err(failed)? {
            let bytes = fs::read(&found.path).map_err(failed)?;
            let mut frames = segment::read(&bytes).into_iter();
            same_boot = frames.next().is_some_and(|first| !first.is_empty() && first == boot_id);
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
        let pages = Pages { window: settings.window, read, number, current: None, began: now, old };
        let journal = Self { dir: settings.dir, clock, timeline: timeline.clone(), pages: Mutex::new(pages) };
        journal.begin().map_err(|source| journal.unwritten(source))?;
        Ok((journal, Recalled { notes, complete: same_boot, timeline }))
    }

    /// Makes everything noted so far survive the end of the machine. Blocks on the disk.
    pub fn sync(&self) -> Result<(), LedgerError> {
        // The lock is not held while the disk works: notes are written by the async threads.
        let file = {
            let mut pages = self.pages();
            pages.read(&self.reading()).map_err(|source| self.unwritten(source))?;
            match &pages.current {
                Some(page) if page.is_dirty() => page.handle(),
                _ => return Ok(()),
            }
        };
        file.and_then(|file| file.sync_data()).map_err(|source| self.unwritten(source))
    }

    /// Begins a new page if the current one is old or large, has what still matters noted there, and deletes the pages that are of no
    /// use any more. Blocks on the disk.
    pub fn turn_page(&self, restate: impl FnOnce() -> Result<(), NotNoted>) -> Result<(), LedgerError> {
        let now = self.timeline.now();
        let due = {
            let pages = self.pages();
            let large = pages.current.as_ref().is_none_or(|page| page.bytes > PAGE_BYTES_MAX);
            large || now.since(pages.began) > pages.window
        };
        if !due {
            return Ok(());
        }
        let failed = |source| self.unwritten(source);
        self.begin().map_err(failed)?;
        // From here on notes go to the new page: what happens meanwhile is on it, perhaps twice.
        restate().map_err(|NotNoted(source)| failed(source))?;
        self.sync()?;
        self.pages().drop_old(now);
        Ok(())
    }

    /// Remembers for so long from now on.
    pub fn remember(&self, window: Duration) {
        self.pages().window = window;
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> io::Result<()> {
        self.pages().begin(&self.dir, &self.clock, &self.reading())
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
            pages.begin(&self.dir, &self.clock, &reading).map_err(NotNoted)?;
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

impl Pages {
    fn begin(&mut self, dir: &Path, clock: &Clock, reading: &Reading) -> io::Result<()> {
        let page = Segment::create(dir, self.number + 1, &clock.boot_id())?;
        if let Some(full) = self.current.replace(page) {
            self.old.push((full.path, reading.pace()));
        }
        self.number += 1;
        self.began = reading.pace();
        self.write_reading(reading)
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
            self.old.push((broken.path, now));
        }
        written
    }

    fn drop_old(&mut self, now: Moment) {
        let window = self.window;
        self.old.retain(|(path, until)| {
            if now.since(*until) <= window {
                return true;
            }
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(error = &error as &dyn std::error::Error, path = %path.display(), "an old page of the journal stays on the disk");
                }
                _ => (),
            }
            false
        });
    }
}
