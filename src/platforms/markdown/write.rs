//! From the tree to the markdown of one platform.
//!
//! Owns the blocks, and the places where the result may be cut, which it records while it writes.
//!
//! Not here: the parts of a line (`line.rs`), the differences between the platforms (`dialect.rs`),
//! and the cuts (`platforms/split.rs`).

use super::{
    dialect::{CodeBlocks, Dialect, Indent},
    literal::MarkCounts,
    tree::{Block, Inline},
};
use crate::platforms::{
    chunk::PARTS_MAX,
    text::{AnnotatedText, Fence},
};

/// The bound on the written text: a platform takes at most 20,000 bytes in a message. Text that is
/// not in the source, such as missing cells of a wide table, has no other bound.
const WRITTEN_BYTES_MAX: usize = PARTS_MAX as usize * 20_000;

/// A plain text before the blocks.
#[derive(Clone, Copy)]
pub(in crate::platforms) struct Head<'a> {
    /// The mark that makes its first line a heading.
    pub(in crate::platforms) mark: &'a str,
    pub(in crate::platforms) text: &'a str,
    /// The separator behind it.
    pub(in crate::platforms) gap: &'a str,
}

/// Writes the blocks behind their head, as far as they can be shown. Also returns the length of the
/// head.
pub(super) fn write(
    head: Option<Head<'_>>,
    blocks: &[Block],
    dialect: &Dialect,
) -> (AnnotatedText, usize) {
    let mut writing = MarkdownWriter::new(dialect);
    if let Some(head) = head {
        writing.head(&head);
    }
    let head_bytes = writing.flow.text.len();
    for (at, block) in blocks.iter().enumerate() {
        if writing.is_full() {
            break;
        }
        if at > 0 {
            writing.gap();
        }
        writing.block(block);
        writing.flow.ends.push(writing.flow.text.len());
    }
    let open_ended = matches!(
        blocks.last(),
        Some(Block::Quote(_) | Block::List { .. } | Block::Table(_) | Block::Code { .. })
    );
    writing.flow.apart = if open_ended { "\n" } else { "" };
    (writing.flow, head_bytes)
}

/// Writes lines of plain text.
pub(super) fn write_plain(text: &str, dialect: &Dialect) -> AnnotatedText {
    let mut writing = MarkdownWriter::new(dialect);
    writing.head(&Head { mark: "", text, gap: "" });
    writing.flow
}

/// Whether no further text would be shown.
pub(super) fn is_full(flow: &AnnotatedText) -> bool {
    flow.text.len() > WRITTEN_BYTES_MAX
}

pub(super) struct MarkdownWriter<'a> {
    pub(super) flow: AnnotatedText,
    pub(super) dialect: &'a Dialect,
    /// The prefix of every further line.
    pub(super) prefix: String,
    /// How many uncuttable parts enclose the current place.
    pub(super) solid: usize,
    quotes: usize,
    pub(super) tables: usize,
    /// Where the text of the current line begins, behind prefixes and marks.
    line_start: usize,
    pub(super) counts: MarkCounts,
    pub(super) in_cell: bool,
    pub(super) in_heading: bool,
}

