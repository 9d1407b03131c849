//! Subscriptions. Owns what one is; where it is kept is `store/`'s matter.

use std::{fmt, str::FromStr, sync::Arc};

use super::{
    Attributes, Endpoint, Event, Mentions, Moment, Platform, Policy, QuietHours, RobotId, Secret, TopicName, Unwanted,
    id::quoted,
};

/// The name of one subscription: 32 lower-case hexadecimal digits, made at random with a time prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId([u8; 16]);

/// The text names no subscription.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a subscription id: it has 32 hexadecimal digits", quoted(.0))]
pub struct UnreadableId(pub String);

impl SubscriptionId {
    /// A new one; ids made later sort later.
    #[must_use]
    pub fn make() -> Self {
        Self(uuid::Uuid::now_v7().into_bytes())
    }

    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for SubscriptionId {
    type Err = UnreadableId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| UnreadableId(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

/// Whether a subscription hears its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionState {
    /// Events of its topic are delivered.
    Active,
    /// It is kept, but events of its topic pass it by.
    Paused,
}

impl SubscriptionState {
    /// The name on the command line and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
        }
    }
}

/// The text names no state.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state of a subscription: use active or paused")]
pub struct UnknownState(pub String);

impl FromStr for SubscriptionState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Active, Self::Paused];
        all.into_iter().find(|one| one.as_str() == text).ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// What becomes of deliveries that have to wait for their robot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// Each waits for its turn.
    #[default]
    Queue,
    /// Those that wait are folded into one message.
    Digest,
    /// Only the newest waits; the others become dead letters.
    Latest,
}

/// The text names no overflow policy.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no overflow policy: use queue, digest or latest")]
pub struct UnknownOverflow(pub String);

impl Overflow {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Queue, Self::Digest, Self::Latest];

    /// The name on the command line and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Digest => "digest",
            Self::Latest => "latest",
        }
    }
}

impl FromStr for Overflow {
    type Err = UnknownOverflow;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| UnknownOverflow(text.to_owned()))
    }
}

/// What becomes of a text that is too long for one message of its platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TooLong {
    /// It is split into numbered parts.
    #[default]
    Split,
    /// It is cut, and says so.
    Cut,
}

/// The text does not say what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is nothing to be done about a text that is too long: use split or cut")]
pub struct UnknownTooLong(pub String);

impl TooLong {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Split, Self::Cut];

    /// The name on the command line and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Cut => "cut",
        }
    }
}

impl FromStr for TooLong {
    type Err = UnknownTooLong;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| UnknownTooLong(text.to_owned()))
    }
}

/// The organisation on whose quota a robot draws, where its platform counts by organisation: 1–64 of `A-Z a-z 0-9 - _`,
/// starting with a letter or digit. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName(Arc<str>);

/// The text cannot name a group.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a group: use 1 to 64 of A-Z a-z 0-9 - _, beginning with a letter or digit")]
pub struct UnreadableGroup(pub String);

impl GroupName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GroupName {
    type Err = UnreadableGroup;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let fits = text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if begins && fits { Ok(Self(text.into())) } else { Err(UnreadableGroup(text.to_owned())) }
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Which events a subscription wants, and how its deliveries are paced. No secret is among them: they are read before anything is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What becomes of deliveries that have to wait.
    pub overflow: Overflow,
    /// On whose quota its robot draws.
    pub group: Option<GroupName>,
    /// Which events of its topic it wants; all of them if there is none.
    pub filter: Option<Arc<Policy>>,
    /// When it is not to be disturbed by what is not urgent.
    pub quiet: Option<Arc<QuietHours>>,
    /// What becomes of a text that is too long for one message.
    pub too_long: TooLong,
}

/// What has this value of the attribute `severity` is urgent, in capitals or not.
const URGENT_SEVERITY: &str = "critical";

impl Options {
    /// Why an event is not for a subscription on this platform; nothing if it is.
    #[must_use]
    pub fn unwanted<'a>(&'a self, platform: Platform, attributes: &'a Attributes) -> Option<Unwanted<'a>> {
        if !attributes.are_for(platform) {
            return Some(Unwanted::Platform(platform));
        }
        self.filter.as_ref().and_then(|policy| policy.refuses(attributes))
    }

    /// Until when an event has to wait for the end of quiet hours; nothing if it need not, because it is urgent or `now` lies in none.
    #[must_use]
    pub fn quiet_until(&self, event: &Event, now: Moment) -> Option<Moment> {
        let quiet = self.quiet.as_ref()?;
        let severity = event.content.attributes.values("severity").unwrap_or_default();
        let urgent = event.urgent || severity.iter().any(|value| value.eq_ignore_ascii_case(URGENT_SEVERITY));
        if urgent { None } else { quiet.end_after(now) }
    }
}

/// One robot's wish to hear one topic, opened: it holds the credential, so it has no `Debug` and is dropped
/// as soon as the attempt is made.
#[derive(Clone)]
pub struct Subscription {
    /// Its name.
    pub id: SubscriptionId,
    /// What it wants to hear.
    pub topic: TopicName,
    /// Which platform the robot lives on.
    pub platform: Platform,
    /// Who is behind the endpoint.
    pub robot: RobotId,
    /// The webhook, normalised.
    pub endpoint: Endpoint,
    /// The signing secret, where the robot's security setting is a signature.
    pub secret: Option<Secret>,
    /// A word that the robot insists on, where its security setting is a keyword. It is added to messages lacking it.
    pub keyword: Option<String>,
    /// What people call it, at most 128 bytes.
    pub name: Option<String>,
    /// Whom every message of this subscription mentions, besides those whom the event mentions.
    pub mentions: Mentions,
    /// Whether it hears its topic.
    pub state: SubscriptionState,
    /// How its deliveries are paced.
    pub options: Options,
    /// When it was added.
    pub created_at: Moment,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_back_from_its_name_and_another_word_is_refused() {
        for overflow in Overflow::ALL {
            assert_eq!(overflow.as_str().parse(), Ok(overflow));
        }
        for too_long in TooLong::ALL {
            assert_eq!(too_long.as_str().parse(), Ok(too_long));
        }
        assert_eq!("Queue".parse::<Overflow>(), Err(UnknownOverflow("Queue".to_owned())));
        assert_eq!(Overflow::default(), Overflow::Queue);
    }

    #[test]
    fn a_group_begins_with_a_letter_or_digit_and_holds_only_the_allowed_characters() {
        for good in ["a", "0", "Team_a-1", &"x".repeat(64)] {
            assert_eq!(good.parse::<GroupName>().map(|group| group.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "-a", "_a", "a b", "a.b", "组", &"x".repeat(65)] {
            assert_eq!(bad.parse::<GroupName>(), Err(UnreadableGroup(bad.to_owned())));
        }
    }
}
