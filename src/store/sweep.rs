//! Keeps sled's file small: makes sled clean up behind changes.
//!
//! sled writes its pages again and again, always at the end of its log. A segment of the log is free once none of its pages is of use; what is left in
//! one that is half dead has to be moved, and sled moves one page whenever it puts a page together anew, which it does at every tenth change of it. By
//! changes of subscriptions alone that happens too seldom: after an import of a million every segment still waited for it. So a tree with a single
//! entry is changed here, as often as the file's growth demands.

use std::{
    fs::File,
    io,
    sync::{Mutex, PoisonError},
};

use sled::Tree;

/// After so many changes of a page sled puts it together anew.
const CHANGES_FOR_A_PAGE: u64 = 10;
/// So much of what the file grew by is its due, in percent of what was put in.
const DUE_PERCENT: i64 = 125;
/// For so many bytes beyond that, one page is moved.
const BYTES_FOR_A_PAGE: i64 = 256;
/// For each subscription that is changed no more pages are moved, so that no change takes long.
const PAGES_MAX: i64 = 4;
/// So much growth is forgiven for what the file did not grow before.
const FORGIVEN_BYTES: i64 = 2 * 1024 * 1024;

/// Drives the cleaning.
pub(super) struct Sweep {
    tree: Tree,
    state: Mutex<State>,
}

struct State {
    /// How long the file was.
    length: u64,
    /// By how much it grew beyond its due, less what was done about it.
    owed: i64,
    /// What the entry holds: sled passes over a change that changes nothing.
    count: u64,
}

impl Sweep {
    /// Begins with the file as it is.
    pub(super) fn new(tree: Tree, file: &File) -> io::Result<Self> {
        let state = Mutex::new(State { length: file.metadata()?.len(), owed: 0, count: rand::random() });
        Ok(Self { tree, state })
    }

    /// Cleans up behind a change of so many subscriptions, which put in so many bytes more than it took away.
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

/// How many pages are to be moved, and what is owed then.
fn due(owed: i64, grown: i64, changed: usize, put: i64) -> (u64, i64) {
    let owed = owed.saturating_add(grown).saturating_sub(put.saturating_mul(DUE_PERCENT) / 100).max(-FORGIVEN_BYTES);
    let most = PAGES_MAX.saturating_mul(i64::try_from(changed).unwrap_or(i64::MAX));
    let pages = (owed / BYTES_FOR_A_PAGE).clamp(0, most);
    (pages.unsigned_abs(), owed - pages * BYTES_FOR_A_PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_moved_for_growth_beyond_what_was_put_in() {
        for (owed, grown, changed, put, expected) in [
            (0, 0, 1, 400, (0, -500)),
            (0, 1250, 1, 1000, (0, 0)),
            (0, 1250 + 512, 1, 1000, (2, 0)),
            (100, 512, 1, 0, (2, 100)),
            // Much growth at once is worked off by and by.
            (0, 524_288, 1, 0, (4, 524_288 - 1024)),
            (524_288, 0, 512, 0, (2048, 0)),
            // What was taken away leaves room behind.
            (0, 0, 8, -2048, (10, 0)),
            (-FORGIVEN_BYTES, -524_288, 1, 400, (0, -FORGIVEN_BYTES)),
        ] {
            assert_eq!(due(owed, grown, changed, put), expected, "{owed} {grown} {changed} {put}");
        }
    }
}
