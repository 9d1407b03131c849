//! The rules of the comments: how wide they are, which words they avoid, what a header says.
//!
//! Owns the list of words that have a better one in the field, and the width of a comment.
//!
//! Not here: the rules of the code and of the imports (`tests/tidy.rs`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a rule that is broken fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The widest comment, in columns, indentation included.
const WIDTH_MAX: usize = 100;

/// The longest sentence, in words.
const WORDS_MAX: usize = 30;

/// Words for persons that are not there. The thing itself is the better subject.
const AVOIDED: [&str; 6] = ["whoever", "whom", "nobody", "somebody", "anybody", "whichever"];

/// A comment line: its number, the text behind the slashes, and the width of the whole line.
struct Comment<'a> {
    line: usize,
    text: &'a str,
    width: usize,
}

fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut folders, mut found) =
        (["src", "tests", "benches"].map(|name| root.join(name)).to_vec(), Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 200, "the sources were found");
    found
}

fn comments(text: &str) -> Vec<Comment<'_>> {
    let lines = text.lines().enumerate().filter_map(|(at, line)| {
        let text = line.trim_start().strip_prefix("//")?.trim_start_matches(['/', '!']);
        Some(Comment { line: at + 1, text: text.trim(), width: line.chars().count() })
    });
    lines.collect()
}

/// The sentences of the comments, each with the line where its paragraph begins. Lists, tables and
/// drawings are not sentences.
fn sentences(comments: &[Comment]) -> Vec<(usize, String)> {
    let mut paragraphs: Vec<(usize, usize, String)> = Vec::new();
    for comment in comments {
        let is_prose = comment.text.chars().next().is_some_and(char::is_alphanumeric);
        match paragraphs.last_mut() {
            Some((_, last, paragraph)) if is_prose && *last + 1 == comment.line => {
                *last = comment.line;
                paragraph.push(' ');
                paragraph.push_str(comment.text);
            }
            _ => paragraphs.push((comment.line, comment.line, comment.text.to_owned())),
        }
    }
    let split = |(line, _, paragraph): (usize, usize, String)| {
        let ends = [". ", "? ", "! ", ": ", "; "];
        let mut parts = vec![paragraph];
        for end in ends {
            parts = parts.iter().flat_map(|part| part.split(end).map(str::to_owned)).collect();
        }
        parts.into_iter().map(move |part| (line, part)).collect::<Vec<_>>()
    };
    paragraphs.into_iter().flat_map(split).collect()
}

fn fail(broken: &[String]) {
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn no_comment_is_wider_than_a_page() {
    let mut broken = Vec::new();
    for (name, text) in files() {
        for Comment { line, width, .. } in comments(&text) {
            if width > WIDTH_MAX {
                broken.push(format!("{name}:{line} is {width} columns wide"));
            }
        }
    }
    fail(&broken);
}

#[test]
fn comments_name_things_and_say_one_thing_a_sentence() {
    let mut broken = Vec::new();
    for (name, text) in files().iter().filter(|(name, _)| name != "tests/prose.rs") {
        let comments = comments(text);
        for comment in &comments {
            let mut words =
                comment.text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
            if let Some(word) = words.find(|word| AVOIDED.contains(&word.as_str())) {
                broken.push(format!("{name}:{} says {word}", comment.line));
            }
        }
        for (line, sentence) in sentences(&comments) {
            let words = sentence
                .split_whitespace()
                .filter(|word| word.chars().any(char::is_alphanumeric))
                .count();
            if words > WORDS_MAX {
                broken.push(format!("{name}:{line} has a sentence of {words} words: {sentence}"));
            }
        }
    }
    fail(&broken);
}

#[test]
fn each_header_says_which_decision_is_here_and_which_is_not() {
    let mut broken = Vec::new();
    for (name, text) in files() {
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
