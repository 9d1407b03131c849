//! The rule that parameters of functions are named.
//!
//! Owns how the parameters of a function are read from its text.
//!
//! Not here: the patterns of closures, and the items of iterators, which may be tuples.
#![allow(clippy::indexing_slicing, reason = "a rule that is broken fails by panicking")]

use super::{circles::bare_code, fail, sources};

/// The text between a bracket at the start and the one that closes it.
fn enclosed(text: &str) -> &str {
    let mut depth = 0;
    for (at, sign) in text.char_indices() {
        let is_arrow = sign == '>' && text[..at].ends_with('-');
        match sign {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '>' if !is_arrow => depth -= 1,
            _ => (),
        }
        if depth == 0 {
            return &text[1..at];
        }
    }
    ""
}

/// The parts of a list, without the commas between them.
fn parts(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, sign) in list.char_indices() {
        let is_arrow = sign == '>' && list[..at].ends_with('-');
        match sign {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '>' if !is_arrow => depth -= 1,
            ',' if depth == 0 => {
                found.push(list[start..at].trim());
                start = at + 1;
            }
            _ => (),
        }
    }
    found.push(list[start..].trim());
    found.retain(|part| !part.is_empty());
    found
}

/// Whether a parameter is a tuple, or holds one in its type. A list of names with their values is
/// a map in another form, and the items of an iterator have names where they are used.
fn has_tuple(parameter: &str) -> bool {
    // What a closure returns is not a parameter.
    let mut rest = parameter.split("->").next().unwrap_or_default();
    while let Some(at) = rest.find('(') {
        let (before, inside) = (rest[..at].trim_end(), enclosed(&rest[at..]));
        // The arguments of a closure, or the fields of a pattern.
        let is_named = before.ends_with(|sign: char| sign.is_alphanumeric() || sign == '_');
        let is_item = before.ends_with("Item =") || before.ends_with("Path<");
        let list = parts(inside);
        let first = list.first().map(|one| one.rsplit([' ', '&', '\'']).next().unwrap_or(one));
        let is_map = before.ends_with('[') && matches!(first, Some("str" | "String"));
        if !is_named && !is_item && !is_map && list.len() > 1 {
            return true;
        }
        rest = match is_named {
            true => &rest[at + inside.len() + 1..],
            false => &rest[at + 1..],
        };
    }
    false
}

/// The functions in code that have such a parameter, with it.
fn tuple_parameters(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = &code[..at];
        let is_word = before.ends_with(|sign: char| sign.is_alphanumeric() || sign == '_');
        let is_test = before.trim_end_matches("pub(super) ").ends_with("#[cfg(test)]\n");
        if is_word || is_test {
            continue;
        }
        let rest = &code[at + 3..];
        let end = rest.find(|sign: char| !(sign.is_alphanumeric() || sign == '_'));
        let (name, mut rest) = rest.split_at(end.unwrap_or(rest.len()));
        if rest.starts_with('<') {
            rest = &rest[enclosed(rest).len() + 2..];
        }
        if name.is_empty() || !rest.starts_with('(') {
            continue;
        }
        let tuples = parts(enclosed(rest)).into_iter().filter(|parameter| has_tuple(parameter));
        found.extend(tuples.map(|parameter| {
            let parameter = parameter.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("fn {name} takes a tuple: {parameter}")
        }));
    }
    found
}

#[test]
fn no_function_takes_a_tuple() {
    let broken: Vec<_> = sources()
        .iter()
        .filter(|source| !source.is_test())
        .flat_map(|source| {
            let found = tuple_parameters(&bare_code(source));
            found.into_iter().map(|one| format!("src/{}: {one}", source.path))
        })
        .collect();
    fail(&broken);
}

#[test]
fn tuples_are_found_in_patterns_and_types_and_nothing_else_is_taken_for_one() {
    for (code, is_broken) in [
        ("fn f(&self, (a, b): (u32, u32)) {}", true),
        ("fn f<T: Fn(u8) -> u8>(range: (Bound<u8>, Bound<u8>)) -> u8 {}", true),
        ("fn f(rows: &[(Row, Row)]) {}", true),
        ("fn f(last: Option<(bool, Reading)>) {}", true),
        ("fn f(done: Result<(), Error>, act: impl FnOnce(&mut A, B) -> T) {}", false),
        ("fn f(headers: &[(&str, Value)], more: &[(String, Value)]) {}", false),
        ("fn f(names: &[(&'static str, u8)], one: &dyn Fn(A, B)) {}", false),
        ("fn f(items: impl Iterator<Item = (A, B)>, State(x): State<Y>) -> (A, B) {}", false),
        ("fn f(both: impl Fn(&View) -> Option<(u8, u8)>) {}", false),
        ("let f = |(a, b): (A, B)| a;", false),
        ("fn f() { g((a, b)) }", false),
    ] {
        assert_eq!(!tuple_parameters(code).is_empty(), is_broken, "{code}");
    }
}
