//! Mentions in messages in WeCom's own form, and notes in them.
//!
//! Owns the fields and marks by which such a message mentions members.
//!
//! Not here: messages that roomcast renders itself (`message.rs`).

use serde_json::{Map, Value};

use super::message::{MARKDOWN_BYTES_MAX, TEXT_BYTES_MAX};
use crate::domain::{FeatureSet, MessageFeature};

/// The types that show text, with the limits of their content.
const TEXTS: [(&str, usize); 3] = [
    ("text", TEXT_BYTES_MAX),
    ("markdown", MARKDOWN_BYTES_MAX),
    ("markdown_v2", MARKDOWN_BYTES_MAX),
];

/// Removes these mentions. Marks in the text become names.
pub(super) fn omit(body: &mut Map<String, Value>, omitted: FeatureSet) {
    let is_omitted = |id: &str| {
        let all = id.eq_ignore_ascii_case("@all");
        omitted.contains(if all { MessageFeature::MentionAll } else { MessageFeature::Mentions })
    };
    for (kind, _) in TEXTS {
        let Some(Value::Object(message)) = body.get_mut(kind) else { continue };
        for list in ["mentioned_list", "mentioned_mobile_list"] {
            if let Some(Value::Array(ids)) = message.get_mut(list) {
                ids.retain(|id| !id.as_str().is_some_and(is_omitted));
            }
        }
        if let Some(Value::String(text)) = message.get_mut("content")
            && omitted.contains(MessageFeature::Mentions)
        {
            *text = without_marks(text);
        }
    }
}

/// The text with its mentions as names: `<@ann>` becomes `@ann`.
fn without_marks(text: &str) -> String {
    let (mut kept, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, mark)) = rest.split_once("<@") {
        kept.push_str(before);
        match mark.split_once('>') {
            Some((id, after)) if !id.contains(['<', '\n']) => {
                kept.push('@');
                kept.push_str(id);
                rest = after;
            }
            _ => {
                kept.push_str("<@");
                rest = mark;
            }
        }
    }
    kept.push_str(rest);
    kept
}

/// Adds a note behind the text, where the type has one and the note fits.
pub(super) fn add_note(body: &mut Map<String, Value>, note: &str) {
    for (kind, bytes_max) in TEXTS {
        if let Some(Value::String(text)) = body.get_mut(kind).and_then(|it| it.get_mut("content"))
            && text.len() + note.len() <= bytes_max
        {
            text.push_str(note);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mentions_of_a_message_in_wecoms_own_form_are_removed_and_a_note_says_so_if_it_fits() {
        let text = json!({"msgtype": "text", "text": {"content": "x <@ann> <@ <@b\nc>",
            "mentioned_list": ["ann", "@all"], "mentioned_mobile_list": ["1380", "@all"]}});
        for (omitted, left) in [
            (
                "mention_all",
                json!({
                    "content": "x <@ann> <@ <@b\nc>\nnote", "mentioned_list": ["ann"],
                    "mentioned_mobile_list": ["1380"]
                }),
            ),
            (
                "mentions",
                json!({
                    "content": "x @ann <@ <@b\nc>\nnote", "mentioned_list": ["@all"],
                    "mentioned_mobile_list": ["@all"]
                }),
            ),
        ] {
            let mut body = text.as_object().unwrap().clone();
            omit(&mut body, FeatureSet::named(omitted));
            add_note(&mut body, "\nnote");
            assert_eq!(body["text"], left);
        }
        let full = json!({"msgtype": "text", "text": {"content": "x".repeat(TEXT_BYTES_MAX)}});
        let mut body = full.as_object().unwrap().clone();
        add_note(&mut body, "\nnote");
        assert_eq!(Value::Object(body), full);
    }
}
