//! What the state of `roomcast top` needs to know of the frame that was drawn last.
//!
//! Owns how far lists and texts can be scrolled.
//!
//! Not here: drawing the frame (`draw.rs`).

/// The sizes that the state needs from the last frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FrameLayout {
    /// How many rows of the list are visible.
    pub(super) page: usize,
    /// The last line with which a text can begin.
    pub(super) last_line: usize,
    /// The last line with which the help can begin.
    pub(super) help_last: usize,
}
