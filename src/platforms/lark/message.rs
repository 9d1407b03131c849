//! Lark's text messages, and cards for markdown.
//!
//! Owns how a text becomes such a message: title, mentions, and the limit of the body.
//!
//! Not here: the dialect of markdown (`markdown.rs`), messages in Lark's own form (`native.rs`).

use serde_json::json;

use super::markdown::DIALECT;
use crate::{
    domain::Format,
    platforms::{
        body::{RenderedBody, TextMessage, object},
        chat_phrases::{Unmentioned, part_number},
        chunk::{ChunkPosition, Numbering, repeated},
        keyword::{self, VisibleText},
        markdown::Head,
        text::{AnnotatedText, IN_JSON, cut},
    },
};

/// The limit of a body that is rendered here, in bytes. Lark documents 20 KB for webhooks.
const RENDERED_BYTES_MAX: usize = 20_000;
/// The limit of any body, in bytes: the 30 KB that Lark itself names when it refuses a message.
pub(super) const BODY_BYTES_MAX: usize = 30 * 1024;
/// Bytes reserved for everything in the body besides text and title: names, timestamp, signature.
const BESIDES_TEXT_BYTES: usize = 512;
/// The most bytes of a card's title, which is one line.
const TITLE_BYTES_MAX: usize = 300;

/// Renders text as `text`, markdown as a card of schema 2.0. Only that schema shows headings,
/// quotes, code and tables.
pub(super) fn write(words: &TextMessage<'_>) -> RenderedBody {
    let mentions = mentions(words);
    let tail = |ChunkPosition(first): ChunkPosition, said: &[VisibleText<'_>]| {
        keyword::tail(words.keyword, said) + if first { &mentions } else { "" }
    };
    let room = RENDERED_BYTES_MAX - BESIDES_TEXT_BYTES - TITLE_BYTES_MAX;
    match words.format {
        Format::Text => {
            let head = words.subject.map(|subject| format!("{subject}\n")).unwrap_or_default();
            let flow = AnnotatedText::from(format!("{head}{}", words.text));
            let subject = words.subject.map(|subject| repeated(subject, IN_JSON));
            let numbering = Numbering::InText { mark: "", subject: subject.as_deref(), gap: "\n" };
            let share = flow.share(
                words.wanted,
                &numbering,
                |first, text| tail(first, &[VisibleText::Text(text)]),
                room,
                IN_JSON,
            );
            (
                object([("msg_type", "text".into()), ("content", json!({"text": share.text}))]),
                share.part,
            )
        }
        Format::Markdown => {
            // A header needs a title.
            let title = words.subject.map(Title::of).filter(|title| !title.line.is_empty());
            let rest =
                title.as_ref().map(|title| title.rest.as_str()).filter(|rest| !rest.is_empty());
            let head = rest.map(|text| Head { mark: "", text, gap: "\n\n" });
            let flow = words.markdown().write(head, &DIALECT);
            let title = title.map(|title| title.line);
            let numbering = match &title {
                Some(_) => Numbering::Elsewhere,
                None => Numbering::InText { mark: "", subject: None, gap: "\n\n" },
            };
            let title_said = title.as_deref().unwrap_or_default();
            let tail = |first, text: &str| {
                tail(first, &[VisibleText::Text(title_said), VisibleText::Markdown(text)])
            };
            let share = flow.share(words.wanted, &numbering, tail, room, IN_JSON);
            let mut card = object([("schema", "2.0".into())]);
            if let Some(title) = title {
                let title = match share.part.total {
                    Some(1) | None => title,
                    Some(_) => format!("{} {title}", part_number(share.part)),
                };
                let mut header =
                    object([("title", json!({"tag": "plain_text", "content": title}))]);
                if let Some(color) = words.color {
                    header.insert("template".to_owned(), color.into());
                }
                card.insert("header".to_owned(), header.into());
            }
            card.insert(
                "body".to_owned(),
                json!({"elements": [{"tag": "markdown", "content": share.text}]}),
            );
            (object([("msg_type", "interactive".into()), ("card", card.into())]), share.part)
        }
    }
}

/// A subject in the header of a card, which has one line, and the rest of it in the body.
struct Title {
    line: String,
    rest: String,
}

impl Title {
    fn of(subject: &str) -> Self {
        let subject = subject.trim();
        let (first, others) = subject.split_once('\n').unwrap_or((subject, ""));
        let first = first.trim_end();
        if cut(first, TITLE_BYTES_MAX, IN_JSON).len() == first.len() {
            return Self { line: first.to_owned(), rest: others.trim().to_owned() };
        }
        let kept = cut(first, TITLE_BYTES_MAX - '…'.len_utf8(), IN_JSON);
        // The last word is cut only if it is long.
        let word = kept.rfind(char::is_whitespace).filter(|at| *at > kept.len() / 2);
        let kept = kept.get(..word.unwrap_or(kept.len())).unwrap_or_default();
        let rest = first.get(kept.len()..).unwrap_or_default().trim_start();
        let others = if others.is_empty() { String::new() } else { format!("\n{}", others.trim()) };
        Self { line: format!("{kept}…"), rest: format!("…{rest}{others}") }
    }
}

