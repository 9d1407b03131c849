//! Keeps sled's file small.
//!
//! sled appends each changed page to its log, and frees a segment of the log once no page in it is
//! used. It moves one page out of a half-used segment whenever it rewrites a page, which is at
//! every tenth change of it. Changes of subscriptions alone cause too few moves: after an import of
//! a million, no segment was free. So this module changes the single entry of a tree of its own.
//!
//! Owns how many such changes the growth of the file demands.
//!
//! Not here: when a change is swept (`db.rs`).

use std::{
    fs::File,
    io,
    sync::{Mutex, PoisonError},
};

use sled::Tree;

/// The number of changes after which sled rewrites a page.
const CHANGES_FOR_A_PAGE: u64 = 10;
/// The growth of the file that needs no sweep, in percent of the bytes that were put in.
const DUE_PERCENT: i64 = 125;
/// One page is moved for this many bytes of growth beyond that.
const BYTES_FOR_A_PAGE: i64 = 256;
/// The maximum number of moved pages for each changed subscription, so that no change takes long.
const PAGES_MAX: i64 = 4;
/// The maximum credit for growth that did not happen, in bytes.
const SLACK_BYTES: i64 = 2 * 1024 * 1024;

/// Makes sled move pages.
pub(super) struct Compaction {
    tree: Tree,
    state: Mutex<CompactionState>,
}

struct CompactionState {
    /// The last known length of the file, in bytes.
    length: u64,
    /// The growth beyond the allowance, less the bytes that were swept. Negative for a credit.
    owed: i64,
    /// The value of the entry. It must change, because sled skips a write of the same value.
    count: u64,
}

impl Compaction {
    /// Begins with the current length of the file.
    pub(super) fn new(tree: Tree, file: &File) -> io::Result<Self> {
        let state = Mutex::new(CompactionState {
            length: file.metadata()?.len(),
            owed: 0,
            count: rand::random(),
        });
        Ok(Self { tree, state })
    }

    /// Sweeps after a change of `changed` subscriptions that made the content `put` bytes larger.
    pub(super) fn after(&self, file: &File, changed: usize, put: i64) -> Result<(), sled::Error> {
        let length = file.metadata()?.len();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let grown = length.cast_signed().saturating_sub(state.length.cast_signed());
        state.length = length;
        let (pages, owed) = due(state.owed, grown, changed, put);
        state.owed = owed;
        for _ in 0..pages * CHANGES_FOR_A_PAGE {
            state.count = state.count.wrapping_add(1);
            self.tree.insert([], &state.count.to_be_bytes())?;
        }
        Ok(())
    }
}

/// The number of pages to move, and the debt in bytes that is left then.
fn due(owed: i64, grown: i64, changed: usize, put: i64) -> (u64, i64) {
    let owed = owed
        .saturating_add(grown)
        .saturating_sub(put.saturating_mul(DUE_PERCENT) / 100)
        .max(-SLACK_BYTES);
    let most = PAGES_MAX.saturating_mul(i64::try_from(changed).unwrap_or(i64::MAX));
    let pages = (owed / BYTES_FOR_A_PAGE).clamp(0, most);
    (pages.unsigned_abs(), owed - pages * BYTES_FOR_A_PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_moved_if_the_file_grew_beyond_its_content() {
        for (owed, grown, changed, put, expected) in [
            (0, 0, 1, 400, (0, -500)),
            (0, 1250, 1, 1000, (0, 0)),
            (0, 1250 + 512, 1, 1000, (2, 0)),
            (100, 512, 1, 0, (2, 100)),
            // A large growth is worked off in several steps.
            (0, 524_288, 1, 0, (4, 524_288 - 1024)),
            (524_288, 0, 512, 0, (2048, 0)),
            // Removed content leaves unused space behind.
            (0, 0, 8, -2048, (10, 0)),
            (-SLACK_BYTES, -524_288, 1, 400, (0, -SLACK_BYTES)),
        ] {
            assert_eq!(due(owed, grown, changed, put), expected, "{owed} {grown} {changed} {put}");
        }
    }
}
