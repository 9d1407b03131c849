//! Output that is written down first and shown afterwards, so that a reader who takes his time (`| less`) holds up nobody but himself.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use serde::Serialize;
use tempfile::SpooledTempFile;

/// So much is kept in memory; more goes to a file without a name.
const MEMORY: usize = 16 * 1024 * 1024;

/// Lines that wait to be shown.
pub(super) struct Spool {
    lines: BufWriter<SpooledTempFile>,
    failed: Option<io::Error>,
}

impl Spool {
    pub(super) fn new() -> Self {
        Self { lines: BufWriter::new(SpooledTempFile::new(MEMORY)), failed: None }
    }

    /// Writes one JSON object down, on a line of its own. After a failure nothing more is written.
    pub(super) fn json(&mut self, value: &impl Serialize) {
        if self.failed.is_none() {
            let written = serde_json::to_writer(&mut self.lines, value).map_err(io::Error::from);
            self.failed = written.and_then(|()| self.lines.write_all(b"\n")).err();
        }
    }

    /// Shows everything that was written down; an error is about whatever could not be written, or shown.
    pub(super) fn show(self) -> io::Result<()> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut file = self.lines.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        let mut out = io::stdout().lock();
        io::copy(&mut file, &mut out)?;
        out.flush()
    }
}
