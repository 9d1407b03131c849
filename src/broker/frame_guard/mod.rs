//! A guard between the broker and lapin's parser.
//!
//! lapin ends a connection at a short string that is not UTF-8, and at a content header larger than
//! a frame. Deeply nested arrays and tables exhaust the stack of its parser, which aborts the
//! process. RabbitMQ accepts all of these from publishers. The guard repairs them before lapin sees
//! them, and reports it in the header `x-roomcast-damaged` of the message.
//!
//! Owns the promise that no message of a publisher ends a connection or the process.
//!
//! Not here: what happens to a damaged message (`fanout/decode.rs`).

mod bodies;
mod content;
mod damage;
mod fields;
mod filter;
#[cfg(test)]
mod filter_tests;
mod methods;
mod transport;

pub use bodies::BodyBudget;
pub use filter::{BrokenFrame, FrameFilter};
pub(super) use transport::connect;

/// The header of a message whose body was left out. Its value contains a secret of the guard: see
/// [`BodyBudget`].
pub(super) const LEFT_OUT: &str = "x-roomcast-body-left-out";
