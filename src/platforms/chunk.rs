//! A text in as many messages as it needs: numbered parts.
//!
//! Owns the number of parts, and what each part repeats: number, keyword, the mentions in the first
//! one.
//!
//! Not here: where a text is cut (`split.rs`).

use std::borrow::Cow;

use super::{
    chat_phrases::part_number,
    split::{FollowedBy, TextSlice},
    text::{AnnotatedText, Cost, shortened},
};
use crate::domain::{Language, LongTextPolicy, Part};

/// The most parts of a text: half of the messages that a robot may send in a minute. The last part
/// is cut if text remains.
pub const PARTS_MAX: u32 = 10;
/// The most bytes of a subject that each further part repeats.
const SUBJECT_BYTES_MAX: usize = 120;

/// The request for one message of a text.
#[derive(Clone, Copy)]
pub(super) struct ChunkRequest {
    /// What happens to a text that is too long.
    pub(super) too_long: LongTextPolicy,
    /// The part to render.
    pub(super) part: Part,
    /// The language of the notice of a cut.
    pub(super) language: Language,
}

/// Where the number of a part is written.
pub(super) enum Numbering<'a> {
    /// Before the subject, with which the text begins; without a subject, before the text.
    InText {
        /// The mark that makes a line a heading.
        mark: &'static str,
        /// The line of the subject that each further part repeats, as [`repeated`] makes it.
        subject: Option<&'a str>,
        /// The separator after the line.
        gap: &'static str,
    },
    /// Elsewhere: the caller writes it.
    Elsewhere,
}

/// The content of one message.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The text.
    pub(super) text: String,
    /// The part that it is.
    pub(super) part: Part,
}

impl AnnotatedText {
    /// One message of the text: the whole text if it fits, otherwise the wanted part. It costs at
    /// most `max`.
    ///
    /// `tail` returns what must be added to the given text (keyword, mentions), in the first
    /// message or a later one. For a text that is cut it is called with an empty text, so nothing
    /// is omitted.
    pub(super) fn share(
        &self,
        wanted: ChunkRequest,
        numbering: &Numbering<'_>,
        tail: impl Fn(ChunkPosition, &str) -> String,
        max: usize,
        cost: Cost,
    ) -> Chunk {
        let total = |text: &str| text.chars().map(cost).sum::<usize>();
        let room = |at: u32| {
            let number = numbering.before(Part { index: at, total: Some(PARTS_MAX) }, "");
            max.saturating_sub(
                total(&number) + total(&self.apart_from(tail(ChunkPosition(at == 0), ""))),
            )
        };
        let fits = total(&self.text)
            + total(&self.apart_from(tail(ChunkPosition(true), &self.text)))
            <= max;
        if fits || wanted.too_long == LongTextPolicy::Cut || room(0).min(room(1)) < max / 2 {
            let text = self.fit(|text| tail(ChunkPosition(true), text), wanted.language, max, cost);
            return Chunk { text, part: Part { index: 0, total: Some(1) } };
        }
        let pieces = self.pieces(room, cost);
        let of = PARTS_MAX.min(u32::try_from(pieces.len()).unwrap_or(PARTS_MAX));
        // A change of the subscription may change the parts. Then all parts are sent again: a
        // repeated part is better than a missing one.
        let at = if wanted.part.total.is_none_or(|known| known == of) && wanted.part.index < of {
            wanted.part.index
        } else {
            0
        };
        let part = Part { index: at, total: Some(of) };
        let Some(piece) = usize::try_from(at).ok().and_then(|at| pieces.get(at)) else {
            return Chunk { text: String::new(), part };
        };
        let text = if at + 1 == of && pieces.len() > usize::try_from(of).unwrap_or(usize::MAX) {
            let number = numbering.before(part, "");
            let tail = self.apart_from(tail(ChunkPosition(at == 0), ""));
            let left = max.saturating_sub(total(&number));
            format!(
                "{number}{}",
                self.ending(piece.range.start, &tail, wanted.language, left, cost)
            )
        } else {
            let said = format!("{}{}{}", piece.opening, self.shown(piece), piece.closing);
            let said = numbering.before(part, &said);
            let tail = self.apart_from(tail(ChunkPosition(at == 0), &said));
            format!("{said}{tail}")
        };
        Chunk { text, part }
    }

