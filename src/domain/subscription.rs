//! The values of a subscription: its id, its state, its policies, its group.
//!
//! Owns their names and texts.
//!
//! Not here: which options there are (`subscription_options.rs`), the shapes of a subscription
//! (`subscription_forms.rs`), and where subscriptions are kept (`store/`).

use std::{fmt, str::FromStr, sync::Arc};

use super::{hex_id::hex_id, id::quoted};

/// The id of a subscription: 32 lower-case hexadecimal digits, a time prefix followed by random
/// bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId([u8; 16]);

/// The text is not the id of a subscription.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a subscription id: it has 32 hexadecimal digits", quoted(.0))]
pub struct InvalidSubscriptionId(pub String);

impl SubscriptionId {
    /// A new id. Ids made later sort later.
    #[must_use]
    pub fn make() -> Self {
        Self(uuid::Uuid::now_v7().into_bytes())
    }
}

hex_id!(SubscriptionId, InvalidSubscriptionId);

/// Whether a subscription receives the events of its topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscriptionState {
    /// Events of its topic are delivered.
    #[default]
    Active,
    /// The subscription is kept, but receives no events.
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

/// The text is not a state.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a state of a subscription: use active or paused")]
pub struct UnknownState(pub String);

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SubscriptionState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Active, Self::Paused];
        all.into_iter()
            .find(|one| one.as_str() == text)
            .ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// What happens to deliveries that have to wait for their robot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OverflowPolicy {
    /// Each is sent by itself, in order.
    #[default]
    Queue,
    /// The waiting deliveries are coalesced into one message.
    Digest,
    /// Only the newest waits; older ones become dead letters.
    Latest,
}

/// The text is not an overflow policy.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an overflow policy: use queue, digest or latest")]
pub struct UnknownOverflowPolicy(pub String);

impl OverflowPolicy {
    /// All policies.
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

impl fmt::Display for OverflowPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for OverflowPolicy {
    type Err = UnknownOverflowPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|one| one.as_str() == text)
            .ok_or_else(|| UnknownOverflowPolicy(text.to_owned()))
    }
}

/// What happens to a text that is too long for one message of its platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LongTextPolicy {
    /// It is split into numbered parts.
    #[default]
    Split,
    /// It is cut, with a notice.
    Cut,
}

/// The text is neither `split` nor `cut`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is nothing to be done about a text that is too long: use split or cut")]
pub struct UnknownLongTextPolicy(pub String);

impl LongTextPolicy {
    /// All choices.
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

impl fmt::Display for LongTextPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for LongTextPolicy {
    type Err = UnknownLongTextPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|one| one.as_str() == text)
            .ok_or_else(|| UnknownLongTextPolicy(text.to_owned()))
    }
}

/// The organisation whose quota a robot uses, on platforms that count by organisation: 1–64 of
/// `A-Z a-z 0-9 - _`, starting with a letter or digit. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName(Arc<str>);

/// The text is not a valid name of a group.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a name of a group: \
     use 1 to 64 of A-Z a-z 0-9 - _, beginning with a letter or digit"
)]
pub struct InvalidGroupName(pub String);

impl GroupName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GroupName {
    type Err = InvalidGroupName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let fits = text.len() <= 64
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if begins && fits { Ok(Self(text.into())) } else { Err(InvalidGroupName(text.to_owned())) }
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_back_from_its_name_and_another_word_is_refused() {
        for overflow in OverflowPolicy::ALL {
            assert_eq!(overflow.as_str().parse(), Ok(overflow));
        }
        for too_long in LongTextPolicy::ALL {
            assert_eq!(too_long.as_str().parse(), Ok(too_long));
        }
        assert_eq!(
            "Queue".parse::<OverflowPolicy>(),
            Err(UnknownOverflowPolicy("Queue".to_owned()))
        );
        assert_eq!(OverflowPolicy::default(), OverflowPolicy::Queue);
    }

    #[test]
    fn a_group_begins_with_a_letter_or_digit_and_holds_only_the_allowed_characters() {
        for good in ["a", "0", "Team_a-1", &"x".repeat(64)] {
            assert_eq!(
                good.parse::<GroupName>().map(|group| group.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in ["", "-a", "_a", "a b", "a.b", "组", &"x".repeat(65)] {
            assert_eq!(bad.parse::<GroupName>(), Err(InvalidGroupName(bad.to_owned())));
        }
    }
}
