//! The parts of a line, as a platform shows them.
//!
//! Owns the models of emphasis, links, code and escapes.
//!
//! Not here: lines and blocks (`shown.rs`).

use crate::shown::Features;

/// A piece of text in one style.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) text: String,
    pub(crate) styles: Vec<&'static str>,
    pub(crate) address: Option<String>,
}

impl Run {
    pub(crate) fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), styles: Vec::new(), address: None }
    }
}

struct Reading<'a> {
    features: &'a Features,
    styles: Vec<&'static str>,
    runs: Vec<Run>,
}

/// The pieces of a line, and whether the text ends in it.
pub(crate) fn runs(line: &str, features: &Features) -> (Vec<Run>, bool) {
    let mut reading = Reading { features, styles: Vec::new(), runs: Vec::new() };
    let ends = reading.read(line, '\n');
    (reading.runs, ends)
}

impl Reading<'_> {
    fn push(&mut self, text: &str, address: Option<String>) {
        match self.runs.last_mut() {
            Some(last)
                if last.styles == self.styles && last.address.is_none() && address.is_none() =>
            {
                last.text.push_str(text);
            }
            _ => {
                self.runs.push(Run { text: text.to_owned(), styles: self.styles.clone(), address })
            }
        }
    }

    fn styled(&mut self, style: &'static str, text: &str) -> bool {
        self.styles.push(style);
        let ends = self.read(text, ' ');
        self.styles.pop();
        ends
    }

    /// Returns whether the text ends here.
    fn read(&mut self, text: &str, before: char) -> bool {
        let (mut rest, mut before) = (text, before);
        while let Some(c) = rest.chars().next() {
            let behind = &rest[c.len_utf8()..];
            let (taken, ends) = self.take(c, behind, before);
            if ends {
                return true;
            }
            before = rest[..taken].chars().next_back().unwrap();
            rest = &rest[taken..];
        }
        false
    }

    /// Reads what begins with `c`. Returns its length, and whether the text ends here.
    fn take(&mut self, c: char, behind: &str, before: char) -> (usize, bool) {
        let whole = c.len_utf8();
        let features = *self.features;
        match c {
            '\\' if features.backslashes => {
                if let Some(next) = behind.chars().next().filter(char::is_ascii_punctuation) {
                    self.push(&next.to_string(), None);
                    return (2, false);
                }
            }
            '\\' if features.formulas && behind.starts_with(['[', ']', '(', ')']) => {
                return (2, false);
            }
            '&' if features.entities => {
                if let Some((end, entity)) = entity(behind) {
                    self.push(&entity.to_string(), None);
                    return (whole + end, false);
                }
            }
            '`' => {
                if let Some(end) = behind.find('`').filter(|end| *end > 0) {
                    self.styles.push("code");
                    self.push(&behind[..end], None);
                    self.styles.pop();
                    return (end + 2, false);
                }
            }
            '!' if features.pictures && behind.starts_with('[') => {
                if let Some((text, address, end)) = link(&behind[1..], self.features) {
                    self.styles.push("picture");
                    let alternative = unescaped(text, self.features);
                    self.push(&alternative, Some(address.to_owned()));
                    self.styles.pop();
                    return (end + 2, false);
                }
            }
            '[' => {
                if let Some((text, address, end)) = link(behind, self.features) {
                    let text = unescaped(text, self.features);
                    self.push(&text, Some(address.to_owned()));
                    return (end + 1, false);
                }
            }
            '*' | '_' | '~' => {
                if let Some((style, width, end)) = self.emphasis(c, behind, before) {
                    let inner = behind[width - 1..end].to_owned();
                    let ends = self.styled(style, &inner);
                    return (end + 1 + width, ends);
                }
            }
            '<' => {
                let name: String = behind
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || matches!(c, '/' | '@'))
                    .collect();
                let known = features.tags.iter().any(|tag| {
                    name.eq_ignore_ascii_case(tag) || *tag == "@" && name.starts_with('@')
                });
                let end = behind.find('>');
                match end {
                    Some(end) if known => {
                        self.tag(&name, &behind[..end]);
                        return (end + 2, false);
                    }
                    _ if features.unknown_tag_ends => return (whole, true),
                    _ => {}
                }
            }
            _ => {}
        }
        self.push(&c.to_string(), None);
        (whole, false)
    }

    fn tag(&mut self, name: &str, tag: &str) {
        let id = match name {
            "font" => return self.styles.push("coloured"),
            "/font" => return self.styles.retain(|style| *style != "coloured"),
            "at" => tag.split('=').nth(1).unwrap_or_default(),
            _ if name.starts_with('@') => &tag[1..],
            _ => return,
        };
        self.styles.push("mention");
        self.push(&format!("@{id}"), None);
        self.styles.pop();
    }

    /// The style, the width of its mark, and where its end mark begins behind the first character.
    fn emphasis(
        &self,
        c: char,
        behind: &str,
        before: char,
    ) -> Option<(&'static str, usize, usize)> {
        let doubled = behind.starts_with(c);
        let (style, width) = match (c, doubled) {
            ('*', true) => ("bold", 2),
            ('_', true) if self.features.backslashes || self.features.entities => ("bold", 2),
            ('~', true) if self.features.struck => ("struck", 2),
            ('*' | '_', false) if self.features.italics => ("italic", 1),
            _ => return None,
        };
        let mark = c.to_string().repeat(width);
        let inner = &behind[width - 1..];
        if inner.starts_with(char::is_whitespace) || c == '_' && before.is_alphanumeric() {
            return None;
        }
        let mut from = 0;
        while let Some(found) = inner[from..].find(&mark) {
            let at = from + found;
            let last = inner[..at].chars().next_back();
            let next = inner[at + width..].chars().next();
            let slashes = inner[..at].chars().rev().take_while(|c| *c == '\\').count();
            let escaped = self.features.backslashes && slashes % 2 == 1;
            let in_word = c == '_' && next.is_some_and(char::is_alphanumeric);
            // A longer mark ends with its last characters.
            let longer = next == Some(c);
            if last.is_some_and(|last| !last.is_whitespace()) && !escaped && !in_word && !longer {
                return Some((style, width, at + width - 1));
            }
            from = at + 1;
        }
        None
    }
}

/// The text and the address of a link whose text begins here, and where it ends.
fn link<'a>(behind: &'a str, features: &Features) -> Option<(&'a str, &'a str, usize)> {
    let mut escaped = false;
    for (at, c) in behind.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if features.backslashes => escaped = true,
            '[' => return None,
            ']' => {
                let address = behind[at + 1..].strip_prefix('(')?;
                let end = address.find(')')?;
                return Some((&behind[..at], &address[..end], at + 2 + end + 1));
            }
            _ => {}
        }
    }
    None
}

fn unescaped(text: &str, features: &Features) -> String {
    let mut said = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let next = rest.chars().next();
        if c == '\\' && features.backslashes && next.is_some_and(|c| c.is_ascii_punctuation()) {
            said.extend(next);
            rest = &rest[1..];
        } else if let Some((end, entity)) = entity(rest).filter(|_| c == '&' && features.entities) {
            said.push(entity);
            rest = &rest[end..];
        } else {
            said.push(c);
        }
    }
    said
}

/// The character of an entity, and the length of its name with the semicolon.
fn entity(behind: &str) -> Option<(usize, char)> {
    let end = behind.find(';').filter(|end| *end < 10)?;
    let name = &behind[..end];
    let character = match name {
        "nbsp" => '\u{a0}',
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "copy" => '©',
        name => char::from_u32(name.strip_prefix('#')?.parse().ok()?)?,
    };
    Some((end + 1, character))
}