    /// All pieces of the text, but not more than [`PARTS_MAX`] + 1.
    fn pieces(&self, room: impl Fn(u32) -> usize, cost: Cost) -> Vec<TextSlice<'_>> {
        let (mut pieces, mut from) = (Vec::new(), 0);
        for at in 0..=PARTS_MAX {
            if from >= self.text.len() {
                break;
            }
            let piece = self.piece(from, room(at), cost, FollowedBy::More);
            from = piece.range.end;
            pieces.push(piece);
        }
        pieces
    }
}

/// Whether a message is the first of its text. Only the first mentions members, so that a phone
/// rings once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkPosition(pub(super) bool);

impl Numbering<'_> {
    /// The text after its number.
    fn before(&self, part: Part, text: &str) -> String {
        let Self::InText { mark, subject, gap } = self else { return text.to_owned() };
        let number = part_number(part);
        match subject {
            Some(_) if part.index == 0 => {
                format!("{mark}{number} {}", text.strip_prefix(mark).unwrap_or(text))
            }
            Some(subject) => {
                format!("{mark}{number} {subject}{gap}{text}")
            }
            None => format!("{number}{gap}{text}"),
        }
    }
}

/// The line of a subject that each further part of a text repeats.
pub(super) fn repeated(subject: &str, cost: Cost) -> Cow<'_, str> {
    let first = subject.lines().map(str::trim).find(|line| !line.is_empty());
    shortened(first.unwrap_or_default(), SUBJECT_BYTES_MAX, cost)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::platforms::{
        dingtalk,
        keyword::{self, VisibleText},
        lark,
        markdown::{Head, Markdown},
        text::{IN_JSON, RAW},
        wecom::markdown::MarkdownKind,
    };

    const ALL: Numbering<'_> = Numbering::InText { mark: "", subject: None, gap: "\n" };

    fn parts(
        flow: &AnnotatedText,
        numbering: &Numbering<'_>,
        max: usize,
        cost: Cost,
    ) -> Vec<String> {
        let say = |at| {
            let wanted = ChunkRequest {
                too_long: LongTextPolicy::Split,
                part: Part { index: at, total: None },
                language: Language::En,
            };
            let tail = |ChunkPosition(first): ChunkPosition, text: &str| {
                keyword::tail(Some("ops"), &[VisibleText::Text(text)])
                    + if first { "\n@138" } else { "" }
            };
            flow.share(wanted, numbering, tail, max, cost)
        };
        let of = say(0).part.total.unwrap();
        (0..of).map(|at| say(at).text).collect()
    }

    #[test]
    fn a_long_text_is_split_at_paragraphs_mentions_once_and_says_the_keyword_in_each_part() {
        let text = format!("db-1 is down\n{}\n\n{}", "alpha ".repeat(14), "beta ".repeat(14));
        let numbering = Numbering::InText { mark: "", subject: Some("db-1 is down"), gap: "\n" };
        let parts = parts(&AnnotatedText::from(text), &numbering, 140, RAW);
        assert_eq!(
            parts,
            [
                format!("(1/2) db-1 is down\n{}\nops\n@138", "alpha ".repeat(14).trim_end()),
                format!("(2/2) db-1 is down\n{}\nops", "beta ".repeat(14).trim_end()),
            ]
        );
    }

    #[test]
    fn a_block_of_code_stays_whole_and_one_that_fits_nowhere_is_closed_and_opened_again() {
        let code =
            |lines: usize| format!("```rust\n{}\n```", "let x = 1;\n".repeat(lines).trim_end());
        let short = format!("{}\n\n{}", "word ".repeat(20), code(6));
        let said =
            parts(&Markdown::read(&short).write(None, &lark::markdown::DIALECT), &ALL, 180, RAW);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[1].starts_with(&format!("(2/2)\n{}", code(6))), "{said:?}");
        let long =
            parts(&Markdown::read(&code(40)).write(None, &lark::markdown::DIALECT), &ALL, 180, RAW);
        assert!(long.len() > 2);
        for part in &long {
            assert_eq!(part.matches("```").count(), 2, "{part}");
            assert!(part.contains("```rust\nlet x = 1;\n"), "{part}");
        }
        let lines: usize = long.iter().map(|part| part.matches("let x = 1;").count()).sum();
        assert_eq!(lines, 40);
    }

    #[test]
    fn a_table_says_its_head_again_in_each_part() {
        let table = format!("| host | state |\n|---|---|\n{}", "| db | down |\n".repeat(40));
        let said = parts(
            &Markdown::read(&table).write(None, MarkdownKind::MarkdownV2.dialect()),
            &ALL,
            200,
            RAW,
        );
        assert!(said.len() > 2);
        for part in &said {
            assert!(part.contains("| host | state |\n| --- | --- |\n| db | down |"), "{part}");
        }
        assert_eq!(
            said.iter().map(|part| part.matches("| db | down |").count()).sum::<usize>(),
            40
        );
    }

    #[test]
    fn no_link_is_torn_whether_marked_or_bare() {
        let link = "https://example.com/a/long/path?with=a&query=that&goes=on";
        for text in [
            format!("{}[here]({link}) end", "x ".repeat(50)),
            format!("{}{link}。{}", "告".repeat(25), "警".repeat(30)),
        ] {
            for flow in [
                AnnotatedText::from(text.clone()),
                Markdown::read(&text).write(None, &lark::markdown::DIALECT),
            ] {
                let said = parts(&flow, &ALL, 150, RAW);
                assert!(said.len() > 1 && said.iter().any(|part| part.contains(link)), "{said:?}");
            }
        }
    }

    #[test]
    fn the_text_beyond_the_last_part_is_cut_with_a_notice() {
        let said = parts(&AnnotatedText::from("告警 ".repeat(3_000)), &ALL, 200, RAW);
        assert_eq!(said.len(), 10);
        assert!(
            said[9].starts_with("(10/10)\n") && said[9].ends_with(" bytes left out)\nops"),
            "{}",
            said[9]
        );
    }

    #[test]
    fn a_subscription_with_cut_texts_gets_one_message_and_changed_parts_begin_again() {
        let flow = AnnotatedText::from("word ".repeat(100));
        let say = |too_long, part| {
            flow.share(
                ChunkRequest { too_long, part, language: Language::En },
                &ALL,
                |_, _| String::new(),
                200,
                RAW,
            )
        };
        let cut = say(LongTextPolicy::Cut, Part { index: 2, total: Some(3) });
        assert_eq!(cut.part, Part { index: 0, total: Some(1) });
        assert!(cut.text.ends_with(" bytes left out)"));
        let parts = say(LongTextPolicy::Split, Part::default()).part.total;
        assert_eq!(
            say(LongTextPolicy::Split, Part { index: 1, total: parts }).part,
            Part { index: 1, total: parts }
        );
        assert_eq!(
            say(LongTextPolicy::Split, Part { index: 1, total: Some(9) }).part,
            Part { index: 0, total: parts }
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// The joined pieces are the text. Every part is within the limit and contains its number
        /// and keyword.
        #[test]
        fn pieces_joined_are_the_text_and_no_part_is_too_long(
            text in prop_oneof![
                any::<String>(),
                "([a-z告警\\[\\]()`*>|#-]{1,9}[ \n]{1,2}){0,200}",
                "(```\n([a-z ]{1,30}\n){1,30}```\n\n){0,4}",
            ],
            max in 120_usize..400,
        ) {
            let markdown = Markdown::read(&text);
            let head = Head { mark: "### ", text: "s", gap: "\n\n" };
            let flows = [
                AnnotatedText::from(text.clone()),
                markdown.write(Some(head), &dingtalk::markdown::DIALECT),
                markdown.write(None, &lark::markdown::DIALECT),
                markdown.write(None, MarkdownKind::Markdown.dialect()),
                markdown.write(None, MarkdownKind::MarkdownV2.dialect()),
            ];
            for flow in flows {
                for cost in [RAW, IN_JSON] {
                    let (mut from, mut joined) = (0, String::new());
                    while from < flow.text.len() {
                        let piece = flow.piece(from, max / 2, cost, FollowedBy::More);
                        prop_assert!(piece.range.start == from && piece.range.end > from);
                        joined.push_str(&flow.text[piece.range.clone()]);
                        from = piece.range.end;
                    }
                    prop_assert_eq!(&joined, &flow.text);
                    let said = parts(&flow, &ALL, max, cost);
                    for (at, part) in said.iter().enumerate() {
                        prop_assert!(part.chars().map(cost).sum::<usize>() <= max, "{}", part);
                        prop_assert!(part.contains("ops"));
                        if said.len() > 1 {
                            let number = format!("({}/{})\n", at + 1, said.len());
                            prop_assert!(part.starts_with(&number), "{}", part);
                        }
                    }
                }
            }
        }
    }
}
