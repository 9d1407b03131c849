//! What a platform shows of markdown.
//!
//! Owns the choices that make a dialect, and the nearest of a few shades for a colour. Markup that
//! a platform does not show is written so that it remains readable.
//!
//! Not here: the dialects (`markdown.rs` of each platform), the places where a character could be
//! markup (`literal.rs`), the writer that applies a dialect (`write.rs`).

use super::{literal::Literal, tree::MentionForm};

/// The markdown of one platform.
pub(in crate::platforms) struct Dialect {
    /// The line break within a paragraph.
    pub(in crate::platforms) line_break: &'static str,
    /// The line break within a cell of a table.
    pub(in crate::platforms) cell_break: &'static str,
    /// The mark around emphasised text; empty if there is no such emphasis.
    pub(in crate::platforms) emphasis: &'static str,
    /// How characters are written that could be markup but are not. The first entry that fits
    /// counts.
    pub(in crate::platforms) literals: &'static [Literal],
    pub(in crate::platforms) code: CodeBlocks,
    /// Whether the fence of a code block stands at the beginning of a line, also within a list.
    pub(in crate::platforms) fence_at_margin: bool,
    /// The most tables that are shown.
    pub(in crate::platforms) tables_max: usize,
    /// The form of further tables.
    pub(in crate::platforms) further_tables: FurtherTables,
    pub(in crate::platforms) images: Images,
    pub(in crate::platforms) indent: Indent,
    /// Whether a quote may contain a quote.
    pub(in crate::platforms) nested_quotes: bool,
    pub(in crate::platforms) rule: &'static str,
    /// The opening tag for a colour, where there is one.
    pub(in crate::platforms) color_tag: fn(&str) -> Option<String>,
    /// How members are mentioned in markdown, if they are.
    pub(in crate::platforms) mentions: Option<MentionForm>,
}

/// The form of a code block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::platforms) enum CodeBlocks {
    /// Between fences.
    Fenced,
    /// A quote that keeps its blanks.
    Quoted,
    /// Inline code for each line.
    Lines,
}

/// The form of a table that is not shown as one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::platforms) enum FurtherTables {
    /// A line for each row.
    Lines,
    /// A code block.
    Code,
}

/// The images that are shown; others become links.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::platforms) enum Images {
    /// Images by address.
    Shown,
    /// Images by the key of an upload.
    ByKey,
    /// No images.
    Linked,
}

/// The indentation of the content of a list's item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::platforms) enum Indent {
    /// As wide as the mark of the item.
    UnderText,
    /// So many blanks for each level.
    Blanks(usize),
}

/// The colours of platforms that have only a few.
pub(in crate::platforms) enum Shade {
    Red,
    Orange,
    Green,
    Blue,
    Grey,
}

/// The nearest shade: by WeCom's names, by common names, or by the strongest of red, green and
/// blue.
pub(in crate::platforms) fn shade_of(color: &str) -> Option<Shade> {
    match color {
        "red" | "carmine" => Some(Shade::Red),
        "warning" | "orange" | "yellow" => Some(Shade::Orange),
        "info" | "green" | "turquoise" => Some(Shade::Green),
        "blue" | "wathet" | "violet" | "purple" | "indigo" => Some(Shade::Blue),
        "comment" | "grey" | "gray" => Some(Shade::Grey),
        other => {
            let number = u32::from_str_radix(
                other.strip_prefix('#').filter(|digits| digits.len() == 6)?,
                16,
            )
            .ok()?;
            let [_, red, green, blue] = number.to_be_bytes();
            Some(match (red.max(green).max(blue), red.min(green).min(blue)) {
                (most, least) if most - least < 32 => Shade::Grey,
                (most, _) if most == red && green > most / 2 => Shade::Orange,
                (most, _) if most == red => Shade::Red,
                (most, _) if most == green => Shade::Green,
                _ => Shade::Blue,
            })
        }
    }
}
