//! Events: decoded publications.
//!
//! Owns the shape of an event, and which part of its content a platform gets, or why none.
//!
//! Not here: how an event is decoded from bytes (`fanout/decode.rs`).

use std::{fmt, str::FromStr, sync::Arc};

use super::{
    Attributes, DeadReason, Platform, PlatformUsers, PublishedMessage, Timestamp, TopicName,
    by_name,
};

/// The id of an event: the publisher's `message_id`, or an id that roomcast generates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventId(Arc<str>);

impl EventId {
    /// Wraps an id.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The bytes of a new id. Ids generated later sort later.
    #[must_use]
    pub fn random_bytes() -> [u8; 16] {
        uuid::Uuid::now_v7().into_bytes()
    }

    /// The id that roomcast gives to an event without a `message_id`, from the bytes of the id.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes).to_string().into())
    }

    /// The id as text.
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

/// A decoded publication.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// The topic it was published to.
    pub topic: TopicName,
    /// Its content.
    pub content: EventContent,
    /// Whether it overtakes events that are not urgent.
    pub urgent: bool,
    /// When it was first received. An event with a not-before time counts as received at that time.
    pub received_at: Timestamp,
    /// After this time it is not worth sending.
    pub expires_at: Timestamp,
    /// The AMQP message that carried it, kept for every republish.
    pub published: PublishedMessage,
}

/// The format of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Plain text.
    #[default]
    Text,
    /// Markdown.
    Markdown,
}

impl Format {
    /// The name in events, on the command line and in the admin API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "markdown",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not a format.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format {0:?}: use text or markdown")]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "text" => Ok(Self::Text),
            "markdown" => Ok(Self::Markdown),
            other => Err(UnknownFormat(other.to_owned())),
        }
    }
}

/// The content of an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventContent {
    /// A title.
    pub subject: Option<String>,
    /// The format of its texts.
    pub format: Format,
    /// The text for every platform without an entry of its own. Without it, the event has no
    /// content for such a platform.
    pub message: Option<TextBody>,
    /// Entries for single platforms; they take precedence over `message`.
    pub entries: Vec<(Platform, PlatformOverride)>,
    /// The members that it mentions.
    pub mentions: Mentions,
    /// The members that it mentions on single platforms, in addition.
    pub platform_users: PlatformUsers,
    /// The attributes, which filters test.
    pub attributes: Attributes,
}

/// The content of an event for one platform.
#[derive(Clone, Debug, PartialEq)]
pub enum PlatformOverride {
    /// Text.
    Text(TextBody),
    /// The platform's own request body, as JSON text. It is a checked object and is sent unchanged.
    Native(String),
    /// The event's template cannot be rendered for the platform; the mistake in one sentence.
    Unrendered(String),
}

/// A text, with the values that override those of the event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextBody {
    /// The text; never empty.
    pub text: String,
    /// A title instead of the event's subject.
    pub title: Option<String>,
    /// The format, if it differs from the event's.
    pub format: Option<Format>,
    /// Members to mention, in addition to those of the event.
    pub mentions: Mentions,
    /// The colour of a card's header, where the platform has such a thing.
    pub color: Option<String>,
}

impl From<&str> for TextBody {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}

/// The part of an event's content that is for one platform.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PlatformContent<'a> {
    /// Text.
    Text(&'a TextBody),
    /// The platform's own request body as JSON text.
    Native(&'a str),
}

/// Why an event has no content for a platform. A delivery to that platform is then a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoContent<'a> {
    /// There is neither an entry for the platform nor a text for all platforms.
    #[error(
        "message_structure has no entry for {0} and no default, and there is no message: \
         add one of them"
    )]
    NoEntry(Platform),
    /// The event's template cannot be rendered for the platform.
    #[error("{0}")]
    Unrendered(&'a str),
}

impl NoContent<'_> {
    /// The reason of the dead letter.
    #[must_use]
    pub const fn reason(self) -> DeadReason {
        match self {
            Self::NoEntry(_) => DeadReason::Refused,
            // A redrive renders the template anew, so this is not final.
            Self::Unrendered(_) => DeadReason::Undecodable,
        }
    }

    /// Roomcast's code for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoEntry(_) => "no_content",
            Self::Unrendered(_) => "template",
        }
    }
}

/// The members that a message mentions. Their phones ring.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Mentions {
    /// All members of the chat.
    pub all: bool,
    /// Members by mobile number.
    pub mobiles: Vec<String>,
    /// Members by the platform's user id.
    pub users: Vec<String>,
}

/// The form of mentions in JSON.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MentionsJson {
    all: bool,
    mobiles: Vec<String>,
    users: Vec<String>,
}

impl<'de> serde::Deserialize<'de> for Mentions {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let MentionsJson { all, mobiles, users } = by_name(deserializer)?;
        Ok(Self { all, mobiles, users })
    }
}

impl Mentions {
    /// Whether no member is mentioned.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        !self.all && self.mobiles.is_empty() && self.users.is_empty()
    }

    /// The union of both mentions, without repeats.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut union = self.clone();
        union.all |= other.all;
        for (mine, theirs) in
            [(&mut union.mobiles, &other.mobiles), (&mut union.users, &other.users)]
        {
            for one in theirs {
                if !mine.contains(one) {
                    mine.push(one.clone());
                }
            }
        }
        union
    }
}

