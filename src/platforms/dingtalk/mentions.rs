//! Mentions in messages in DingTalk's own form, and notes in them.
//!
//! Owns the fields by which such a message mentions members.
//!
//! Not here: messages that roomcast renders itself (`message.rs`).

use serde_json::{Map, Value, json};

use crate::domain::{FeatureSet, MessageFeature};

/// The fields of the types that show text.
const TEXTS: [(&str, &str); 4] =
    [("text", "content"), ("markdown", "text"), ("actionCard", "text"), ("link", "text")];

/// Removes these mentions. The text keeps the members' names.
pub(super) fn omit(body: &mut Map<String, Value>, omitted: FeatureSet) {
    let Some(Value::Object(at)) = body.get_mut("at") else { return };
    for (field, feature, nothing) in [
        ("isAtAll", MessageFeature::MentionAll, json!(false)),
        ("atMobiles", MessageFeature::Mentions, json!([])),
        ("atUserIds", MessageFeature::Mentions, json!([])),
    ] {
        if let Some(value) = at.get_mut(field).filter(|_| omitted.contains(feature)) {
            *value = nothing;
        }
    }
}

/// Adds a note behind the text, where the type has one.
pub(super) fn add_note(body: &mut Map<String, Value>, note: &str) {
    for (kind, field) in TEXTS {
        if let Some(Value::String(text)) = body.get_mut(kind).and_then(|it| it.get_mut(field)) {
            text.push_str(note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_of_a_message_in_dingtalks_own_form_are_removed_and_a_note_says_so() {
        let at = json!({"isAtAll": true, "atMobiles": ["1380"], "atUserIds": ["u"]});
        for (omitted, left) in [
            ("mention_all", json!({"isAtAll": false, "atMobiles": ["1380"], "atUserIds": ["u"]})),
            ("mentions", json!({"isAtAll": true, "atMobiles": [], "atUserIds": []})),
            ("tables", at.clone()),
        ] {
            let body = json!({"msgtype": "text", "text": {"content": "x"}, "at": at});
            let mut body = body.as_object().unwrap().clone();
            omit(&mut body, FeatureSet::named(omitted));
            add_note(&mut body, "\nnote");
            let expected = json!({"msgtype": "text", "text": {"content": "x\nnote"}, "at": left});
            assert_eq!(Value::Object(body), expected);
        }
    }
}
