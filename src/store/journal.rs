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
    segment::{self, Segment},
};
use crate::{
    domain::Moment,
    pace::{NotNoted, Note, Notebook},
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
}

/// The open journal.
pub struct Journal {
    dir: PathBuf,
    pages: Mutex<Pages>,
}

struct Pages {
    window: Duration,
    number: u64,
    current: Option<Segment>,
    began: Moment,
    /// Pages that are only read at the next start, the oldest first, with the time of the page after them.
    old: Vec<(PathBuf, Moment)>,
}

impl Journal {
    /// Opens the journal, or begins one. Blocks on the disk.
    pub fn open(settings: JournalSettings, now: Moment) -> Result<(Self, Recalled), LedgerError> {
        let failed = |source| LedgerError { path: settings.dir.clone(), verb: "opened", source };
        fs::create_dir_all(&settings.dir).map_err(failed)?;
        let (mut notes, mut old, mut number, mut boot) = (Vec::new(), Vec::new(), 0, Vec::new());
        for found in segment::find(&settings.dir).map_err(failed)? {
            let bytes = fs::read(&found.path).map_err(failed)?;
            let mut frames = segment::read(&bytes).into_iter();
            boot = frames.next().unwrap_or_default().to_vec();
            notes.push(Note::Page);
            notes.extend(frames.filter_map(note::decode));
            old.push((found.path, now));
            number = found.number;
        }
        let complete = !boot.is_empty() && boot == boot_id();
        let pages = Pages { window: settings.window, number, current: None, began: now, old };
        let journal = Self { dir: settings.dir, pages: Mutex::new(pages) };
        journal.pages().begin(&journal.dir, now).map_err(|source| journal.unwritten(source))?;
        Ok((journal, Recalled { notes, complete }))
    }

    /// Makes everything noted so far survive the end of the machine. Blocks on the disk.
    pub fn sync(&self) -> Result<(), LedgerError> {
        // The lock is not held while the disk works: notes are written by the async threads.
        let file = match &self.pages().current {
            Some(page) if page.is_dirty() => page.handle(),
            _ => return Ok(()),
        };
        file.and_then(|file| file.sync_data()).map_err(|source| self.unwritten(source))
    }

    /// Begins a new page if the current one is old or large, has what still matters noted there, and deletes the pages that are of no
    /// use any more. Blocks on the disk.
    pub fn turn_page(&self, now: Moment, restate: impl FnOnce() -> Result<(), NotNoted>) -> Result<(), LedgerError> {
        let due = {
            let pages = self.pages();
            let large = pages.current.as_ref().is_none_or(|page| page.bytes > PAGE_BYTES_MAX);
            large || now.since(pages.began) > pages.window
        };
        if !due {
            return Ok(());
        }
        let failed = |source| self.unwritten(source);
        self.pages().begin(&self.dir, now).map_err(failed)?;
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

    fn unwritten(&self, source: io::Error) -> LedgerError {
        LedgerError { path: self.dir.clone(), verb: "written", source }
    }
}

impl Notebook for Journal {
    fn note(&self, note: &Note) -> Result<(), NotNoted> {
        let mut pages = self.pages();
        let began = pages.began;
        pages.write(&self.dir, note, began).map_err(NotNoted)
    }
}

impl Pages {
    fn begin(&mut self, dir: &Path, now: Moment) -> io::Result<()> {
        let page = Segment::create(dir, self.number + 1, &boot_id())?;
        if let Some(full) = self.current.replace(page) {
            self.old.push((full.path, now));
        }
        self.number += 1;
        self.began = now;
        Ok(())
    }

