//! What members read: a small model of how each platform shows a message.
//!
//! Owns the models. They are written from the documents alone and share no code with the writers
//! in the library. In doubt a model takes a character for markup.
//!
//! Not here: the parts of a line (`shown_line.rs`).

use serde_json::Value;

use crate::shown_line::{Run, runs};

/// The features of a platform's markdown.
#[derive(Clone, Copy)]
pub(crate) struct Features {
    pub(crate) backslashes: bool,
    pub(crate) entities: bool,
    pub(crate) italics: bool,
    pub(crate) struck: bool,
    pub(crate) pictures: bool,
    pub(crate) lists: bool,
    pub(crate) blocks: bool,
    /// Tags: Lark's end the text if they are unknown.
    pub(crate) tags: &'static [&'static str],
    pub(crate) unknown_tag_ends: bool,
    pub(crate) formulas: bool,
}

const DINGTALK: Features = Features {
    backslashes: true,
    entities: true,
    italics: true,
    struck: false,
    pictures: true,
    lists: true,
    blocks: false,
    tags: &["font", "/font"],
    unknown_tag_ends: false,
    formulas: false,
};

const LARK: Features = Features {
    backslashes: false,
    entities: true,
    italics: true,
    struck: true,
    pictures: true,
    lists: true,
    blocks: true,
    tags: &["font", "/font", "at", "/at", "br"],
    unknown_tag_ends: true,
    formulas: false,
};

const WECOM: Features = Features {
    backslashes: false,
    entities: false,
    italics: false,
    struck: false,
    pictures: false,
    lists: false,
    blocks: false,
    tags: &["font", "/font", "@"],
    unknown_tag_ends: false,
    formulas: true,
};

const WECOM_V2: Features = Features {
    italics: true,
    struck: true,
    pictures: true,
    lists: true,
    blocks: true,
    tags: &[],
    ..WECOM
};

/// A line as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) kind: Kind,
    pub(crate) runs: Vec<Run>,
}

/// The kind of a line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Text,
    Heading,
    Quote,
    /// An item at a depth, with its bullet or number.
    Item(usize, String),
    Code,
    Row,
    Rule,
}

/// The lines of a message's body: its title, if it is shown, and its text.
pub(crate) fn shown(body: &Value) -> Vec<Line> {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    if let Some(content) = text("/card/body/elements/0/content") {
        let title = text("/card/header/title/content")
            .map(|title| Line { kind: Kind::Heading, runs: vec![Run::plain(title)] });
        return title.into_iter().chain(markdown(content, &LARK)).collect();
    }
    let kinds = [
        ("/markdown/text", &DINGTALK),
        ("/markdown/content", &WECOM),
        ("/markdown_v2/content", &WECOM_V2),
    ];
    if let Some((content, features)) =
        kinds.iter().find_map(|(pointer, features)| Some((text(pointer)?, features)))
    {
        return markdown(content, features);
    }
    let content = text("/text/content").or_else(|| text("/content/text")).unwrap();
    content.lines().map(|line| Line { kind: Kind::Text, runs: vec![Run::plain(line)] }).collect()
}

/// The characters of lines, without blanks at their edges and without empty lines.
pub(crate) fn characters(lines: &[Line]) -> String {
    let texts = lines.iter().map(|line| {
        let mark = match &line.kind {
            Kind::Item(_, mark) if mark != "•" => format!("{mark} "),
            _ => String::new(),
        };
        mark + &line.runs.iter().map(|run| run.text.as_str()).collect::<String>()
    });
    let texts: Vec<String> = texts.map(|text| text.replace(['\u{200b}', '\u{a0}'], "")).collect();
    lines_of(&texts.join("\n"))
}

