//! Recovery after a crash of the machine: redelivered messages may have been sent before without a
//! record in the journal.
//!
//! Owns the rule that each such delivery counts once in its robot's window, in however many
//! sessions it is redelivered. The rule ends when all windows have passed since the start.
//!
//! Not here: the restore after a crash of the process only (`pace/restore.rs`).

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use crate::{
    domain::{Delivery, Timestamp},
    pace::Pace,
};

/// How often each delivery was counted. Two events without a `message_id` may have equal content.
type DeliveryCounts = Mutex<HashMap<u64, u32>>;

/// The counts of all sessions of this process.
pub struct Recovery {
    since: Timestamp,
    hashes: RandomState,
    counted: DeliveryCounts,
}

/// The deliveries redelivered in one session.
#[derive(Default)]
pub struct SessionRedeliveries(DeliveryCounts);

impl Recovery {
    /// Starts the recovery. `began` is the process's start in the pacer's time; earlier sends are
    /// unknown.
    #[must_use]
    pub fn since(began: Timestamp) -> Self {
        Self { since: began, hashes: RandomState::new(), counted: DeliveryCounts::default() }
    }

    /// Counts a redelivered delivery, unless an earlier session has counted it.
    pub(super) fn count(&self, delivery: &Delivery, returned: &SessionRedeliveries, pace: &Pace) {
        if !pace.is_in_window(delivery.platform, self.since) {
            return self.forget(returned);
        }
        let event = &delivery.event;
        let what = (
            event.topic.as_str(),
            &event.published.body,
            delivery.subscription,
            delivery.generation,
        );
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

    /// Drops the counts: all windows have passed.
    fn forget(&self, returned: &SessionRedeliveries) {
        for counts in [&self.counted, &returned.0] {
            *counts.lock().unwrap_or_else(PoisonError::into_inner) = HashMap::new();
        }
    }
}
