//! Owns the state shared by all connections, behind one lock that is held briefly.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;

use crate::faults::Faults;
use crate::received::Log;
use crate::robots::{Defaults, Robots};

/// What all connections share.
pub(crate) struct Emulator {
    /// Whether requests are logged, or only counted.
    pub(crate) records: bool,
    state: Mutex<State>,
}

/// What the lock guards.
pub(crate) struct State {
    /// The robots.
    pub(crate) robots: Robots,
    /// The injected faults.
    pub(crate) faults: Faults,
    /// What was received.
    pub(crate) log: Log,
}

impl Emulator {
    /// An emulator that has received nothing.
    pub(crate) fn new(defaults: Defaults, records: bool) -> Self {
        let state = State { robots: Robots::new(defaults), faults: Faults::default(), log: Log::default() };
        Self { records, state: Mutex::new(state) }
    }

    /// Takes the lock. Never hold it over an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything it answers: the platforms' addresses and the control interface.
    pub(crate) fn router(self) -> Router {
        crate::reception::routes().merge(crate::control::routes()).with_state(Arc::new(self))
    }
}
