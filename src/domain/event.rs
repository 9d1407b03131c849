//! Events: what a publisher said, decoded. Owns their shape; reading it from bytes is `fanout/decode.rs`.

use std::{fmt, sync::Arc};

use super::{Attributes, Moment, Platform, Published, TopicName};

/// The name of an event: the publisher's `message_id`, or one that roomcast made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventId(Arc<str>);

impl EventId {
    /// Takes a name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The bytes of a new name; names made later sort later.
    #[must_use]
    pub fn random_bytes() -> [u8; 16] {
        uuid::Uuid::now_v7().into_bytes()
    }

    /// The name that roomcast gives to an event whose publisher gave none, from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes).to_string().into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a publisher published, decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name.
    pub id: EventId,
    /// The topic it was published to.
    pub topic: TopicName,
    /// What it says.
    pub content: Content,
    /// Whether it overtakes what is not urgent.
    pub urgent: bool,
    /// When it was first received; for one that must not be sent before a later time, that time: it counts as if it came then.
    pub received_at: Moment,
    /// From when on it is not worth sending.
    pub expires_at: Moment,
    /// The message it came in, kept for every republish.
    pub published: Published,
}

/// How the text of an event is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Plain text.
    #[default]
    Text,
    /// Markdown.
    Markdown,
}

/// What an event says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// A title.
    pub subject: Option<String>,
    /// How texts are written.
    pub format: Format,
    /// The text for every platform that has no entry of its own. Decoding makes sure that each platform has one
    /// or the other.
    pub message: Option<Passage>,
    /// Entries for single platforms; they win over `message`.
    pub entries: Vec<(Platform, Entry)>,
    /// Whom it mentions.
    pub mentions: Mentions,
    /// By what subscriptions choose.
    pub attributes: Attributes,
}

/// What an event says on one platform.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Text.
    Text(Passage),
    /// The platform's own request body as JSON text, an object that was checked, passed on as it is.
    Native(String),
}

/// Text, and what it says otherwise than the event around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passage {
    /// The text; never empty.
    pub text: String,
    /// A title instead of the event's subject.
    pub title: Option<String>,
    /// How it is written, if not as the event says.
    pub format: Option<Format>,
    /// Whom it mentions besides those whom the event mentions.
    pub mentions: Mentions,
    /// The colour of a card's header, where the platform has such a thing.
    pub color: Option<String>,
}

impl From<&str> for Passage {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}

/// The part of an event's content that is for one platform.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Piece<'a> {
    /// Text.
    Text(&'a Passage),
    /// The platform's own request body as JSON text.
    Native(&'a str),
}

/// Whom a message mentions, so that their phones ring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Everybody in the chat.
    pub all: bool,
    /// Members by mobile number.
    pub mobiles: Vec<String>,
    /// Members by the platform's user id.
    pub users: Vec<String>,
}

impl Mentions {
    /// Whether nobody is mentioned.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        !self.all && self.mobiles.is_empty() && self.users.is_empty()
    }

    /// Whom either of the two mentions, each once.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut union = self.clone();
        union.all |= other.all;
        for (mine, theirs) in [(&mut union.mobiles, &other.mobiles), (&mut union.users, &other.users)] {
            for one in theirs {
                if !mine.contains(one) {
                    mine.push(one.clone());
                }
            }
        }
        union
    }
}

impl Content {
    /// What this content says on `platform`, or nothing if it has neither an entry for it nor a message.
    ///
    /// An internal DingTalk robot without an entry of its own hears what is said to DingTalk: both speak the same
    /// wire form, and publishers of SMN know only one name for both.
    #[must_use]
    pub fn piece_for(&self, platform: Platform) -> Option<Piece<'_>> {
        let entry = |wanted| self.entries.iter().find(|(p, _)| *p == wanted).map(|(_, entry)| entry);
        let found = match platform {
            Platform::DingTalkInternal => entry(platform).or_else(|| entry(Platform::DingTalk)),
            _ => entry(platform),
        };
        match found {
            Some(Entry::Text(text)) => Some(Piece::Text(text)),
            Some(Entry::Native(json)) => Some(Piece::Native(json)),
            None => self.message.as_ref().map(Piece::Text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_wins_over_the_message_and_an_internal_robot_hears_the_entry_for_dingtalk() {
        let content = Content {
            message: Some("all".into()),
            entries: vec![(Platform::DingTalk, Entry::Text("ding".into()))],
            ..Content::default()
        };
        assert_eq!(content.piece_for(Platform::DingTalk), Some(Piece::Text(&"ding".into())));
        assert_eq!(content.piece_for(Platform::DingTalkInternal), Some(Piece::Text(&"ding".into())));
        assert_eq!(content.piece_for(Platform::Lark), Some(Piece::Text(&"all".into())));
        assert_eq!(Content::default().piece_for(Platform::Lark), None);
    }

    #[test]
    fn united_mentions_name_each_once() {
        let one = Mentions { all: false, mobiles: vec!["1".into()], users: vec!["a".into()] };
        let two = Mentions { all: true, mobiles: vec!["1".into(), "2".into()], users: vec![] };
        let both = one.and(&two);
        assert_eq!(both, Mentions { all: true, mobiles: vec!["1".into(), "2".into()], users: vec!["a".into()] });
        assert!(Mentions::default().is_empty() && !both.is_empty());
    }
}
