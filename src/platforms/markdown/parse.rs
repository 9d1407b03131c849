//! From markdown to its tree. The only file that uses pulldown-cmark.
//!
//! Owns which HTML is understood: colours, mentions, line breaks. All other tags stay text, because
//! publishers also write `Vec<String>`.
//!
//! Not here: the types of the tree (`tree.rs`), and the doubt about pairs of marks (`certain.rs`).

use std::ops::Range;

use pulldown_cmark::{Alignment, CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::{
    certain::{is_emphasis, is_strong, is_struck, with_joints, without_joints},
    html::{attribute, is_id, mentioned, tags},
    tree::{Block, Inline, MentionForm, Side, Table},
};

/// The maximum depth of nesting; deeper markup is dropped and its text is kept. It bounds the
/// stack, because the publisher decides the depth.
const DEPTH_MAX: usize = 16;

/// Parses a text.
pub(super) fn parse(source: &str) -> Vec<Block> {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let source = with_joints(source);
    let mut reading = MarkdownParser {
        source: &source,
        document: OpenBlock::new(BlockKind::Document),
        stack: Vec::new(),
        text_end: 0,
        read_to: 0,
    };
    for (event, range) in Parser::new_ext(&source, options).into_offset_iter() {
        reading.take(event, range);
    }
    while !reading.stack.is_empty() {
        reading.close();
    }
    reading.document.into_blocks()
}

/// An open part, with the content found so far.
struct OpenBlock {
    kind: BlockKind,
    blocks: Vec<Block>,
    inlines: Vec<Inline>,
    items: Vec<Vec<Block>>,
    table: Table,
    cells: Vec<Vec<Inline>>,
    raw: String,
    /// The number of open parts inside this one that exceed [`DEPTH_MAX`]. Their content belongs to
    /// this part. Separate parts would move that content once for each level.
    deeper: usize,
}

enum BlockKind {
    Document,
    Heading(usize),
    Paragraph,
    Quote,
    List(Option<u64>),
    Item,
    Code(String),
    Html,
    Table(Vec<Side>),
    Row,
    Cell,
    Strong,
    Emphasis,
    Struck,
    Link(String),
    Image(String),
    Colored(String),
    Mention(MentionForm, String),
}

impl BlockKind {
    const fn is_inline(&self) -> bool {
        matches!(
            self,
            Self::Strong
                | Self::Emphasis
                | Self::Struck
                | Self::Link(_)
                | Self::Image(_)
                | Self::Colored(_)
                | Self::Mention(..)
        )
    }
}

impl OpenBlock {
    fn new(kind: BlockKind) -> Self {
        let (blocks, inlines, items, cells) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            kind,
            blocks,
            inlines,
            items,
            table: Table::default(),
            cells,
            raw: String::new(),
            deeper: 0,
        }
    }

    fn push(&mut self, block: Block) {
        self.gather();
        self.blocks.push(block);
    }

    /// Lines outside of any paragraph become one paragraph, as in a list without blank lines.
    fn gather(&mut self) {
        if !self.inlines.is_empty() {
            self.blocks.push(Block::Paragraph(std::mem::take(&mut self.inlines)));
        }
    }

    fn into_blocks(mut self) -> Vec<Block> {
        self.gather();
        self.blocks
    }

    fn say(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.inlines.last_mut() {
            Some(Inline::Text(before)) => before.push_str(text),
            _ => self.inlines.push(Inline::Text(text.to_owned())),
        }
    }
}

struct MarkdownParser<'a> {
    source: &'a str,
    document: OpenBlock,
    /// The open parts inside the document, the innermost last.
    stack: Vec<OpenBlock>,
    /// The end of the last text in the source.
    text_end: usize,
    /// The end of the text that was read ahead.
    read_to: usize,
}

