//! Compares the settings of two configurations.
//!
//! Owns that no value is kept: settings are compared by hashes, because some are secrets.
//!
//! Not here: reading the values (`reader.rs`).

use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::settings::TakesEffect;

/// A setting whose value differs between two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedSetting {
    /// Its name, `section.key`.
    pub name: String,
    /// When the change takes effect.
    pub takes_effect: TakesEffect,
}

/// The hashes of all settings, by `section.key`, and when a change takes effect.
#[derive(Clone, Default)]
pub(super) struct Values(BTreeMap<String, (u64, TakesEffect)>);

impl Values {
    /// Stores the hash of a value; `value` stands for it.
    pub(super) fn set(
        &mut self,
        section: &str,
        key: &str,
        value: &impl Hash,
        takes_effect: TakesEffect,
    ) {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        self.0.insert(format!("{section}.{key}"), (hasher.finish(), takes_effect));
    }

    /// The settings whose values differ, or which only one of the two has, sorted by name.
    pub(super) fn differing(&self, other: &Self) -> Vec<ChangedSetting> {
        let all: BTreeMap<_, _> = other.0.iter().chain(&self.0).collect();
        let changed = all.into_iter().filter(|(name, _)| self.0.get(*name) != other.0.get(*name));
        changed
            .map(|(name, (_, takes_effect))| ChangedSetting {
                name: name.clone(),
                takes_effect: *takes_effect,
            })
            .collect()
    }
}

/// Shows only the names: not even a hash of a secret is printed.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
