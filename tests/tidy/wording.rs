//! The rule that each text for people is written once.
//!
//! Owns how texts are found in the sources and in the console's page, and when two of them are the
//! same: in the same words, whatever their case, their placeholders and their punctuation.
//!
//! Not here: the prose of comments and documents (`prose.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::{Source, fail, sources};

/// A text with fewer words or characters may stand twice: it is a term rather than a statement.
const WORDS_MIN: usize = 3;
const CHARACTERS_MIN: usize = 14;
/// The same for a text with placeholders, whose words say less.
const WORDS_MIN_WITH_PLACEHOLDERS: usize = 5;

/// The literal texts of a piece of code. A placeholder becomes `{}`.
fn literals(code: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), code);
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = if rest.starts_with("//") {
            rest.split_once('\n').map_or("", |(_, next)| next)
        } else if let Some((text, next)) = raw(rest) {
            found.push(text.to_owned());
            next
        } else if first == '\'' {
            behind_character(after)
        } else if first == '"' || first == '`' {
            let (text, next) = quoted(after, first);
            found.push(text);
            next
        } else {
            after
        };
    }
    found
}

/// The text of a raw literal, and the code behind it.
fn raw(code: &str) -> Option<(&str, &str)> {
    let opened = code.strip_prefix('r')?;
    let hashes = opened.chars().take_while(|c| *c == '#').count();
    let inside = opened[hashes..].strip_prefix('"')?;
    inside.split_once(&format!("\"{}", "#".repeat(hashes)))
}

/// The code behind a character such as `'"'`; a lifetime has no closing mark.
fn behind_character(code: &str) -> &str {
    let length = if code.starts_with('\\') { 2 } else { 1 };
    let end = code.char_indices().nth(length).map_or(code.len(), |(at, _)| at);
    code[end..].strip_prefix('\'').unwrap_or(code)
}

/// The text up to its closing mark, and the code behind it.
fn quoted(code: &str, mark: char) -> (String, &str) {
    let (mut text, mut depth, mut escaped) = (String::new(), 0_usize, false);
    for (at, c) in code.char_indices() {
        match c {
            // What an escape stands for does not matter for the words.
            _ if escaped => {
                escaped = false;
                text.push(' ');
            }
            '\\' => escaped = true,
            c if c == mark && (depth == 0 || mark == '"') => return (text, &code[at + 1..]),
            '{' => {
                depth += 1;
                text.push_str("{}");
            }
            '}' => depth = depth.saturating_sub(1),
            c if depth == 0 => text.push(c),
            _ => {}
        }
    }
    (text, "")
}

/// The words of a text, if they say enough to be the same by intention.
fn words(text: &str) -> Option<String> {
    let words: Vec<_> = text
        .split(|c: char| !(c.is_alphanumeric() || "'’-_".contains(c)))
        .filter(|word| word.chars().any(char::is_alphabetic))
        .map(str::to_lowercase)
        .collect();
    let least = if text.contains("{}") { WORDS_MIN_WITH_PLACEHOLDERS } else { WORDS_MIN };
    let says_enough =
        words.len() >= least && text.len() >= CHARACTERS_MIN && text.trim().contains(' ');
    says_enough.then(|| words.join(" "))
}

/// The modules of the console's page.
fn page() -> Vec<Source> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/console/page");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let modules = files.filter(|path| path.extension().is_some_and(|end| end == "js"));
    let found: Vec<_> = modules
        .map(|path| Source {
            path: format!("page/{}", path.file_name().unwrap().to_str().unwrap()),
            text: fs::read_to_string(&path).unwrap(),
        })
        .collect();
    assert!(found.len() > 15, "the page was found");
    found
}

#[test]
fn no_text_for_people_is_written_twice() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources().into_iter().chain(page()) {
        let is_data = source.is_test() || source.path.ends_with("fixtures.rs");
        // A log line is identified by its text, which `docs/EVENTS.md` lists.
        if is_data || ["bin", "telemetry"].contains(&source.room()) {
            continue;
        }
        // The reasons for exceptions of the lints are comments.
        let code: Vec<_> = source.code().filter(|line| !line.contains("reason = \"")).collect();
        for text in literals(&code.join("\n")).iter().filter_map(|text| words(text)) {
            places.entry(text).or_default().insert(source.path.clone());
        }
    }
    assert!(places.len() > 600, "the texts were found: {}", places.len());
    let broken: Vec<_> = places
        .into_iter()
        .filter(|(_, places)| places.len() > 1)
        .map(|(text, places)| format!("{text:?} is written in {places:?}"))
        .collect();
    fail(&broken);
}

#[test]
fn the_texts_of_a_source_are_found_with_their_placeholders() {
    let code = r##"
        let a = format!("the {thing} is \"held\" \
            right here", thing); // "not this one"
        let b = ('"', '\'', r#"a "raw" literal"#, "second");
        fn c<'a>(d: &'a str) {}
        const e = `${several(1, "robot", `x`)} is on hold`;
    "##;
    let found = literals(code);
    let said: Vec<_> = found.iter().filter_map(|text| words(text)).collect();
    assert_eq!(said, ["the is held right here", "a raw literal"], "{found:?}");
    assert!(found.iter().any(|text| text.ends_with("{} is on hold")), "{found:?}");
    assert_eq!(words("There are no dead letters."), words("there are no dead letters"));
    assert_eq!(words("no dead letters{}"), None);
}
