//! What WeCom shows of markdown, according to its documents.
//!
//! Owns WeCom's two dialects, and the choice between them.
//!
//! Not here: the writer that applies one (`platforms/markdown/write.rs`).

use crate::platforms::markdown::{CodeBlocks, Dialect, Images, Markdown, Shade, shade_of};

/// WeCom's two kinds of markdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::platforms) enum MarkdownKind {
    /// With colours and mentions.
    Markdown,
    /// With tables, code and images. Clients before 4.1.36 show it as plain text.
    MarkdownV2,
}

impl MarkdownKind {
    pub(in crate::platforms) const fn dialect(self) -> &'static Dialect {
        match self {
            Self::Markdown => &MARKDOWN,
            Self::MarkdownV2 => &MARKDOWN_V2,
        }
    }
}

/// The kind that shows more of the text. The newer kind is chosen only for markup that the older
/// one cannot show, and never if it would lose a colour.
pub(in crate::platforms) fn kind_for(text: &Markdown<'_>) -> MarkdownKind {
    if text.has_rich_markup() && !text.has_colors() {
        MarkdownKind::MarkdownV2
    } else {
        MarkdownKind::Markdown
    }
}

/// WeCom's older markdown: headings, bold, links, inline code, quotes, three colours, mentions.
const MARKDOWN: Dialect = Dialect {
    line_break: "\n",
    emphasis: "",
    code: CodeBlocks::Lines,
    tables_max: 0,
    images: Images::Linked,
    nested_quotes: false,
    rule: "──────────",
    color_tag: |color| {
        let color = match shade_of(color)? {
            Shade::Green => "info",
            Shade::Grey => "comment",
            Shade::Red | Shade::Orange => "warning",
            Shade::Blue => return None,
        };
        Some(format!("<font color=\"{color}\">"))
    },
    at_tags: false,
};

/// WeCom's `markdown_v2`: everything but colours and mentions.
const MARKDOWN_V2: Dialect = Dialect {
    line_break: "\n",
    emphasis: "*",
    code: CodeBlocks::Fenced,
    tables_max: usize::MAX,
    images: Images::Shown,
    nested_quotes: true,
    rule: "---",
    color_tag: |_| None,
    at_tags: false,
};
