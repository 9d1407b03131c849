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

/// The values of all settings, by `section.key`.
#[derive(Clone, Default)]
pub(super) struct Values(BTreeMap<String, u64>);

impl Values {
    /// Stores the hash of a value; `value` is a text that stands for it.
    pub(super) fn set(&mut self, section: &str, key: &str, value: &str) {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        self.0.insert(format!("{section}.{key}"), hasher.finish());
    }

    /// The names of the settings whose values differ, or which only one of the two has.
    pub(super) fn differing(&self, other: &Self) -> Vec<String> {
        let names = self.0.keys().chain(other.0.keys().filter(|name| !self.0.contains_key(*name)));
        let mut names: Vec<_> =
            names.filter(|name| self.0.get(*name) != other.0.get(*name)).cloned().collect();
        names.sort_unstable();
        names
    }
}

/// Shows only the names: not even a hash of a secret is printed.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
