//! Output that is collected first and printed afterwards.
//!
//! Owns that a slow reader (`| less`) does not hold dead letters: the queues are free before
//! printing starts.
//!
//! Not here: printing of single lines (`screen.rs`).

use std::{
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    ops::Range,
};

use serde::Serialize;
use tempfile::SpooledTempFile;

use super::output::json;

/// In bytes. Larger output goes to an unnamed temporary file.
const MEMORY: usize = 16 * 1024 * 1024;

/// Lines that wait to be printed.
pub(super) struct Spool {
    lines: BufWriter<SpooledTempFile>,
    length: u64,
    failed: Option<io::Error>,
}

impl Spool {
    pub(super) fn new() -> Self {
        Self { lines: BufWriter::new(SpooledTempFile::new(MEMORY)), length: 0, failed: None }
    }

    /// Appends one JSON object as a line, and returns its position. After an
    /// error nothing more is written.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Range<u64> {
        let begin = self.length;
        if self.failed.is_none() {
            let line = json(value).map_err(io::Error::from);
            let written = line
                .and_then(|line| writeln!(self.lines, "{line}").map(|()| line.len() as u64 + 1));
            match written {
                Ok(bytes) => self.length += bytes,
                Err(error) => self.failed = Some(error),
            }
        }
        begin..self.length
    }

    /// Prints all lines.
    ///
    /// # Errors
    ///
    /// If a line could not be written or printed.
    pub(super) fn show(self) -> io::Result<()> {
        let all = 0..self.length;
        self.show_lines([all])
    }

    /// Prints these lines in this order.
    ///
    /// # Errors
    ///
    /// If a line could not be written or printed.
    pub(super) fn show_lines(self, lines: impl IntoIterator<Item = Range<u64>>) -> io::Result<()> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut file = self.lines.into_inner().map_err(io::IntoInnerError::into_error)?;
        let mut out = BufWriter::new(io::stdout().lock());
        for line in lines {
            file.seek(SeekFrom::Start(line.start))?;
            io::copy(&mut (&mut file).take(line.end - line.start), &mut out)?;
        }
        out.flush()
    }
}
