//! What the broker says of one of the daemon's queues.

/// What lay in a queue when the broker was asked last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSeen {
    /// Its name without the prefix.
    pub name: String,
    /// How many messages lie ready.
    pub ready: u32,
    /// How many consumers it has; nothing if the daemon does not consume it.
    pub consumers: Option<u32>,
}
