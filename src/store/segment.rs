//! A file of the ledger, the journal or the history: frames with a check sum.
//!
//! Owns the format: a magic number of 16 bytes, then for each frame length 4 · CRC 4 · payload. A
//! reader stops at the first frame that is not whole.
//!
//! Not here: the content of a frame (`ledger_entry.rs`, `pace_record_codec.rs`, `history_row.rs`),
//! when a file is replaced (`ledger.rs`, `journal.rs`, `history.rs`).

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
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
        let path = path(dir, number);
        let file =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path)?;
        let mut segment = Self { file, path, bytes: 0, dirty: AtomicBool::new(false) };
        segment.write(MAGIC)?;
        segment.append_unsynced(first)?;
        sync.sync(&segment.handle()?)?;
        sync.sync(&File::open(dir)?)?;
        Ok(segment)
    }

    /// Opens the segment of an earlier process to append to it. Its whole frames end at `bytes`;
    /// what follows is cut off. Blocks on the disk.
    pub(super) fn reopen(path: PathBuf, bytes: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).open(&path)?;
        file.set_len(bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, path, bytes, dirty: AtomicBool::new(true) })
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

/// The segment of that number in `dir`.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016}.ledger"))
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
    frames(bytes).into_iter().map(|frame| frame.payload).collect()
}

/// A whole frame in a file.
pub(super) struct Frame<'a> {
    /// Where it begins, in bytes.
    pub(super) offset: u64,
    /// Where it ends, in bytes.
    pub(super) end: u64,
    pub(super) payload: &'a [u8],
}

/// The same frames as [`read`], with their places.
pub(super) fn frames(bytes: &[u8]) -> Vec<Frame<'_>> {
    let mut frames = Vec::new();
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return frames;
    };
    while let Some((payload, after)) = frame(rest) {
        let at = |rest: &[u8]| (bytes.len() - rest.len()) as u64;
        frames.push(Frame { offset: at(rest), end: at(after), payload });
        rest = after;
    }
    frames
}

/// The whole frames, also those behind a damaged one whose length leads to another whole frame. A
/// frame without a payload ends the reading: a crash of the machine may leave zeros.
pub(super) fn frames_beyond_damage(bytes: &[u8]) -> Vec<Frame<'_>> {
    let mut found = Vec::new();
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return found;
    };
    let at = |rest: &[u8]| (bytes.len() - rest.len()) as u64;
    while let Some((payload, after)) = next_whole(&mut rest) {
        found.push(Frame { offset: at(rest), end: at(after), payload });
        rest = after;
    }
    found
}

/// The next whole frame with a payload. `rest` is moved to its beginning.
fn next_whole<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    loop {
        match frame(rest) {
            Some(([], _)) => return None,
            Some(whole) => return Some(whole),
            None => {
                let length = u32::from_be_bytes(*rest.first_chunk::<4>()?);
                let bytes = usize::try_from(length).ok()?.checked_add(FRAME_HEAD)?;
                *rest = rest.get(bytes..).filter(|_| length > 0)?;
            }
        }
    }
}

/// Reads the frame at this offset; `None` if no whole frame of at most `most` bytes begins there.
pub(super) fn read_at(file: &File, offset: u64, most: u64) -> io::Result<Option<Vec<u8>>> {
    let left = file.metadata()?.len().saturating_sub(offset);
    let mut head = [0; FRAME_HEAD];
    if left < FRAME_HEAD as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut head, offset)?;
    let Some((length, _)) = head.split_first_chunk::<4>() else { return Ok(None) };
    let whole = FRAME_HEAD as u64 + u64::from(u32::from_be_bytes(*length));
    if whole > left.min(most) {
        return Ok(None);
    }
    let mut bytes = vec![0; usize::try_from(whole).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(frame(&bytes).is_some().then(|| bytes.split_off(FRAME_HEAD)))
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
    fn a_segment_cut_anywhere_is_continued_behind_its_last_whole_frame() {
        let dir = tempfile::tempdir().unwrap();
        let mut segment = Segment::create(dir.path(), 1, b"first").unwrap();
        let first = segment.bytes;
        segment.append(b"second").unwrap();
        let bytes = std::fs::read(&segment.path).unwrap();
        for cut in usize::try_from(first).unwrap()..bytes.len() {
            std::fs::write(&segment.path, &bytes[..cut]).unwrap();
            let whole = frames(&bytes[..cut]).last().unwrap().end;
            let mut again = Segment::reopen(segment.path.clone(), whole).unwrap();
            again.append(b"third").unwrap();
            let read_back = std::fs::read(&segment.path).unwrap();
            assert_eq!(read(&read_back), [&b"first"[..], b"third"], "cut at {cut}");
        }
    }

    #[test]
    fn a_frame_is_read_at_its_place_and_nothing_at_another() {
        let dir = tempfile::tempdir().unwrap();
        let mut segment = Segment::create(dir.path(), 1, b"first").unwrap();
        let offset = segment.bytes;
        segment.append(b"second").unwrap();
        let file = File::open(&segment.path).unwrap();
        let at = |offset, most| read_at(&file, offset, most).unwrap();
        assert_eq!(at(offset, 1000).as_deref(), Some(&b"second"[..]));
        assert_eq!(at(offset, 13), None, "it is longer than asked for");
        for wrong in [0, offset - 1, offset + 1, segment.bytes, segment.bytes + 100] {
            assert_eq!(at(wrong, u64::MAX), None, "{wrong}");
        }
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
