//! Which pairs of marks are markup. Numbers, paths and addresses have stars too.
//!
//! Owns the doubt about pairs that the grammar finds, and the pairs that it misses before a wide
//! letter.
//!
//! Not here: the grammar itself (`parse.rs`).

use std::{borrow::Cow, ops::Range};

/// Stands where a mark would miss its partner. No text has this character, by definition.
pub(super) const JOINT: char = '\u{fdd0}';

/// The text without joints.
pub(super) fn without_joints(text: &str) -> Cow<'_, str> {
    if text.contains(JOINT) { text.replace(JOINT, "").into() } else { text.into() }
}

/// The longest run of marks that is looked over. Longer ones are drawings.
const RUN_MAX: usize = 8;

/// The characters around a pair of marks, outside and inside.
struct Edges {
    before: char,
    first: char,
    last: char,
    after: char,
}

impl Edges {
    /// The edges of the markup at this range. Longer runs of the mark count as one.
    fn of(source: &str, range: &Range<usize>, mark: char) -> Self {
        let other = |c: char| c != mark && c != JOINT;
        let whole = source.get(range.clone()).unwrap_or_default();
        let (left, right) = (
            source.get(..range.start).unwrap_or_default(),
            source.get(range.end..).unwrap_or_default(),
        );
        Self {
            before: left.chars().rev().take(RUN_MAX).find(|c| other(*c)).unwrap_or('\n'),
            first: whole.chars().take(RUN_MAX).find(|c| other(*c)).unwrap_or('a'),
            last: whole.chars().rev().take(RUN_MAX).find(|c| other(*c)).unwrap_or('a'),
            after: right.chars().take(RUN_MAX).find(|c| other(*c)).unwrap_or('\n'),
        }
    }
}

/// Whether a pair around text is certainly emphasis, and not part of a calculation, a pattern, a
/// path or a name.
pub(super) fn is_emphasis(source: &str, range: &Range<usize>) -> bool {
    is_certain(source, range, |&Edges { before, first, last, after }| {
        !before.is_alphanumeric()
            && !after.is_numeric()
            && !"/=&-+#%@$\\^.)]".contains(before)
            && !"/=&-+#%@$\\^([".contains(after)
            && !"/=&.,;:)]}%+-?".contains(first)
            && !"/=&([{+-\\".contains(last)
    })
}

/// Whether a pair around text is certainly bold.
pub(super) fn is_strong(source: &str, range: &Range<usize>) -> bool {
    is_certain(source, range, |&Edges { before, first, last, after }| {
        let is_power = before.is_ascii_digit() && (first.is_ascii_alphanumeric() || first == '(')
            || after.is_ascii_digit() && (last.is_ascii_alphanumeric() || last == ')');
        let is_path = before == '/' && first == '/' || last == '/' && after == '/';
        !is_power && !is_path
    })
}

/// Whether a pair is markup: not within an address, of underscores outside of a name, or of stars
/// whose edges leave no doubt.
fn is_certain(source: &str, range: &Range<usize>, stars: impl Fn(&Edges) -> bool) -> bool {
    if is_in_address(source, range) {
        return false;
    }
    let mark = mark_at(source, range);
    let edges = Edges::of(source, range, mark);
    match mark {
        '_' => is_name_free(edges.before, edges.after),
        _ => stars(&edges),
    }
}

/// Whether a pair is struck text. One tilde means "about".
pub(super) fn is_struck(source: &str, range: &Range<usize>) -> bool {
    source.get(range.clone()).is_some_and(|whole| whole.starts_with("~~"))
        && !is_in_address(source, range)
}

/// The longest address that is recognised, in characters.
const ADDRESS_MAX: usize = 512;

/// Whether a pair stands within an address, such as `https://a.example/~_b_~`.
fn is_in_address(source: &str, range: &Range<usize>) -> bool {
    let ends = |c: char| c.is_whitespace() || !c.is_ascii() || "<>\")]".contains(c);
    let (before, whole) = (
        source.get(..range.start).unwrap_or_default(),
        source.get(range.clone()).unwrap_or_default(),
    );
    let word = before.char_indices().rev().take(ADDRESS_MAX).take_while(|(_, c)| !ends(*c)).last();
    let address = word.and_then(|(at, _)| before.get(at..)).unwrap_or_default();
    address.contains("://") && !whole.contains(char::is_whitespace)
}

fn mark_at(source: &str, range: &Range<usize>) -> char {
    source.get(range.start..).and_then(|rest| rest.chars().next()).unwrap_or('*')
}

/// Whether nothing makes the marks a part of a name, such as `a/_b_/c` or `__init__.py`.
fn is_name_free(before: char, after: char) -> bool {
    !"/=&-+#%@$\\^.'\"".contains(before) && !"/=&-+#%@$\\^.('\"".contains(after)
}

/// The source with joints where a mark would miss its partner: between a punctuation mark
/// and a mark that a letter touches on its other side. The grammar was made for languages with
/// blanks between words, and takes such a mark for one of the wrong side.
pub(super) fn with_joints(source: &str) -> Cow<'_, str> {
    let mut joints = Vec::new();
    let mut from = 0;
    for line in source.split_inclusive('\n') {
        if line.contains('*') || line.contains("~~") {
            add_joints(line, from, &mut joints);
        }
        from += line.len();
    }
    if joints.is_empty() {
        return source.into();
    }
    let (mut joined, mut done) = (String::with_capacity(source.len() + joints.len() * 3), 0);
    for at in joints {
        joined.push_str(source.get(done..at).unwrap_or_default());
        joined.push(JOINT);
        done = at;
    }
    joined.push_str(source.get(done..).unwrap_or_default());
    joined.into()
}

fn add_joints(line: &str, from: usize, joints: &mut Vec<usize>) {
    // Whether two tildes are open, or one, two or three stars.
    let mut open = [false; 4];
    let mut before = '\n';
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let at = line.len() - rest.len();
        let end = if matches!(c, '*' | '~') {
            rest.find(|other| other != c).unwrap_or(rest.len())
        } else if c == '\\' {
            // The next character is no mark.
            1 + rest.chars().nth(1).map_or(0, char::len_utf8)
        } else {
            c.len_utf8()
        };
        let behind = rest.get(end..).unwrap_or_default();
        let after = behind.chars().next().unwrap_or('\n');
        let mark = match (c, end) {
            ('*', 1..=3) => open.get_mut(end),
            ('~', 2) => open.get_mut(0),
            _ => None,
        };
        if let Some(is_open) = mark {
            if *is_open && !before.is_whitespace() {
                if is_punctuation(before) && is_letter(after) {
                    joints.push(from + at);
                }
                *is_open = false;
            } else if !after.is_whitespace() {
                if is_letter(before) && is_punctuation(after) && behind.contains([c]) {
                    joints.push(from + at + end);
                }
                *is_open = true;
            }
        }
        before = rest.get(..end).and_then(|piece| piece.chars().next_back()).unwrap_or(c);
        rest = behind;
    }
}

fn is_letter(c: char) -> bool {
    !c.is_whitespace() && !is_punctuation(c)
}

fn is_punctuation(c: char) -> bool {
    !c.is_whitespace() && !c.is_alphanumeric()
}
