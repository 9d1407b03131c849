//! The texts that roomcast itself writes into chats, in every language.
//!
//! Owns each of these texts: no other file contains words for a chat. A text is short, and contains
//! no character that a dialect of markdown could read as markup.
//!
//! Not here: where a text is put (`fit.rs`, `digest.rs`, `test_content.rs`, the platforms'
//! `message.rs`), and which language a robot gets (`message.rs`).

use crate::domain::{FeatureSet, Language, MessageFeature, Part};

/// A text that roomcast itself writes into a chat.
#[derive(Clone, Copy, Debug)]
pub(super) enum ChatPhrase {
    /// The end of a text that is cut.
    Cut {
        /// The missing bytes of the text.
        bytes: usize,
    },
    /// The subject of a digest.
    DigestSubject {
        /// The number of its messages.
        messages: usize,
    },
    /// The last line of a digest whose lines do not all fit.
    DigestRest {
        /// The number of messages without a line.
        messages: usize,
    },
    /// The line of a digest for a message in a platform's own form, which has no text.
    WithoutText,
    /// The line of a digest for a message whose text is empty.
    Empty,
    /// The note about members whose phones do not ring.
    Unmentioned(Unmentioned),
    /// The note about the features that a simplified message lacks.
    LeftOut(FeatureSet),
    /// The subject of a test message.
    TestSubject,
    /// The text of a test message.
    TestText,
}

/// The members that a message cannot mention. Their names and mobile numbers are not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unmentioned {
    /// The message cannot mention all members at once.
    pub(super) everyone: bool,
    /// The number of single members.
    pub(super) members: usize,
}

impl Unmentioned {
    /// The members of both.
    pub(super) const fn and(self, other: Self) -> Self {
        Self { everyone: self.everyone || other.everyone, members: self.members + other.members }
    }

    /// The note as a line of its own; empty if every member can be mentioned.
    pub(super) fn tail(self, language: Language) -> String {
        if self == Self::default() {
            return String::new();
        }
        format!("\n{}", ChatPhrase::Unmentioned(self).text(language))
    }
}

const fn feature(feature: MessageFeature, language: Language) -> &'static str {
    match (feature, language) {
        (MessageFeature::MentionAll, Language::Zh) => "提醒所有人",
        (MessageFeature::MentionAll, Language::En) => "mention of everyone",
        (MessageFeature::Mentions, Language::Zh) => "提醒",
        (MessageFeature::Mentions, Language::En) => "mentions",
        (MessageFeature::Tables, Language::Zh) => "表格",
        (MessageFeature::Tables, Language::En) => "tables",
        (MessageFeature::Pictures, Language::Zh) => "图片",
        (MessageFeature::Pictures, Language::En) => "pictures",
        (MessageFeature::Title, Language::Zh) => "标题",
        (MessageFeature::Title, Language::En) => "title",
        (MessageFeature::Markup, Language::Zh) => "格式",
        (MessageFeature::Markup, Language::En) => "formatting",
    }
}

impl ChatPhrase {
    /// The text in a language.
    pub(super) fn text(self, language: Language) -> String {
        match language {
            Language::Zh => self.zh(),
            Language::En => self.en(),
        }
    }

    fn zh(self) -> String {
        match self {
            Self::Cut { bytes } => format!("…（已略去 {bytes} 字节）"),
            Self::DigestSubject { messages } => format!("{messages} 条消息"),
            Self::DigestRest { messages } => format!("… 另有 {messages} 条"),
            Self::WithoutText => "无文本的消息".to_owned(),
            Self::Empty => "空消息".to_owned(),
            Self::Unmentioned(Unmentioned { everyone, members }) => match (everyone, members) {
                (true, 0) => "（无法提醒所有人）".to_owned(),
                (true, _) => format!("（无法提醒所有人，另有 {members} 人）"),
                (false, _) => format!("（有 {members} 人无法提醒）"),
            },
            Self::LeftOut(features) => {
                format!("（已略去：{}）", listed(features, Language::Zh, "、"))
            }
            Self::TestSubject => "测试消息".to_owned(),
            Self::TestText => "这是一条测试消息：此群可以收到通知。".to_owned(),
        }
    }