impl MarkdownParser<'_> {
    fn take(&mut self, event: Event<'_>, range: Range<usize>) {
        if let Some(marks) = self.doubtful(&event, &range) {
            self.text_end = range.end;
            return self.top().say(marks);
        }
        match event {
            Event::Start(tag) => {
                let kind = kind_of(tag);
                if !kind.is_inline() {
                    self.close_tags();
                }
                self.open(kind);
            }
            Event::End(_) => {
                self.close_tags();
                match self.top().deeper.checked_sub(1) {
                    Some(left) => self.top().deeper = left,
                    None => self.close(),
                }
            }
            Event::Text(text) => self.text(&text, range),
            Event::Code(code) => {
                self.top().inlines.push(Inline::Code(without_joints(&code).into_owned()))
            }
            Event::InlineHtml(tag) => self.html(&without_joints(&tag)),
            Event::Html(text) if self.top().deeper > 0 => self.top().say(&without_joints(&text)),
            Event::Html(text) => self.top().raw.push_str(&without_joints(&text)),
            // In a chat, a line ends where its author ended it.
            Event::SoftBreak | Event::HardBreak => self.top().inlines.push(Inline::Break),
            Event::Rule => {
                self.close_tags();
                self.top().push(Block::Rule);
            }
            Event::TaskListMarker(done) => self.top().say(if done { "☑ " } else { "☐ " }),
            Event::FootnoteReference(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.top().say(&text)
            }
        }
    }

    fn top(&mut self) -> &mut OpenBlock {
        self.stack.last_mut().unwrap_or(&mut self.document)
    }

    fn open(&mut self, kind: BlockKind) {
        // An item belongs to its list and a cell to its row: they open whenever their parent is.
        let bound = matches!(kind, BlockKind::Item | BlockKind::Row | BlockKind::Cell)
            && self.top().deeper == 0;
        if self.stack.len() >= DEPTH_MAX && !bound {
            self.top().deeper += 1;
        } else {
            self.stack.push(OpenBlock::new(kind));
        }
    }

    /// Opens the part of an HTML tag. Beyond the maximum depth only its content is kept.
    fn open_tag(&mut self, kind: BlockKind) {
        if self.stack.len() < DEPTH_MAX {
            self.stack.push(OpenBlock::new(kind));
        }
    }

    /// The marks of a pair that is not certainly markup; they are text.
    fn doubtful(&self, event: &Event<'_>, range: &Range<usize>) -> Option<&'static str> {
        let begins = |marks| self.source.get(range.start..).is_some_and(|at| at.starts_with(marks));
        match event {
            Event::Start(Tag::Emphasis) | Event::End(TagEnd::Emphasis) => {
                let marks = if begins("_") { "_" } else { "*" };
                (!is_emphasis(self.source, range)).then_some(marks)
            }
            Event::Start(Tag::Strong) | Event::End(TagEnd::Strong) => {
                let marks = if begins("_") { "__" } else { "**" };
                (!is_strong(self.source, range)).then_some(marks)
            }
            Event::Start(Tag::Strikethrough) | Event::End(TagEnd::Strikethrough) => {
                let marks = if begins("~~") { "~~" } else { "~" };
                (!is_struck(self.source, range)).then_some(marks)
            }
            _ => None,
        }
    }

    fn text(&mut self, text: &str, range: Range<usize>) {
        let text = match self.read_to.checked_sub(range.start) {
            Some(read) if read > 0 => text.get(read..).unwrap_or_default(),
            _ => text,
        };
        let source = self.source;
        let is_escaped = range.start != self.text_end
            && source.get(..range.start).is_some_and(|before| before.ends_with('\\'));
        self.text_end = range.end;
        let written = source.get(range).unwrap_or_default();
        let (before, behind) = source.split_at(self.text_end - written.len());
        let is_in_word = before.ends_with(char::is_alphanumeric);
        let top = self.top();
        if matches!(top.kind, BlockKind::Code(_)) {
            top.raw.push_str(&without_joints(text));
        } else if let Some(id) = mentioned(behind).filter(|_| !is_escaped && !is_in_word) {
            top.inlines.push(Inline::Mention {
                form: MentionForm::AtSign,
                id: id.to_owned(),
                content: Vec::new(),
            });
            let end = self.text_end - written.len() + id.len() + "<@>".len();
            self.read_to = end;
            let left = self.text_end.checked_sub(end);
            let rest = left.and_then(|left| text.get(text.len().checked_sub(left)?..));
            self.top().say(&without_joints(rest.unwrap_or_default()));
        } else if written.starts_with('&') {
            // An entity may stand for a line feed, which would end the block.
            top.say(&text.replace(['\n', '\r'], " "));
        } else {
            top.say(&without_joints(text));
        }
    }

    /// An unclosed colour or mention ends with the lines that contain it.
    fn close_tags(&mut self) {
        while matches!(self.top().kind, BlockKind::Colored(_) | BlockKind::Mention(..)) {
            self.close();
        }
    }

    /// Closes the innermost part and adds it to its parent.
    fn close(&mut self) {
        let Some(mut part) = self.stack.pop() else { return };
        if let BlockKind::Html = part.kind {
            for piece in tags(part.raw.trim_end_matches('\n')) {
                self.html(piece);
            }
            self.close_tags();
            return self.top().gather();
        }
        let around = self.top();
        let mut content = std::mem::take(&mut part.inlines);
        while content.last() == Some(&Inline::Break) {
            content.pop();
        }
        match std::mem::replace(&mut part.kind, BlockKind::Document) {
            BlockKind::Heading(level) => around.push(Block::Heading(level, content)),
            BlockKind::Paragraph => around.push(Block::Paragraph(content)),
            BlockKind::Quote => {
                part.inlines = content;
                around.push(Block::Quote(part.into_blocks()));
            }
            BlockKind::List(start) => around.push(Block::List { start, items: part.items }),
            BlockKind::Item => {
                part.inlines = content;
                around.items.push(part.into_blocks());
            }
            BlockKind::Code(language) => around
                .push(Block::Code { language, text: part.raw.trim_end_matches('\n').to_owned() }),
            BlockKind::Table(sides) => {
                around.push(Block::Table(Table { sides, rows: part.table.rows }))
            }
            BlockKind::Row => around.table.rows.push(part.cells),
            BlockKind::Cell => around.cells.push(content),
            BlockKind::Strong => around.inlines.push(Inline::Strong(content)),
            BlockKind::Emphasis => around.inlines.push(Inline::Emphasis(content)),
            BlockKind::Struck => around.inlines.push(Inline::Struck(content)),
            BlockKind::Link(to) => around.inlines.push(Inline::Link { to, content }),
            BlockKind::Image(from) => around.inlines.push(Inline::Image { from, content }),
            BlockKind::Colored(color) => around.inlines.push(Inline::Colored { color, content }),
            BlockKind::Mention(form, id) => {
                around.inlines.push(Inline::Mention { form, id, content })
            }
            // The document has no parent, and HTML was handled above.
            BlockKind::Document | BlockKind::Html => (),
        }
    }

    /// Handles one tag, or the text between two tags.
    fn html(&mut self, piece: &str) {
        let inner = piece
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix('>'))
            .map(|tag| tag.trim_end_matches('/').trim());
        let (name, attributes) =
            inner.map_or(("", ""), |tag| tag.split_once(char::is_whitespace).unwrap_or((tag, "")));
        match name.to_ascii_lowercase().as_str() {
            "br" => self.top().inlines.push(Inline::Break),
            "font" if attribute(attributes, "color").is_some() => {
                let color = attribute(attributes, "color").unwrap_or_default();
                self.open_tag(BlockKind::Colored(color.to_ascii_lowercase()));
            }
            "at" if attribute(attributes, "id").is_some_and(is_id) => {
                let id = attribute(attributes, "id").unwrap_or_default().to_owned();
                self.open_tag(BlockKind::Mention(MentionForm::AtTag, id));
            }
            "/font" => {
                if matches!(self.top().kind, BlockKind::Colored(_)) {
                    self.close();
                }
            }
            "/at" => {
                if matches!(self.top().kind, BlockKind::Mention(..)) {
                    self.close();
                }
            }
            _ if mentioned(piece).is_some() => {
                let id = mentioned(piece).unwrap_or_default().to_owned();
                let (form, content) = (MentionForm::AtSign, Vec::new());
                self.top().inlines.push(Inline::Mention { form, id, content });
            }
            _ => {
                for (at, line) in piece.split('\n').enumerate() {
                    // A line break at the beginning has no meaning.
                    if at > 0 && !self.top().inlines.is_empty() {
                        self.top().inlines.push(Inline::Break);
                    }
                    if !line.is_empty() {
                        self.top().say(line);
                    }
                }
            }
        }
    }
}

