//! The index of a segment of the history: which of its frames may have a record of an event, a
//! subscription, a robot, a topic or an outcome.
//!
//! A pair of a key's hash and a frame's offset needs 8 bytes. The pairs of the segment that is
//! written are in memory. Those of other segments are in a file beside it, in order, and a lookup
//! reads a few hundred bytes of it. So memory does not grow with the history.
//!
//! Owns the format of the file: magic number 16 · newest time 8 · count 8 · pairs. Two keys may
//! have one hash, so a reader checks each record that it finds.
//!
//! Not here: the segments (`history.rs`), and lookups (`history_lookup.rs`).

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use crate::{
    domain::Timestamp,
    history::{HistoryOutcome, HistoryQuery, HistoryRecord},
};

const MAGIC: &[u8; 16] = b"roomcast hindex1";
/// The offset of the first pair, in bytes.
const HEAD_BYTES: u64 = 32;
const PAIR_BYTES: u64 = 8;
/// How many pairs are read at once.
const PAIRS_READ: u64 = 512;

/// The hash of what is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FrameKey(u32);

/// The key of every frame.
const EVERY: FrameKey = FrameKey(0);

impl FrameKey {
    fn of(kind: u8, bytes: &[u8]) -> Self {
        let mut hash = crc32fast::Hasher::new();
        hash.update(&[kind]);
        hash.update(bytes);
        Self(hash.finalize().max(1))
    }

    fn event(event: &str) -> Self {
        Self::of(1, event.as_bytes())
    }

    fn topic(topic: &str) -> Self {
        Self::of(2, topic.as_bytes())
    }

    fn subscription(id: &[u8; 16]) -> Self {
        Self::of(3, id)
    }

    fn robot(id: &[u8; 16]) -> Self {
        Self::of(4, id)
    }

    fn outcome(outcome: HistoryOutcome) -> Self {
        Self::of(5, outcome.as_str().as_bytes())
    }

    /// The keys under which a record is found.
    pub(super) fn of_record(record: &HistoryRecord) -> Vec<Self> {
        let mut keys = vec![
            Self::event(record.event.as_str()),
            Self::topic(&record.topic),
            Self::outcome(record.outcome()),
        ];
        keys.extend(record.subscription().map(|id| Self::subscription(id.as_bytes())));
        keys.extend(record.robot().map(|id| Self::robot(id.as_bytes())));
        keys
    }

    /// The keys of all of which a frame must have a record, to answer a question.
    pub(super) fn of_query(query: &HistoryQuery) -> Vec<Self> {
        let keys = [
            query.event.as_ref().map(|event| Self::event(event.as_str())),
            query.topic.as_deref().map(Self::topic),
            query.subscription.map(|id| Self::subscription(id.as_bytes())),
            query.robot.map(|id| Self::robot(id.as_bytes())),
            query.outcome.map(Self::outcome),
        ];
        let mut keys: Vec<_> = keys.into_iter().flatten().collect();
        if keys.is_empty() {
            keys.push(EVERY);
        }
        keys
    }
}

/// A key, and the offset of a frame that has it.
const fn pair(key: FrameKey, offset: u32) -> u64 {
    ((key.0 as u64) << 32) | offset as u64
}

#[allow(clippy::cast_possible_truncation, reason = "the offset is the lower half")]
const fn offset_of(pair: u64) -> u32 {
    pair as u32
}

/// The index of the segment that is written.
#[derive(Default)]
pub(super) struct FrameIndex(BTreeSet<u64>);

impl FrameIndex {
    /// Adds the frame at this offset.
    pub(super) fn add<'a>(
        &mut self,
        offset: u32,
        records: impl IntoIterator<Item = &'a HistoryRecord>,
    ) {
        self.0.insert(pair(EVERY, offset));
        for record in records {
            self.0.extend(FrameKey::of_record(record).into_iter().map(|key| pair(key, offset)));
        }
    }

    /// The frames with this key, in their order.
    pub(super) fn offsets(&self, key: FrameKey) -> Vec<u32> {
        self.0.range(pair(key, 0)..=pair(key, u32::MAX)).map(|pair| offset_of(*pair)).collect()
    }

    /// The size of its file, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        HEAD_BYTES + PAIR_BYTES * self.0.len() as u64
    }

    /// Writes its file; whole and durable when it returns. Blocks on the disk.
    pub(super) fn write(&self, path: &Path, newest: Timestamp) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut bytes = MAGIC.to_vec();
        bytes.extend(newest.unix_millis().to_be_bytes());
        bytes.extend((self.0.len() as u64).to_be_bytes());
        self.0.iter().for_each(|pair| bytes.extend(pair.to_be_bytes()));
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    }
}

