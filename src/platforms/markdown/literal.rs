//! How text is written that is no markup, although it contains characters of markup.
//!
//! Owns the places where a character could be markup, and the forms in which it is not.
//!
//! Not here: which character needs which form on a platform (`markdown.rs` of each platform).

use super::tree::{Inline, for_each};

/// A character without width. Between two characters it keeps them from being one mark.
pub(super) const INVISIBLE: char = '\u{200b}';

/// One rule of a dialect.
pub(in crate::platforms) struct Literal {
    pub(in crate::platforms) of: char,
    pub(in crate::platforms) place: Place,
    pub(in crate::platforms) form: Form,
}

impl Literal {
    pub(in crate::platforms) const fn new(of: char, place: Place, form: Form) -> Self {
        Self { of, place, form }
    }

    /// Whether it is for this character in the text of a link.
    pub(super) fn is_for_link_text(&self, c: char) -> bool {
        self.of == c && matches!(self.place, Place::LinkText | Place::Anywhere)
    }
}

/// The places where a character could be markup.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::platforms) enum Place {
    /// Every place.
    Anywhere,
    /// The beginning of a line that would be a heading, a quote, an item, a rule, a fence, the row
    /// below a table's head, or a definition of a link.
    LineStart,
    /// The end of a heading.
    HeadingEnd,
    /// A cell of a table.
    Cell,
    /// The text of a link.
    LinkText,
    /// Where emphasis could begin or end, if the block has such a character twice.
    Emphasis,
    /// Any place in a block that has such a character twice.
    Paired,
    /// Beside such a character.
    Doubled,
    /// Before a parenthesis, as in the middle of a link.
    Address,
    /// Before a bracket, as at the beginning of an image.
    Image,
    /// The beginning of one of these tags.
    Tag(&'static [&'static str]),
    /// Before a bracket or a parenthesis, as in a formula.
    Formula,
    /// Before a character that could be escaped.
    Escape,
    /// The beginning of an entity.
    Entity,
}

/// The forms in which a character is no markup.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::platforms) enum Form {
    /// A numeric entity.
    Entity,
    /// A backslash before it.
    Backslash,
    /// A character without width beside it.
    Separated,
    /// None: the platform cannot show it.
    None,
}

/// How often characters that need a partner occur in a block.
#[derive(Clone, Copy, Default)]
pub(super) struct MarkCounts {
    stars: usize,
    underscores: usize,
    ticks: usize,
}

impl MarkCounts {
    pub(super) fn of_text(text: &str) -> Self {
        let mut counts = Self::default();
        counts.add_text(text);
        counts
    }

    pub(super) fn of(inlines: &[Inline]) -> Self {
        let mut counts = Self::default();
        counts.add(inlines);
        counts
    }

    pub(super) fn add(&mut self, inlines: &[Inline]) {
        let counts = self;
        for_each(inlines, &mut |inline| match inline {
            Inline::Text(text) => counts.add_text(text),
            Inline::Code(text) => {
                counts.add_text(text);
                counts.ticks += 2;
            }
            Inline::Strong(_) | Inline::Emphasis(_) => counts.stars += 2,
            _ => {}
        });
    }

    fn add_text(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'*' => self.stars += 1,
                b'_' => self.underscores += 1,
                b'`' => self.ticks += 1,
                _ => {}
            }
        }
    }

    const fn is_single(self, c: char) -> bool {
        match c {
            '*' => self.stars < 2,
            '_' => self.underscores < 2,
            '`' => self.ticks < 2,
            _ => false,
        }
    }
}

/// The surroundings of a piece of text.
#[derive(Clone, Copy, Default)]
pub(super) struct Site {
    pub(super) counts: MarkCounts,
    pub(super) in_cell: bool,
    pub(super) in_heading: bool,
    pub(super) in_link: bool,
    pub(super) at_line_start: bool,
    /// The first character behind the piece.
    pub(super) after: char,
}

/// The surroundings of one character.
struct Around<'a> {
    site: &'a Site,
    at_line_start: bool,
    before: char,
    /// The text behind the character.
    rest: &'a str,
}