/// The lines of a text that are not blank, without blanks at their edges. Several blanks count as
/// one.
pub(crate) fn lines_of(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The addresses that can be reached or are shown.
pub(crate) fn addresses(lines: &[Line]) -> Vec<String> {
    lines.iter().flat_map(|line| &line.runs).filter_map(|run| run.address.clone()).collect()
}

fn markdown(text: &str, features: &Features) -> Vec<Line> {
    let raw: Vec<&str> = text.lines().collect();
    let (mut lines, mut at) = (Vec::<Line>::new(), 0);
    while at < raw.len() {
        let line = raw[at];
        at += 1;
        if features.blocks && line.trim_start_matches(['>', ' ']).starts_with("```") {
            let quote = line.find('`').unwrap();
            let ticks: String = line[quote..].chars().take_while(|c| *c == '`').collect();
            while at < raw.len() && !raw[at].trim_start_matches(['>', ' ']).starts_with(&ticks) {
                let code = raw[at].get(quote..).unwrap_or_default();
                lines.push(Line { kind: Kind::Code, runs: vec![Run::plain(code)] });
                at += 1;
            }
            at += 1;
            continue;
        }
        if is_table_rule(line) && features.blocks && at > 1 && raw[at - 2].contains('|') {
            if let Some(head) = lines.last_mut() {
                *head = row(raw[at - 2], features);
            }
            while at < raw.len() && raw[at].contains('|') {
                lines.push(row(raw[at], features));
                at += 1;
            }
            continue;
        }
        let ends = add_line(line, features, &mut lines);
        if ends {
            break;
        }
    }
    lines
}

fn is_table_rule(line: &str) -> bool {
    let line = line.trim_start_matches(['>', ' ']);
    line.contains('|') && line.contains('-') && line.chars().all(|c| "|-: ".contains(c))
}

fn row(line: &str, features: &Features) -> Line {
    let line = line.trim_start_matches(['>', ' ']).trim_end();
    let cells = line.trim_start_matches('|').trim_end_matches('|').split('|');
    let mut all = Vec::new();
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            all.push(Run::plain(" | "));
        }
        all.extend(runs(cell.trim(), features).0);
    }
    Line { kind: Kind::Row, runs: all }
}

/// Adds the lines that one line is shown as. Returns whether the text ends there.
fn add_line(line: &str, features: &Features, lines: &mut Vec<Line>) -> bool {
    let mut kind = Kind::Text;
    let mut rest = line.trim_end();
    let mut blanks = 0;
    loop {
        let text = rest.trim_start();
        blanks += rest.len() - text.len();
        rest = text;
        if let Some(quoted) = rest.strip_prefix('>') {
            kind = Kind::Quote;
            blanks = 0;
            rest = quoted;
        } else if let Some((mark, item)) = item(rest).filter(|_| features.lists) {
            kind = Kind::Item(blanks, mark);
            rest = item;
        } else {
            break;
        }
    }
    let level = rest.chars().take_while(|c| *c == '#').count();
    if (1..=6).contains(&level) && rest[level..].chars().next().is_none_or(|c| c == ' ') {
        kind = Kind::Heading;
        rest = rest[level..].trim();
        if features.italics {
            let title = rest.trim_end_matches('#');
            rest = if title.is_empty() || title.ends_with(' ') { title.trim_end() } else { rest };
        }
    }
    let only = |c: char| rest.len() > 2 && rest.chars().all(|other| other == c || other == ' ');
    if features.lists && kind != Kind::Heading && (only('-') || only('*') || only('_') || only('='))
    {
        lines.push(Line { kind: Kind::Rule, runs: Vec::new() });
        return false;
    }
    let is_definition = rest.starts_with('[')
        && rest.split_once("]:").is_some_and(|(name, _)| !name.contains('\\'));
    if features.lists && kind != Kind::Heading && is_definition {
        return false;
    }
    let (runs, ends) = runs(rest, features);
    lines.push(Line { kind, runs });
    ends
}

/// The mark of an item, and the text behind it.
fn item(line: &str) -> Option<(String, &str)> {
    for bullet in ['-', '+', '*'] {
        if let Some(text) = line.strip_prefix(bullet)
            && (text.starts_with(' ') || text.is_empty())
        {
            return Some(("•".to_owned(), text.trim_start()));
        }
    }
    let digits = line.chars().take_while(char::is_ascii_digit).count();
    let text = line[digits..].strip_prefix(". ").filter(|_| (1..10).contains(&digits))?;
    Some((line[..=digits].to_owned(), text))
}
