//! The broker's report on one of the daemon's queues.
//!
//! Owns the shape of that report.
//!
//! Not here: how the queues are asked (`broker/queue_lengths.rs`).

/// The state of a queue at the last request to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueStats {
    /// The name without the prefix.
    pub name: String,
    /// The number of messages that are ready.
    pub ready: u32,
    /// The number of consumers; `None` for a queue that the daemon does not consume.
    pub consumers: Option<u32>,
}
