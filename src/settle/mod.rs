//! Settlement of deliveries: decide from the verdict, store the next step, record it, acknowledge.
//!
//! It knows neither the broker nor the platforms.
//!
//! Owns the order of these steps, and so the promise that no message is lost. The broker confirms
//! the next step, then the ledger entry is durable, then the ack is sent.
//!
//! Not here: which step runs when (`pipeline.rs`), and the meaning of an answer (`platforms/`).

mod committer;
mod decide;
mod hand;
mod identity;
mod mark;
mod outbox;
mod said;
mod schedule;
mod tally;

pub use committer::{Commits, Committer, NotRecorded};
pub use decide::{
    counts_as_attempt, decide, defer, expire, out_of_attempts, out_of_budget, poison, supersede, unreadable,
};
pub use hand::{Hand, InHand, Taken};
pub use identity::{Identity, Line, Step};
pub use mark::{Done, Mark};
pub use outbox::{AckTag, NextStep, NotStored, Outbox, SessionEnded};
pub use said::said_by;
pub use schedule::RetryPolicy;
pub use tally::{Held, Progress, Report, Tally};
