//! DingTalk's text and markdown messages.
//!
//! Owns how a text becomes such a message: title, mentions, and the limit of the body.
//!
//! Not here: the dialect of markdown (`markdown.rs`), messages in DingTalk's own form
//! (`native.rs`).

use std::borrow::Cow;

use serde_json::json;

use super::markdown::DIALECT;
use crate::{
    domain::{Format, MessageFeature},
    platforms::{
        body::{RenderedBody, TextMessage, object},
        chat_phrases::{Unmentioned, part_number},
        chunk::{ChunkPosition, Numbering, repeated},
        keyword::{self, VisibleText},
        markdown::{self, Head},
        text::{AnnotatedText, IN_JSON, RAW, cut, shortened},
    },
};

/// The limit of the whole body, in bytes (errcode 460101 beyond it).
pub(super) const BODY_BYTES_MAX: usize = 20_000;
/// Bytes reserved for everything in the body besides the text: names, title, mentions, `msgUuid`.
const BESIDES_TEXT_BYTES: usize = 512;
/// The most bytes of a title, which is one line in the list of conversations.
const TITLE_BYTES_MAX: usize = 200;
/// The most bytes of a text that are read to find its title.
const TITLE_READ_BYTES_MAX: usize = 4_096;
/// The platform takes at most this many mentions in one message.
const MENTIONS_MAX: usize = 50;
/// Renders text or markdown.
pub(super) fn write(words: &TextMessage<'_>) -> RenderedBody {
    let mut mentions = words.mentions.clone();
    let beyond = mentions.mobiles.split_off(mentions.mobiles.len().min(MENTIONS_MAX));
    let users = MENTIONS_MAX - mentions.mobiles.len();
    let others = mentions.users.split_off(mentions.users.len().min(users));
    let unmentioned = Unmentioned { everyone: false, members: beyond.len() + others.len() };
    let note = words.note(unmentioned);
    let tail = |ChunkPosition(first): ChunkPosition, text: &str, said: &[VisibleText<'_>]| {
        let mut tail = keyword::tail(words.keyword, said);
        if !first {
            return tail;
        }
        // DingTalk highlights a mention only where the text contains it.
        for said in mentions.mobiles.iter().chain(&mentions.users).map(|one| format!("@{one}")) {
            if !text.contains(&said) {
                tail.push_str(if tail.is_empty() { "\n" } else { " " });
                tail.push_str(&said);
            }
        }
        tail + &note
    };
    let at = json!({
        "atMobiles": mentions.mobiles, "atUserIds": mentions.users, "isAtAll": mentions.all
    });
    let spent = BESIDES_TEXT_BYTES + TITLE_BYTES_MAX + at.to_string().len();
    let room = BODY_BYTES_MAX.saturating_sub(spent);
    let subject = words.subject.map(|subject| repeated(subject, IN_JSON));
    let (kind, content, part) = match words.format {
        Format::Text => {
            let head = words.subject.map(|subject| format!("{subject}\n")).unwrap_or_default();
            let flow = AnnotatedText::from(format!("{head}{}", words.text));
            let tail = |first, text: &str| tail(first, text, &[VisibleText::Text(text)]);
            let numbering = Numbering::InText { mark: "", subject: subject.as_deref(), gap: "\n" };
            let share = flow.share(words.wanted, &numbering, tail, room, IN_JSON);
            ("text", json!({"content": share.text}), share.part)
        }
        Format::Markdown => {
            let head = words.subject.map(|text| Head { mark: "### ", text, gap: "\n\n" });
            let (title, flow) = (title(words), words.markdown().write(head, &DIALECT));
            let subject = subject.map(|line| markdown::plain_in(&line, &DIALECT));
            let (mark, gap) = ("### ", "\n\n");
            let numbering = Numbering::InText { mark, subject: subject.as_deref(), gap };
            let tail = |first, text: &str| {
                tail(first, text, &[VisibleText::Text(&title), VisibleText::Markdown(text)])
            };
            let share = flow.share(words.wanted, &numbering, tail, room, IN_JSON);
            let title = match share.part.total {
                Some(1) | None => title,
                Some(_) => format!("{} {title}", part_number(share.part)),
            };
            ("markdown", json!({"title": title, "text": share.text}), share.part)
        }
    };
    let at = if part.index == 0 { at } else { json!({"isAtAll": false}) };
    (object([("msgtype", kind.into()), (kind, content), ("at", at)]), part)
}

