//! Lark's cards, and the `<at>` tags inside its texts.
//!
//! Owns which text a card shows, and which members a tag mentions.
//!
//! Not here: the other message types (`lark.rs`).

use serde_json::Value;

use crate::dialect::Refusal;
use crate::message::{Mentionable, Mentions, Message, filled};

/// The most tables of a card.
const TABLES: usize = 5;

/// The fields of a card of version 2.0. Any other is an error; version 1.0 ignores it.
const FIELDS_OF_VERSION_2: [&str; 5] = ["schema", "config", "card_link", "header", "body"];

/// Reads a card of version 1.0, of version 2.0, or made from a template.
pub(crate) fn card(card: &Value) -> Result<Message, Refusal> {
    if !card.is_object() {
        return Err(unreadable());
    }
    if filled(card, "type") == Some("template") {
        return template(card.get("data").unwrap_or(&Value::Null));
    }
    let second = filled(card, "schema") == Some("2.0");
    let known = |name: &String| FIELDS_OF_VERSION_2.contains(&name.as_str());
    if second && card.as_object().is_some_and(|fields| !fields.keys().all(known)) {
        return Err(Refusal::new(
            200_621,
            "parse card json err, please check whether the card json is correct",
        ));
    }
    let holder = if second { card.get("body").unwrap_or(&Value::Null) } else { card };
    let elements = holder.get("elements").and_then(Value::as_array).ok_or_else(unreadable)?;
    if elements.iter().any(|element| filled(element, "tag").is_none()) {
        return Err(unreadable());
    }
    let mut reading = Reading::default();
    for element in elements {
        reading.visit(element, second);
    }
    if reading.tables > TABLES {
        return Err(Refusal::new(11_310, "card table number over limit"));
    }
    Ok(Message { title: title(card)?, text: reading.lines.join("\n"), mentions: reading.mentions })
}

fn unreadable() -> Refusal {
    Refusal::new(11_246, "card content parse failed")
}

/// The title of the header. A card may lack a header, but a header needs a title.
fn title(card: &Value) -> Result<Option<String>, Refusal> {
    let Some(header) = card.get("header") else {
        return Ok(None);
    };
    let content = header.get("title").and_then(|title| filled(title, "content"));
    content.map(|text| Some(text.to_owned())).ok_or_else(unreadable)
}

/// The values filled into a template. Its own text is unknown.
fn template(data: &Value) -> Result<Message, Refusal> {
    filled(data, "template_id").ok_or_else(unreadable)?;
    let variables = data.get("template_variable").and_then(Value::as_object);
    let values: Vec<&str> =
        variables.into_iter().flat_map(|map| map.values()).filter_map(Value::as_str).collect();
    Ok(Message::of_text(values.join("\n")))
}

/// The content of a card that was read so far.
#[derive(Default)]
struct Reading {
    lines: Vec<String>,
    mentions: Mentions,
    tables: usize,
}

impl Reading {
    /// Collects the texts of an element and of everything inside it.
    fn visit(&mut self, value: &Value, second: bool) {
        match value {
            Value::Array(values) => values.iter().for_each(|inner| self.visit(inner, second)),
            Value::Object(fields) => {
                let tag = filled(value, "tag").unwrap_or_default();
                let content = filled(value, "content");
                match (tag, content) {
                    ("plain_text", Some(text)) => self.lines.push(text.to_owned()),
                    ("lark_md" | "markdown", Some(text)) => self.markdown(text, second),
                    ("table", _) => self.tables += 1,
                    _ => {}
                }
                fields.values().for_each(|inner| self.visit(inner, second));
            }
            _ => {}
        }
    }

    fn markdown(&mut self, raw: &str, second: bool) {
        let (text, mentions) = mentioned(raw, "id");
        // Only version 2.0 renders tables from markdown.
        if second {
            self.tables += text.lines().filter(|line| is_table_rule(line)).count();
        }
        self.mentions.all |= mentions.all;
        for id in &mentions.users {
            self.mentions.add_user(id, "all");
        }
        self.lines.push(text);
    }
}

