//! Whether a message contains the keyword that its robot requires.
//!
//! Owns the search for a keyword, and the text that is added if it is missing. A text repeats the
//! keyword if in doubt, which is harmless.
//!
//! Not here: which parts of a message a platform counts (the platforms' profiles), and where the
//! keyword is declared (`domain/subscription_options.rs`).

use serde_json::{Map, Value};

use super::markdown;

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

/// Whether any value of a message contains the keyword, including addresses.
pub(super) fn any_value_has(fields: &Map<String, Value>, keyword: &str) -> bool {
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

/// Whether any value of a message that members read says the keyword.
pub(super) fn any_field_says(fields: &Map<String, Value>, keyword: &str) -> bool {
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
    use super::*;

    #[test]
    fn a_keyword_is_added_only_if_it_is_not_there() {
        assert_eq!(tail(Some("ops"), &[VisibleText::Text("devops"), VisibleText::Text("")]), "");
        assert_eq!(tail(Some("ops"), &[VisibleText::Text("dev")]), "\nops");
        assert_eq!(tail(None, &[]), "");
    }

    #[test]
    fn a_keyword_in_an_address_does_not_count() {
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
}
