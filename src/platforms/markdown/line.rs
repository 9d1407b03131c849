//! The parts of a line in the markdown of one platform.
//!
//! Owns links, pictures and other markup within a line, and bare addresses.
//!
//! Not here: the blocks (`write.rs`), and the characters of a text (`literal.rs`).

use linkify::{LinkFinder, LinkKind};

use super::{
    dialect::Images,
    literal::{self, INVISIBLE, Site},
    tree::{Inline, for_each, plain},
    write::MarkdownWriter,
};

impl MarkdownWriter<'_> {
    /// Writes parts; `after` is the first character behind them.
    pub(super) fn inlines(&mut self, inlines: &[Inline], after: char) {
        let mut mark_before = None;
        for (at, inline) in inlines.iter().enumerate() {
            if self.is_full() {
                return;
            }
            let mark = self.mark_of(inline);
            // Two marks of one kind would be one longer mark.
            if mark.is_some() && mark == mark_before {
                self.flow.text.push(INVISIBLE);
            }
            mark_before = mark;
            let follows = inlines.get(at + 1).map_or(after, |next| self.first_char(next));
            self.inline(inline, follows);
        }
    }

    fn inline(&mut self, inline: &Inline, after: char) {
        match inline {
            Inline::Text(text) => self.text(text, after),
            Inline::Break => self.broken_line(),
            Inline::Code(code) if code.contains('`') || self.in_cell && code.contains('|') => {
                self.literal(code, after);
            }
            Inline::Code(code) => self.solid(|own| own.add(&format!("`{code}`"))),
            Inline::Strong(content) => self.marked("**", content, "**"),
            Inline::Emphasis(content) if self.dialect.emphasis.is_empty() => {
                self.solid(|own| own.inlines(content, after));
            }
            Inline::Emphasis(content) => {
                self.marked(self.dialect.emphasis, content, self.dialect.emphasis)
            }
            // A platform that does not show the marks leaves them readable, because they change the
            // meaning.
            Inline::Struck(content) => self.marked("~~", content, "~~"),
            Inline::Link { to, content } => self.link(to, content),
            Inline::Image { from, content } => self.image(from, &plain(content), after),
            Inline::Colored { color, content } => match (self.dialect.color_tag)(color) {
                Some(tag) => self.marked(&tag, content, "</font>"),
                None => self.inlines(content, after),
            },
            Inline::Mention { form, id, content } if Some(*form) == self.dialect.mentions => {
                let (before, behind) = form.tags(id);
                self.marked(&before, content, behind);
            }
            Inline::Mention { .. } => {
                let said = plain(std::slice::from_ref(inline));
                self.literal(&said, after);
            }
        }
    }

    /// The character that begins and ends a part.
    fn mark_of(&self, inline: &Inline) -> Option<char> {
        match inline {
            Inline::Strong(_) => Some('*'),
            Inline::Emphasis(_) => self.dialect.emphasis.chars().next(),
            Inline::Struck(_) => Some('~'),
            Inline::Code(code) if !code.contains('`') => Some('`'),
            _ => None,
        }
    }

    fn first_char(&self, inline: &Inline) -> char {
        match inline {
            Inline::Text(text) => text.chars().next().unwrap_or(' '),
            Inline::Break => '\n',
            Inline::Link { .. } => '[',
            Inline::Image { .. } if self.dialect.images == Images::Linked => '[',
            Inline::Image { .. } => '!',
            Inline::Colored { .. } | Inline::Mention { .. } => '<',
            other => self.mark_of(other).unwrap_or(' '),
        }
    }

    pub(super) fn marked(&mut self, before: &str, content: &[Inline], behind: &str) {
        self.solid(|own| {
            own.add(before);
            own.inlines(content, behind.chars().next().unwrap_or(' '));
            own.add(behind);
        });
    }

    /// Writes a text and the bare addresses in it.
    fn text(&mut self, text: &str, after: char) {
        let mut finder = LinkFinder::new();
        finder.kinds(&[LinkKind::Url]).url_can_be_iri(false);
        let mut done = 0;
        for link in finder.links(text) {
            // The finder takes stars at the end for markup. Here, they are text.
            let behind = text.get(link.end()..).unwrap_or_default();
            let end = text.len() - behind.trim_start_matches('*').len();
            let address = text.get(link.start()..end).unwrap_or_default();
            // A semicolon behind it may end an entity.
            let is_entity = behind.starts_with(';') && address.contains('&');
            let is_raw = !is_entity && (literal::is_plain_address(address) || self.is_raw(address));
            if !is_raw && !self.is_link_text(address) {
                continue;
            }
            let before = text.get(done..link.start()).unwrap_or_default();
            self.literal(before, if is_raw { 'h' } else { '[' });
            if is_raw {
                self.add(address);
            } else {
                self.address("", address, address);
            }
            done = end;
        }
        self.literal(text.get(done..).unwrap_or_default(), after);
    }

    /// Whether the dialect writes an address as it is.
    fn is_raw(&self, address: &str) -> bool {
        let mut written = String::new();
        let (counts, in_cell) = (self.counts, self.in_cell);
        let site = Site { counts, in_cell, after: '(', ..Site::default() };
        literal::add(address, &site, self.dialect.literals, &mut written) && written == address
    }

    /// Writes a text as it is; `after` is the first character behind it.
    pub(super) fn literal(&mut self, text: &str, after: char) {
        self.piece(text, after, false);
    }

    fn piece(&mut self, text: &str, after: char, in_link: bool) {
        let site = Site {
            counts: self.counts,
            in_cell: self.in_cell,
            in_heading: self.in_heading,
            in_link,
            at_line_start: self.is_at_line_start(),
            after,
        };
        let is_shown = literal::add(text, &site, self.dialect.literals, &mut self.flow.text);
        self.flow.is_lossy |= !is_shown;
    }

    /// Writes a link. The pictures in it are kept, because they have addresses of their own.
    fn link(&mut self, to: &str, content: &[Inline]) {
        let mut pictures = Vec::new();
        for_each(content, &mut |inline| {
            if let Inline::Image { from, content } = inline
                && !from.is_empty()
            {
                pictures.push((from.clone(), plain(content)));
            }
        });
        for (from, text) in &pictures {
            if self.is_shown(from) {
                self.image(from, text, ' ');
                self.add(" ");
            }
        }
        self.address("", to, &plain(content));
        for (from, _) in &pictures {
            if !self.is_shown(from) {
                self.add(" ");
                self.address("", from, file_name(from));
            }
        }
    }

    /// Whether the platform shows a picture from there.
    fn is_shown(&self, from: &str) -> bool {
        match self.dialect.images {
            Images::Shown => true,
            Images::ByKey => from.starts_with("img_"),
            Images::Linked => false,
        }
    }

    fn image(&mut self, from: &str, text: &str, after: char) {
        match from {
            "" => self.literal(text, after),
            from => self.address(if self.is_shown(from) { "!" } else { "" }, from, text),
        }
    }

    /// Whether a text can be that of a link: brackets can be escaped there, or it has none.
    fn is_link_text(&self, text: &str) -> bool {
        !text.contains(['[', ']'])
            || self.dialect.literals.iter().any(|rule| rule.is_for_link_text('['))
    }

    /// Writes the markup of an address and its text.
    fn address(&mut self, mark: &str, to: &str, text: &str) {
        if to.is_empty() {
            return self.literal(text, ' ');
        }
        let is_apart = !self.is_link_text(text);
        self.solid(|own| {
            if is_apart {
                own.literal(text, ' ');
                own.add(" ");
            }
            own.add(mark);
            own.add("[");
            match (mark, text) {
                ("", text) if text.trim().is_empty() || is_apart => own.piece(to, ']', true),
                (_, _) if is_apart => {}
                (_, text) => own.piece(text, ']', true),
            }
            own.add(&format!("]({})", target(to)));
        });
    }

    /// Writes a part that a cut must not split.
    pub(super) fn solid(&mut self, write: impl FnOnce(&mut Self)) {
        let begin = self.flow.text.len();
        self.solid += 1;
        write(self);
        self.solid -= 1;
        if self.solid == 0 {
            self.flow.solid.push(begin..self.flow.text.len());
        }
    }
}

/// An address without characters that could end it.
fn target(address: &str) -> String {
    let mut target = String::with_capacity(address.len());
    for c in address.chars() {
        match c {
            ' ' | '(' | ')' | '[' | ']' | '<' | '>' | '|' | '"' | '\\' => {
                target.push_str(&format!("%{:02X}", u32::from(c)))
            }
            c => target.push(c),
        }
    }
    target
}

/// The last part of an address, without its query.
fn file_name(address: &str) -> &str {
    let path = address.split(['?', '#']).next().unwrap_or(address).trim_end_matches('/');
    path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(address)
}
