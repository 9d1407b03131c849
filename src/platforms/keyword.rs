//! Whether a message contains the keyword that its robot requires, by the platforms' own rules.
//!
//! Owns those rules, and the text that is added if the keyword is missing.
//!
//! Lark counts texts and titles, but not the address of a link. DingTalk's documents leave
//! addresses open. So a text repeats the keyword, which is harmless, and DingTalk itself judges a
//! message in its own form. Lark itself judges a card whose text is in a template. WeCom robots
//! have no keyword; a subscription may have one nevertheless, and its texts contain it.
//!
//! Not here: where the keyword is stored (`domain/subscription.rs`).

use serde_json::{Map, Value};

use super::markdown;
use crate::domain::Platform;

/// A piece of a message that members can read.
pub(super) enum VisibleText<'a> {
    /// Plain text.
    Text(&'a str),
    /// Markdown.
    Markdown(&'a str),
}

impl VisibleText<'_> {
    fn says(&self, keyword: &str) -> bool {
        match self {
            Self::Text(text) => text.contains(keyword),
            Self::Markdown(text) => markdown::says(text, keyword),
        }
    }
}

/// The text to append so that the keyword occurs in the message.
pub(super) fn tail(keyword: Option<&str>, said: &[VisibleText<'_>]) -> String {
    match keyword {
        Some(keyword) if !said.iter().any(|piece| piece.says(keyword)) => format!("\n{keyword}"),
        _ => String::new(),
    }
}

/// Whether the platform would certainly reject a message in its own form, because it lacks the
/// keyword.
pub(super) fn is_missing(platform: Platform, body: &Map<String, Value>, keyword: &str) -> bool {
    match platform {
        Platform::DingTalk | Platform::DingTalkInternal => !any_value_has(body, keyword),
        Platform::Lark => !is_elsewhere(body) && !any_field_says(body, keyword),
        Platform::WeCom => false,
    }
}

/// Whether the text is in a template that only Lark has.
fn is_elsewhere(body: &Map<String, Value>) -> bool {
    body.get("card").and_then(|card| card.get("type")).is_some_and(|kind| kind == "template")
}

/// Whether any value contains the keyword, including addresses.
fn any_value_has(fields: &Map<String, Value>, keyword: &str) -> bool {
    fields.values().any(|value| has(value, keyword))
}

fn has(value: &Value, keyword: &str) -> bool {
    match value {
        Value::String(text) => text.contains(keyword),
        Value::Array(list) => list.iter().any(|one| has(one, keyword)),
        Value::Object(fields) => any_value_has(fields, keyword),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn any_field_says(fields: &Map<String, Value>, keyword: &str) -> bool {
    fields.iter().any(|(name, value)| !is_address(name) && says(value, keyword))
}

/// Texts in a platform's own form are markdown or not, depending on their field. All are read as
/// markdown.
fn says(value: &Value, keyword: &str) -> bool {
    match value {
        Value::String(text) => markdown::says(text, keyword),
        Value::Array(list) => list.iter().any(|one| says(one, keyword)),
        Value::Object(fields) => any_field_says(fields, keyword),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// All address fields are called `href`, or have a name that ends in `url`.
fn is_address(name: &str) -> bool {
    name == "href" || name.to_ascii_lowercase().ends_with("url")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_keyword_is_added_only_if_it_is_not_there() {
        assert_eq!(tail(Some("ops"), &[VisibleText::Text("devops"), VisibleText::Text("")]), "");
        assert_eq!(tail(Some("ops"), &[VisibleText::Text("dev")]), "\nops");
        assert_eq!(tail(None, &[]), "");
    }

    #[test]
    fn a_keyword_in_an_address_that_nobody_reads_is_not_said() {
        for (text, is_said) in [
            ("see [the runbook](https://ops.test)", false),
            ("see [ops](https://x.test)", true),
            ("see ![ops](https://x.test/ops.png)", false),
            ("see [it][1]\n\n[1]: https://ops.test", false),
            ("see https://ops.test", true),
            ("see <a href='https://ops.test'>it</a>", false),
            ("see <a href='https://x.test'>ops</a>", true),
            ("load < 5, ops", true),
            ("**ops**", true),
            ("> - `ops`", true),
            ("```\nops\n```", true),
            ("| a |\n|---|\n| ops |", true),
            ("<font color='red'>ops</font>", true),
            ("# o**p**s", false),
        ] {
            assert_eq!(
                tail(Some("ops"), &[VisibleText::Markdown(text)]).is_empty(),
                is_said,
                "{text}"
            );
        }
    }

    #[test]
    fn of_a_message_in_its_own_form_a_platform_counts_what_members_read() {
        let post = |node| json!({"msg_type": "post", "content": {"post": {"zh_cn": {"content": [[node]]}}}});
        let card = |text: &str| json!({"msg_type": "interactive", "card": {"elements": [{"tag": "markdown", "content": text}]}});
        for (platform, body, lacks) in [
            (
                Platform::Lark,
                post(json!({"tag": "a", "text": "it", "href": "https://ops.test"})),
                true,
            ),
            (
                Platform::Lark,
                post(json!({"tag": "a", "text": "ops", "href": "https://x.test"})),
                false,
            ),
            (Platform::Lark, card("see [it](https://ops.test)"), true),
            (Platform::Lark, card("see [ops](https://x.test)"), false),
            (Platform::Lark, json!({"msg_type": "text", "content": {"text": "x"}, "ops": 1}), true),
            (
                Platform::DingTalk,
                json!({"msgtype": "link", "link": {"title": "t", "messageUrl": "https://ops.test"}}),
                false,
            ),
            (
                Platform::DingTalk,
                json!({"msgtype": "link", "link": {"title": "t"}, "ops": 1}),
                true,
            ),
            (
                Platform::DingTalk,
                json!({"msgtype": "link", "link": {"title": "ops", "messageUrl": "https://x.test"}}),
                false,
            ),
            (
                Platform::Lark,
                json!({"msg_type": "interactive", "card": {"type": "template", "data": {"template_id": "AAqk1"}}}),
                false,
            ),
            (Platform::WeCom, json!({"msgtype": "text", "text": {"content": "x"}}), false),
        ] {
            assert_eq!(is_missing(platform, body.as_object().unwrap(), "ops"), lacks, "{body}");
        }
    }
}
