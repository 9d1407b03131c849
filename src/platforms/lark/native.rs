//! The message types of a Lark or Feishu custom bot.
//!
//! Owns which fields and limits Lark documents for each type.
//!
//! Not here: messages that roomcast renders itself (`message.rs`).

use serde_json::{Map, Value};

use crate::platforms::field::{Checked, Field};

const TYPES: [&str; 5] = ["text", "post", "image", "share_chat", "interactive"];
/// The colours of a card's header.
pub(super) const HEADER_COLORS: [&str; 13] = [
    "blue",
    "wathet",
    "turquoise",
    "green",
    "yellow",
    "orange",
    "red",
    "carmine",
    "violet",
    "purple",
    "indigo",
    "grey",
    "default",
];
/// The most tables in one card (code 11310 beyond it).
pub(super) const TABLES_MAX: usize = 5;

/// Whether a card's text is in a template that only Lark has.
pub(super) fn is_template(body: &Map<String, Value>) -> bool {
    body.get("card").and_then(|card| card.get("type")).is_some_and(|kind| kind == "template")
}

pub(super) fn check(body: &Field<'_>) -> Checked {
    let kind = body.one_of("msg_type", &TYPES)?;
    if kind == "interactive" {
        return card(&body.object("card")?);
    }
    let content = body.object("content")?;
    match kind {
        "text" => content.text("text").map(drop),
        "image" => content.text("image_key").map(drop),
        "share_chat" => content.text("share_chat_id").map(drop),
        _ => post(&content.object("post")?),
    }
}

/// A post in one or several languages.
fn post(languages: &Field<'_>) -> Checked {
    let names: Vec<_> =
        languages.value().as_object().into_iter().flat_map(|map| map.keys()).collect();
    if names.is_empty() {
        return Err(languages.wrong("has no language: use zh_cn, en_us or another"));
    }
    for name in names {
        let version = languages.object(name)?;
        version.maybe_text("title")?;
        for line in version.list("content", 1..=usize::MAX)? {
            line.members()?.iter().try_for_each(node)?;
        }
    }
    Ok(())
}

fn node(node: &Field<'_>) -> Checked {
    match node.text("tag")? {
        // A blank or empty text is valid between other nodes.
        "text" => match node.need("text")? {
            text if text.value().is_string() => Ok(()),
            text => Err(text.wrong("must be text")),
        },
        // One malformed address fails the whole message.
        "a" => node.text("text").and_then(|_| node.url("href", &[])),
        "at" => node.text("user_id").map(drop),
        "img" => node.text("image_key").map(drop),
        // The documents for bots list these four tags, those for apps list more. No document says
        // that a bot may not use the others.
        _ => Ok(()),
    }
}

/// A card from a template, of schema 2.0, or of schema 1.0.
fn card(card: &Field<'_>) -> Checked {
    if card.get("type").is_some() {
        card.one_of("type", &["template"])?;
        let data = card.object("data")?;
        data.text("template_id")?;
        return data.maybe_object("template_variable").map(drop);
    }
    if let Some(header) = card.maybe_object("header")? {
        let title = header.object("title")?;
        title.one_of("tag", &["plain_text", "lark_md"])?;
        if title.get("i18n").is_none() {
            title.text("content")?;
        }
        if header.get("template").is_some() {
            header.one_of("template", &HEADER_COLORS)?;
        }
    }
    let elements = if card.get("schema").is_some() {
        card.one_of("schema", &["2.0"])?;
        card.object("body")?.list("elements", 1..=usize::MAX)?
    } else if card.get("i18n_elements").is_some() {
        card.maybe_object("i18n_elements")?;
        Vec::new()
    } else {
        card.list("elements", 1..=usize::MAX)?
    };
    for element in &elements {
        element.text("tag")?;
        if matches!(element.value().get("tag").and_then(Value::as_str), Some("markdown")) {
            element.text("content")?;
        }
    }
    let tables: usize = elements.iter().map(|element| tables(element.value())).sum();
    if tables > TABLES_MAX {
        return Err(card.wrong(format!("has {tables} tables: at most {TABLES_MAX} are taken")));
    }
    Ok(())
}

/// The number of table components in an element, at any depth.
fn tables(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().map(tables).sum(),
        Value::Object(fields) => {
            let own = fields.get("tag").and_then(Value::as_str) == Some("table");
            usize::from(own) + fields.values().map(tables).sum::<usize>()
        }
        _ => 0,
    }
}
