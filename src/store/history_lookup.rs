//! Lookups in the history: the frames that an index names, read from the newest to the oldest.
//!
//! Owns the positions of records, and the bound on the work of one page.
//!
//! Not here: which frames may have an answer (`history_index.rs`), and the segments (`history.rs`).

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{
    history_index::{FrameKey, IndexFile, in_all},
    history_row,
    history_text_key::HistoryTextKey,
    segment,
};
use crate::{
    domain::Timestamp,
    history::{HistoryCursor, HistoryPage, HistoryQuery},
};

/// How many bytes of frames one page may read. A page that stops for it has a cursor.
const READ_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// No frame is longer.
const FRAME_BYTES_MAX: u64 = 1024 * 1024;

/// A segment as a lookup sees it.
pub(super) struct SegmentView {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    /// The time of its newest record.
    pub(super) newest: Timestamp,
    pub(super) candidates: Candidates,
}

/// The frames of a segment that may have an answer.
pub(super) enum Candidates {
    /// Their offsets, in order.
    Known(Vec<u32>),
    /// The file of the index has them; they must have all of these keys.
    InFile(PathBuf, Vec<FrameKey>),
}

/// The position of a record: its segment, its frame, and its number in the frame.
fn position(segment: u64, offset: u32, row: usize) -> HistoryCursor {
    let row = u32::try_from(row).unwrap_or(u32::MAX);
    HistoryCursor(u128::from(segment) << 64 | u128::from(offset) << 32 | u128::from(row))
}

/// One page. `views` are the segments, the newest first. Blocks on the disk.
pub(super) fn page(
    views: &[SegmentView],
    query: &HistoryQuery,
    after: Option<HistoryCursor>,
    limit: usize,
    key: Option<&HistoryTextKey>,
) -> io::Result<HistoryPage> {
    let (mut found, mut left) = (HistoryPage::default(), READ_BYTES_MAX);
    let mut last = after;
    for view in views {
        let is_passed = after.is_some_and(|after| position(view.number, 0, 0) >= after);
        if is_passed || query.since.is_some_and(|since| view.newest < since) {
            continue;
        }
        let Some(file) = open(&view.path)? else { continue };
        for offset in view.candidates.offsets()?.into_iter().rev() {
            if after.is_some_and(|after| position(view.number, offset, 0) >= after) {
                continue;
            }
            let frame = segment::read_at(&file, offset.into(), FRAME_BYTES_MAX)?;
            let payload = frame.unwrap_or_default();
            for (row, record) in history_row::decode(&payload, key).into_iter().enumerate().rev() {
                let position = position(view.number, offset, row);
                let is_new = after.is_none_or(|after| position < after);
                let Some(record) = record.filter(|one| is_new && query.accepts(one)) else {
                    continue;
                };
                if found.records.len() == limit {
                    found.next = last;
                    return Ok(found);
                }
                found.records.push(record);
                last = Some(position);
            }
            let read = payload.len() as u64;
            if read >= left {
                found.next = Some(position(view.number, offset, 0));
                return Ok(found);
            }
            left -= read;
        }
    }
    Ok(found)
}

impl Candidates {
    /// Their offsets, in order. Blocks on the disk.
    fn offsets(&self) -> io::Result<Vec<u32>> {
        let (path, keys) = match self {
            Self::Known(offsets) => return Ok(offsets.clone()),
            Self::InFile(path, keys) => (path, keys),
        };
        // The segment may have been deleted meanwhile.
        let Some(index) = IndexFile::open(path)? else { return Ok(Vec::new()) };
        let lists: io::Result<Vec<_>> = keys.iter().map(|key| index.offsets(*key)).collect();
        Ok(in_all(lists?))
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some),
    }
}
