//! The rules of the comments and documents: which words they avoid, how long their sentences are,
//! what a header says, how wide a document is.
//!
//! Owns the list of words that have a better one in the field, and the width of a document's line.
//!
//! Not here: the rules of the code and of the imports (`tests/tidy.rs`), and the width of a line of
//! code or comment (`tests/tidy/width.rs`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a rule that is broken fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The widest line of a document, in columns, indentation included.
const WIDTH_MAX: usize = 100;

/// The longest sentence, in words.
const WORDS_MAX: usize = 30;

/// Words for persons that are not there. The thing itself is the better subject.
const AVOIDED: [&str; 6] = ["whoever", "whom", "nobody", "somebody", "anybody", "whichever"];

/// A comment line: its number, and the text behind the slashes.
struct Comment<'a> {
    line: usize,
    text: &'a str,
}

/// A part of a comment or document that no sentence crosses, and the line where it begins.
struct Paragraph {
    line: usize,
    text: String,
}

/// The files below `folders` whose names end in `extension`, with their texts.
fn files(folders: &[&str], extension: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<_> = folders.iter().map(|name| root.join(name)).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == extension) {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

fn sources() -> Vec<(String, String)> {
    let found = files(&["src", "tests", "benches"], "rs");
    assert!(found.len() > 200, "the sources were found");
    found
}

fn documents() -> Vec<(String, String)> {
    let mut found = files(&["docs", ".github"], "md");
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    found.push(("README.md".to_owned(), fs::read_to_string(readme).unwrap()));
    assert!(found.len() > 7, "the documents were found");
    found
}

fn comments(text: &str) -> Vec<Comment<'_>> {
    let lines = text.lines().enumerate().filter_map(|(at, line)| {
        let text = line.trim_start().strip_prefix("//")?.trim_start_matches(['/', '!']);
        Some(Comment { line: at + 1, text: text.trim() })
    });
    lines.collect()
}

/// The paragraphs of the comments. Lists, tables and drawings end one.
fn paragraphs_of_comments(comments: &[Comment]) -> Vec<Paragraph> {
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    let mut last = 0;
    for comment in comments {
        let is_prose = comment.text.chars().next().is_some_and(char::is_alphanumeric);
        match paragraphs.last_mut() {
            Some(paragraph) if is_prose && last + 1 == comment.line => {
                paragraph.text.push(' ');
                paragraph.text.push_str(comment.text);
            }
            _ => paragraphs.push(Paragraph { line: comment.line, text: comment.text.to_owned() }),
        }
        last = comment.line;
    }
    paragraphs
}

/// The lines of a document that are not in a block of code, with their numbers.
fn lines_of_document(text: &str) -> Vec<(usize, &str)> {
    let mut in_code = false;
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            lines.push((at + 1, line));
        }
    }
    lines
}

/// The paragraphs of a document: also each item of a list, each heading, each cell of a table.
fn paragraphs_of_document(text: &str) -> Vec<Paragraph> {
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    let mut is_open = false;
    for (line, text) in lines_of_document(text) {
        let text = text.trim();
        let item = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let begins = ["- ", "* ", ". ", "#"].iter().any(|mark| item.starts_with(mark));
        if text.starts_with('|') {
            let cells = text.split(" | ");
            paragraphs.extend(cells.map(|cell| Paragraph { line, text: cell.to_owned() }));
            is_open = false;
        } else if text.is_empty() {
            is_open = false;
        } else if let Some(paragraph) = paragraphs.last_mut()
            && is_open
            && !begins
        {
            paragraph.text.push(' ');
            paragraph.text.push_str(text);
        } else {
            paragraphs.push(Paragraph { line, text: text.to_owned() });
            is_open = true;
        }
    }
    for paragraph in &mut paragraphs {
        paragraph.text = prose_of(&paragraph.text);
    }
    paragraphs
}

/// A paragraph without its markup: a piece of code is one word, a link is its text.
fn prose_of(markdown: &str) -> String {
    let code_is_a_word = markdown
        .split('`')
        .enumerate()
        .map(|(at, part)| if at % 2 == 1 { "code" } else { part })
        .collect::<String>();
    let mut prose = code_is_a_word.replace("**", "");
    while let Some(at) = prose.find("](") {
        let end = prose[at..].find(')').map_or(prose.len(), |end| at + end + 1);
        prose.replace_range(at..end, "]");
    }
    prose
}

/// The sentences of the paragraphs, each with the line where its paragraph begins.
fn sentences(paragraphs: Vec<Paragraph>) -> Vec<(usize, String)> {
    let split = |Paragraph { line, text }: Paragraph| {
        let ends = [". ", "? ", "! ", ": ", "; "];
        let mut parts = vec![text];
        for end in ends {
            parts = parts.iter().flat_map(|part| part.split(end).map(str::to_owned)).collect();
        }
        parts.into_iter().map(move |part| (line, part)).collect::<Vec<_>>()
    };
    paragraphs.into_iter().flat_map(split).collect()
}

