//! A text without some of its markup: tables as code, pictures as links, mentions as names, or all
//! of it as plain text.
//!
//! Owns these transformations of the tree.
//!
//! Not here: when they are needed (`platforms/plainer.rs`), and the writing of a tree (`write.rs`).

use super::tree::{Block, Inline, Table, any_block, any_inline, plain};
use crate::domain::{FeatureSet, MessageFeature};

/// The id by which all members are mentioned.
const ALL: &str = "all";

/// The features of these blocks that can be left out.
pub(super) fn features(blocks: &[Block]) -> FeatureSet {
    let all = |inline: &Inline| matches!(inline, Inline::Mention { id, .. } if id == ALL);
    let one = |inline: &Inline| matches!(inline, Inline::Mention { id, .. } if id != ALL);
    let picture = |inline: &Inline| matches!(inline, Inline::Image { .. });
    let found = [
        (MessageFeature::MentionAll, any_inline(blocks, &all)),
        (MessageFeature::Mentions, any_inline(blocks, &one)),
        (MessageFeature::Pictures, any_inline(blocks, &picture)),
        (MessageFeature::Tables, any_block(blocks, &|block| matches!(block, Block::Table(_)))),
    ];
    found.into_iter().filter(|(_, is_there)| *is_there).map(|(feature, _)| feature).collect()
}

/// The blocks without these features.
pub(super) fn without(blocks: Vec<Block>, omitted: FeatureSet) -> Vec<Block> {
    let lines = |inlines| inlines_without(inlines, omitted);
    let block = |block| match block {
        Block::Heading(level, content) => Block::Heading(level, lines(content)),
        Block::Paragraph(content) => Block::Paragraph(lines(content)),
        Block::Quote(blocks) => Block::Quote(without(blocks, omitted)),
        Block::List { start, items } => Block::List {
            start,
            items: items.into_iter().map(|item| without(item, omitted)).collect(),
        },
        Block::Table(table) if omitted.contains(MessageFeature::Tables) => {
            Block::Code { language: String::new(), text: rows(&table) }
        }
        Block::Table(table) => {
            let row = |row: Vec<Vec<Inline>>| row.into_iter().map(lines).collect();
            Block::Table(Table { rows: table.rows.into_iter().map(row).collect(), ..table })
        }
        Block::Code { .. } | Block::Rule => block,
    };
    blocks.into_iter().map(block).collect()
}

fn inlines_without(inlines: Vec<Inline>, omitted: FeatureSet) -> Vec<Inline> {
    let within = |content| inlines_without(content, omitted);
    let inline = |inline| match inline {
        Inline::Mention { form, id, content } => {
            let feature =
                if id == ALL { MessageFeature::MentionAll } else { MessageFeature::Mentions };
            match omitted.contains(feature) {
                true => Inline::Text(plain(&[Inline::Mention { form, id, content }])),
                false => Inline::Mention { form, id, content: within(content) },
            }
        }
        Inline::Image { from, content } if omitted.contains(MessageFeature::Pictures) => {
            Inline::Link { to: from, content }
        }
        Inline::Strong(content) => Inline::Strong(within(content)),
        Inline::Emphasis(content) => Inline::Emphasis(within(content)),
        Inline::Struck(content) => Inline::Struck(within(content)),
        Inline::Link { to, content } => Inline::Link { to, content: within(content) },
        Inline::Colored { color, content } => Inline::Colored { color, content: within(content) },
        Inline::Text(_) | Inline::Code(_) | Inline::Break | Inline::Image { .. } => inline,
    };
    inlines.into_iter().map(inline).collect()
}