fn kind_of(tag: Tag<'_>) -> BlockKind {
    match tag {
        Tag::Heading { level, .. } => BlockKind::Heading(level as usize),
        Tag::BlockQuote(_) => BlockKind::Quote,
        Tag::List(start) => BlockKind::List(start),
        Tag::Item => BlockKind::Item,
        Tag::CodeBlock(CodeBlockKind::Fenced(info)) => BlockKind::Code(
            without_joints(info.split_whitespace().next().unwrap_or_default()).replace('`', ""),
        ),
        Tag::CodeBlock(CodeBlockKind::Indented) => BlockKind::Code(String::new()),
        Tag::HtmlBlock => BlockKind::Html,
        Tag::Table(alignments) => BlockKind::Table(alignments.into_iter().map(side_of).collect()),
        Tag::TableHead | Tag::TableRow => BlockKind::Row,
        Tag::TableCell => BlockKind::Cell,
        Tag::Strong => BlockKind::Strong,
        Tag::Emphasis => BlockKind::Emphasis,
        Tag::Strikethrough => BlockKind::Struck,
        Tag::Link { dest_url, .. } => BlockKind::Link(without_joints(&dest_url).into_owned()),
        Tag::Image { dest_url, .. } => BlockKind::Image(without_joints(&dest_url).into_owned()),
        // The other extensions are not enabled.
        _ => BlockKind::Paragraph,
    }
}

const fn side_of(alignment: Alignment) -> Side {
    match alignment {
        Alignment::None => Side::Unset,
        Alignment::Left => Side::Left,
        Alignment::Center => Side::Middle,
        Alignment::Right => Side::Right,
    }
}
