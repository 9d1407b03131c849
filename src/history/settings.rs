//! The settings of the history: `[history]`.
//!
//! Owns when the history is off.
//!
//! Not here: how the bounds are kept (`store/history.rs`).

use std::time::Duration;

use crate::settings::{duration, number_of, section, switch};

section! {
    /// The history of deliveries, on the daemon's own disk: what became of each event, for
    /// `roomcast event show` and `roomcast history`. It has no webhook.
    pub struct HistorySettings in "history" {
        /// How long it is kept. With 0s there is no history, and what an earlier start kept is
        /// deleted.
        retention: Duration = one(duration(), "7d"), AtStart;
        /// How many bytes it may have on the disk; above this the oldest part is deleted, whatever
        /// its age. With 0 there is no history.
        bytes_max: u64 = one(number_of("bytes", 0..=1_099_511_627_776_u64), "1073741824"), AtStart;
        /// Whether it keeps the beginning of each event's text, sealed, up to 4 KiB. With false, a
        /// start destroys the key of the texts that an earlier start kept.
        text: bool = one(switch(), "false"), AtStart;
    }
}

impl HistorySettings {
    /// Whether a history is kept.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.retention.is_zero() && self.bytes_max > 0
    }

    /// Whether the history keeps the texts of events.
    #[must_use]
    pub const fn keeps_texts(&self) -> bool {
        self.is_on() && self.text
    }
}
