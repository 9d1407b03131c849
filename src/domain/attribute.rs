//! Attributes: named values of an event, by which subscriptions filter.
//!
//! Owns which platforms an event is meant for.
//!
//! Not here: the filters themselves (`filter.rs`), and how attributes are decoded
//! (`fanout/attributes.rs`).

use super::Platform;

/// One attribute: a name with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The name.
    pub name: String,
    /// The values as text; one or several.
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

    /// Whether the event is meant for this platform. A platform includes its variants: publishers
    /// of SMN know one name for both.
    #[must_use]
    pub fn are_for(&self, platform: Platform) -> bool {
        self.platforms.as_ref().is_none_or(|platforms| {
            platforms.contains(&platform)
                || platform.variant_of().is_some_and(|base| platforms.contains(&base))
        })
    }
}
