//! Rendered text that knows its blocks, and the tail that is added to it.
//!
//! Owns what a text costs.
//!
//! Not here: how a text is cut to a limit (`fit.rs`), where it may be cut (`split.rs`), and its
//! split into parts (`chunk.rs`).

use std::{borrow::Cow, ops::Range};

use unicode_segmentation::GraphemeCursor;

/// The cost of one character.
pub(super) type Cost = fn(char) -> usize;

/// The cost in raw UTF-8.
pub(super) const RAW: Cost = char::len_utf8;

/// The cost inside a JSON string, as `serde_json` writes it.
pub(super) const IN_JSON: Cost = |c| match c {
    '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
    c if u32::from(c) < 0x20 => 6,
    c => c.len_utf8(),
};

/// A text with the places that matter for a cut.
#[derive(Debug, Default)]
pub(super) struct AnnotatedText {
    /// The text.
    pub(super) text: String,
    /// Links and other inline markup, which a cut avoids. The ranges are sorted and disjoint.
    pub(super) solid: Vec<Range<usize>>,
    /// Blocks that need an opening and a closing wherever they are cut.
    pub(super) fences: Vec<Fence>,
    /// The ends of blocks.
    pub(super) ends: Vec<usize>,
    /// The separator before a line that must not become part of the last block.
    pub(super) apart: &'static str,
    /// Bytes of the text that were not rendered, because no message could show them.
    pub(super) unwritten: usize,
    /// Whether the platform shows a character of it otherwise than it was written.
    pub(super) is_lossy: bool,
}

/// A fenced code block, or a table below its head.
#[derive(Debug)]
pub(super) struct Fence {
    /// The block, including its fences or head.
    pub(super) all: Range<usize>,
    /// The content, without fences or head.
    pub(super) inner: Range<usize>,
    /// The opening for the rest of the block after a cut.
    pub(super) opening: String,
    /// The closing at a cut.
    pub(super) closing: String,
}

impl From<String> for AnnotatedText {
    /// Plain text.
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl AnnotatedText {
    /// A tail, separated from the last block.
    pub(super) fn apart_from(&self, tail: String) -> String {
        if tail.is_empty() { tail } else { format!("{}{tail}", self.apart) }
    }
}

/// The longest prefix that costs at most `max` and ends where a reader sees the end of a character.
pub(super) fn cut(text: &str, max: usize, cost: Cost) -> &str {
    let mut spent = 0;
    let end = text.char_indices().find(|(_, c)| {
        spent += cost(*c);
        spent > max
    });
    end.map_or(text, |(at, _)| text.get(..whole_until(text, at)).unwrap_or_default())
}

/// A text as one line that costs at most `max`. A mark at its end says that it is cut.
pub(super) fn shortened(text: &str, max: usize, cost: Cost) -> Cow<'_, str> {
    let whole = cut(text, max, cost);
    if whole.len() == text.len() {
        return text.into();
    }
    let kept = cut(text, max.saturating_sub(cost('…')), cost);
    format!("{}…", kept.trim_end()).into()
}

/// The most bytes of what counts as one character to a reader: a few joined emoji, a letter with
/// its accents. Longer clusters are no writing, and may be cut.
const CLUSTER_BYTES_MAX: usize = 128;

/// The last place up to `at` that is inside neither a character as a reader sees it, nor an escaped
/// one. If there is none nearby, the place itself.
pub(super) fn whole_until(text: &str, at: usize) -> usize {
    let nearest = text.floor_char_boundary(at.saturating_sub(CLUSTER_BYTES_MAX));
    let end = cluster_start(text, at);
    let end = escape_start(text, end).map_or(end, |start| cluster_start(text, start));
    if end > nearest || end == 0 && at <= CLUSTER_BYTES_MAX { end } else { at }
}

/// The last boundary of grapheme clusters up to `at`.
fn cluster_start(text: &str, at: usize) -> usize {
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    match cursor.is_boundary(text, 0) {
        Ok(false) => cursor.prev_boundary(text, 0).ok().flatten().unwrap_or(at),
        _ => at,
    }
}

/// The longest entity that the writers of markdown use, in bytes.
const ENTITY_BYTES_MAX: usize = 8;

/// Where an escaped character begins that ends behind `at`: an entity, or one behind a backslash.
fn escape_start(text: &str, at: usize) -> Option<usize> {
    let before = text.get(..at)?;
    let slashes = before.len() - before.trim_end_matches('\\').len();
    if slashes % 2 == 1 {
        return Some(at - 1);
    }
    let near = text.floor_char_boundary(at.saturating_sub(ENTITY_BYTES_MAX));
    let start = near + before.get(near..)?.rfind('&')?;
    let part = |c: char| c.is_ascii_alphanumeric() || c == '#';
    let is_open = text.get(start + 1..at)?.chars().all(part);
    let end = text.get(at..)?.find(|c: char| !part(c))?;
    let is_entity = is_open && text.get(at + end..)?.starts_with(';');
    (is_entity && at + end - start < ENTITY_BYTES_MAX).then_some(start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation as _;

    use super::*;

    proptest! {
        /// A cut leaves every character whole, as a reader sees it.
        #[test]
        fn no_cut_is_within_what_a_reader_sees_as_one_character(
            text in "([a-z]|字|👩‍👩‍👧|👍🏽|🇨🇳|❤️|é|각|क्षि|&#91;|\\\\\\*|\r\n){1,40}",
            max in 1_usize..300,
        ) {
            let kept = cut(&text, max, RAW);
            let starts = text.grapheme_indices(true).map(|(at, _)| at);
            let whole: Vec<usize> = starts.chain([text.len()]).collect();
            prop_assert!(whole.contains(&kept.len()), "{:?} of {:?}", kept, text);
            prop_assert!(kept.len() + 40 > max.min(text.len()), "{:?} of {:?}", kept, text);
            let short = shortened(&text, max, RAW);
            prop_assert!(short == text || short.ends_with('…'), "{}", short);
        }

        /// The cost in JSON equals the length that the serialiser writes.
        #[test]
        fn the_cost_in_json_is_exact(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap().len() - 2;
            prop_assert_eq!(text.chars().map(IN_JSON).sum::<usize>(), written);
        }
    }
}
