//! What DingTalk shows of markdown, according to its documents.
//!
//! Owns DingTalk's dialect.
//!
//! Not here: the writer that applies it (`platforms/markdown/write.rs`).

use crate::platforms::markdown::{CodeBlocks, Dialect, Images};

/// DingTalk shows headings, quotes, bold, italic, links, images and lists.
pub(in crate::platforms) const DIALECT: Dialect = Dialect {
    // Two blanks before and after the line feed, as the documents advise.
    line_break: "  \n  ",
    emphasis: "*",
    code: CodeBlocks::Quoted,
    tables_max: 0,
    images: Images::Shown,
    nested_quotes: false,
    rule: "──────────",
    color_tag: |_| None,
    at_tags: false,
};