/// The index of a segment to which nothing is written any more.
pub(super) struct IndexFile {
    file: File,
    /// The time of the segment's newest record.
    pub(super) newest: Timestamp,
    /// The size of the file, in bytes.
    pub(super) bytes: u64,
    count: u64,
}

impl IndexFile {
    /// Opens the file; `None` if there is none, or if it is not whole. Blocks on the disk.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let bytes = file.metadata()?.len();
        let mut head = [0; HEAD_BYTES as usize];
        if bytes < HEAD_BYTES {
            return Ok(None);
        }
        file.read_exact_at(&mut head, 0)?;
        let (magic, rest) = head.split_at(MAGIC.len());
        let (newest, count) = rest.split_at(8);
        let (newest, count) = (number(newest), number(count));
        let is_whole = magic == MAGIC && count.checked_mul(PAIR_BYTES) == Some(bytes - HEAD_BYTES);
        let newest = Timestamp::from_unix_millis(newest);
        Ok(is_whole.then_some(Self { file, newest, bytes, count }))
    }

    /// The frames with this key, in their order. Blocks on the disk.
    pub(super) fn offsets(&self, key: FrameKey) -> io::Result<Vec<u32>> {
        let (from, until) = (pair(key, 0), pair(key, u32::MAX));
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.pairs(middle, 1)?.first() {
                Some(pair) if *pair < from => low = middle + 1,
                _ => high = middle,
            }
        }
        let mut offsets = Vec::new();
        while low < self.count {
            let pairs = self.pairs(low, PAIRS_READ)?;
            low += pairs.len() as u64;
            let found = pairs.iter().take_while(|pair| **pair <= until);
            let before = offsets.len();
            offsets.extend(found.map(|pair| offset_of(*pair)));
            if offsets.len() - before < pairs.len() {
                break;
            }
        }
        Ok(offsets)
    }

    fn pairs(&self, first: u64, most: u64) -> io::Result<Vec<u64>> {
        let count = most.min(self.count - first);
        let length = usize::try_from(count * PAIR_BYTES).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, HEAD_BYTES + first * PAIR_BYTES)?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|pair| u64::from_be_bytes(*pair)).collect())
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// The offsets that are in all of these lists, each of which is in order.
pub(super) fn in_all(lists: impl IntoIterator<Item = Vec<u32>>) -> Vec<u32> {
    let mut lists = lists.into_iter();
    let first = lists.next().unwrap_or_default();
    lists.fold(first, |mut some, others| {
        some.retain(|one| others.binary_search(one).is_ok());
        some
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::history_samples::{received, step};

    #[test]
    fn the_file_finds_what_the_memory_finds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.index");
        let mut index = FrameIndex::default();
        // More frames with one key than are read at once.
        for frame in 0..1500_u32 {
            let event = format!("event-{}", frame % 700);
            index.add(frame * 100, [&received(&event, "ops", 1), &step("x", 1, 1, None)]);
        }
        index.write(&path, Timestamp::from_unix_millis(42)).unwrap();
        let file = IndexFile::open(&path).unwrap().unwrap();
        assert_eq!(file.newest, Timestamp::from_unix_millis(42));
        assert_eq!(file.bytes, index.bytes());
        assert_eq!(file.bytes, fs::metadata(&path).unwrap().len());
        for (key, found) in [
            (EVERY, 1500),
            (FrameKey::event("event-3"), 3),
            (FrameKey::event("event-699"), 2),
            (FrameKey::event("x"), 1500),
            (FrameKey::event("y"), 0),
            (FrameKey::topic("ops"), 1500),
            (FrameKey::subscription(&[1; 16]), 1500),
            (FrameKey::robot(&[1; 16]), 0),
            (FrameKey::outcome(HistoryOutcome::Attempted), 1500),
            (FrameKey::outcome(HistoryOutcome::Dead), 0),
        ] {
            let offsets = index.offsets(key);
            assert_eq!((offsets.len(), file.offsets(key).unwrap()), (found, offsets), "{key:?}");
        }
    }

    #[test]
    fn a_cut_file_is_no_index() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.index");
        assert!(IndexFile::open(&path).unwrap().is_none());
        let mut index = FrameIndex::default();
        index.add(7, [&received("e", "t", 1)]);
        index.write(&path, Timestamp::default()).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(IndexFile::open(&path).unwrap().is_none(), "cut at {cut}");
        }
        fs::write(&path, &whole).unwrap();
        assert!(IndexFile::open(&path).unwrap().is_some());
    }

    #[test]
    fn only_frames_in_all_lists_are_read() {
        assert_eq!(in_all([vec![1, 3, 5, 7], vec![3, 4, 7], vec![0, 3, 7]]), [3, 7]);
        assert_eq!(in_all([vec![1], vec![]]), Vec::<u32>::new());
    }
}
