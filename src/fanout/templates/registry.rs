//! The current templates in memory.
//!
//! Owns the guarantee that rendering never waits for the disk or a lock.
//!
//! Not here: the durable templates (`store/templates.rs`). The store replaces the current ones
//! after a change is durable.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;

use super::Templates;

/// The current templates. Clones share them.
#[derive(Clone, Default)]
pub struct TemplateRegistry(Arc<ArcSwap<Templates>>);

impl TemplateRegistry {
    /// Starts with these templates.
    #[must_use]
    pub fn new(templates: Templates) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(templates)))
    }

    /// The templates at this moment. Later changes do not affect the returned value.
    #[must_use]
    pub fn now(&self) -> Arc<Templates> {
        self.0.load_full()
    }

    /// Replaces all templates.
    pub fn put(&self, templates: Templates) {
        self.0.store(Arc::new(templates));
    }
}

impl fmt::Debug for TemplateRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} templates", self.now().0.len())
    }
}
