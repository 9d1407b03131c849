//! All routes of the emulator: those of the platforms and the control interface.
//!
//! Owns nothing but their union.
//!
//! Not here: the routes themselves (`reception.rs`, `control.rs`).

use std::sync::Arc;

use axum::Router;

use crate::emulator::Emulator;
use crate::{control, reception};

/// The routes, on this state.
pub(crate) fn router(emulator: Emulator) -> Router {
    reception::routes().merge(control::routes()).with_state(Arc::new(emulator))
}
