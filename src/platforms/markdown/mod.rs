//! One markdown, many dialects: an event's markdown as each platform can show it.
//!
//! Owns the parsed text, and what can be asked about it.
//!
//! Not here: each platform's dialect (`markdown.rs` in its folder), the limits and the parts of a
//! message (`platforms/chunk.rs`).

mod certain;
mod dialect;
mod html;
mod line;
mod literal;
mod omit;
mod parse;
#[cfg(test)]
mod tests;
mod tree;
mod write;
mod write_table;

use super::text::AnnotatedText;
use crate::domain::FeatureSet;
pub(super) use dialect::{CodeBlocks, Dialect, FurtherTables, Images, Indent, Shade, shade_of};
pub(super) use literal::{Form, Literal, Place};
pub(super) use tree::MentionForm;
use tree::{Block, Inline};
pub(super) use write::Head;

/// A parsed text in markdown.
pub(super) struct Markdown<'a> {
    source: &'a str,
    blocks: Vec<Block>,
}

/// The plain text of a markdown source, line by line. If that is blank, the source itself.
pub(super) fn plain_lines(source: &str) -> String {
    let lines = tree::plain_lines(&parse::parse(source));
    if lines.trim().is_empty() { source.to_owned() } else { lines }
}

/// Whether the readable text contains these words. Addresses of links, image texts and tags do not
/// count. Words that markup splits do not count either.
pub(super) fn says(source: &str, words: &str) -> bool {
    if !source.contains(words) {
        return false;
    }
    let blocks = parse::parse(source);
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

/// A plain text in a dialect, line by line.
pub(super) fn plain_in(text: &str, dialect: &Dialect) -> String {
    write::write_plain(text, dialect).text
}

impl<'a> Markdown<'a> {
    pub(super) fn read(source: &'a str) -> Self {
        Self { source, blocks: parse::parse(source) }
    }

    /// Its features that can be left out.
    pub(super) fn features(&self) -> FeatureSet {
        omit::features(&self.blocks)
    }

    /// The same text without these features.
    pub(super) fn without(self, omitted: FeatureSet) -> Self {
        if omitted.is_empty() {
            return self;
        }
        Self { blocks: omit::without(self.blocks, omitted), ..self }
    }

    /// A source as plain text that loses nothing that can be read. If that is blank, the source
    /// itself.
    pub(super) fn text_of(source: &str) -> String {
        let text = omit::as_text(&parse::parse(source));
        if text.trim().is_empty() { source.to_owned() } else { text }
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

    /// Whether it mentions a member in this form.
    pub(super) fn has_mentions(&self, in_form: MentionForm) -> bool {
        tree::any_inline(
            &self.blocks,
            &|inline| matches!(inline, Inline::Mention { form, .. } if *form == in_form),
        )
    }

    /// The text in a dialect, behind its head.
    pub(super) fn write(&self, head: Option<Head<'_>>, dialect: &Dialect) -> AnnotatedText {
        let (mut flow, head_bytes) = write::write(head, &self.blocks, dialect);
        if write::is_full(&flow) {
            flow.unwritten = self.source.len().saturating_sub(flow.text.len());
        }
        // The source has only markup, such as an unused link definition. Its raw text is better
        // than an empty message.
        if flow.text.len() == head_bytes {
            flow.text.push_str(&plain_in(self.source, dialect));
        }
        flow
    }
}
