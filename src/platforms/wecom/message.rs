//! WeCom's text and markdown messages.
//!
//! Owns how a text becomes such a message: mentions, and the limits of its content.
//!
//! Not here: the dialects of markdown (`markdown.rs`), messages in WeCom's own form (`native.rs`).

use serde_json::{Map, Value, json};

use super::markdown::{self, MarkdownKind};
use crate::{
    domain::{Format, Secret},
    platforms::{
        body::{RenderedBody, TextMessage, Unsendable, bounded, object},
        chat_phrases::Unmentioned,
        chunk::{ChunkPosition, Numbering, repeated},
        keyword::{self, VisibleText},
        markdown::{Head, plain_in},
        profile::SigningContext,
        text::{AnnotatedText, RAW},
    },
};

/// The limit of `text.content`, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 2_048;
/// The limit of `markdown.content`, in bytes.
pub(super) const MARKDOWN_BYTES_MAX: usize = 4_096;
/// The largest body is an image of 2 MB in base64, which is more than an event can contain.
const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Renders text or markdown. Text can mention all members, or members by user id or mobile number.
/// Markdown can mention by user id only; a note counts the others.
pub(super) fn write(words: &TextMessage<'_>) -> RenderedBody {
    let subject = words.subject.map(|subject| repeated(subject, RAW));
    match words.format {
        Format::Text => {
            let head = words.subject.map(|subject| format!("{subject}\n")).unwrap_or_default();
            let flow = AnnotatedText::from(format!("{head}{}", words.text));
            let note = words.note(Unmentioned::default());
            let tail = |ChunkPosition(first): ChunkPosition, text: &str| {
                let keyword = keyword::tail(words.keyword, &[VisibleText::Text(text)]);
                if first { keyword + &note } else { keyword }
            };
            let numbering = Numbering::InText { mark: "", subject: subject.as_deref(), gap: "\n" };
            let share = flow.share(words.wanted, &numbering, tail, TEXT_BYTES_MAX, RAW);
            let mut text = object([("content", share.text.into())]);
            if share.part.index == 0 {
                let mut users = words.mentions.users.clone();
                if words.mentions.all {
                    users.push("@all".to_owned());
                }
                if !users.is_empty() {
                    text.insert("mentioned_list".to_owned(), json!(users));
                }
                if !words.mentions.mobiles.is_empty() {
                    text.insert("mentioned_mobile_list".to_owned(), json!(words.mentions.mobiles));
                }
            }
            (object([("msgtype", "text".into()), ("text", text.into())]), share.part)
        }
        Format::Markdown => {
            let head = words.subject.map(|text| Head { mark: "### ", text, gap: "\n" });
            let is_id = |user: &&String| !user.contains(['<', '>']);
            let (named, others): (Vec<_>, Vec<_>) = words.mentions.users.iter().partition(is_id);
            let unmentioned = Unmentioned {
                everyone: words.mentions.all,
                members: others.len() + words.mentions.mobiles.len(),
            };
            let note = words.note(unmentioned);
            let tail = |ChunkPosition(first): ChunkPosition, text: &str| {
                let keyword = keyword::tail(words.keyword, &[VisibleText::Markdown(text)]);
                if !first {
                    return keyword;
                }
                let tags =
                    named.iter().map(|user| format!("<@{user}>")).filter(|tag| !text.contains(tag));
                let tags = tags.collect::<Vec<_>>().join(" ");
                let line = if tags.is_empty() { "" } else { "\n" };
                format!("{keyword}{line}{tags}{note}")
            };
            // A mention matters more than a table, and only the older kind can mention.
            let text = words.markdown();
            let (kind, flow) = markdown::write(&text, head, !named.is_empty());
            let subject = subject.map(|line| plain_in(&line, kind.dialect()));
            let numbering =
                Numbering::InText { mark: "### ", subject: subject.as_deref(), gap: "\n" };
            let share = flow.share(words.wanted, &numbering, tail, MARKDOWN_BYTES_MAX, RAW);
            let kind = match kind {
                MarkdownKind::Markdown => "markdown",
                MarkdownKind::MarkdownV2 => "markdown_v2",
            };
            (object([("msgtype", kind.into()), (kind, json!({"content": share.text}))]), share.part)
        }
    }
}

/// WeCom has no signature: the URL is the only secret.
pub(super) fn sign_request(
    body: &Map<String, Value>,
    context: &SigningContext<'_>,
) -> Result<(Secret, Vec<u8>), Unsendable> {
    let url = Secret::new(context.endpoint.expose().to_owned());
    Ok((url, bounded(body, BODY_BYTES_MAX)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Mentions;

    fn write(words: &TextMessage<'_>) -> Map<String, Value> {
        super::write(words).0
    }

    #[test]
    fn text_mentions_by_list_and_markdown_by_tag() {
        let mut words = TextMessage::plain(Some("db-1"), "down", Format::Text);
        words.mentions =
            Mentions { all: true, mobiles: vec!["1380".into()], users: vec!["ann".into()] };
        assert_eq!(
            Value::Object(write(&words)),
            json!({
                "msgtype": "text",
                "text": {
                    "content": "db-1\ndown", "mentioned_list": ["ann", "@all"],
                    "mentioned_mobile_list": ["1380"]
                }
            })
        );
        words.format = Format::Markdown;
        assert_eq!(
            Value::Object(write(&words)),
            json!({
                "msgtype": "markdown",
                "markdown": {
                    "content": "### db-1\ndown\n<@ann>\n\
                        (cannot be mentioned here: everyone and 1 member)"
                }
            })
        );
        assert_eq!(
            Value::Object(write(&TextMessage::plain(None, "down", Format::Text))),
            json!({"msgtype": "text", "text": {"content": "down"}})
        );
    }

    #[test]
    fn a_table_with_a_mention_stays_in_the_kind_of_markdown_that_mentions() {
        let table = "| a |\n|---|\n| b |";
        for (text, users, kind) in [
            (table.to_owned(), vec![], "markdown_v2"),
            (table.to_owned(), vec!["ann".to_owned()], "markdown"),
            (format!("<@ann>\n\n{table}"), vec![], "markdown"),
            (format!("<@ann>\n\n{table}"), vec!["ann".to_owned()], "markdown"),
        ] {
            let mut words = TextMessage::plain(None, &text, Format::Markdown);
            words.mentions.users = users;
            assert_eq!(write(&words)["msgtype"], kind, "{text}");
        }
    }

    #[test]
    fn content_is_cut_to_the_bytes_of_its_type_and_keeps_keyword_and_mentions() {
        let text = "告警".repeat(5_000);
        for (format, kind, max) in
            [(Format::Text, "text", 2_048), (Format::Markdown, "markdown", 4_096)]
        {
            let mut words = TextMessage::plain(Some("s"), &text, format);
            words.keyword = Some("钥");
            let body = Value::Object(write(&words));
            let content = body[kind]["content"].as_str().unwrap();
            assert!((max - 8..=max).contains(&content.len()), "{kind}: {}", content.len());
            assert!(content.ends_with("bytes left out)\n钥"));
        }
    }
}
