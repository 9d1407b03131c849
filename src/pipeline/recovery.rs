//! After the machine went down: what comes back may have been sent before, without a note of it.
//!
//! Each such delivery is counted once in its robot's window, in however many sessions it comes back. It
//! ends by itself when all windows have passed since the start.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use crate::{
    domain::{Delivery, Moment},
    pace::Pace,
};

/// How often each delivery was counted. Two events without a name may say the same.
type Counts = Mutex<HashMap<u64, u32>>;

/// What all sessions of a process know of it.
pub struct Recovery {
    since: Moment,
    hashes: RandomState,
    counted: Counts,
}

/// What came back in one session.
#[derive(Default)]
pub struct Returned(Counts);

impl Recovery {
    /// The process began at that time of the pace, and what was sent before is not known.
    #[must_use]
    pub fn since(began: Moment) -> Self {
        Self { since: began, hashes: RandomState::new(), counted: Counts::default() }
    }

    /// Counts a delivery that has come back, unless it was counted in an earlier session.
    pub(super) fn count(&self, delivery: &Delivery, returned: &Returned, pace: &Pace) {
        if !pace.still_matters(delivery.platform, self.since) {
            return self.forget(returned);
        }
        let event = &delivery.event;
        let what = (event.topic.as_str(), &event.published.body, delivery.subscription, delivery.generation);
        let key = self.hashes.hash_one(what);
        let here = {
            let mut returned = returned.0.lock().unwrap_or_else(PoisonError::into_inner);
            let here = returned.entry(key).or_default();
            *here += 1;
            *here
        };
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = counted.entry(key).or_default();
        if here > *counted {
            *counted = here;
            pace.charge(delivery.robot, delivery.platform, self.since);
        }
    }

    /// All windows have passed.
    fn forget(&self, returned: &Returned) {
        for counts in [&self.counted, &returned.0] {
            *counts.lock().unwrap_or_else(PoisonError::into_inner) = HashMap::new();
        }
    }
}
