//! Rendered text that knows its blocks, and the tail that is added to it.
//!
//! Owns what a text costs.
//!
//! Not here: how a text is cut to a limit (`fit.rs`), where it may be cut (`split.rs`), and its
//! split into parts (`chunk.rs`).

use std::ops::Range;

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

/// The longest prefix that costs at most `max`.
pub(super) fn cut(text: &str, max: usize, cost: Cost) -> &str {
    let mut spent = 0;
    let end = text.char_indices().find(|(_, c)| {
        spent += cost(*c);
        spent > max
    });
    end.map_or(text, |(at, _)| text.get(..at).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The cost in JSON equals the length that the serialiser writes.
        #[test]
        fn the_cost_in_json_is_exact(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap().len() - 2;
            prop_assert_eq!(text.chars().map(IN_JSON).sum::<usize>(), written);
        }
    }
}
