//! The content of a markdown text, as a tree.
//!
//! Owns the types of the tree and their plain text.
//!
//! Not here: reading (`parse.rs`) and writing (`write.rs`).

/// A part with lines of its own.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Block {
    Heading(usize, Vec<Inline>),
    Paragraph(Vec<Inline>),
    Quote(Vec<Block>),
    /// Numbered from `start`, or with bullets if there is no `start`.
    List {
        start: Option<u64>,
        items: Vec<Vec<Block>>,
    },
    Code {
        language: String,
        text: String,
    },
    Table(Table),
    Rule,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table {
    pub(super) sides: Vec<Side>,
    /// The first row is the head.
    pub(super) rows: Vec<Vec<Vec<Inline>>>,
}

/// The alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Unset,
    Left,
    Middle,
    Right,
}

/// A part of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Inline {
    Text(String),
    Code(String),
    Strong(Vec<Inline>),
    Emphasis(Vec<Inline>),
    Struck(Vec<Inline>),
    Link {
        to: String,
        content: Vec<Inline>,
    },
    Image {
        from: String,
        content: Vec<Inline>,
    },
    Colored {
        color: String,
        content: Vec<Inline>,
    },
    /// A mention of a member by id, in the form of the platform that knows the id.
    Mention {
        form: MentionForm,
        id: String,
        content: Vec<Inline>,
    },
    Break,
}

/// The form of a mention in markdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::platforms) enum MentionForm {
    /// `<at id=…></at>`.
    AtTag,
    /// `<@…>`.
    AtSign,
}

impl MentionForm {
    /// What stands before and behind the name of a mentioned member.
    pub(super) fn tags(self, id: &str) -> (String, &'static str) {
        match self {
            Self::AtTag => (format!("<at id={id}>"), "</at>"),
            Self::AtSign => (format!("<@{id}>"), ""),
        }
    }
}

/// The text without any markup.
pub(super) fn plain(inlines: &[Inline]) -> String {
    let mut said = String::new();
    add_plain(inlines, " ", &mut said);
    said
}

/// The text without any markup, line by line.
pub(super) fn plain_lines(blocks: &[Block]) -> String {
    let mut said = String::new();
    add_lines(blocks, &mut said);
    said
}

fn add_lines(blocks: &[Block], said: &mut String) {
    for block in blocks {
        match block {
            Block::Heading(_, inlines) | Block::Paragraph(inlines) => {
                add_plain(inlines, "\n", said)
            }
            Block::Quote(blocks) => add_lines(blocks, said),
            Block::List { items, .. } => items.iter().for_each(|item| add_lines(item, said)),
            Block::Code { text, .. } => said.push_str(text),
            Block::Table(table) => {
                for row in &table.rows {
                    let cells: Vec<_> = row.iter().map(|cell| plain(cell)).collect();
                    said.push_str(&cells.join(" | "));
                    said.push('\n');
                }
            }
            Block::Rule => {}
        }
        said.push('\n');
    }
}

fn add_plain(inlines: &[Inline], line_end: &str, said: &mut String) {
    for inline in inlines {
        match inline {
            Inline::Text(text) | Inline::Code(text) => said.push_str(text),
            Inline::Break => said.push_str(line_end),
            Inline::Mention { id, content, .. } if content.is_empty() => {
                said.push('@');
                said.push_str(id);
            }
            // Struck text keeps its marks, because without them it would mean the opposite.
            Inline::Struck(content) => {
                said.push_str("~~");
                add_plain(content, line_end, said);
                said.push_str("~~");
            }
            Inline::Strong(content)
            | Inline::Emphasis(content)
            | Inline::Link { content, .. }
            | Inline::Image { content, .. }
            | Inline::Colored { content, .. }
            | Inline::Mention { content, .. } => add_plain(content, line_end, said),
        }
    }
}

/// The text of a cell without any markup, with the addresses of its links.
pub(super) fn plain_with_addresses(inlines: &[Inline]) -> String {
    let mut said = plain(inlines);
    for_each(inlines, &mut |inline| {
        if let Inline::Link { to: address, content } | Inline::Image { from: address, content } =
            inline
            && !address.is_empty()
            && plain(content) != *address
        {
            said.push_str(if said.is_empty() { "" } else { " " });
            said.push_str(address);
        }
    });
    said
}

/// Visits all parts, also those inside others.
pub(super) fn for_each(inlines: &[Inline], visit: &mut dyn FnMut(&Inline)) {
    for inline in inlines {
        visit(inline);
        match inline {
            Inline::Text(_) | Inline::Code(_) | Inline::Break => {}
            Inline::Strong(content)
            | Inline::Emphasis(content)
            | Inline::Struck(content)
            | Inline::Link { content, .. }
            | Inline::Image { content, .. }
            | Inline::Colored { content, .. }
            | Inline::Mention { content, .. } => for_each(content, visit),
        }
    }
}

/// Whether a part of it is bold.
pub(super) fn any_strong(inlines: &[Inline]) -> bool {
    let mut found = false;
    for_each(inlines, &mut |inline| found |= matches!(inline, Inline::Strong(_)));
    found
}

/// Whether any line contains such a part. The alternative text of an image does not count.
pub(super) fn any_inline(blocks: &[Block], is: &dyn Fn(&Inline) -> bool) -> bool {
    fn within(inlines: &[Inline], is: &dyn Fn(&Inline) -> bool) -> bool {
        inlines.iter().any(|inline| {
            is(inline)
                || match inline {
                    Inline::Text(_) | Inline::Code(_) | Inline::Break | Inline::Image { .. } => {
                        false
                    }
                    Inline::Strong(content)
                    | Inline::Emphasis(content)
                    | Inline::Struck(content)
                    | Inline::Link { content, .. }
                    | Inline::Colored { content, .. }
                    | Inline::Mention { content, .. } => within(content, is),
                }
        })
    }
    blocks.iter().any(|block| match block {
        Block::Heading(_, inlines) | Block::Paragraph(inlines) => within(inlines, is),
        Block::Quote(blocks) => any_inline(blocks, is),
        Block::List { items, .. } => items.iter().any(|item| any_inline(item, is)),
        Block::Table(table) => table.rows.iter().flatten().any(|cell| within(cell, is)),
        Block::Code { .. } | Block::Rule => false,
    })
}

/// Whether there is such a block, at any depth.
pub(super) fn any_block(blocks: &[Block], is: &dyn Fn(&Block) -> bool) -> bool {
    blocks.iter().any(|block| {
        is(block)
            || match block {
                Block::Quote(blocks) => any_block(blocks, is),
                Block::List { items, .. } => items.iter().any(|item| any_block(item, is)),
                _ => false,
            }
    })
}
