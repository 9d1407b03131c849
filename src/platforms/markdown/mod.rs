//! One markdown, many dialects: an event's markdown as each platform can show it.
//!
//! Owns the parsed text, and what can be asked about it.
//!
//! Not here: each platform's dialect (`markdown.rs` in its folder), the limits and the parts of a
//! message (`platforms/chunk.rs`).

mod dialect;
mod parse;
#[cfg(test)]
mod tests;
mod tree;
mod write;

use super::text::AnnotatedText;
pub(super) use dialect::{CodeBlocks, Dialect, Images, Shade, shade_of};
use parse::Escapes;
use tree::{Block, Inline};

/// A parsed text in markdown.
pub(super) struct Markdown<'a> {
    source: &'a str,
    blocks: Vec<Block>,
}

/// The plain text of a markdown source, line by line. If that is blank, the source itself.
pub(super) fn plain_lines(source: &str) -> String {
    let lines = tree::plain_lines(&parse::parse(source, Escapes::Resolved));
    if lines.trim().is_empty() { source.to_owned() } else { lines }
}

/// Whether the readable text contains these words. Addresses of links, image texts and tags do not
/// count. Words that markup splits do not count either.
pub(super) fn says(source: &str, words: &str) -> bool {
    if !source.contains(words) {
        return false;
    }
    let blocks = parse::parse(source, Escapes::Kept);
    let outside_tags = |text: &str| {
        text.split('<')
            .any(|piece| piece.rsplit('>').next().is_some_and(|read| read.contains(words)))
    };
    tree::any_block(
        &blocks,
        &|block| matches!(block, Block::Code { text, .. } if text.contains(words)),
    ) || tree::any_inline(&blocks, &|inline| match inline {
        Inline::Text(text) => outside_tags(text),
        Inline::Code(code) => code.contains(words),
        _ => false,
    })
}

impl<'a> Markdown<'a> {
    pub(super) fn read(source: &'a str) -> Self {
        Self { source, blocks: parse::parse(source, Escapes::Kept) }
    }

    /// Whether it has markup that simple dialects do not show: a table, a code block, a list within
    /// a list, or an image.
    pub(super) fn has_rich_markup(&self) -> bool {
        tree::any_block(&self.blocks, &|block| match block {
            Block::Table(_) | Block::Code { .. } => true,
            Block::List { items, .. } => {
                tree::any_block(&items.concat(), &|inner| matches!(inner, Block::List { .. }))
            }
            _ => false,
        }) || tree::any_inline(&self.blocks, &|inline| matches!(inline, Inline::Image { .. }))
    }

    /// Whether it has coloured text.
    pub(super) fn has_colors(&self) -> bool {
        tree::any_inline(&self.blocks, &|inline| matches!(inline, Inline::Colored { .. }))
    }

    /// The text in a dialect, after `head`.
    pub(super) fn write(&self, head: &str, dialect: &Dialect) -> AnnotatedText {
        let mut flow = write::write(head, &self.blocks, dialect);
        if write::is_full(&flow) {
            flow.unwritten = self.source.len().saturating_sub(flow.text.len());
        }
        // The source has only markup, such as an unused link definition. Its raw text is better
        // than an empty message.
        if flow.text.len() == head.len() {
            AnnotatedText::from(format!("{head}{}", self.source))
        } else {
            flow
        }
    }
}