/// Lark mentions members by user id only. A note counts the others.
fn mentions(words: &TextMessage<'_>) -> String {
    let everybody = words.mentions.all.then_some("all");
    let named = words.mentions.users.iter().map(String::as_str);
    // The id is written inside a tag, so an id with characters that could end the tag is not
    // accepted.
    let is_id = |id: &&str| id.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    let (ids, others): (Vec<_>, Vec<_>) = everybody.into_iter().chain(named).partition(is_id);
    let members = others.len() + words.mentions.mobiles.len();
    let tags: String = ids
        .iter()
        .map(|id| match words.format {
            Format::Text => format!("<at user_id=\"{id}\"></at>"),
            Format::Markdown => format!("<at id={id}></at>"),
        })
        .collect();
    let tags = if tags.is_empty() { tags } else { format!("\n{tags}") };
    tags + &words.note(Unmentioned { everyone: false, members })
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::{super::signature::sign_request, *};
    use crate::{
        domain::{Endpoint, LongTextPolicy, Mentions, Part, Secret, Timestamp},
        platforms::{chunk::ChunkRequest, profile::SigningContext},
    };

    const HOOK: &str = "https://open.feishu.cn/open-apis/bot/v2/hook/T";

    fn write(words: &TextMessage<'_>) -> Map<String, Value> {
        super::write(words).0
    }

    #[test]
    fn a_signed_body_carries_seconds_as_text_at_its_top() {
        let (endpoint, secret) =
            (Endpoint::new(HOOK.to_owned()), Secret::new("testsecret".to_owned()));
        let now = Timestamp::from_unix_millis(1_700_000_000_999);
        let body = write(&TextMessage::plain(None, "告警", Format::Text));
        let sealed = sign_request(
            body,
            &SigningContext { now, ..SigningContext::new(&endpoint, Some(&secret)) },
        )
        .unwrap_or_else(|_| panic!());
        assert_eq!(
            String::from_utf8(sealed.1).unwrap(),
            concat!(
                r#"{"timestamp":"1700000000","#,
                r#""sign":"AOc8oJ7//5OlQlfWC3nRL0R+IkuzcD1FKcAyibRK9Q8=","#,
                r#""msg_type":"text","content":{"text":"告警"}}"#
            )
        );
        assert_eq!(sealed.0.expose(), HOOK);
    }

    #[test]
    fn markdown_is_a_card_of_schema_2_and_mentions_are_tags() {
        let mut words = TextMessage::plain(Some("db-1"), "# down", Format::Markdown);
        words.mentions = Mentions {
            all: true,
            mobiles: vec!["1380".into()],
            users: vec!["ou_1".into(), "x><".into()],
        };
        words.color = Some("red");
        let card = Value::Object(write(&words));
        assert_eq!(
            card,
            json!({
                "msg_type": "interactive",
                "card": {
                    "schema": "2.0",
                    "header": {
                        "title": {"tag": "plain_text", "content": "db-1"}, "template": "red"
                    },
                    "body": {"elements": [{
                        "tag": "markdown",
                        "content": "# down\n<at id=all></at><at id=ou_1></at>\n\
                            (cannot be mentioned here: 2 members)"
                    }]}
                }
            })
        );
        words.format = Format::Text;
        let text = Value::Object(write(&words));
        assert_eq!(
            text["content"]["text"],
            "db-1\n# down\n<at user_id=\"all\"></at><at user_id=\"ou_1\"></at>\n\
             (cannot be mentioned here: 2 members)"
        );
    }

    #[test]
    fn a_native_body_may_be_as_large_as_lark_says() {
        let (endpoint, secret) = (Endpoint::new(HOOK.to_owned()), Secret::new("s".to_owned()));
        let sign = |text: usize| {
            let body = json!({"msg_type": "interactive", "card": {"elements": [
                {"tag": "markdown", "content": "x".repeat(text)}]}});
            let body = body.as_object().unwrap().clone();
            sign_request(body, &SigningContext::new(&endpoint, Some(&secret)))
        };
        let around = sign(1).unwrap().1.len() - 1;
        assert_eq!(sign(30_720 - around).unwrap().1.len(), 30_720);
        let refused = sign(30_721 - around).err().unwrap();
        assert_eq!(refused.code, "too_large");
        assert_eq!(refused.detail, "the message has 30721 bytes; the platform takes 30720");
    }

    #[test]
    fn each_part_of_a_long_text_fits_and_a_cards_title_says_which_it_is() {
        let (endpoint, secret) = (Endpoint::new(HOOK.to_owned()), Secret::new("s".to_owned()));
        for unit in ["告", "\"", "\u{1}", "😀"] {
            for format in [Format::Text, Format::Markdown] {
                let (text, subject) = (unit.repeat(20_000), unit.repeat(300));
                let mut words = TextMessage::plain(Some(&subject), &text, format);
                let mut part = Part::default();
                loop {
                    words.wanted =
                        ChunkRequest { too_long: LongTextPolicy::Split, part, ..words.wanted };
                    let (body, said) = super::write(&words);
                    if format == Format::Markdown {
                        let title = body["card"]["header"]["title"]["content"].as_str().unwrap();
                        assert!(title.starts_with(&part_number(said)), "{title}");
                    }
                    let sealed = sign_request(body, &SigningContext::new(&endpoint, Some(&secret)));
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
        let (endpoint, secret) = (Endpoint::new(HOOK.to_owned()), Secret::new("s".to_owned()));
        for unit in ["告", "\"", "\u{1}", "😀"] {
            for format in [Format::Text, Format::Markdown] {
                let (text, subject) = (unit.repeat(20_000), unit.repeat(300));
                let body = write(&TextMessage::plain(Some(&subject), &text, format));
                let sealed = sign_request(body, &SigningContext::new(&endpoint, Some(&secret)));
                let length = sealed.map(|sealed| sealed.1.len()).unwrap();
                assert!((18_000..=20_000).contains(&length), "{unit:?}: {length}");
            }
        }
    }
}
