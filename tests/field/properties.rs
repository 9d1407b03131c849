//! What members read is what was written, for any text.
//!
//! Owns that promise, by the models of the platforms.
//!
//! Not here: single events of the field (`case.rs`).

use std::{collections::HashSet, sync::Arc};

use proptest::prelude::*;
use roomcast::domain::Platform;
use serde_json::{Value, json};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::{
    rendered::{Outcome, decode_body, messages},
    shown::{addresses, characters, lines_of, shown},
};

const PLATFORMS: [Platform; 3] = [Platform::DingTalk, Platform::Lark, Platform::WeCom];

fn bodies(event: &Value, platform: Platform) -> Vec<Value> {
    let event = decode_body(event.to_string().into_bytes()).unwrap();
    match messages(&Arc::new(event), platform) {
        Outcome::Messages(messages) => messages.bodies,
        Outcome::Refused(refused) => panic!("{}: {}", refused.code, refused.detail),
    }
}

/// Pieces of text with all characters of markup, and with what looks like markup.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z0-9]{1,4}",
        2 => "告警|：|，|（|级别|。",
        4 => "[!-/:-@\\[-`{-~]",
        2 => Just(" ".to_owned()),
        1 => Just("\n".to_owned()),
        2 => prop::sample::select(vec![
            "](", "**", "***", "~~", "~~~", "```", "[a](b)", "![a](b)", "<b>", "<none>", "</font>",
            "<font color=red>", "<@ann>", "<at id=all></at>", "<br>", "&lt;", "&#42;", "&nbsp;",
            "![", "\\[", "\\*", "\n# ", "\n> ", "\n- ", "\n+ ", "\n* ", "\n1. ", "\n---", "\n===",
            "\n|---|", "| a | b |", "[a]: b", "__init__", "2*3*4", "2**3", "a_b", "5~6~7", "__",
            "C:\\", "https://x.test/a_b", "https://x.test/?a=*&b=*",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 1..14).prop_map(|pieces| lines_of(&pieces.concat()))
}

/// A text in markdown in which no character is markup.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| ['\\'; 1].into_iter().filter(move |_| c.is_ascii_punctuation()).chain([c]))
        .collect()
}

/// Whether a platform can show a text: WeCom has no escape for two backticks.
fn can_show(platform: Platform, text: &str) -> bool {
    platform != Platform::WeCom || text.matches('`').count() < 2
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_text_without_markup_is_read_as_it_is(text in any_text()) {
        let event = json!({"message": escaped(&text), "format": "markdown"});
        for platform in PLATFORMS.into_iter().filter(|platform| can_show(*platform, &text)) {
            prop_assume!(!text.is_empty());
            let body = &bodies(&event, platform)[0];
            prop_assert_eq!(characters(&shown(body)), text.as_str(), "{} {}", platform, body);
        }
    }

    #[test]
    fn a_subject_is_read_as_it_is(text in any_text()) {
        prop_assume!(!text.is_empty());
        let event = json!({"subject": text, "message": "m", "format": "markdown"});
        for platform in PLATFORMS.into_iter().filter(|platform| can_show(*platform, &text)) {
            let body = &bodies(&event, platform)[0];
            let read = characters(&shown(body));
            prop_assert_eq!(read, format!("{text}\nm"), "{} {}", platform, body);
        }
    }

    #[test]
    fn words_of_markup_keep_their_order_and_links_their_addresses(source in any_markup()) {
        let (text, words, links) = source;
        let event = json!({"message": text, "format": "markdown"});
        for platform in PLATFORMS {
            let body = &bodies(&event, platform)[0];
            let lines = shown(body);
            let read = characters(&lines);
            let mut from = 0;
            for word in &words {
                let found = read[from..].find(word.as_str());
                prop_assert!(found.is_some(), "{} lacks {}: {}\n{}", platform, word, text, body);
                from += found.unwrap() + word.len();
            }
            let reached = addresses(&lines);
            for link in &links {
                prop_assert!(
                    reached.contains(link) || read.contains(link.as_str()),
                    "{platform} lacks {link}: {text}\n{body}"
                );
            }
        }
    }
}

