//! Lines that were left out of the log.
//!
//! Owns that their numbers are logged when they are due.
//!
//! Not here: the limit (`log_limit.rs`).

use crate::telemetry::registry::Telemetry;

/// Log lines were omitted, because there were too many of their kind.
pub struct LogLinesSuppressed {
    /// Whether to log all numbers because the process ends, or only those that are due.
    pub all: bool,
}

impl LogLinesSuppressed {
    /// Logs the numbers.
    pub fn emit(&self, telemetry: &Telemetry) {
        telemetry.lines.log_left_out(self.all);
    }
}
