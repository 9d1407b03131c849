//! What Lark shows of markdown, according to its documents.
//!
//! Owns Lark's dialect.
//!
//! Not here: the writer that applies it (`platforms/markdown/write.rs`).

use super::native::HEADER_COLORS;
use crate::platforms::markdown::{
    CodeBlocks, Dialect, Form, FurtherTables, Images, Indent, Literal, MentionForm, Place, Shade,
    shade_of,
};

/// The most tables in one component of markdown. The documents allow four, and refusals (code
/// 11310) are known from the fourth on.
const TABLES_MAX: usize = 3;

/// The markdown component in a Lark card of schema 2.0.
pub(in crate::platforms) const DIALECT: Dialect = Dialect {
    line_break: "\n",
    cell_break: "<br>",
    emphasis: "*",
    literals: &LITERALS,
    code: CodeBlocks::Fenced,
    fence_at_margin: true,
    tables_max: TABLES_MAX,
    further_tables: FurtherTables::Code,
    images: Images::ByKey,
    indent: Indent::Blanks(4),
    nested_quotes: true,
    rule: "---",
    color_tag: |color| {
        let known = HEADER_COLORS.into_iter().find(|known| *known == color);
        let color = known.or_else(|| {
            shade_of(color).map(|shade| match shade {
                Shade::Red => "red",
                Shade::Orange => "orange",
                Shade::Green => "green",
                Shade::Blue => "blue",
                Shade::Grey => "grey",
            })
        });
        color.map(|color| format!("<font color='{color}'>"))
    },
    mentions: Some(MentionForm::AtTag),
};

/// The documents ask for numeric entities. A raw `<word>` even ends the text.
const LITERALS: [Literal; 18] = [
    Literal::new('<', Place::Anywhere, Form::Entity),
    Literal::new('>', Place::Anywhere, Form::Entity),
    Literal::new('*', Place::Anywhere, Form::Entity),
    Literal::new('_', Place::Anywhere, Form::Entity),
    Literal::new('~', Place::Anywhere, Form::Entity),
    Literal::new('`', Place::Anywhere, Form::Entity),
    Literal::new('[', Place::Anywhere, Form::Entity),
    Literal::new(']', Place::Anywhere, Form::Entity),
    Literal::new('\\', Place::Anywhere, Form::Entity),
    Literal::new('&', Place::Entity, Form::Entity),
    Literal::new('!', Place::Image, Form::Entity),
    Literal::new('|', Place::Cell, Form::Entity),
    Literal::new('|', Place::LineStart, Form::Entity),
    Literal::new('#', Place::LineStart, Form::Entity),
    Literal::new('#', Place::HeadingEnd, Form::Entity),
    Literal::new('-', Place::LineStart, Form::Entity),
    Literal::new('+', Place::LineStart, Form::Entity),
    Literal::new('=', Place::LineStart, Form::Entity),
];