/// The first avoided word of a text.
fn avoided_word(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .map(str::to_lowercase)
        .find(|word| AVOIDED.contains(&word.as_str()))
}

/// The sentences that are too long, one line of a report for each.
fn long_sentences(name: &str, paragraphs: Vec<Paragraph>) -> Vec<String> {
    let mut broken = Vec::new();
    for (line, sentence) in sentences(paragraphs) {
        let words = sentence
            .split_whitespace()
            .filter(|word| word.chars().any(char::is_alphanumeric))
            .count();
        if words > WORDS_MAX {
            broken.push(format!("{name}:{line} has a sentence of {words} words: {sentence}"));
        }
    }
    broken
}

fn fail(broken: &[String]) {
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn comments_name_things_and_say_one_thing_a_sentence() {
    let mut broken = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| name != "tests/prose.rs") {
        let comments = comments(text);
        for comment in &comments {
            if let Some(word) = avoided_word(comment.text) {
                broken.push(format!("{name}:{} says {word}", comment.line));
            }
        }
        broken.extend(long_sentences(name, paragraphs_of_comments(&comments)));
    }
    fail(&broken);
}

/// Tables, blocks of code and lines with a long link may be wider: they cannot be wrapped.
#[test]
fn no_line_of_a_document_is_wider_than_a_page() {
    let mut broken = Vec::new();
    for (name, text) in documents() {
        for (line, text) in lines_of_document(&text) {
            let width = text.chars().count();
            let cannot_wrap = text.starts_with('|') || text.contains("](");
            if width > WIDTH_MAX && !cannot_wrap {
                broken.push(format!("{name}:{line} is {width} columns wide"));
            }
        }
    }
    fail(&broken);
}

#[test]
fn documents_name_things_and_say_one_thing_a_sentence() {
    let mut broken = Vec::new();
    for (name, text) in documents() {
        let paragraphs = paragraphs_of_document(&text);
        for paragraph in &paragraphs {
            if let Some(word) = avoided_word(&paragraph.text) {
                broken.push(format!("{name}:{} says {word}", paragraph.line));
            }
        }
        broken.extend(long_sentences(&name, paragraphs));
    }
    fail(&broken);
}

/// A rule that finds nothing would look like a rule that is kept.
#[test]
fn a_document_is_read_without_its_code_and_markup() {
    let text = "# A title\n\nSee **[the guide](of/whom.md)**, not\n`whoever --is that`. Next\n\
                ```sh\nnobody\n```\n- an item\n- another: with\n  two lines\n\
                | a cell | asks whom |\n";
    let paragraphs = paragraphs_of_document(text);
    let read: Vec<_> = paragraphs.iter().map(|p| (p.line, p.text.as_str())).collect();
    assert_eq!(
        read,
        [
            (1, "# A title"),
            (3, "See [the guide], not code. Next"),
            (8, "- an item"),
            (9, "- another: with two lines"),
            (11, "| a cell"),
            (11, "asks whom |"),
        ]
    );
    let avoided: Vec<_> = paragraphs.iter().filter_map(|p| avoided_word(&p.text)).collect();
    assert_eq!(avoided, ["whom"]);
    let long = format!("{}. {}", "word ".repeat(WORDS_MAX), "word ".repeat(WORDS_MAX + 1));
    let long = long_sentences("a document", vec![Paragraph { line: 7, text: long }]);
    assert_eq!(long.len(), 1, "{long:?}");
}

#[test]
fn each_header_says_which_decision_is_here_and_which_is_not() {
    let mut broken = Vec::new();
    for (name, text) in sources() {
        let header: Vec<_> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let header = header.join("\n");
        for part in ["Owns ", "Not here:"] {
            if !header.contains(part) {
                broken.push(format!("{name} has a header without \"{part}\""));
            }
        }
    }
    fail(&broken);
}

/// The page for contributors lists steps. A step that names a file or test of yesterday misleads.
#[test]
fn the_contributors_page_names_files_and_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/CONTRIBUTING.md")).unwrap();
    let texts: String = sources().into_iter().map(|(_, text)| text).collect();
    let code = page.split('`').skip(1).step_by(2);
    let (mut broken, mut found) = (Vec::new(), 0);
    for name in code.filter(|name| !name.contains([' ', '<', '*', '\n'])) {
        let is_path = ["src/", "tests/", "docs/", "deploy/", "benches/", ".cargo/", ".github/"]
            .iter()
            .any(|folder| name.starts_with(folder));
        let is_test =
            name.matches('_').count() > 4 && name.chars().all(|c| c == '_' || c.is_alphanumeric());
        let exists = match () {
            () if is_path => root.join(name).exists(),
            () if is_test => texts.contains(&format!("fn {name}(")),
            () => continue,
        };
        found += 1;
        if !exists {
            broken.push(format!("docs/CONTRIBUTING.md names {name}, which does not exist"));
        }
    }
    assert!(found > 40, "the names were found: {found}");
    fail(&broken);
}