/// The refusal of a whole card for one member: it takes no id but an `open_id` of the chat.
pub(crate) fn refuse_members(mentions: &Mentions, chat: Mentionable<'_>) -> Option<Refusal> {
    let known = |id: &String| {
        id.starts_with("ou_") && chat.members.is_none_or(|members| members.contains(id))
    };
    if !mentions.users.iter().all(known) {
        let text = "ErrCode: 100290; \
            ErrMsg: there is an invalid user resource (at/person) in your card; \
            ErrorValue: z****; ";
        return Some(Refusal::new(11_246, text));
    }
    let forbidden = mentions.all && !chat.all;
    forbidden.then(|| Refusal::new(230_099, "Failed to create card content"))
}

/// Whether a line is the separator below a table's head, such as `|---|:-:|`.
fn is_table_rule(line: &str) -> bool {
    line.contains('|')
        && line.contains("---")
        && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '))
}

/// Splits the tags `<at attribute=id>name</at>` from a text. Returns the text as members read it,
/// and the mentions. An unclosed tag, or one with another attribute, stays unchanged.
pub(crate) fn mentioned(raw: &str, attribute: &str) -> (String, Mentions) {
    let mut mentions = Mentions::default();
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, mark)) = rest.split_once("<at ") {
        text.push_str(before);
        if let Some((id, name, after)) = mark_parts(mark, attribute) {
            mentions.add_user(id, "all");
            text.push('@');
            text.push_str(if name.is_empty() { id } else { name });
            rest = after;
        } else {
            text.push_str("<at ");
            rest = mark;
        }
    }
    text.push_str(rest);
    (text, mentions)
}

/// The id and the name of a tag, and the text behind it.
fn mark_parts<'a>(mark: &'a str, attribute: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (attributes, rest) = mark.split_once('>')?;
    let (name, after) = rest.split_once("</at>")?;
    let value = attributes.trim().strip_prefix(attribute)?.strip_prefix('=')?;
    Some((value.trim_matches('"'), name, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_versions_of_a_card_are_read() {
        let header = json!({"title": {"tag": "plain_text", "content": "T"}, "template": "red"});
        let first = json!({"header": header, "elements": [
            {"tag": "div", "text": {"tag": "lark_md", "content": "a <at id=ou_1></at>"}},
            {"tag": "action", "actions": [{"tag": "button",
                "text": {"tag": "plain_text", "content": "Open"}, "url": "https://x.test"}]}]});
        let message = card(&first).unwrap();
        assert_eq!(message.title.as_deref(), Some("T"));
        assert_eq!(message.text, "a @ou_1\nOpen");
        assert_eq!(message.mentions.users, ["ou_1"]);

        let second = json!({"schema": "2.0", "header": header, "body": {"elements": [
            {"tag": "markdown", "content": "# b <at id=all></at>"}]}});
        let message = card(&second).unwrap();
        assert_eq!(message.text, "# b @all");
        assert!(message.mentions.all);
    }

    #[test]
    fn a_template_card_needs_its_id() {
        let good = json!({"type": "template",
            "data": {"template_id": "AAq", "template_variable": {"x": "v"}}});
        assert_eq!(card(&good).unwrap().text, "v");
        assert!(card(&json!({"type": "template", "data": {}})).is_err());
    }

    #[test]
    fn a_card_given_as_a_string_or_without_elements_is_unreadable() {
        for (bad, code) in [
            (json!("{\"elements\":[]}"), 11_246),
            (json!({}), 11_246),
            (json!({"schema": "2.0", "body": {}}), 11_246),
            (json!({"schema": "2.0", "elements": []}), 200_621),
        ] {
            assert_eq!(card(&bad).unwrap_err().code, code, "{bad}");
        }
    }

    #[test]
    fn a_sixth_table_is_over_the_limit() {
        let of = |count: usize| {
            let table = "|a|b|\n|---|---|\n|1|2|\n\n".repeat(count);
            card(&json!({"schema": "2.0",
                "body": {"elements": [{"tag": "markdown", "content": table}]}}))
        };
        assert!(of(5).is_ok());
        assert_eq!(of(6).unwrap_err().code, 11_310);
    }

    #[test]
    fn a_mark_that_is_not_whole_stays_as_written() {
        for raw in ["<at user_id=\"x\">n", "<at email=x></at>", "a < b", "<at "] {
            let (text, mentions) = mentioned(raw, "user_id");
            assert_eq!(text, raw);
            assert_eq!(mentions, Mentions::default());
        }
    }
}