impl<'a> MarkdownWriter<'a> {
    fn new(dialect: &'a Dialect) -> Self {
        Self {
            flow: AnnotatedText::default(),
            dialect,
            prefix: String::new(),
            solid: 0,
            quotes: 0,
            tables: 0,
            line_start: 0,
            counts: MarkCounts::default(),
            in_cell: false,
            in_heading: false,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        is_full(&self.flow)
    }

    pub(super) fn is_at_line_start(&self) -> bool {
        self.flow.text.len() == self.line_start && !self.in_heading && !self.in_cell
    }

    pub(super) fn add(&mut self, text: &str) {
        self.flow.text.push_str(text);
    }

    /// Adds a mark behind which the text of the line begins.
    fn begin(&mut self, mark: &str) {
        self.add(mark);
        self.line_start = self.flow.text.len();
    }

    pub(super) fn line(&mut self) {
        self.add("\n");
        self.flow.text.push_str(&self.prefix);
        self.line_start = self.flow.text.len();
    }

    fn head(&mut self, head: &Head<'_>) {
        self.counts = MarkCounts::of_text(head.text);
        self.add(head.mark);
        self.in_heading = !head.mark.is_empty();
        for (at, line) in head.text.lines().enumerate() {
            if at > 0 {
                self.in_heading = false;
                self.broken_line();
            }
            self.literal(line.trim(), '\n');
        }
        self.in_heading = false;
        self.begin(head.gap);
    }

    /// Adds an empty line and begins the next.
    fn gap(&mut self) {
        self.add("\n");
        self.flow.text.push_str(self.prefix.trim_end());
        self.line();
    }

    /// Writes with `more` added to the prefix of further lines.
    fn within(&mut self, more: &str, write: impl FnOnce(&mut Self)) {
        let before = self.prefix.len();
        self.prefix.push_str(more);
        write(self);
        self.prefix.truncate(before);
    }

    fn blocks(&mut self, blocks: &[Block], close: bool) {
        for (at, block) in blocks.iter().enumerate() {
            match block {
                _ if self.is_full() => return,
                _ if at == 0 => {}
                Block::List { .. } if close => self.line(),
                _ => self.gap(),
            }
            self.block(block);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading(level, content) => {
                self.add(&"#".repeat(*level));
                self.add(" ");
                self.in_heading = true;
                self.counted(content);
                self.in_heading = false;
            }
            Block::Paragraph(content) => self.counted(content),
            Block::Quote(blocks) => self.quote(blocks),
            Block::List { start, items } => self.list(*start, items),
            Block::Code { language, text } => self.code(language, text),
            Block::Table(table) => self.table(table),
            Block::Rule => self.add(self.dialect.rule),
        }
    }

    fn quote(&mut self, blocks: &[Block]) {
        if self.quotes > 0 && !self.dialect.nested_quotes {
            return self.blocks(blocks, false);
        }
        self.quotes += 1;
        self.begin("> ");
        self.within("> ", |own| own.blocks(blocks, false));
        self.quotes -= 1;
    }

    fn list(&mut self, start: Option<u64>, items: &[Vec<Block>]) {
        for (at, item) in items.iter().enumerate() {
            if self.is_full() {
                return;
            }
            if at > 0 {
                self.line();
            }
            let mark = start.map_or_else(
                || "- ".to_owned(),
                |first| format!("{}. ", first.saturating_add(at as u64)),
            );
            self.begin(&mark);
            let blanks = match self.dialect.indent {
                Indent::UnderText => mark.len(),
                Indent::Blanks(count) => count,
            };
            self.within(&" ".repeat(blanks), |own| own.blocks(item, true));
        }
    }

    pub(super) fn code(&mut self, language: &str, text: &str) {
        self.counts = MarkCounts::of_text(text);
        match self.dialect.code {
            CodeBlocks::Fenced if self.dialect.fence_at_margin => {
                let margin = self.prefix.trim_end_matches(' ').len();
                let margin = if margin == 0 { 0 } else { margin + 1 };
                let inside = self.prefix.get(..margin).unwrap_or_default().to_owned();
                let indented = std::mem::replace(&mut self.prefix, inside);
                if indented.len() > margin {
                    self.move_to_margin(&indented);
                }
                self.fenced(language, text);
                self.prefix = indented;
            }
            CodeBlocks::Fenced => self.fenced(language, text),
            CodeBlocks::Quoted if self.quotes == 0 => {
                self.begin("> ");
                self.within("> ", |own| own.lines(text, Self::keep_blanks));
            }
            CodeBlocks::Quoted => self.lines(text, Self::keep_blanks),
            CodeBlocks::Lines => self.lines(text, |own, line| match line {
                "" => {}
                line if line.contains('`') => own.literal(line, '\n'),
                line => own.add(&format!("`{line}`")),
            }),
        }
    }

    /// Makes the next text the first of a line without the indentation of a list.
    fn move_to_margin(&mut self, indented: &str) {
        let line = self.flow.text.rfind('\n').map_or(0, |at| at + 1);
        if self.flow.text.get(line..) == Some(indented) {
            self.flow.text.truncate(line);
            self.flow.text.push_str(&self.prefix);
        } else {
            self.line();
        }
    }

    fn fenced(&mut self, language: &str, text: &str) {
        let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
        let all = self.flow.text.len();
        self.add(&fence);
        self.add(language);
        let inner = self.flow.text.len();
        self.line();
        self.lines(text, Self::add);
        let inner = inner..self.flow.text.len();
        self.line();
        self.add(&fence);
        let opening = format!("{}{fence}{language}", self.prefix);
        let closing = format!("\n{}{fence}", self.prefix);
        self.flow.fences.push(Fence { all: all..self.flow.text.len(), inner, opening, closing });
    }

    fn lines(&mut self, text: &str, write: impl Fn(&mut Self, &str)) {
        for (at, line) in text.split('\n').enumerate() {
            if self.is_full() {
                return;
            }
            if at > 0 {
                match self.dialect.code {
                    CodeBlocks::Quoted => self.broken_line(),
                    CodeBlocks::Fenced | CodeBlocks::Lines => self.line(),
                }
            }
            write(self, line.trim_end_matches('\r'));
        }
    }

    /// Keeps the indentation of a line of code, which markdown would drop.
    fn keep_blanks(&mut self, line: &str) {
        let code = line.trim_start_matches(' ');
        self.add(&"&nbsp;".repeat(line.len() - code.len()));
        self.literal(code, '\n');
    }

    pub(super) fn broken_line(&mut self) {
        if self.in_cell {
            return self.add(self.dialect.cell_break);
        }
        let (before, after) = self.dialect.line_break.split_once('\n').unwrap_or_default();
        self.add(before);
        self.line();
        self.begin(after);
    }

    /// Writes the parts of a whole block.
    fn counted(&mut self, inlines: &[Inline]) {
        self.counts = MarkCounts::of(inlines);
        self.inlines(inlines, '\n');
    }
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}
