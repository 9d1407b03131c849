//! The environment of the integration tests: a private RabbitMQ, the emulator, the daemon, a
//! publisher.
//!
//! Owns its parts; all of them are real processes.
//!
//! Not here: the doubles of the simulation (`tests/sim/`).

pub mod broker;
pub mod browser;
pub mod certificates;
pub mod console;
pub mod daemon;
pub mod emulator;
pub mod gate;
pub mod letters;
pub mod outgoing;
pub mod processor;
pub mod publisher;
pub mod raw;
pub mod receipts;
pub mod receiver;
mod shared;
pub mod terminal;

pub use shared::{free_ports, until};
