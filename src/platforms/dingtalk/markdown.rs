//! What DingTalk shows of markdown, according to its documents.
//!
//! Owns DingTalk's dialect.
//!
//! Not here: the writer that applies it (`platforms/markdown/write.rs`).

use crate::platforms::markdown::{
    CodeBlocks, Dialect, Form, FurtherTables, Images, Indent, Literal, Place,
};

/// DingTalk shows headings, quotes, bold, italic, links, images and lists.
pub(in crate::platforms) const DIALECT: Dialect = Dialect {
    // Two blanks before and after the line feed, as the documents advise.
    line_break: "  \n  ",
    cell_break: " ",
    emphasis: "*",
    literals: &LITERALS,
    code: CodeBlocks::Quoted,
    fence_at_margin: false,
    tables_max: 0,
    further_tables: FurtherTables::Lines,
    images: Images::Shown,
    indent: Indent::UnderText,
    nested_quotes: false,
    rule: "──────────",
    color_tag: |_| None,
    mentions: None,
};

/// Templates in wide use rely on backslashes. They are written only where a character would be
/// markup.
const LITERALS: [Literal; 20] = [
    Literal::new('\\', Place::Escape, Form::Backslash),
    Literal::new('*', Place::LineStart, Form::Backslash),
    Literal::new('*', Place::Emphasis, Form::Backslash),
    Literal::new('_', Place::LineStart, Form::Backslash),
    Literal::new('_', Place::Emphasis, Form::Backslash),
    Literal::new('`', Place::Paired, Form::Backslash),
    Literal::new('[', Place::LineStart, Form::Backslash),
    Literal::new('[', Place::LinkText, Form::Backslash),
    Literal::new(']', Place::LinkText, Form::Backslash),
    Literal::new(']', Place::Address, Form::Backslash),
    Literal::new('!', Place::Image, Form::Backslash),
    Literal::new('<', Place::Tag(&["font", "/font"]), Form::Backslash),
    Literal::new('&', Place::Entity, Form::Backslash),
    Literal::new('#', Place::LineStart, Form::Backslash),
    Literal::new('#', Place::HeadingEnd, Form::Backslash),
    Literal::new('>', Place::LineStart, Form::Backslash),
    Literal::new('-', Place::LineStart, Form::Backslash),
    Literal::new('+', Place::LineStart, Form::Backslash),
    Literal::new('=', Place::LineStart, Form::Backslash),
    Literal::new('~', Place::LineStart, Form::Backslash),
];