proptest! {
    // The texts are long.
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_message_ends_within_what_a_reader_sees_as_one_character(
        clusters in prop::collection::vec(
            prop::sample::select(vec![
                "👩‍👩‍👧", "👍🏽", "🇨🇳", "❤️", "e\u{301}", "각", "字", "<", "*", "\\", " ",
            ]),
            1..8,
        ),
        format in prop::sample::select(vec!["text", "markdown"]),
        // Not 0: a message of blanks alone is refused.
        offset in 1_usize..40,
    ) {
        let unit = clusters.concat();
        for (platform, bytes) in [
            (Platform::WeCom, 6_000),
            (Platform::Lark, 22_000),
            (Platform::DingTalk, 22_000),
        ] {
            let text = format!("{}{}", "x".repeat(offset), unit.repeat(bytes / unit.len()));
            let message = if format == "text" { text.clone() } else { escaped(&text) };
            let event = json!({"message": message, "format": format});
            let known: HashSet<&str> = text.graphemes(true).collect();
            for part in bodies(&event, platform) {
                for line in shown(&part) {
                    let runs = line.runs.iter().map(|run| run.text.replace('\u{200b}', ""));
                    let read = runs.collect::<String>();
                    // The number of a part and the notice at its end are ours.
                    let ours = read.starts_with('(') || read.starts_with('…');
                    let torn = read.graphemes(true).find(|one| !ours && !known.contains(one));
                    prop_assert_eq!(torn, None, "{} {}", platform, part);
                }
            }
        }
    }
}

/// Markdown with its words and its addresses, in their order.
fn any_markup() -> impl Strategy<Value = (String, Vec<String>, Vec<String>)> {
    prop::collection::vec((0_usize..14, 0_usize..9, 0_usize..9), 1..8).prop_map(|choices| {
        let mut made = Made::default();
        for (block, first, second) in choices {
            made.block(block, first, second);
        }
        (made.text, made.words, made.links)
    })
}

#[derive(Default)]
struct Made {
    text: String,
    words: Vec<String>,
    links: Vec<String>,
}

impl Made {
    fn word(&mut self) -> String {
        let word = format!("w{}w", self.words.len());
        self.words.push(word.clone());
        word
    }

    fn address(&mut self) -> String {
        let address = format!("https://x.test/{}", self.links.len());
        self.links.push(address.clone());
        address
    }

    fn inline(&mut self, kind: usize) -> String {
        let word = self.word();
        match kind {
            0 => format!("**{word}**"),
            1 => format!("*{word}*"),
            2 => format!("~~{word}~~"),
            3 => format!("`{word}`"),
            4 => format!("[{word}]({})", self.address()),
            5 => format!("[![{word}]({})]({})", self.address(), self.address()),
            6 => format!("**：{word}：**级"),
            7 => format!("<font color=\"red\">{word}</font>"),
            _ => word,
        }
    }

    fn block(&mut self, kind: usize, first: usize, second: usize) {
        let (one, two) = (self.inline(first), self.inline(second));
        let block = match kind {
            0 => format!("# {one} {two}"),
            1 => format!("> {one}\n> {two}"),
            2 => format!("> {one}\n>\n> > {two}"),
            3 => format!("- {one}\n- {two}"),
            4 => format!("- {one}\n  - {two}"),
            5 => format!("1. {one}\n   1. {two}"),
            6 => format!("| {one} | {two} |\n|---|---|"),
            7 => format!("- {one}\n\n  ```\n  {}\n  ```\n- {two}", self.code_between(&two)),
            8 => format!("{one}\n\n---\n\n{two}"),
            9 => format!("> - {one}\n> - {two}"),
            _ => format!("{one} {two}"),
        };
        self.text.push_str(&block);
        self.text.push_str("\n\n");
    }

    /// A word in a block of code. It stands before the last word.
    fn code_between(&mut self, _: &str) -> String {
        let word = self.word();
        let last = self.words.len() - 1;
        self.words.swap(last, last - 1);
        word
    }
}
