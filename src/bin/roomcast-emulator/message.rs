//! A message as a chat member sees it: text, title and mentions.
//!
//! Owns which text counts as visible.
//!
//! Not here: how each platform's body becomes a message (`dingtalk.rs`, `lark.rs`, `wecom.rs`).

use serde::Serialize;
use serde_json::Value;

/// The members that a message mentions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Mentions {
    /// All members of the chat.
    pub(crate) all: bool,
    /// Members by mobile number.
    pub(crate) mobiles: Vec<String>,
    /// Members by user id.
    pub(crate) users: Vec<String>,
}

impl Mentions {
    /// Adds a user once. The word `everybody` mentions all members.
    pub(crate) fn add_user(&mut self, id: &str, everybody: &str) {
        if id == everybody {
            self.all = true;
        } else {
            add_once(&mut self.users, id);
        }
    }

    /// Adds a mobile number once. The word `everybody` mentions all members.
    pub(crate) fn add_mobile(&mut self, number: &str, everybody: &str) {
        if number == everybody {
            self.all = true;
        } else {
            add_once(&mut self.mobiles, number);
        }
    }
}

/// The members that a chat lets its robot mention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mentionable<'a> {
    /// The ids that it knows. Without them, it knows every valid id.
    pub(crate) members: Option<&'a [String]>,
    /// Whether all members may be mentioned.
    pub(crate) all: bool,
}

/// Appends a name, unless the list has it already.
fn add_once(list: &mut Vec<String>, name: &str) {
    if !name.is_empty() && !list.iter().any(|known| known == name) {
        list.push(name.to_owned());
    }
}

/// A message as it appears in a chat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// The title, where the message type has one.
    pub(crate) title: Option<String>,
    /// The text, with lines joined by line feeds.
    pub(crate) text: String,
    /// Its mentions.
    pub(crate) mentions: Mentions,
}

impl Message {
    /// A message with only a text.
    pub(crate) fn of_text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A message with title and text.
    pub(crate) fn titled(title: &str, text: impl Into<String>) -> Self {
        Self { title: Some(title.to_owned()), text: text.into(), mentions: Mentions::default() }
    }

    /// Whether the visible text contains a word. Addresses of links do not count.
    pub(crate) fn contains(&self, word: &str) -> bool {
        self.text.contains(word) || self.title.as_ref().is_some_and(|title| title.contains(word))
    }
}

/// The string in a field of an object, if it is not empty.
pub(crate) fn filled<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The strings of a list in a field. An absent list counts as empty.
pub(crate) fn strings<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    object.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The longest prefix of whole characters within the limit of bytes.
pub(crate) fn cut_to_bytes(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_mentioned_twice_counts_once_and_the_word_for_all_is_not_a_name() {
        let mut mentions = Mentions::default();
        mentions.add_user("li", "all");
        mentions.add_user("li", "all");
        mentions.add_user("all", "all");
        mentions.add_mobile("138", "@all");
        assert_eq!(
            mentions,
            Mentions { all: true, mobiles: vec!["138".into()], users: vec!["li".into()] }
        );
    }

    #[test]
    fn cutting_never_splits_a_character() {
        assert_eq!(cut_to_bytes("中文", 5), "中");
        assert_eq!(cut_to_bytes("中文", 6), "中文");
        assert_eq!(cut_to_bytes("ab", 9), "ab");
    }

    #[test]
    fn an_empty_or_non_string_field_is_not_filled() {
        assert_eq!(filled(&json!({"a": ""}), "a"), None);
        assert_eq!(filled(&json!({"a": 1}), "a"), None);
        assert_eq!(filled(&json!({"a": "x"}), "a"), Some("x"));
    }
}
