//! The settings of a session with the broker.
//!
//! Owns what the parts of a session are told by the operator.
//!
//! Not here: the names of exchanges and queues (`topology.rs`), and reading the configuration
//! (`app/wiring.rs`).

use std::time::Duration;

use super::{Address, Declare};

/// The settings of a session.
#[derive(Clone)]
pub struct SessionSettings {
    /// The address of the broker.
    pub address: Address,
    /// The treatment of the topology.
    pub declare: Declare,
    /// The prefetch of each queue of events, in messages.
    pub prefetch: u16,
    /// The prefetch of each queue of deliveries, in messages. Many of them wait in memory for their
    /// slot.
    pub prefetch_delivery: u16,
    /// The maximum size of the bodies in memory for each queue, in bytes; one body is always
    /// allowed.
    pub prefetch_size: usize,
    /// The maximum body of an event, in bytes. At most one larger body is in memory.
    pub body_max: usize,
    /// The maximum wait for a confirm.
    pub confirm_timeout: Duration,
}
