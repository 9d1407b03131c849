//! A file of the ledger or the journal: frames with a check sum.
//!
//! Owns the format: a magic number of 16 bytes, then for each frame length 4 · CRC 4 · payload. A
//! reader stops at the first frame that is not whole.
//!
//! Not here: the content of a frame (`ledger_entry.rs`, `pace_record_codec.rs`), when a file is
//! replaced (`ledger.rs`, `journal.rs`).

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

const MAGIC: &[u8; 16] = b"roomcast ledger1";
/// Length and check sum, in bytes.
const FRAME_HEAD: usize = 8;

type SyncFn = dyn Fn(&File) -> io::Result<()> + Send + Sync;

/// Syncs files and folders. Tests replace it to simulate slow and broken disks.
#[derive(Clone)]
pub(super) struct FileSync(Arc<SyncFn>);

impl FileSync {
    #[cfg(test)]
    pub(super) fn from(sync: impl Fn(&File) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(sync))
    }

    /// Makes a file durable. Blocks on the disk.
    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
        (self.0)(file)
    }
}

impl Default for FileSync {
    fn default() -> Self {
        Self(Arc::new(File::sync_all))
    }
}

/// A segment open for writing.
pub(super) struct Segment {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Whether the file has writes since the last handle for a sync was taken.
    dirty: AtomicBool,
}

impl Segment {
    /// Creates the segment of that number; durable with its first frame when it returns. Blocks on
    /// the disk.
    pub(super) fn create(dir: &Path, number: u64, first: &[u8]) -> io::Result<Self> {
        Self::create_with(dir, number, first, &FileSync::default())
    }

    /// The same, with the caller's implementation of syncing.
    pub(super) fn create_with(
        dir: &Path,
        number: u64,
        first: &[u8],
        sync: &FileSync,
    ) -> io::Result<Self> {
        let path = dir.join(format!("{number:016}.ledger"));
        let file =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path)?;
        let mut segment = Self { file, path, bytes: 0, dirty: AtomicBool::new(false) };
        segment.write(MAGIC)?;
        segment.append_unsynced(first)?;
        sync.sync(&segment.handle()?)?;
        sync.sync(&File::open(dir)?)?;
        Ok(segment)
    }

    /// Appends a frame; durable when it returns. After an error the file may end in a partial
    /// frame, so no further frame may be appended.
    pub(super) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        self.append_unsynced(payload)?;
        self.file.sync_data()
    }

    /// Appends a frame that survives the process, but the machine only after a sync. After an error
    /// no further frame may be appended.
    pub(super) fn append_unsynced(&mut self, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
        let check = crc32fast::hash(payload);
        self.dirty.store(true, Ordering::Release);
        self.write(&[&length.to_be_bytes(), &check.to_be_bytes(), payload].concat())
    }

    /// Whether the file has unsynced writes.
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    /// A handle for a sync. Later writes need another one.
    pub(super) fn handle(&self) -> io::Result<File> {
        let file = self.file.try_clone()?;
        self.dirty.store(false, Ordering::Release);
        Ok(file)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// A segment from an earlier process.
pub(super) struct SegmentFile {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// The segments in `dir`, the oldest first.
pub(super) fn find(dir: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut found = Vec::new();
    for entry in dir.read_dir()? {
        let entry = entry?;
        let path = entry.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(number) = name.and_then(|name| name.strip_suffix(".ledger")?.parse().ok()) {
            found.push(SegmentFile { number, bytes: entry.metadata()?.len(), path });
        }
    }
    found.sort_by_key(|one| one.number);
    Ok(found)
}

/// Whether a segment is too short for its first frame: it was created and never used.
pub(super) const fn is_unused(bytes: &[u8], first: &[u8]) -> bool {
    bytes.len() < MAGIC.len() + FRAME_HEAD + first.len()
}

/// Reads the payloads up to the first frame that is not whole. A crash interrupted that write, so
/// no action ever depended on it.
pub(super) fn read(bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return frames;
    };
    while let Some((payload, after)) = frame(rest) {
        frames.push(payload);
        rest = after;
    }
    frames
}

fn frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<FRAME_HEAD>()?;
    let (length, check) = head.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (payload, after) = rest.split_at_checked(length)?;
    let check = u32::from_be_bytes(check.try_into().ok()?);
    (crc32fast::hash(payload) == check).then_some((payload, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_cut_anywhere_gives_the_whole_frames_before_the_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut segment = Segment::create(dir.path(), 7, b"first").unwrap();
        let mut ends = vec![segment.bytes];
        for payload in [&b"second"[..], b"", b"fourth"] {
            segment.append(payload).unwrap();
            ends.push(segment.bytes);
        }
        let bytes = std::fs::read(&segment.path).unwrap();
        for cut in 0..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut as u64).count();
            assert_eq!(read(&bytes[..cut]).len(), whole, "cut at {cut}");
        }
        assert_eq!(read(&bytes), [&b"first"[..], b"second", b"", b"fourth"]);
        assert_eq!(find(dir.path()).unwrap()[0].number, 7);
    }

    #[test]
    fn a_changed_byte_ends_the_reading() {
        let dir = tempfile::tempdir().unwrap();
        let mut segment = Segment::create(dir.path(), 1, b"first").unwrap();
        segment.append(b"second").unwrap();
        let mut bytes = std::fs::read(&segment.path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert_eq!(read(&bytes), [b"first"]);
        assert!(read(b"something else").is_empty());
    }
}
