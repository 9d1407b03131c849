//! The steps of a change between which a crash leaves a state of its own.
//!
//! Owns that a test can look at the files at each of them.
//!
//! Not here: the steps (`write.rs`, `rotate.rs`).

/// Called between the steps of a change. Does nothing outside of tests.
#[derive(Clone, Default)]
pub(super) struct CrashPoints {
    #[cfg(test)]
    observer: std::sync::Arc<std::sync::Mutex<Option<Observer>>>,
}

#[cfg(test)]
type Observer = Box<dyn FnMut() + Send>;

impl CrashPoints {
    /// A step is durable, and the next one has not begun.
    pub(super) fn reached(&self) {
        #[cfg(test)]
        if let Some(observer) = self.observer().as_mut() {
            observer();
        }
    }

    /// Calls `observer` at each step from now on.
    #[cfg(test)]
    pub(super) fn observe(&self, observer: impl FnMut() + Send + 'static) {
        *self.observer() = Some(Box::new(observer));
    }

    #[cfg(test)]
    fn observer(&self) -> std::sync::MutexGuard<'_, Option<Observer>> {
        self.observer.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
