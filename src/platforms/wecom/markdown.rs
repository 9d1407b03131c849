//! What WeCom shows of markdown, according to its documents.
//!
//! Owns WeCom's two dialects, and the choice between them.
//!
//! Not here: the writer that applies one (`platforms/markdown/write.rs`).

use crate::platforms::{
    markdown::{
        CodeBlocks, Dialect, Form, FurtherTables, Head, Images, Indent, Literal, Markdown,
        MentionForm, Place, Shade, shade_of,
    },
    text::AnnotatedText,
};

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

/// A text in the kind that shows more of it. The newer kind is chosen only for markup that the
/// older one cannot show, and never if a colour, a mention or a character would be lost.
pub(in crate::platforms) fn write(
    text: &Markdown<'_>,
    head: Option<Head<'_>>,
    is_mentioning: bool,
) -> (MarkdownKind, AnnotatedText) {
    let is_older = is_mentioning
        || text.has_colors()
        || text.has_mentions(MentionForm::AtSign)
        || !text.has_rich_markup();
    if !is_older {
        let flow = text.write(head, &MARKDOWN_V2);
        if !flow.is_lossy {
            return (MarkdownKind::MarkdownV2, flow);
        }
    }
    (MarkdownKind::Markdown, text.write(head, &MARKDOWN))
}

/// WeCom's older markdown: headings, bold, links, inline code, quotes, three colours, mentions.
const MARKDOWN: Dialect = Dialect {
    line_break: "\n",
    cell_break: " ",
    emphasis: "",
    literals: &LITERALS,
    code: CodeBlocks::Lines,
    fence_at_margin: false,
    tables_max: 0,
    further_tables: FurtherTables::Lines,
    images: Images::Linked,
    indent: Indent::UnderText,
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
    mentions: Some(MentionForm::AtSign),
};

/// WeCom's `markdown_v2`: everything but colours and mentions.
const MARKDOWN_V2: Dialect = Dialect {
    line_break: "\n",
    cell_break: " ",
    emphasis: "*",
    literals: &LITERALS_V2,
    code: CodeBlocks::Fenced,
    fence_at_margin: false,
    tables_max: usize::MAX,
    further_tables: FurtherTables::Lines,
    images: Images::Shown,
    indent: Indent::UnderText,
    nested_quotes: true,
    rule: "---",
    color_tag: |_| None,
    mentions: None,
};

/// WeCom understands no backslash, and takes one before a bracket for a formula. It has neither
/// italics nor lists, so single stars, underscores and hyphens are no markup.
const LITERALS: [Literal; 7] = [
    Literal::new('*', Place::Doubled, Form::Separated),
    Literal::new('`', Place::Paired, Form::None),
    Literal::new(']', Place::Address, Form::Separated),
    Literal::new('<', Place::Tag(&["font", "/font", "@"]), Form::Separated),
    Literal::new('\\', Place::Formula, Form::Separated),
    Literal::new('#', Place::LineStart, Form::Separated),
    Literal::new('>', Place::LineStart, Form::Separated),
];

/// The newer kind has italics, lists and tables too, but no escapes for their characters either.
const LITERALS_V2: [Literal; 19] = [
    Literal::new('*', Place::LineStart, Form::Separated),
    Literal::new('*', Place::Emphasis, Form::None),
    Literal::new('_', Place::LineStart, Form::Separated),
    Literal::new('_', Place::Emphasis, Form::None),
    Literal::new('`', Place::Paired, Form::None),
    Literal::new('|', Place::Cell, Form::None),
    Literal::new('|', Place::LineStart, Form::Separated),
    Literal::new('~', Place::LineStart, Form::Separated),
    Literal::new('~', Place::Doubled, Form::Separated),
    Literal::new('[', Place::LineStart, Form::Separated),
    Literal::new(']', Place::Address, Form::Separated),
    Literal::new('!', Place::Image, Form::Separated),
    Literal::new('\\', Place::Formula, Form::Separated),
    Literal::new('#', Place::LineStart, Form::Separated),
    Literal::new('#', Place::HeadingEnd, Form::Separated),
    Literal::new('>', Place::LineStart, Form::Separated),
    Literal::new('-', Place::LineStart, Form::Separated),
    Literal::new('+', Place::LineStart, Form::Separated),
    Literal::new('=', Place::LineStart, Form::Separated),
];
