//! The keys and tables that a configuration file has.
//!
//! Owns their names and places.
//!
//! Not here: which of them are known (`reader.rs`).

use toml::de::DeTable;

/// A key or table of the file.
pub(super) struct FoundKey {
    pub(super) name: String,
    /// The offset in the text.
    pub(super) start: usize,
    pub(super) is_table: bool,
}

impl FoundKey {
    /// Every key and table.
    pub(super) fn all(table: &DeTable<'_>) -> Vec<Self> {
        let mut found = Vec::new();
        collect(table, "", &mut found);
        found
    }
}

fn collect(table: &DeTable<'_>, path: &str, found: &mut Vec<FoundKey>) {
    for (key, value) in table {
        let name = if path.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{path}.{}", key.get_ref())
        };
        let inner = value.get_ref().as_table();
        found.push(FoundKey {
            name: name.clone(),
            start: key.span().start,
            is_table: inner.is_some(),
        });
        if let Some(inner) = inner {
            collect(inner, &name, found);
        }
    }
}
