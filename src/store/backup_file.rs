//! One file of a backup: 16 bytes that name its kind, then frames with a checksum each.
//!
//! Owns the form of a frame, and that a damaged one is not taken for content.
//!
//! Not here: which files there are, and what the frames contain (`backup.rs`).

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Upper bound of a frame, in bytes. Name, keyword and mentions of a row arrive in one request of
/// at most 64 KiB. A template has at most 256 KiB.
const FRAME_BYTES_MAX: usize = 320 * 1024;

pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

pub(super) fn begin(path: &Path, magic: &[u8; 16]) -> io::Result<BufWriter<File>> {
    let mut writer = BufWriter::with_capacity(1 << 20, create(path)?);
    writer.write_all(magic)?;
    Ok(writer)
}

pub(super) fn end(writer: BufWriter<File>) -> io::Result<()> {
    writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// A frame on the disk: length 4 bytes · CRC 4 bytes · content.
pub(super) fn frame(writer: &mut impl Write, content: &[u8]) -> io::Result<()> {
    let length = u32::try_from(content.len()).map_err(io::Error::other)?;
    writer.write_all(&length.to_be_bytes())?;
    writer.write_all(&crc32fast::hash(content).to_be_bytes())?;
    writer.write_all(content)
}

/// The frames of a file, from the first to the last.
pub(super) struct Frames {
    reader: BufReader<File>,
}

impl Frames {
    pub(super) fn open(path: &Path, magic: &[u8; 16]) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut found = [0; 16];
        reader.read_exact(&mut found)?;
        if found != *magic {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it does not begin as such a file does",
            ));
        }
        Ok(Self { reader })
    }

    /// The next content, or `None` at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
        let mut head = [0; 8];
        match self.reader.read(&mut head)? {
            0 => return Ok(None),
            read => self.reader.read_exact(head.get_mut(read..).unwrap_or_default())?,
        }
        let (length, check) = head.split_first_chunk::<4>().ok_or_else(broken)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(io::Error::other)?;
        if length > FRAME_BYTES_MAX {
            return Err(broken());
        }
        let mut content = vec![0; length];
        self.reader.read_exact(&mut content)?;
        if crc32fast::hash(&content).to_be_bytes() == check {
            Ok(Some(content))
        } else {
            Err(broken())
        }
    }
}
