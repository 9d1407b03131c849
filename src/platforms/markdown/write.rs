//! From the tree to the markdown of one platform.
//!
//! Owns the places where the result may be cut, which it records while it writes.
//!
//! Not here: the differences between the platforms (`dialect.rs`), and the cuts
//! (`platforms/split.rs`).

use crate::platforms::chunk::PARTS_MAX;

use super::{
    dialect::{CodeBlocks, Dialect, Images},
    tree::{Block, Inline, Side, Table, plain},
};
use crate::platforms::text::{AnnotatedText, Fence};

/// The bound on the written text: a platform takes at most 20,000 bytes in a message. Text that is
/// not in the source, such as missing cells of a wide table, has no other bound.
const WRITTEN_BYTES_MAX: usize = PARTS_MAX as usize * 20_000;

/// Writes the blocks after `head`, as far as they can be shown.
pub(super) fn write(head: &str, blocks: &[Block], dialect: &Dialect) -> AnnotatedText {
    let flow = AnnotatedText::from(head.to_owned());
    let mut writing =
        MarkdownWriter { flow, dialect, prefix: String::new(), solid: 0, quotes: 0, tables: 0 };
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
    writing.flow
}

/// Whether no further text would be shown.
pub(super) fn is_full(flow: &AnnotatedText) -> bool {
    flow.text.len() > WRITTEN_BYTES_MAX
}

struct MarkdownWriter<'a> {
    flow: AnnotatedText,
    dialect: &'a Dialect,
    /// The prefix of every further line.
    prefix: String,
    /// How many uncuttable parts enclose the current place.
    solid: usize,
    quotes: usize,
    tables: usize,
}

