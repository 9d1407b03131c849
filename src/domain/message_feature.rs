//! The parts of a message that a platform may refuse, and without which it is sent again.
//!
//! Owns their closed list, the one name of each, and sets of them.
//!
//! Not here: which answer is about which part (`answer.rs` of each platform), and how a message is
//! rendered without one (`platforms/omission.rs`).

use std::fmt;

use enum_map::Enum;

use super::every;

/// A part of a message that can be left out, so that the rest of the message arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum)]
pub enum MessageFeature {
    /// The mention of all members.
    MentionAll,
    /// The mentions of single members.
    Mentions,
    /// Tables as a grid.
    Tables,
    /// Pictures in the text.
    Pictures,
    /// A title outside of the text.
    Title,
    /// Everything but plain text: markdown, a card, the platform's own form.
    Markup,
}

impl MessageFeature {
    /// The feature with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        every::<Self>().find(|feature| feature.as_str() == name)
    }

    /// The name in headers, metrics, logs, traces, receipts and API answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MentionAll => "mention_all",
            Self::Mentions => "mentions",
            Self::Tables => "tables",
            Self::Pictures => "pictures",
            Self::Title => "title",
            Self::Markup => "markup",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of features. Its text is the names, separated by commas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FeatureSet(u8);

impl FeatureSet {
    /// The set without features.
    pub const EMPTY: Self = Self(0);

    /// Whether the set has no features.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The number of features.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether the set has this feature.
    #[must_use]
    pub const fn contains(self, feature: MessageFeature) -> bool {
        self.0 & feature.bit() != 0
    }

    /// The set with this feature as well.
    #[must_use]
    pub const fn with(self, feature: MessageFeature) -> Self {
        Self(self.0 | feature.bit())
    }

    /// The features of both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The features that the other set does not have.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The features, in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = MessageFeature> + Clone {
        every::<MessageFeature>().filter(move |feature| self.contains(*feature))
    }

    /// The set with these names. Names of another version are skipped.
    #[must_use]
    pub fn named(names: &str) -> Self {
        names.split(',').filter_map(|name| MessageFeature::named(name.trim())).collect()
    }
}

impl FromIterator<MessageFeature> for FeatureSet {
    fn from_iter<T: IntoIterator<Item = MessageFeature>>(features: T) -> Self {
        features.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Display for FeatureSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(MessageFeature::as_str).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_is_read_back_from_its_names_and_names_of_other_versions_are_skipped() {
        for bits in 0..64 {
            let set = FeatureSet(bits);
            assert_eq!(FeatureSet::named(&set.to_string()), set);
            assert_eq!(set.iter().collect::<FeatureSet>(), set);
            assert_eq!(usize::try_from(set.len()).unwrap(), set.iter().count());
        }
        let tables = FeatureSet::default().with(MessageFeature::Tables);
        assert_eq!(FeatureSet::named("hologram, tables"), tables);
        assert_eq!(FeatureSet::named(""), FeatureSet::default());
    }

    #[test]
    fn sets_are_united_and_taken_apart() {
        let (both, one) = (FeatureSet::named("tables,title"), FeatureSet::named("title"));
        assert_eq!(both.without(one), FeatureSet::named("tables"));
        assert_eq!(one.and(FeatureSet::named("tables")), both);
        assert!(one.without(both).is_empty() && both.contains(MessageFeature::Title));
    }
}
