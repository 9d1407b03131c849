//! The text of a message, whole or without the features for which a platform refused it.
//!
//! Owns which features a text has, its form without them, and the words of a message in a
//! platform's own form.
//!
//! Not here: which feature is left out (`omission.rs`), the wire forms (the platforms' folders).

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{
    body::TextMessage, chat_phrases::Unmentioned, chunk::ChunkRequest, markdown::Markdown,
    registry::profile,
};
use crate::domain::{FeatureSet, Format, Mentions, MessageFeature, Platform};

/// What a message says, before it is put into a platform's form.
#[derive(Clone, Debug)]
pub(super) struct Passage<'a> {
    pub(super) subject: Option<Cow<'a, str>>,
    pub(super) text: Cow<'a, str>,
    pub(super) format: Format,
    pub(super) mentions: Mentions,
    pub(super) color: Option<&'a str>,
    /// The members who are counted in a note instead of being mentioned.
    pub(super) unmentioned: Unmentioned,
    pub(super) omitted: FeatureSet,
}

impl<'a> Passage<'a> {
    /// Plain text that mentions no member.
    pub(super) fn plain(text: String) -> Self {
        Self {
            subject: None,
            text: text.into(),
            format: Format::Text,
            mentions: Mentions::default(),
            color: None,
            unmentioned: Unmentioned::default(),
            omitted: FeatureSet::default(),
        }
    }

    /// The same passage, which mentions these members as far as their ids have the platform's form.
    /// A platform may refuse a message for an id of another platform.
    pub(super) fn mentioning(mut self, platform: Platform, mentions: Mentions) -> Self {
        let takes = |id: &String| profile(platform).takes_user(id, self.format);
        let (users, others): (Vec<_>, Vec<_>) = mentions.users.iter().cloned().partition(takes);
        self.mentions = Mentions { users, ..mentions };
        self.unmentioned.members += others.len();
        self
    }

    /// The features that the platform may refuse.
    pub(super) fn features(&self) -> FeatureSet {
        let named = !self.mentions.users.is_empty() || !self.mentions.mobiles.is_empty();
        let is_markdown = self.format == Format::Markdown;
        let found = [
            (MessageFeature::MentionAll, self.mentions.all),
            (MessageFeature::Mentions, named),
            (MessageFeature::Title, is_markdown && self.subject.is_some()),
            (MessageFeature::Markup, is_markdown),
        ];
        let found: FeatureSet =
            found.into_iter().filter(|(_, is_there)| *is_there).map(|(one, _)| one).collect();
        if is_markdown { found.and(Markdown::read(&self.text).features()) } else { found }
    }

    /// The passage without these features. A note names what is not shown as written.
    pub(super) fn without(mut self, omitted: FeatureSet) -> Self {
        self.omitted = omitted;
        if omitted.contains(MessageFeature::MentionAll) && self.mentions.all {
            self.mentions.all = false;
            self.unmentioned.everyone = true;
        }
        if omitted.contains(MessageFeature::Mentions) {
            self.unmentioned.members += self.mentions.users.len() + self.mentions.mobiles.len();
            self.mentions.users.clear();
            self.mentions.mobiles.clear();
        }
        if omitted.contains(MessageFeature::Markup) && self.format == Format::Markdown {
            self.text = Markdown::text_of(&self.text).into();
            self.format = Format::Text;
        }
        if omitted.contains(MessageFeature::Title)
            && let Some(subject) = self.subject.take()
        {
            self.text = format!("{subject}\n\n{}", self.text).into();
        }
        self
    }

    /// The text as a platform's folder takes it.
    pub(super) fn message<'b>(
        &'b self,
        keyword: Option<&'b str>,
        wanted: ChunkRequest,
    ) -> TextMessage<'b> {
        TextMessage {
            subject: self.subject.as_deref(),
            text: &self.text,
            format: self.format,
            mentions: self.mentions.clone(),
            keyword,
            color: self.color,
            unmentioned: self.unmentioned,
            omitted: self.omitted,
            wanted,
        }
    }
}

/// The fields of a message in a platform's own form that members read, whatever the platform.
const READ_FIELDS: [&str; 11] = [
    "content",
    "text",
    "title",
    "desc",
    "description",
    "singleTitle",
    "sub_title_text",
    "keyname",
    "value",
    "quote_text",
    "template_variable",
];

/// The fields of addresses, which stand behind the words that lead there.
const ADDRESS_FIELDS: [&str; 6] =
    ["url", "href", "singleURL", "actionURL", "messageUrl", "messageURL"];

/// The words of a message in a platform's own form, one field a line, with the addresses of its
/// links.
pub(super) fn words_of(body: &Map<String, Value>) -> String {
    let mut lines = Vec::new();
    body.values().for_each(|value| add_words(value, false, &mut lines));
    lines.join("\n")
}

