//! A guard between the broker and lapin's parser. Owns that no message of a publisher can end a connection, or the
//! process.
//!
//! lapin ends a connection at a short string that is not UTF-8, and at a content header that is larger than a frame
//! may be; its parser follows nested arrays and tables until the stack is exhausted, which aborts the process. All of
//! these are taken from publishers by RabbitMQ. The guard mends them before lapin sees them, and tells so in the header
//! `x-roomcast-damaged` of the message. What is done about such a message is decided elsewhere.

mod bodies;
mod content;
mod damage;
mod fields;
mod filter;
#[cfg(test)]
mod filter_tests;
mod methods;
mod transport;

pub use bodies::Bodies;
pub use filter::{BrokenFrame, FrameFilter};
pub(super) use transport::connect;

/// The header of a message whose body was left out. What it says is the guard's own: see [`Bodies`].
pub(super) const LEFT_OUT: &str = "x-roomcast-body-left-out";
