//! What the integration tests stand on: a private RabbitMQ, the emulator, the daemon, a publisher. All of it real.

pub mod broker;
pub mod browser;
pub mod certificates;
pub mod console;
pub mod daemon;
pub mod emulator;
pub mod letters;
pub mod publisher;
pub mod raw;
pub mod receipts;
pub mod receiver;
mod shared;
pub mod terminal;

pub use shared::{free_ports, until};
