//! What Lark shows of markdown, according to its documents.
//!
//! Owns Lark's dialect.
//!
//! Not here: the writer that applies it (`platforms/markdown/write.rs`).

use super::native::HEADER_COLORS;
use crate::platforms::markdown::{CodeBlocks, Dialect, Images, Shade, shade_of};

/// The most tables in one component of markdown. The documents allow four, and refusals (code
/// 11310) are known from the fourth on.
const TABLES_MAX: usize = 3;

/// The markdown component in a Lark card of schema 2.0.
pub(in crate::platforms) const DIALECT: Dialect = Dialect {
    line_break: "\n",
    emphasis: "*",
    code: CodeBlocks::Fenced,
    tables_max: TABLES_MAX,
    images: Images::ByKey,
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
    at_tags: true,
};