impl EventContent {
    /// The content for `platform`.
    ///
    /// A variant of a platform without an entry of its own gets that platform's entry. Both have
    /// the same wire form, and publishers of SMN know only one name for both.
    ///
    /// # Errors
    ///
    /// The event has no content for this platform.
    pub fn for_platform(&self, platform: Platform) -> Result<PlatformContent<'_>, NoContent<'_>> {
        let entry =
            |wanted| self.entries.iter().find(|(p, _)| *p == wanted).map(|(_, entry)| entry);
        match entry(platform).or_else(|| platform.variant_of().and_then(entry)) {
            Some(PlatformOverride::Text(text)) => Ok(PlatformContent::Text(text)),
            Some(PlatformOverride::Native(json)) => Ok(PlatformContent::Native(json)),
            Some(PlatformOverride::Unrendered(why)) => Err(NoContent::Unrendered(why)),
            None => {
                self.message.as_ref().map(PlatformContent::Text).ok_or(NoContent::NoEntry(platform))
            }
        }
    }
}

impl EventContent {
    /// The members that the event mentions on a platform: those for all platforms, those for this
    /// one, and those of its text.
    #[must_use]
    pub fn mentions_on(&self, platform: Platform) -> Mentions {
        let users = self.platform_users.on(platform).to_vec();
        let mentions = self.mentions.and(&Mentions { users, ..Mentions::default() });
        match self.for_platform(platform) {
            Ok(PlatformContent::Text(text)) => mentions.and(&text.mentions),
            _ => mentions,
        }
    }

    /// How many bytes its texts have in memory, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let entry = |entry: &PlatformOverride| match entry {
            PlatformOverride::Text(text) => text.text.len(),
            PlatformOverride::Native(text) | PlatformOverride::Unrendered(text) => text.len(),
        };
        let entries: usize = self.entries.iter().map(|(_, one)| entry(one)).sum();
        self.message.as_ref().map_or(0, |text| text.text.len()) + entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_mentions_those_for_all_platforms_for_this_one_and_of_its_text() {
        let users = |users: &[&str]| Mentions {
            users: users.iter().map(|user| (*user).to_owned()).collect(),
            ..Mentions::default()
        };
        let mut content = EventContent {
            message: Some("all".into()),
            mentions: users(&["everywhere"]),
            entries: vec![(
                Platform::Lark,
                PlatformOverride::Text(TextBody {
                    mentions: users(&["ou_2"]),
                    ..TextBody::from("lark")
                }),
            )],
            ..EventContent::default()
        };
        content.platform_users.add(Platform::Lark, vec!["ou_1".into()]);
        let on = |platform| content.mentions_on(platform).users;
        assert_eq!(on(Platform::Lark), ["everywhere", "ou_1", "ou_2"]);
        assert_eq!(on(Platform::WeCom), ["everywhere"]);
        assert_eq!(content.bytes(), 7);
    }

    #[test]
    fn an_entry_wins_over_the_message_and_an_internal_robot_gets_the_entry_for_dingtalk() {
        let content = EventContent {
            message: Some("all".into()),
            entries: vec![(Platform::DingTalk, PlatformOverride::Text("ding".into()))],
            ..EventContent::default()
        };
        assert_eq!(
            content.for_platform(Platform::DingTalk),
            Ok(PlatformContent::Text(&"ding".into()))
        );
        assert_eq!(
            content.for_platform(Platform::DingTalkInternal),
            Ok(PlatformContent::Text(&"ding".into()))
        );
        assert_eq!(content.for_platform(Platform::Lark), Ok(PlatformContent::Text(&"all".into())));
    }

    #[test]
    fn a_platform_without_content_is_named_with_a_reason_that_says_whether_a_redrive_may_help() {
        let content = EventContent {
            entries: vec![
                (Platform::WeCom, PlatformOverride::Text("wecom".into())),
                (Platform::DingTalk, PlatformOverride::Unrendered("tag host is a list".into())),
            ],
            ..EventContent::default()
        };
        assert!(content.for_platform(Platform::WeCom).is_ok());
        let missing = "message_structure has no entry for lark and no default, \
            and there is no message: add one of them";
        for (platform, reason, code, detail) in [
            (Platform::Lark, DeadReason::Refused, "no_content", missing),
            (Platform::DingTalk, DeadReason::Undecodable, "template", "tag host is a list"),
            (Platform::DingTalkInternal, DeadReason::Undecodable, "template", "tag host is a list"),
        ] {
            let why = content.for_platform(platform).unwrap_err();
            assert_eq!(
                (why.reason(), why.code(), why.to_string().as_str()),
                (reason, code, detail)
            );
        }
    }

    #[test]
    fn united_mentions_name_each_once() {
        let one = Mentions { all: false, mobiles: vec!["1".into()], users: vec!["a".into()] };
        let two = Mentions { all: true, mobiles: vec!["1".into(), "2".into()], users: vec![] };
        let both = one.and(&two);
        assert_eq!(
            both,
            Mentions { all: true, mobiles: vec!["1".into(), "2".into()], users: vec!["a".into()] }
        );
        assert!(Mentions::default().is_empty() && !both.is_empty());
    }
}