/// The line for the list of conversations: the subject, or else the first non-empty line. The field
/// is required, so a title that is left out becomes a sign.
fn title(words: &TextMessage<'_>) -> String {
    if words.omitted.contains(MessageFeature::Title) {
        return "…".to_owned();
    }
    // The list of conversations does not render markdown.
    let plain = words.subject.map_or_else(
        || Cow::from(markdown::plain_lines(cut(words.text, TITLE_READ_BYTES_MAX, RAW))),
        Cow::from,
    );
    let first = plain.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("…");
    shortened(first, TITLE_BYTES_MAX, IN_JSON).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::{super::signature::sign_request, *};
    use crate::{
        domain::{Endpoint, LongTextPolicy, Mentions, Part},
        platforms::{chunk::ChunkRequest, profile::SigningContext},
    };

    fn write(words: &TextMessage<'_>) -> Map<String, Value> {
        super::write(words).0
    }

    #[test]
    fn text_and_markdown_have_the_documented_form() {
        let text = Value::Object(write(&TextMessage::plain(Some("db-1"), "is down", Format::Text)));
        assert_eq!(
            text,
            json!({"msgtype": "text", "text": {"content": "db-1\nis down"},
                   "at": {"atMobiles": [], "atUserIds": [], "isAtAll": false}})
        );
        let markdown =
            Value::Object(write(&TextMessage::plain(Some("db-1"), "**down**", Format::Markdown)));
        assert_eq!(markdown["markdown"], json!({"title": "db-1", "text": "### db-1\n\n**down**"}));
        let untitled = Value::Object(write(&TextMessage::plain(
            None,
            "\n## **Down**\nmore",
            Format::Markdown,
        )));
        assert_eq!(untitled["markdown"]["title"], "Down");
        let linked = Value::Object(write(&TextMessage::plain(
            None,
            "![](https://x.test/i.png)\n\n> see **[the *run*book](https://x.test)**",
            Format::Markdown,
        )));
        assert_eq!(linked["markdown"]["title"], "see the runbook");
    }

    #[test]
    fn each_mentioned_member_is_in_the_text_once() {
        let mut words = TextMessage::plain(None, "ask @1380", Format::Text);
        words.mentions = Mentions {
            all: true,
            mobiles: vec!["1380".into(), "1390".into()],
            users: vec!["u1".into()],
        };
        words.keyword = Some("告警");
        let body = Value::Object(write(&words));
        assert_eq!(body["text"]["content"], "ask @1380\n告警 @1390 @u1");
        assert_eq!(
            body["at"],
            json!({"atMobiles": ["1380", "1390"], "atUserIds": ["u1"], "isAtAll": true})
        );
    }

    #[test]
    fn members_beyond_the_fiftieth_mention_are_counted_in_a_note() {
        let mut words = TextMessage::plain(None, "x", Format::Text);
        words.mentions.mobiles = (0..49).map(|number| format!("138{number:02}")).collect();
        words.mentions.users = vec!["ann".into(), "bob".into(), "cy".into()];
        let body = Value::Object(write(&words));
        assert_eq!(body["at"]["atMobiles"].as_array().unwrap().len(), 49);
        assert_eq!(body["at"]["atUserIds"], json!(["ann"]));
        assert!(
            body["text"]["content"]
                .as_str()
                .unwrap()
                .ends_with("@ann\n(cannot be mentioned here: 2 members)")
        );
    }

    #[test]
    fn mentions_that_alone_are_too_long_are_refused() {
        let endpoint =
            Endpoint::new("https://oapi.dingtalk.com/robot/send?access_token=T".to_owned());
        let mut words = TextMessage::plain(None, "x", Format::Text);
        words.mentions.users = vec!["u".repeat(25_000)];
        let sealed = sign_request(write(&words), &SigningContext::new(&endpoint, None));
        assert_eq!(sealed.err().map(|unsendable| unsendable.code), Some("too_large"));
    }

    #[test]
    fn each_part_of_a_long_text_fits_whatever_it_is_made_of_and_the_first_alone_mentions() {
        let endpoint =
            Endpoint::new("https://oapi.dingtalk.com/robot/send?access_token=T".to_owned());
        for unit in ["告", "\"", "\u{1}", "a\n", "😀"] {
            for format in [Format::Text, Format::Markdown] {
                let (text, subject) = (unit.repeat(20_000), unit.repeat(300));
                let mut words = TextMessage::plain(Some(&subject), &text, format);
                words.mentions.mobiles =
                    (0..60).map(|number| format!("138000000{number:02}")).collect();
                let mut part = Part::default();
                loop {
                    words.wanted =
                        ChunkRequest { too_long: LongTextPolicy::Split, part, ..words.wanted };
                    let (body, said) = super::write(&words);
                    assert_eq!(
                        (said.index, body["at"]["atMobiles"].is_array()),
                        (part.index, part.index == 0)
                    );
                    let sealed = sign_request(body, &SigningContext::new(&endpoint, None));
                    assert!(
                        sealed.is_ok_and(|sealed| sealed.1.len() <= 20_000),
                        "{unit:?} {said:?}"
                    );
                    part = Part { index: said.index + 1, total: said.total };
                    if !said.has_next() {
                        break;
                    }
                }
                assert!(part.index > 1, "{unit:?}");
            }
        }
    }

    #[test]
    fn the_longest_text_fits_whatever_it_is_made_of() {
        let endpoint =
            Endpoint::new("https://oapi.dingtalk.com/robot/send?access_token=T".to_owned());
        for unit in ["告", "\"", "\u{1}", "a\n", "😀"] {
            for format in [Format::Text, Format::Markdown] {
                let (text, subject) = (unit.repeat(20_000), unit.repeat(300));
                let mut words = TextMessage::plain(Some(&subject), &text, format);
                words.mentions.mobiles =
                    (0..60).map(|number| format!("138000000{number:02}")).collect();
                let sealed = sign_request(write(&words), &SigningContext::new(&endpoint, None));
                let body = sealed.map(|sealed| sealed.1.len()).unwrap();
                assert!((18_000..=20_000).contains(&body), "{unit:?}: {body}");
            }
        }
    }
}
