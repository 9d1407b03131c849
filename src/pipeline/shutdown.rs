//! The settings of a shutdown.
//!
//! Owns `[shutdown]`.
//!
//! Not here: how a shutdown ends a session (`app/sessions.rs`).

use std::time::Duration;

use crate::settings::{duration, section};

section! {
    /// The shutdown of the daemon.
    pub struct ShutdownSettings in "shutdown" {
        /// How long unfinished deliveries may take after SIGTERM. Those that remain come back at
        /// the next start.
        drain: Duration = one(duration(), "20s"), AtStart;
    }
}
