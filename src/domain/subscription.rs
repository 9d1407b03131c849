//! Subscriptions. Owns what one is; where it is kept is `store/`'s matter.

use std::{fmt, str::FromStr};

use super::{Endpoint, Mentions, Moment, Platform, RobotId, Secret, TopicName};

/// The name of one subscription: 32 lower-case hexadecimal digits, made at random with a time prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId([u8; 16]);

/// The text names no subscription.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a subscription id: it has 32 hexadecimal digits")]
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
    /// When it was added.
    pub created_at: Moment,
}
