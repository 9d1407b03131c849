//! Where templates stand while the daemon runs. Whoever reads an event takes them from here without waiting; whoever keeps them puts the new ones here
//! once they are durable.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;

use super::Templates;

/// The templates of this moment. Clones are the same shelf.
#[derive(Clone, Default)]
pub struct Shelf(Arc<ArcSwap<Templates>>);

impl Shelf {
    /// A shelf with these.
    #[must_use]
    pub fn new(templates: Templates) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(templates)))
    }

    /// What stands here now; it stays as it is for whoever took it.
    #[must_use]
    pub fn now(&self) -> Arc<Templates> {
        self.0.load_full()
    }

    /// Puts these in the place of all there were.
    pub fn put(&self, templates: Templates) {
        self.0.store(Arc::new(templates));
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} templates", self.now().0.len())
    }
}
