//! The state that all connections share.
//!
//! Owns its lock, which is held only briefly.
//!
//! Not here: the parts of the state (`robots.rs`, `faults.rs`, `received.rs`).

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::faults::Faults;
use crate::received::Log;
use crate::robots::{Defaults, Robots};

/// The shared state.
pub(crate) struct Emulator {
    /// Whether requests are logged or only counted.
    pub(crate) records: bool,
    state: Mutex<State>,
}

/// The state behind the lock.
pub(crate) struct State {
    /// The robots.
    pub(crate) robots: Robots,
    /// The injected faults.
    pub(crate) faults: Faults,
    /// The received requests.
    pub(crate) log: Log,
}

impl Emulator {
    /// An emulator without received requests.
    pub(crate) fn new(defaults: Defaults, records: bool) -> Self {
        let state =
            State { robots: Robots::new(defaults), faults: Faults::default(), log: Log::default() };
        Self { records, state: Mutex::new(state) }
    }

    /// Takes the lock. It must not be held across an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