/// The rows of a table, one a line.
fn rows(table: &Table) -> String {
    let row =
        |row: &Vec<Vec<Inline>>| row.iter().map(|cell| line(cell)).collect::<Vec<_>>().join(" | ");
    table.rows.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// The blocks as plain text. Nothing that can be read is lost: lists keep their marks, and links
/// and pictures their addresses.
pub(super) fn as_text(blocks: &[Block]) -> String {
    let texts = blocks.iter().map(|block| match block {
        Block::Heading(_, content) | Block::Paragraph(content) => line(content),
        Block::Quote(blocks) => indented(&as_text(blocks), "> ", "> "),
        Block::List { start, items } => {
            let item = |(at, item): (usize, &Vec<Block>)| {
                let mark = start.map_or_else(
                    || "- ".to_owned(),
                    |first| format!("{}. ", first.saturating_add(at as u64)),
                );
                let text = as_text(item).replace("\n\n", "\n");
                indented(&text, &mark, &" ".repeat(mark.len()))
            };
            items.iter().enumerate().map(item).collect::<Vec<_>>().join("\n")
        }
        Block::Code { text, .. } => text.clone(),
        Block::Table(table) => rows(table),
        Block::Rule => "──────────".to_owned(),
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

fn indented(text: &str, first: &str, further: &str) -> String {
    let lines = text.lines().enumerate();
    let lines = lines.map(|(at, line)| format!("{}{line}", if at == 0 { first } else { further }));
    lines.collect::<Vec<_>>().join("\n")
}

/// A line of text, with the addresses of its links and pictures behind their words.
fn line(inlines: &[Inline]) -> String {
    let mut said = String::new();
    for inline in inlines {
        match inline {
            Inline::Text(text) | Inline::Code(text) => said.push_str(text),
            Inline::Break => said.push('\n'),
            Inline::Mention { .. } => said.push_str(&plain(std::slice::from_ref(inline))),
            Inline::Struck(content) => said.push_str(&format!("~~{}~~", line(content))),
            Inline::Link { to, content } | Inline::Image { from: to, content } => {
                match line(content) {
                    words if words.is_empty() || words == *to => said.push_str(to),
                    words if to.is_empty() => said.push_str(&words),
                    words => said.push_str(&format!("{words} ({to})")),
                }
            }
            Inline::Strong(content)
            | Inline::Emphasis(content)
            | Inline::Colored { content, .. } => said.push_str(&line(content)),
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::{super::Markdown, *};

    #[test]
    fn plain_text_keeps_all_words_marks_of_lists_and_addresses() {
        for (source, text) in [
            ("**磁盘满** db-1", "磁盘满 db-1"),
            ("# A\n\nb *c*\nd", "A\n\nb c\nd"),
            ("see [the runbook](https://x.test/r)", "see the runbook (https://x.test/r)"),
            ("https://x.test", "https://x.test"),
            ("![graph](https://x.test/g.png)", "graph (https://x.test/g.png)"),
            ("![](https://x.test/g.png)", "https://x.test/g.png"),
            ("- a\n- b\n  1. c\n  2. d", "- a\n- b\n  1. c\n  2. d"),
            ("> a\n> b", "> a\n> b"),
            ("```\nx = *y*\n```", "x = *y*"),
            ("| a | b |\n|---|---|\n| **1** | 2 |", "a | b\n1 | 2"),
            ("~~done~~", "~~done~~"),
            ("<at id=all></at> now", "@all now"),
            ("a \\* b", "a * b"),
        ] {
            assert_eq!(Markdown::text_of(source), text, "{source}");
        }
    }

    #[test]
    fn each_feature_is_found_and_gone_after_it_is_left_out() {
        for (source, feature, left) in [
            ("<at id=all></at> now", MessageFeature::MentionAll, "@all now"),
            ("- **<at id=ou_1></at>** now", MessageFeature::Mentions, "- @ou_1 now"),
            ("> ![g](https://x.test)", MessageFeature::Pictures, "> g (https://x.test)"),
            ("| a | b |\n|---|---|\n| 1 | 2 |", MessageFeature::Tables, "a | b\n1 | 2"),
        ] {
            let markdown = Markdown::read(source);
            let omitted = FeatureSet::default().with(feature);
            assert_eq!(markdown.features(), omitted, "{source}");
            let markdown = markdown.without(omitted);
            assert!(markdown.features().is_empty(), "{source}");
            assert_eq!(as_text(&markdown.blocks), left);
        }
    }
}
