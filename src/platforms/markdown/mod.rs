//! One markdown, four dialects: an event's markdown as each platform can show it.
//!
//! Owns the choice of a dialect for each platform, and of WeCom's kind.
//!
//! Not here: the limits and the parts of a message (`platforms/chunk.rs`).

mod dialect;
mod parse;
#[cfg(test)]
mod tests;
mod tree;
mod write;

use super::text::AnnotatedText;
use dialect::Dialect;
use parse::Escapes;
use tree::{Block, Inline};

/// A parsed text in markdown.
pub(super) struct Markdown<'a> {
    source: &'a str,
    blocks: Vec<Block>,
}

/// WeCom's two kinds of markdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WeComKind {
    /// With colours and mentions.
    Markdown,
    /// With tables, code and images. Clients before 4.1.36 show it as plain text.
    MarkdownV2,
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

    /// The text for a DingTalk message, after `head`.
    pub(super) fn for_dingtalk(&self, head: &str) -> AnnotatedText {
        self.write(head, &dialect::DINGTALK)
    }

    /// The text for the markdown component of a Lark card, after `head`.
    pub(super) fn for_lark(&self, head: &str) -> AnnotatedText {
        self.write(head, &dialect::LARK)
    }

    /// The text for WeCom, after `head`.
    pub(super) fn for_wecom(&self, head: &str, kind: WeComKind) -> AnnotatedText {
        self.write(
            head,
            match kind {
                WeComKind::Markdown => &dialect::WECOM,
                WeComKind::MarkdownV2 => &dialect::WECOM_V2,
            },
        )
    }

    /// The kind that shows more of the text. The newer kind is chosen only for markup that the
    /// older one cannot show, and never if it would lose a colour.
    pub(super) fn wecom_kind(&self) -> WeComKind {
        let newer =
            tree::any_block(&self.blocks, &|block| match block {
                Block::Table(_) | Block::Code { .. } => true,
                Block::List { items, .. } => {
                    tree::any_block(&items.concat(), &|inner| matches!(inner, Block::List { .. }))
                }
                _ => false,
            }) || tree::any_inline(&self.blocks, &|inline| matches!(inline, Inline::Image { .. }));
        let colored =
            tree::any_inline(&self.blocks, &|inline| matches!(inline, Inline::Colored { .. }));
        if newer && !colored { WeComKind::MarkdownV2 } else { WeComKind::Markdown }
    }

    fn write(&self, head: &str, dialect: &Dialect) -> AnnotatedText {
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
