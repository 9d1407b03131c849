//! Reading a whole segment of the history, to make its index or to continue it.
//!
//! Owns what damage costs. A frame whose bytes were changed costs its own records: the frames
//! behind it are found by its length. Where that leads to no whole frame, the segment ends.
//!
//! Not here: the frames (`segment.rs`), and the segments (`history.rs`).

use std::{fs, io, path::Path};

use super::{history_index::FrameIndex, history_row, segment};
use crate::domain::Timestamp;

/// What a reader finds in a segment without an index.
pub(super) struct WholeFrames {
    pub(super) index: FrameIndex,
    /// The times of the oldest and the newest record.
    pub(super) oldest: Option<Timestamp>,
    pub(super) newest: Timestamp,
    /// Where the last whole frame ends, in bytes.
    pub(super) end: u64,
}

impl WholeFrames {
    /// Reads a segment; `None` if it is not one with this first frame.
    pub(super) fn read(path: &Path, format: &[u8]) -> io::Result<Option<Self>> {
        let bytes = fs::read(path)?;
        let mut frames = segment::frames_beyond_damage(&bytes).into_iter();
        let Some(first) = frames.next().filter(|first| first.payload == format) else {
            return Ok(None);
        };
        let (index, newest) = (FrameIndex::default(), Timestamp::default());
        let mut found = Self { index, oldest: None, newest, end: first.end };
        for frame in frames {
            let records: Vec<_> =
                history_row::decode(frame.payload, None).into_iter().flatten().collect();
            let offset = u32::try_from(frame.offset).map_err(io::Error::other)?;
            found.index.add(offset, &records);
            found.end = frame.end;
            for record in records {
                found.oldest = Some(found.oldest.map_or(record.at, |at| at.min(record.at)));
                found.newest = found.newest.max(record.at);
            }
        }
        Ok(Some(found))
    }
}
