//! What each platform shows of markdown, according to its documents.
//!
//! Owns those dialects. Markup that a platform does not show is written so that it remains
//! readable.
//!
//! Not here: the writer that applies a dialect (`write.rs`).

/// The markdown of one platform.
pub(super) struct Dialect {
    /// The line break within a paragraph.
    pub(super) line_break: &'static str,
    /// The mark around emphasised text.
    pub(super) emphasis: &'static str,
    pub(super) code: CodeBlocks,
    /// The most tables that are shown; further ones are written as lines.
    pub(super) tables_max: usize,
    pub(super) images: Images,
    /// Whether a quote may contain a quote.
    pub(super) nested_quotes: bool,
    pub(super) rule: &'static str,
    /// The opening tag for a colour, where there is one.
    pub(super) color_tag: fn(&str) -> Option<String>,
    /// Whether members are mentioned by `<at id=…>`.
    pub(super) at_tags: bool,
}

/// The form of a code block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeBlocks {
    /// Between fences.
    Fenced,
    /// A quote that keeps its blanks.
    Quoted,
    /// Inline code for each line.
    Lines,
}

/// The images that are shown; others become links.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Images {
    /// Images by address.
    Shown,
    /// Images by the key of an upload.
    ByKey,
    /// No images.
    Linked,
}

/// DingTalk shows headings, quotes, bold, italic, links, images and lists.
pub(super) const DINGTALK: Dialect = Dialect {
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

/// The markdown component in a Lark card of schema 2.0.
pub(super) const LARK: Dialect = Dialect {
    line_break: "\n",
    emphasis: "*",
    code: CodeBlocks::Fenced,
    tables_max: crate::platforms::native::lark::TABLES_MAX,
    images: Images::ByKey,
    nested_quotes: true,
    rule: "---",
    color_tag: |color| {
        let known =
            crate::platforms::native::lark::HEADER_COLORS.into_iter().find(|known| *known == color);
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

/// WeCom's older markdown: headings, bold, links, inline code, quotes, three colours, mentions.
pub(super) const WECOM: Dialect = Dialect {
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
pub(super) const WECOM_V2: Dialect = Dialect {
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

/// The colours of platforms that have only a few.
enum Shade {
    Red,
    Orange,
    Green,
    Blue,
    Grey,
}

/// The nearest shade: by WeCom's names, by common names, or by the strongest of red, green and
/// blue.
fn shade_of(color: &str) -> Option<Shade> {
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
