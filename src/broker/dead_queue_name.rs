//! The names of the dead queues. Pure.
//!
//! Owns which dead queues there are, and the name of each for operators and on the broker.
//!
//! Not here: walking a queue (`dead_queue_scan.rs`), selecting letters (`dead_filter.rs`).

use std::{fmt, str::FromStr};

use super::topology::Topology;
use crate::domain::{Platform, UnknownPlatform, serde_by_text};

/// A dead queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeadQueue {
    /// The dead deliveries of one platform.
    Platform(Platform),
    /// The dead events.
    Event,
}

impl DeadQueue {
    /// Every dead queue, in the order in which they are processed.
    pub fn all() -> impl Iterator<Item = Self> {
        Platform::ALL.into_iter().map(Self::Platform).chain([Self::Event])
    }

    /// The name on the command line and in the API: that of the platform, or `event`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Platform(platform) => platform.as_str(),
            Self::Event => "event",
        }
    }

    /// The name of the queue on the broker.
    pub(super) fn name(self, topology: &Topology) -> String {
        match self {
            Self::Platform(platform) => topology.dead_queue(platform),
            Self::Event => topology.dead_event_queue(),
        }
    }

    /// The platform of its deliveries; `None` for events.
    #[must_use]
    pub const fn platform(self) -> Option<Platform> {
        match self {
            Self::Platform(platform) => Some(platform),
            Self::Event => None,
        }
    }
}

impl fmt::Display for DeadQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

serde_by_text!(DeadQueue);

/// A text that does not name a dead queue.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}, or event for messages that were not a readable event")]
pub struct UnknownDeadQueue(UnknownPlatform);

impl FromStr for DeadQueue {
    type Err = UnknownDeadQueue;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == Self::Event.as_str() {
            return Ok(Self::Event);
        }
        name.parse().map(Self::Platform).map_err(UnknownDeadQueue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dead_queue_is_read_back_from_its_name() {
        for queue in DeadQueue::all() {
            assert_eq!(queue.as_str().parse(), Ok(queue));
        }
        let says = "slack".parse::<DeadQueue>().unwrap_err().to_string();
        assert!(says.contains("wecom") && says.contains("event"), "{says}");
    }
}
