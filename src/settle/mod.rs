//! What is done about a delivery: decide from the verdict, store the next step, record, ack.
//!
//! Owns the order of these steps, which is the promise that nothing is lost: store (confirmed by the broker), record (durable in
//! the ledger), ack. It knows neither the broker nor the platforms.

mod decide;
mod outbox;
mod schedule;

pub use decide::{counts_as_attempt, decide, defer, expire};
pub use outbox::{NextStep, NotStored, Outbox, Receipt, SessionEnded};
pub use schedule::RetryPolicy;