    fn en(self) -> String {
        match self {
            Self::Cut { bytes } => format!("… ({bytes} bytes left out)"),
            Self::DigestSubject { messages } => format!("{messages} messages"),
            Self::DigestRest { messages } => format!("… and {messages} more"),
            Self::WithoutText => "a message without text".to_owned(),
            Self::Empty => "an empty message".to_owned(),
            Self::Unmentioned(Unmentioned { everyone, members }) => {
                let members = match members {
                    0 => None,
                    1 => Some("1 member".to_owned()),
                    more => Some(format!("{more} members")),
                };
                let all = everyone.then(|| "everyone".to_owned());
                let all: Vec<_> = all.into_iter().chain(members).collect();
                format!("(cannot be mentioned here: {})", all.join(" and "))
            }
            Self::LeftOut(features) => {
                format!("(left out: {})", listed(features, Language::En, ", "))
            }
            Self::TestSubject => "Test message".to_owned(),
            Self::TestText => {
                "This is a test message: this chat receives notifications.".to_owned()
            }
        }
    }
}

fn listed(features: FeatureSet, language: Language, separator: &str) -> String {
    features.iter().map(|one| feature(one, language)).collect::<Vec<_>>().join(separator)
}

/// The number of a part, the same in every language: `(2/3)` is the second of three.
pub(super) fn part_number(part: Part) -> String {
    format!("({}/{})", part.index + 1, part.total.unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::every;

    /// Every text with the largest numbers.
    fn all(language: Language) -> Vec<String> {
        let every_feature = every::<MessageFeature>().collect();
        let (everyone, members) = (true, usize::MAX);
        let phrases = [
            ChatPhrase::Cut { bytes: usize::MAX },
            ChatPhrase::DigestSubject { messages: usize::MAX },
            ChatPhrase::DigestRest { messages: usize::MAX },
            ChatPhrase::WithoutText,
            ChatPhrase::Empty,
            ChatPhrase::Unmentioned(Unmentioned { everyone, members }),
            ChatPhrase::Unmentioned(Unmentioned { everyone, members: 0 }),
            ChatPhrase::Unmentioned(Unmentioned { everyone: false, members }),
            ChatPhrase::LeftOut(every_feature),
            ChatPhrase::TestSubject,
            ChatPhrase::TestText,
        ];
        phrases.map(|phrase| phrase.text(language)).to_vec()
    }

    #[test]
    fn a_text_is_short_and_has_no_markup_and_each_language_has_its_own() {
        for (zh, en) in all(Language::Zh).iter().zip(all(Language::En)) {
            for text in [zh, &en] {
                assert!(text.len() <= 100, "{text}");
                assert!(!text.contains(|c| r"*_~`[]<>#|\!@&".contains(c)), "{text}");
            }
            assert!(!zh.contains(|c: char| c.is_ascii_alphabetic()), "{zh}");
            assert!(en.contains(|c: char| c.is_ascii_alphabetic()), "{en}");
        }
    }

    #[test]
    fn members_who_cannot_be_mentioned_are_counted_and_never_named() {
        let tail = |everyone, members, language| Unmentioned { everyone, members }.tail(language);
        for (everyone, members, en, zh) in [
            (false, 0, "", ""),
            (false, 1, "\n(cannot be mentioned here: 1 member)", "\n（有 1 人无法提醒）"),
            (
                true,
                2,
                "\n(cannot be mentioned here: everyone and 2 members)",
                "\n（无法提醒所有人，另有 2 人）",
            ),
            (true, 0, "\n(cannot be mentioned here: everyone)", "\n（无法提醒所有人）"),
        ] {
            assert_eq!(tail(everyone, members, Language::En), en);
            assert_eq!(tail(everyone, members, Language::Zh), zh);
        }
    }

    #[test]
    fn a_simplified_message_says_what_it_lacks() {
        let lacks = ChatPhrase::LeftOut(FeatureSet::named("mentions,tables"));
        assert_eq!(lacks.text(Language::En), "(left out: mentions, tables)");
        assert_eq!(lacks.text(Language::Zh), "（已略去：提醒、表格）");
    }
}