/// Adds a piece of text. Returns whether the platform shows it as it is.
pub(super) fn add(text: &str, site: &Site, literals: &[Literal], out: &mut String) -> bool {
    let mut is_shown = true;
    // What stands behind the number of an item begins a line too.
    let item = text.len() - behind_numbers(text).len();
    let mut before =
        if site.at_line_start { '\n' } else { out.chars().next_back().unwrap_or('\n') };
    for (at, c) in text.char_indices() {
        let rest = text.get(at + c.len_utf8()..).unwrap_or_default();
        let around = Around {
            site,
            at_line_start: site.at_line_start && (at == 0 || at == item),
            before,
            rest,
        };
        before = c;
        if !c.is_ascii_punctuation() {
            out.push(c);
            continue;
        }
        let rule = literals.iter().find(|rule| rule.of == c && around.is(rule.place, c));
        match rule.map(|rule| (rule.form, rule.place)) {
            None => out.push(c),
            Some((Form::Entity, _)) => out.push_str(&format!("&#{};", u32::from(c))),
            Some((Form::Backslash, _)) => out.extend(['\\', c]),
            Some((Form::Separated, Place::LineStart)) => out.extend([INVISIBLE, c]),
            Some((Form::Separated, Place::Doubled)) => {
                if around.before == c {
                    out.push(INVISIBLE);
                }
                out.push(c);
                if rest.is_empty() && site.after == c {
                    out.push(INVISIBLE);
                }
            }
            Some((Form::Separated, _)) => out.extend([c, INVISIBLE]),
            Some((Form::None, _)) => {
                out.push(c);
                is_shown = false;
            }
        }
    }
    is_shown
}

/// Whether an address stays one on every platform, also as bare text.
pub(super) fn is_plain_address(address: &str) -> bool {
    let mut before = '/';
    for (at, c) in address.char_indices() {
        let next = address.get(at + c.len_utf8()..).and_then(|rest| rest.chars().next());
        let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        match c {
            '*' | '`' | '\\' | '[' | ']' | '|' => return false,
            '~' if next == Some('~') => return false,
            '_' if !(inside(Some(before)) && inside(next)) => return false,
            '&' if is_entity(address.get(at + 1..).unwrap_or_default()) => return false,
            _ => {}
        }
        before = c;
    }
    true
}

impl Around<'_> {
    fn next(&self) -> char {
        self.rest.chars().next().unwrap_or(self.site.after)
    }

    fn is(&self, place: Place, c: char) -> bool {
        match place {
            Place::Anywhere => true,
            Place::LineStart => self.at_line_start && begins_a_block(c, self.rest),
            Place::HeadingEnd => {
                self.site.in_heading && self.rest.is_empty() && self.site.after == '\n'
            }
            Place::Cell => self.site.in_cell,
            Place::LinkText => self.site.in_link,
            Place::Emphasis => {
                let (before, next) = (self.before, self.next());
                let between_blanks = before.is_whitespace() && next.is_whitespace();
                let in_word = c == '_' && before.is_alphanumeric() && next.is_alphanumeric();
                !self.site.counts.is_single(c) && !between_blanks && !in_word
            }
            Place::Paired => !self.site.counts.is_single(c),
            Place::Doubled => self.before == c || self.rest.is_empty() && self.site.after == c,
            Place::Address => self.next() == '(',
            Place::Image => self.next() == '[',
            Place::Tag(known) => known.iter().any(|tag| self.rest.starts_with(tag)),
            Place::Formula => matches!(self.next(), '[' | ']' | '(' | ')'),
            Place::Escape => self.next().is_ascii_punctuation(),
            Place::Entity => is_entity(self.rest),
        }
    }
}

/// Whether a line that begins with this character would be more than text.
fn begins_a_block(c: char, rest: &str) -> bool {
    let blank = |rest: &str| rest.is_empty() || rest.starts_with(char::is_whitespace);
    let is_rule = || rest.chars().all(|other| other == c || matches!(other, ' ' | '-' | ':' | '|'));
    match c {
        '>' => true,
        '#' => {
            let title = rest.trim_start_matches('#');
            rest.len() - title.len() < 6 && blank(title)
        }
        '-' | '+' | '*' => blank(rest) || is_rule(),
        '=' | '_' => is_rule(),
        '|' | ':' => rest.contains('-') && is_rule(),
        '`' | '~' => rest.starts_with(c) && rest.get(1..).is_some_and(|rest| rest.starts_with(c)),
        '[' => rest.contains("]:"),
        _ => false,
    }
}

/// The text behind the numbers of items with which a line begins.
fn behind_numbers(line: &str) -> &str {
    let mut text = line;
    loop {
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let item = rest.strip_prefix(['.', ')']).filter(|item| item.starts_with(' '));
        match item.filter(|_| rest.len() < text.len()) {
            Some(item) => text = item.trim_start(),
            None => return text,
        }
    }
}

/// The longest name of an entity.
const ENTITY_BYTES_MAX: usize = 32;

/// Whether the text behind `&` makes it an entity.
fn is_entity(rest: &str) -> bool {
    let name = rest.strip_prefix('#').unwrap_or(rest);
    let length = name.bytes().take_while(u8::is_ascii_alphanumeric).take(ENTITY_BYTES_MAX).count();
    length > 0 && name.as_bytes().get(length) == Some(&b';')
}
