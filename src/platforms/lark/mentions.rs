//! Mentions in messages in Lark's own form, and notes in them.
//!
//! Owns the tags and nodes by which such a message mentions members.
//!
//! Not here: messages that roomcast renders itself (`message.rs`).

use serde_json::{Map, Value, json};

use crate::domain::{FeatureSet, MessageFeature};

/// The beginning of a mention in a text.
const TAG: &str = "<at ";

/// Replaces these mentions by the names of the members.
pub(super) fn omit(body: &mut Map<String, Value>, omitted: FeatureSet) {
    body.values_mut().for_each(|value| omit_in(value, omitted));
}

fn omit_in(value: &mut Value, omitted: FeatureSet) {
    match value {
        Value::String(text) if text.contains(TAG) => *text = without_tags(text, omitted),
        Value::Array(list) => list.iter_mut().for_each(|one| omit_in(one, omitted)),
        Value::Object(node) => {
            let text = |name: &str| node.get(name).and_then(Value::as_str).map(str::to_owned);
            let is_mention = text("tag").is_some_and(|tag| tag == "at");
            match text("user_id").filter(|id| is_mention && omitted.contains(feature(id))) {
                Some(id) => {
                    let name = text("user_name").unwrap_or(id);
                    *value = json!({"tag": "text", "text": format!("@{name}")});
                }
                None => omit(node, omitted),
            }
        }
        _ => (),
    }
}

fn feature(id: &str) -> MessageFeature {
    if id == "all" { MessageFeature::MentionAll } else { MessageFeature::Mentions }
}

/// The text with these mentions as names: `<at id=ou_1>Ann</at>` becomes `@Ann`.
fn without_tags(text: &str, omitted: FeatureSet) -> String {
    let (mut kept, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, tag)) = rest.split_once(TAG) {
        kept.push_str(before);
        let Some((attributes, after)) = tag.split_once('>') else {
            kept.push_str(TAG);
            rest = tag;
            break;
        };
        let id = attributes.split_once('=').map_or("", |(_, id)| id);
        let id = id.trim_matches(['"', '\'', ' ', '/']);
        let (name, after) = after.split_once("</at>").unwrap_or(("", after));
        if omitted.contains(feature(id)) {
            kept.push('@');
            kept.push_str(if name.is_empty() { id } else { name });
        } else {
            kept.push_str(&format!("{TAG}{attributes}>{name}</at>"));
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// Adds a note behind everything else, where the form has a place for one.
pub(super) fn add_note(body: &mut Map<String, Value>, note: &str) {
    let content = body.get_mut("content");
    if let Some(Value::String(text)) = content.and_then(|content| content.get_mut("text")) {
        text.push_str(note);
        return;
    }
    let languages = body.get_mut("content").and_then(|content| content.get_mut("post"));
    for version in languages.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        if let Some(Value::Array(lines)) = version.get_mut("content") {
            lines.push(json!([{"tag": "text", "text": note.trim()}]));
        }
    }
    let Some(card) = body.get_mut("card") else { return };
    let holder = if card.get("body").is_some() { card.get_mut("body") } else { Some(card) };
    let elements = holder.and_then(|holder| holder.get_mut("elements"));
    if let Some(Value::Array(elements)) = elements {
        elements.push(json!({"tag": "markdown", "content": note.trim()}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_of_a_message_in_larks_own_form_become_names_and_a_note_says_so() {
        let all = FeatureSet::named("mention_all");
        let both = FeatureSet::named("mention_all,mentions");
        for (body, omitted, left) in [
            (
                json!({
                    "msg_type": "text",
                    "content": {
                        "text": "a <at user_id=\"ou_1\">Ann</at> <at user_id=\"all\"></at> b"
                    }
                }),
                both,
                json!({"msg_type": "text", "content": {"text": "a @Ann @all b\nnote"}}),
            ),
            (
                json!({"msg_type": "interactive", "card": {"schema": "2.0", "body": {"elements": [
                    {"tag": "markdown", "content": "<at id=all></at><at id=ou_1></at> x < y"}]}}}),
                all,
                json!({"msg_type": "interactive", "card": {"schema": "2.0", "body": {"elements": [
                    {"tag": "markdown", "content": "@all<at id=ou_1></at> x < y"},
                    {"tag": "markdown", "content": "note"}]}}}),
            ),
            (
                json!({
                    "msg_type": "interactive",
                    "card": {"elements": [{
                        "tag": "div", "text": {"tag": "lark_md", "content": "<at id=ou_1"}
                    }]}
                }),
                both,
                json!({
                    "msg_type": "interactive",
                    "card": {"elements": [
                        {"tag": "div", "text": {"tag": "lark_md", "content": "<at id=ou_1"}},
                        {"tag": "markdown", "content": "note"}
                    ]}
                }),
            ),
            (
                json!({
                    "msg_type": "post",
                    "content": {"post": {"zh_cn": {"content": [[
                        {"tag": "at", "user_id": "all", "user_name": "所有人"},
                        {"tag": "at", "user_id": "ou_1"}
                    ]]}}}
                }),
                both,
                json!({
                    "msg_type": "post",
                    "content": {"post": {"zh_cn": {"content": [
                        [{"tag": "text", "text": "@所有人"}, {"tag": "text", "text": "@ou_1"}],
                        [{"tag": "text", "text": "note"}]
                    ]}}}
                }),
            ),
        ] {
            let mut body = body.as_object().unwrap().clone();
            omit(&mut body, omitted);
            add_note(&mut body, "\nnote");
            assert_eq!(Value::Object(body), left);
        }
    }
}
