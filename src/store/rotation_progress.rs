//! The progress of a rotation of the master key, and of sealing everything again.
//!
//! Owns that at most one run of each is under way.
//!
//! Not here: the steps (`rotate.rs`).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The progress of a rotation and of a resealing.
pub(super) struct Rotation {
    /// The new master key is in the place from which the daemon reads it.
    pub(super) in_place: AtomicBool,
    /// How far the data keys are wrapped under the new master key, in slots.
    pub(super) wrapping: RotationProgress,
    /// How far the subscriptions are sealed again, in subscriptions.
    pub(super) sealing: RotationProgress,
}

/// The progress of one of the two.
#[derive(Default)]
pub(super) struct RotationProgress {
    running: AtomicBool,
    done: AtomicUsize,
    total: AtomicUsize,
}

impl Rotation {
    pub(super) fn new(in_place: bool) -> Self {
        Self {
            in_place: in_place.into(),
            wrapping: RotationProgress::default(),
            sealing: RotationProgress::default(),
        }
    }
}

impl RotationProgress {
    /// Begins a run. Returns `false` if one is running already.
    pub(super) fn begin(&self, total: usize) -> bool {
        if self.running.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
        true
    }

    /// Adds to what is done.
    pub(super) fn advance(&self, count: usize) {
        self.done.fetch_add(count, Ordering::Relaxed);
    }

    /// Ends the run.
    pub(super) fn end(&self) {
        self.running.store(false, Ordering::Release);
    }

    /// What is done and the total, while a run lasts.
    pub(super) fn get(&self) -> Option<(usize, usize)> {
        let now = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        self.running.load(Ordering::Acquire).then_some(now)
    }
}
