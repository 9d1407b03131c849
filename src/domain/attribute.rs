//! Attributes: what a publisher says about an event, by which subscriptions choose.

use super::Platform;

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its values, as text; one or several.
    pub values: Vec<String>,
}

/// All attributes of an event, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The attributes.
    pub named: Vec<Attribute>,
    /// The platforms for which the event is meant, if not for all: SMN's `smn_protocol`.
    pub platforms: Option<Vec<Platform>>,
}

impl Attributes {
    /// The values of an attribute, if the event has it.
    #[must_use]
    pub fn values(&self, name: &str) -> Option<&[String]> {
        self.named.iter().find(|one| one.name == name).map(|one| one.values.as_slice())
    }

    /// Whether the event is meant for this platform. Who names DingTalk means its internal robots as well: publishers of SMN know one name for both.
    #[must_use]
    pub fn are_for(&self, platform: Platform) -> bool {
        self.platforms.as_ref().is_none_or(|platforms| {
            platforms.contains(&platform)
                || (platform == Platform::DingTalkInternal && platforms.contains(&Platform::DingTalk))
        })
    }
}
