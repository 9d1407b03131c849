//! The pages of the journal: the one that is written, the one made ahead, and the old ones.
//!
//! Owns which page a record goes to, and when a page is full or useless. No method here waits for a
//! sync of the disk.
//!
//! Not here: the locks, the syncs and the recovery (`journal.rs`), the frames (`segment.rs`).

use std::{fs::File, io, mem, path::PathBuf, time::Duration};

use super::{clock_readings::ClockReading, segment::Segment};
use crate::domain::Timestamp;

/// A page larger than this is followed by a new one.
const PAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A page to which nothing is written any more.
struct ClosedPage {
    path: PathBuf,
    closed_at: Timestamp,
}

/// The open pages and the old ones.
pub(super) struct JournalSegments {
    pub(super) window: Duration,
    /// The last reading of the clocks that was written.
    read: ClockReading,
    /// The number of the newest page, including the one made ahead.
    pub(super) number: u64,
    pub(super) current: Option<Segment>,
    /// The page made ahead: empty, and durable already.
    pub(super) next: Option<Segment>,
    began: Timestamp,
    /// Files of earlier pages that the next commit must sync.
    pub(super) unsynced: Vec<File>,
    /// Pages that only a start reads, the oldest first.
    old: Vec<ClosedPage>,
}

impl JournalSegments {
    pub(super) fn new(
        window: Duration,
        read: ClockReading,
        number: u64,
        old: Vec<PathBuf>,
    ) -> Self {
        let began = read.pace();
        let old = old.into_iter().map(|path| ClosedPage { path, closed_at: began }).collect();
        let unsynced = Vec::new();
        Self { window, read, number, current: None, next: None, began, unsynced, old }
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let large = self.current.as_ref().is_none_or(|page| page.bytes > PAGE_BYTES_MAX);
        large || now.since(self.began) > self.window
    }

    /// Continues on the page made ahead.
    pub(super) fn turn(&mut self, reading: &ClockReading) -> io::Result<()> {
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
    pub(super) fn take_unsynced(&mut self, reading: &ClockReading) -> io::Result<Vec<File>> {
        self.read(reading)?;
        if let Some(page) = self.current.as_ref().filter(|page| page.is_dirty()) {
            self.unsynced.push(page.handle()?);
        }
        Ok(mem::take(&mut self.unsynced))
    }

    /// Writes a reading of the clocks if the wall clock was corrected.
    pub(super) fn read(&mut self, reading: &ClockReading) -> io::Result<()> {
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

    pub(super) fn write(&mut self, payload: &[u8], now: Timestamp) -> io::Result<()> {
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
    pub(super) fn take_useless(&mut self, now: Timestamp) -> Vec<PathBuf> {
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