fn add_words(value: &Value, is_read: bool, lines: &mut Vec<String>) {
    match value {
        Value::String(text) if is_read => {
            let text = Markdown::text_of(text);
            // A title often repeats the first line, or the other way round.
            if !text.trim().is_empty() && lines.last().is_none_or(|last| *last != text) {
                lines.push(text);
            }
        }
        Value::Array(list) => list.iter().for_each(|one| add_words(one, is_read, lines)),
        Value::Object(fields) => {
            for (name, value) in fields {
                let address = value.as_str().filter(|text| text.starts_with("http"));
                match address {
                    Some(address) if ADDRESS_FIELDS.contains(&name.as_str()) => {
                        lines.push(address.to_owned());
                    }
                    _ => {
                        let inherits = is_read && value.is_string() && fields.get("tag").is_none();
                        let is_read = READ_FIELDS.contains(&name.as_str()) || inherits;
                        add_words(value, is_read, lines);
                    }
                }
            }
        }
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn passage(format: Format) -> Passage<'static> {
        let text = "see [r](https://x.test)\n\n| a |\n|---|\n| 1 |";
        let passage =
            Passage { subject: Some("db-1".into()), format, ..Passage::plain(text.into()) };
        let mentions = Mentions {
            all: true,
            mobiles: vec!["1380".into()],
            users: vec!["ann".into(), "ou_1".into()],
        };
        passage.mentioning(Platform::WeCom, mentions)
    }

    #[test]
    fn a_member_is_mentioned_only_on_the_platform_whose_ids_have_this_form() {
        let users = vec!["ann".to_owned(), "ou_1".to_owned()];
        for (platform, format, mentioned, noted) in [
            (Platform::Lark, Format::Markdown, &["ou_1"][..], 1),
            (Platform::Lark, Format::Text, &["ann", "ou_1"], 0),
            (Platform::WeCom, Format::Markdown, &["ann"], 1),
            (Platform::WeCom, Format::Text, &["ann"], 1),
            (Platform::DingTalk, Format::Text, &["ann"], 1),
            (Platform::DingTalkInternal, Format::Markdown, &["ann"], 1),
        ] {
            let mentions = Mentions { users: users.clone(), ..Mentions::default() };
            let passage = Passage { format, ..Passage::plain(String::new()) };
            let passage = passage.mentioning(platform, mentions);
            assert_eq!(passage.mentions.users, mentioned, "{platform} {format}");
            assert_eq!(passage.unmentioned.members, noted, "{platform} {format}");
        }
    }

    #[test]
    fn each_feature_of_a_text_can_be_left_out_and_is_gone_then() {
        let all = passage(Format::Markdown).features();
        assert_eq!(all, FeatureSet::named("mention_all,mentions,tables,title,markup"));
        for one in all.iter() {
            let omitted = FeatureSet::default().with(one);
            let left = passage(Format::Markdown).without(omitted).features();
            assert!(!left.contains(one) || one == MessageFeature::Tables, "{omitted}: {left}");
        }
        let plainest = passage(Format::Markdown).without(all);
        assert!(plainest.features().is_empty());
        assert_eq!(plainest.text, "db-1\n\nsee r (https://x.test)\n\na\n1");
        assert_eq!(plainest.unmentioned, Unmentioned { everyone: true, members: 3 });
        let text = passage(Format::Text).features();
        assert_eq!(text, FeatureSet::named("mention_all,mentions"));
    }

    #[test]
    fn the_words_of_a_card_are_what_members_read_with_the_addresses_of_its_links() {
        for (body, words) in [
            (
                json!({"msg_type": "interactive", "card": {"schema": "2.0",
                    "header": {"title": {"tag": "plain_text", "content": "T"}, "template": "red"},
                    "body": {"elements": [
                        {"tag": "markdown", "content": "**down** [r](https://x.test/r)"},
                        {"tag": "button", "text": {"tag": "plain_text", "content": "Open"},
                            "url": "https://x.test/b"}]}}}),
                "T\ndown r (https://x.test/r)\nOpen\nhttps://x.test/b",
            ),
            (
                json!({"msgtype": "actionCard", "actionCard": {"title": "t", "text": "## t",
                    "singleTitle": "Open", "singleURL": "https://x.test"}}),
                "t\nOpen\nhttps://x.test",
            ),
            (
                json!({"msgtype": "template_card", "template_card": {"card_type": "text_notice",
                    "main_title": {"title": "a", "desc": "b"},
                    "horizontal_content_list": [{"keyname": "k", "value": "v"}],
                    "card_action": {"type": 1, "url": "https://x.test"}}}),
                "a\nb\nk\nv\nhttps://x.test",
            ),
            (
                json!({"msg_type": "interactive", "card": {"type": "template", "data":
                    {"template_id": "AAq", "template_variable": {"host": "db-1"}}}}),
                "db-1",
            ),
            (json!({"msgtype": "image", "image": {"base64": "aGVsbG8=", "md5": "5d"}}), ""),
        ] {
            assert_eq!(words_of(body.as_object().unwrap()), words, "{body}");
        }
    }
}