impl MarkdownWriter<'_> {
    fn is_full(&self) -> bool {
        is_full(&self.flow)
    }

    fn add(&mut self, text: &str) {
        self.flow.text.push_str(text);
    }

    fn line(&mut self) {
        self.add("\n");
        self.flow.text.push_str(&self.prefix);
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
                self.inlines(content);
            }
            Block::Paragraph(content) => self.inlines(content),
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
        self.add("> ");
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
            self.add(&mark);
            self.within(&" ".repeat(mark.len()), |own| own.blocks(item, true));
        }
    }

    fn code(&mut self, language: &str, text: &str) {
        match self.dialect.code {
            CodeBlocks::Fenced => {
                let (fence, all) =
                    ("`".repeat(longest_run(text, '`').max(2) + 1), self.flow.text.len());
                self.add(&fence);
                self.add(language);
                let inner = self.flow.text.len();
                self.line();
                self.lines(text, Self::add);
                let inner = inner..self.flow.text.len();
                self.line();
                self.add(&fence);
                let (opening, closing) = (
                    format!("{}{fence}{language}", self.prefix),
                    format!("\n{}{fence}", self.prefix),
                );
                self.flow.fences.push(Fence {
                    all: all..self.flow.text.len(),
                    inner,
                    opening,
                    closing,
                });
            }
            CodeBlocks::Quoted if self.quotes == 0 => {
                self.add("> ");
                self.within("> ", |own| own.lines(text, Self::keep_blanks));
            }
            CodeBlocks::Quoted => self.lines(text, Self::keep_blanks),
            CodeBlocks::Lines => self.lines(text, |own, line| match line {
                "" => {}
                line if line.contains('`') => own.add(line),
                line => own.add(&format!("`{line}`")),
            }),
        }
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
        self.add(code);
    }

    fn table(&mut self, table: &Table) {
        self.tables += 1;
        let shown = self.tables <= self.dialect.tables_max;
        let (begin, mut below) = (self.flow.text.len(), None);
        for (at, row) in table.rows.iter().enumerate() {
            if self.is_full() {
                break;
            }
            if at > 0 && shown {
                self.line();
            } else if at > 0 {
                self.broken_line();
            }
            if shown {
                self.row(row, table.sides.len());
                if at == 0 {
                    self.line();
                    let rules = table.sides.iter().map(|side| match side {
                        Side::Unset => "---",
                        Side::Left => ":---",
                        Side::Middle => ":---:",
                        Side::Right => "---:",
                    });
                    self.add(&format!("| {} |", rules.collect::<Vec<_>>().join(" | ")));
                    below = Some(self.flow.text.len());
                }
            } else {
                self.row_as_line(row, at == 0);
            }
        }
        if let Some(below) = below {
            let end = self.flow.text.len();
            let head = self.flow.text.get(begin..below).unwrap_or_default();
            let opening = format!("{}{head}", self.prefix);
            self.flow.fences.push(Fence {
                all: begin..end,
                inner: below..end,
                opening,
                closing: String::new(),
            });
        }
    }

    fn row(&mut self, row: &[Vec<Inline>], columns: usize) {
        self.add("|");
        for at in 0..columns.max(1) {
            if self.is_full() {
                break;
            }
            self.add(" ");
            let begin = self.flow.text.len();
            self.inlines(row.get(at).map_or(&[][..], Vec::as_slice));
            let cell = self.flow.text.split_off(begin);
            self.add(&bars_escaped(&cell));
            self.add(" |");
        }
        // Escaping bars may have moved the recorded places in the line. So the whole row becomes
        // one uncuttable part.
        let begin = self.flow.text.rfind('\n').map_or(0, |at| at + 1);
        while self.flow.solid.pop_if(|solid| solid.end > begin).is_some() {}
        self.flow.solid.push(begin..self.flow.text.len());
    }

    fn row_as_line(&mut self, row: &[Vec<Inline>], head: bool) {
        for (at, cell) in row.iter().enumerate() {
            if self.is_full() {
                return;
            }
            if at > 0 {
                self.add(" | ");
            }
            match head && !cell.is_empty() {
                true => self.inlines(&[Inline::Strong(cell.clone())]),
                false => self.inlines(cell),
            }
        }
    }

    fn broken_line(&mut self) {
        let (before, after) = self.dialect.line_break.split_once('\n').unwrap_or_default();
        self.add(before);
        self.line();
        self.add(after);
    }

    fn inlines(&mut self, inlines: &[Inline]) {
        for inline in inlines {
            if self.is_full() {
                return;
            }
            self.inline(inline);
        }
    }

    fn inline(&mut self, inline: &Inline) {
        match inline {
            Inline::Text(text) => self.add(text),
            Inline::Break => self.broken_line(),
            Inline::Code(code) => self.solid(|own| own.code_in_line(code)),
            Inline::Strong(content) => self.marked("**", content, "**"),
            Inline::Emphasis(content) => {
                self.marked(self.dialect.emphasis, content, self.dialect.emphasis)
            }
            // A platform that does not show the marks leaves them readable, because they change the
            // meaning.
            Inline::Struck(content) => self.marked("~~", content, "~~"),
            Inline::Link { to, content } => self.link(to, &plain(content), ""),
            Inline::Image { from, content } => {
                let shown = match self.dialect.images {
                    Images::Shown => true,
                    Images::ByKey => from.starts_with("img_"),
                    Images::Linked => false,
                };
                self.link(from, &plain(content), if shown { "!" } else { "" });
            }
            Inline::Colored { color, content } => match (self.dialect.color_tag)(color) {
                Some(tag) => self.marked(&tag, content, "</font>"),
                None => self.inlines(content),
            },
            Inline::Mention { id, content } if self.dialect.at_tags => {
                self.marked(&format!("<at id={id}>"), content, "</at>");
            }
            Inline::Mention { .. } => self.add(&plain(std::slice::from_ref(inline))),
        }
    }

    fn marked(&mut self, before: &str, content: &[Inline], after: &str) {
        self.solid(|own| {
            own.add(before);
            own.inlines(content);
            own.add(after);
        });
    }

    fn code_in_line(&mut self, code: &str) {
        let ticks = "`".repeat(longest_run(code, '`') + 1);
        let space = if code.starts_with('`') || code.ends_with('`') { " " } else { "" };
        self.add(&format!("{ticks}{space}{code}{space}{ticks}"));
    }

    fn link(&mut self, to: &str, content: &str, mark: &str) {
        let to = to.replace(' ', "%20").replace('(', "%28").replace(')', "%29");
        self.solid(|own| match (mark, content) {
            (_, content) if to.is_empty() => own.add(content),
            ("", "") => own.add(&format!("[{to}]({to})")),
            (mark, content) => own.add(&format!("{mark}[{content}]({to})")),
        });
    }

    /// Writes a part that a cut must not split.
    fn solid(&mut self, write: impl FnOnce(&mut Self)) {
        let begin = self.flow.text.len();
        self.solid += 1;
        write(self);
        self.solid -= 1;
        if self.solid == 0 {
            self.flow.solid.push(begin..self.flow.text.len());
        }
    }
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}

/// Escapes bars, because a bar would end the cell.
fn bars_escaped(cell: &str) -> String {
    let mut escaped = String::with_capacity(cell.len());
    let mut before = ' ';
    for c in cell.chars() {
        if c == '|' && before != '\\' {
            escaped.push('\\');
        }
        escaped.push(c);
        before = c;
    }
    escaped
}