    fn write(&mut self, dir: &Path, note: &Note, now: Moment) -> io::Result<()> {
        if self.current.is_none() {
            self.begin(dir, now)?;
        }
        let Some(page) = &mut self.current else {
            return Err(io::Error::other("the journal has no open page"));
        };
        let written = page.append_unsynced(&note::encode(note));
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

/// Which run of the machine this is. What was written and not synced in an earlier one may be missing.
fn boot_id() -> Vec<u8> {
    fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Platform, RobotId};

    const T0: Moment = Moment::from_unix_millis(1_700_000_000_000);

    fn settings(dir: &Path) -> JournalSettings {
        JournalSettings { dir: dir.join("journal"), window: Duration::from_secs(100) }
    }

    fn begun(robot: u8) -> Note {
        Note::Begun { robot: RobotId::from_bytes([robot; 16]), platform: Platform::WeCom, at: T0 }
    }

    fn at(seconds: u64) -> Moment {
        T0.after(Duration::from_secs(seconds))
    }

    #[test]
    fn notes_are_there_after_a_process_that_never_synced_them() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, recalled) = Journal::open(settings(dir.path()), T0).unwrap();
        assert!(recalled.notes.is_empty() && !recalled.complete, "who has no journal knows nothing for certain");
        journal.note(&begun(1)).unwrap();
        journal.note(&begun(2)).unwrap();
        let (_, recalled) = Journal::open(settings(dir.path()), T0).unwrap();
        assert_eq!(recalled.notes, [Note::Page, begun(1), begun(2)]);
        assert!(recalled.complete);
    }

    #[test]
    fn a_note_cut_short_hides_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(settings(dir.path()), T0).unwrap();
        journal.note(&begun(1)).unwrap();
        journal.note(&begun(2)).unwrap();
        let last = segment::find(&settings(dir.path()).dir).unwrap().pop().unwrap();
        let bytes = fs::read(&last.path).unwrap();
        fs::write(&last.path, &bytes[..bytes.len() - 1]).unwrap();
        let (journal, recalled) = Journal::open(settings(dir.path()), T0).unwrap();
        assert_eq!(recalled.notes, [Note::Page, begun(1)]);
        journal.note(&begun(3)).unwrap();
        let (_, recalled) = Journal::open(settings(dir.path()), T0).unwrap();
        assert_eq!(recalled.notes, [Note::Page, begun(1), Note::Page, begun(3)]);
    }

    #[test]
    fn old_pages_are_deleted_only_when_what_matters_of_them_is_on_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(settings(dir.path()), T0).unwrap();
        journal.note(&begun(1)).unwrap();
        journal.turn_page(at(50), || panic!("the page is not old")).unwrap();
        let restate = || journal.note(&begun(7)).and_then(|()| journal.note(&Note::Restated));
        journal.turn_page(at(101), restate).unwrap();
        assert_eq!(segment::find(&settings(dir.path()).dir).unwrap().len(), 2);
        let failing = || Err(NotNoted(io::Error::other("no room")));
        assert!(journal.turn_page(at(202), failing).is_err());
        assert_eq!(
            segment::find(&settings(dir.path()).dir).unwrap().len(),
            3,
            "nothing is deleted that was not restated"
        );
        journal.turn_page(at(303), restate).unwrap();
        journal.note(&begun(8)).unwrap();
        assert_eq!(segment::find(&settings(dir.path()).dir).unwrap().len(), 2);
        let (_, recalled) = Journal::open(settings(dir.path()), at(304)).unwrap();
        assert_eq!(recalled.notes, [Note::Page, Note::Page, begun(7), Note::Restated, begun(8)]);
    }

    #[test]
    fn a_journal_that_cannot_be_written_says_so_and_goes_on_when_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(settings(dir.path()), T0).unwrap();
        let (folder, aside) = (settings(dir.path()).dir, dir.path().join("aside"));
        fs::rename(&folder, &aside).unwrap();
        assert!(journal.turn_page(at(101), || Ok(())).is_err());
        fs::rename(&aside, &folder).unwrap();
        journal.note(&begun(1)).unwrap();
        journal.turn_page(at(102), || Ok(())).unwrap();
        let (_, recalled) = Journal::open(settings(dir.path()), at(103)).unwrap();
        assert!(recalled.notes.contains(&begun(1)));
    }
}
